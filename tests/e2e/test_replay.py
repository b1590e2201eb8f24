"""All mail that there is comes over one list: nothing breaks, every mail is told apart, every series ends somewhere.

python -m pytest -m prove -s tests/e2e/test_replay.py     what was ignored and why, as a table, and figures
"""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import SEED, missing, tree_path
from tests.e2e.loop import Loop

from lorelint.edge.mailbox import read_path
from lorelint.model.errors import LorelintError
from lorelint.model.feed import Nature
from lorelint.model.store import Life

pytestmark = pytest.mark.needs_shared
SAMPLE = 60  # files in CI


def files(shared: Path) -> list[Path]:
    """Every file of the corpora of mail and of the seeds."""
    folders = [shared / "corpora" / "mail", shared / "corpora" / "seeds"]
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


def mails_of(paths: list[Path]) -> list[bytes]:
    """Their mails; a file that holds none (a README, what a test expects) is passed over."""
    found: list[bytes] = []
    for path in paths:
        try:
            found += [mail.raw for mail in read_path(path).mails if not mail.local]
        except LorelintError:
            continue
    return found


@pytest.fixture
def loop(tmp_path: Path, program: Callable[[str], str]) -> Iterator[Loop]:
    program("public-inbox-init")
    with Loop(tmp_path) as made:
        config = tmp_path / "config.toml"
        config.write_text(config.read_text().replace("poll_seconds = 0.5", "poll_seconds = 0.2\nwait_hours = 0.001"))
        yield made


def replay(loop: Loop, mails: list[bytes]) -> dict[str, float]:
    """Follow the list from its beginning until nothing is due; seconds of taking in, of reviews, of work, in all."""
    loop.inbox.fill(mails, seconds=int(time.time()) - len(mails), index=False)
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    seconds = {"intake": 0.0}
    began = start
    log = []
    with loop.begin("listen", "--since", "2000-01-01") as process:
        assert process.stderr
        for line in process.stderr:
            log.append(line)
            assert "event=failed" not in line and "ok=no" not in line, line
            if "event=start" in line:  # trees are in the index, the archive is here
                began = time.monotonic()
            if "event=assembled" in line and not seconds["intake"]:
                seconds["intake"] = time.monotonic() - began
            if '"0 messages taken, 0 series reviewed"' in line:
                process.send_signal(signal.SIGTERM)
                break
        rest = process.stderr.read()
        assert "event=end" in rest, rest
    assert process.returncode == 0
    seconds["reviews"] = sum(float(found) for line in log for found in re.findall(r" seconds=([\d.]+)", line))
    seconds["cpu"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    return {**seconds, "all": time.monotonic() - start}


def ask(loop: Loop, query: str) -> list[tuple[Any, ...]]:
    database = sqlite3.connect(f"file:{loop.folder}/data/lorelint/store.sqlite?mode=ro", uri=True)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def table(loop: Loop, query: str) -> str:
    """(what it is, why) of many things, and how many are so; names and numbers are left out of the reasons."""
    counts: Counter[tuple[str, str]] = Counter()
    for kind, why in ask(loop, query):
        why = re.sub(r"<?[^\s<>]+@[^\s<>]+>?", "ADDRESS", why)
        why = re.sub(r"Linux has no [^\s,]+", "Linux has no FILE", why)
        counts[kind, re.sub(r"\d+", "N", why)] += 1
    return "".join(f"{count:6}  {kind:10}  {why}\n" for (kind, why), count in sorted(counts.items()))


def holds(loop: Loop, mails: list[bytes]) -> None:
    """Every message is there once, and nothing that could be reviewed waits."""
    log = loop.inbox.run("git", f"--git-dir={loop.inbox.path}/git/0.git", "rev-list", "--count", "HEAD")
    assert int(log) == len(mails)
    ((cursor,),) = ask(loop, "SELECT commit_id FROM cursors")
    assert (
        cursor == loop.inbox.run("git", f"--git-dir={loop.inbox.path}/git/0.git", "rev-parse", "HEAD").decode().strip()
    )
    natures = {nature for (nature,) in ask(loop, "SELECT DISTINCT nature FROM messages")}
    assert natures <= set(Nature)
    assert not ask(loop, "SELECT msgid FROM messages WHERE nature = 'broken' AND why LIKE 'cannot be taken in%'")
    assert not ask(loop, "SELECT series, failure FROM reviews WHERE failure != ''")
    lives = {life for (life,) in ask(loop, "SELECT DISTINCT life FROM series")}
    assert lives <= {Life.REVIEWED, Life.SUPERSEDED, Life.MUTED}


def test_a_part_of_all_mail(loop: Loop, shared: Path) -> None:
    paths = random.Random(SEED).sample(files(shared), SAMPLE)
    mails = mails_of(paths)
    replay(loop, mails)
    holds(loop, mails)


@pytest.mark.prove
@pytest.mark.parametrize("tree", ["small", "6.12"])
def test_all_mail(
    tree: str, loop: Loop, shared: Path, sampled: Callable[..., list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Against a tree that it is not about, and against a kernel."""
    if tree != "small":
        path = tree_path(tree) or missing(f"kernel tree {tree} is not there (make trees, or LORELINT_TREES)")
        config = loop.folder / "config.toml"
        kept = f'cache = "{os.environ["XDG_CACHE_HOME"]}/lorelint"'  # a kernel is read into the index once
        text = config.read_text().replace(f'path = "{loop.tree}"', f'path = "{path}"')
        config.write_text(text.replace(f'cache = "{loop.folder}/cache"', kept))
    mails = mails_of(sampled(files(shared), 10))
    seconds = replay(loop, mails)
    holds(loop, mails)
    ((patches,),) = ask(
        loop, "SELECT COUNT(*) FROM patches WHERE series IN (SELECT series FROM reviews WHERE failure = '')"
    )
    with capsys.disabled():
        print(f"\n\n{len(mails)} messages over one list, trees: {tree}\n")
        print(table(loop, "SELECT nature, why FROM messages"))
        print(table(loop, "SELECT life, why FROM series"))
        print(table(loop, "SELECT what, details FROM audit"))
        ((kept,),) = ask(loop, "SELECT COUNT(*) FROM messages")
        print(f"{kept} messages are in the store; the others had the Message-ID of one that was")
        print(f"intake {seconds['intake']:.1f} s, {len(mails) / seconds['intake']:.0f} messages/s")
        print(
            f"reviews {seconds['reviews']:.0f} s, {patches} patches, {60 * patches / seconds['reviews']:.0f} a minute"
        )
        print(f"in all {seconds['all']:.0f} s, {seconds['cpu']:.0f} s of them work of the processor")
