"""The whole of it, run for half an hour under load while its processes are killed: nothing is lost, doubled, or grows.

`make prove` runs it whole; with LORELINT_SAMPLE two minutes of it. LORELINT_SOAK names other seconds.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import SEED, unprivileged
from tests.e2e.killing import LOST
from tests.e2e.soak import OTHERS, OURS, RETRIED, TIMED, Load, Site, Visitor
from tests.e2e.story import ago, written
from tests.e2e.supervisor import Part

from lorelint.cli.clock import now
from lorelint.edge.store.database import Database
from lorelint.jobs.outbox import drop
from lorelint.model.store import Letter, LetterRow

WHOLE, SAMPLE = 1800.0, 120.0  # seconds
PAUSE = 2.0  # between two mails
GAPS = (12.0, 45.0)  # seconds between two kills: while all are killed, and while ours are left alone
GROWTH, SLACK = 0.15, 8.0  # what memory may grow: a share, and megabytes for what a library loads late
WARM = 0.2  # of the second half, before memory counts
MISSED = 0.3  # of what is asked, while what it takes is down
DRAIN = 600.0  # seconds in which all that came must be dealt with


def length() -> float:
    return float(os.environ.get("LORELINT_SOAK") or (SAMPLE if os.environ.get("LORELINT_SAMPLE") else WHOLE))


@pytest.fixture
def site(tmp_path: Path, program: Callable[[str], str]) -> Iterator[Site]:
    for name in ("public-inbox-init", "public-inbox-httpd", "public-inbox-mda", "git"):
        program(name)
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    programs = found[-1].parent if found else Path(program("postgres")).resolve().parent
    folder = Path(tempfile.mkdtemp(prefix="lorelint-soak-"))  # the name of a socket is short
    as_user = unprivileged(folder)
    data = folder / "data"
    made = [programs / "initdb", "-D", data, "-U", "lorelint", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
    subprocess.run([*as_user, *made], check=True, capture_output=True, cwd=folder)
    settings = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    postgres = [*as_user, str(programs / "postgres"), "-D", str(data), *settings]
    url = f"postgresql://lorelint@/postgres?host={folder}"
    try:
        with Site(tmp_path, url, postgres, faster=10.0) as made_site:
            yield made_site
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.prove
def test_half_an_hour_under_load_with_kills(site: Site, shared: Path) -> None:
    choice = random.Random(SEED)
    site.loop.inbox.deliver(*written("winview-bounded", ago(days=3)))  # what came before is passed over
    _turn(site, 30.0, lambda: b"event=start" in _log(site, "lorelint-listen"))
    before = site.archived()
    load, visitor = Load(site, shared, PAUSE), Visitor(site)
    load.start()
    visitor.start()
    _storm(site, choice, length() / 2, (*OURS, *OTHERS), GAPS[0])
    _turn(site, 60.0, lambda: site.supervisor.settled(OURS, 5.0))
    left_alone = {name: len(site.supervisor.parts[name].memory) for name in OURS}
    codes = Counter[str]()
    _storm(site, choice, length() / 2, OTHERS, GAPS[1], codes)
    load.ending.set()
    load.join()
    store = Database(site.url, site.root)
    waited = time.monotonic()
    _turn(site, DRAIN, lambda: _dealt_with(store, site, before))
    waited = time.monotonic() - waited
    _no_letter_doubled_or_lost(site, store)
    _look_for_the_lost(store)
    _turn(site, 60.0, lambda: site.timed("lorelint-health") == 0)
    ended = {name: site.timed(name) for name in TIMED}
    visitor.ending.set()
    visitor.join()
    _say(site, load, visitor, codes, waited, _letters(store), left_alone)
    assert not load.wrong, load.wrong
    assert set(ended.values()) == {0}, ended
    assert _dealt_with(store, site, before), _where_it_stands(store, site, before)
    assert not visitor.refused, visitor.refused
    assert sum(visitor.missed.values()) < MISSED * sum(visitor.asked.values()), visitor.missed
    assert not site.supervisor.told(), site.supervisor.told()
    _each_copy_alike(store, load)
    _lived_on(site, left_alone)
    _flat(site)
    store.close()


def _turn(site: Site, seconds: float, until: Callable[[], bool]) -> None:
    """Let it run until something is so, or the time is over."""
    end = time.monotonic() + seconds
    looked = 0.0
    while time.monotonic() < end:
        site.supervisor.turn()
        if time.monotonic() - looked > 2 and site.supervisor.settled(OTHERS, 2.0):
            looked = time.monotonic()
            if until():
                return
        time.sleep(0.1)


def _storm(
    site: Site,
    choice: random.Random,
    seconds: float,
    names: tuple[str, ...],
    gap: float,
    codes: Counter[str] | None = None,
) -> None:
    """Kill one of some parts after another, at moments that follow from the seed; look at memory every second."""
    start = time.monotonic()
    due, measured, timer = start + choice.expovariate(1 / gap), start, start + 45
    while (here := time.monotonic()) < start + seconds:
        site.supervisor.turn()
        if here >= due:
            name = choice.choice(names)
            if site.supervisor.settled([name], 1.0):
                site.supervisor.kill(name, choice)
            due = here + max(2.0, choice.expovariate(1 / gap))
        if here - measured >= 1:
            site.supervisor.measure()
            measured = here
        if codes is not None and here >= timer:
            name = "lorelint-backup" if sum(codes.values()) % 5 == 4 else "lorelint-health"
            codes[f"{name}: {site.timed(name)}"] += 1
            timer = here + 45
        time.sleep(0.1)


def _log(site: Site, name: str) -> bytes:
    path = site.supervisor.logs / f"{name}.log"
    return path.read_bytes() if path.exists() else b""


# -- what must be so ---------------------------------------------------------------------------------------------------


def _letters(store: Database) -> tuple[LetterRow, ...]:
    with store.look() as session:
        return session.outbox.waiting(*Letter)


def _where_it_stands(store: Database, site: Site, before: int) -> dict[str, int]:
    """Messages of the archive that the store has not (or has too often), series that are due, letters on their way."""
    with store.look() as session:
        seen = sum(number for _, _, number in session.mails.counts())
        due = len(session.series.due(now(), 100))  # others wait for patches that never come
        on_the_way = len(session.outbox.waiting(Letter.RELEASED, Letter.SENDING))
    return {"missing": site.archived() - before - seen, "due": due, "on the way": on_the_way}


def _dealt_with(store: Database, site: Site, before: int) -> bool:
    return not any(_where_it_stands(store, site, before).values())


def _no_letter_doubled_or_lost(site: Site, store: Database) -> None:
    handed = Counter(str(mail["Message-ID"]).strip("<>") for mail in site.loop.sent())
    assert handed and set(handed.values()) == {1}, [name for name, count in handed.items() if count > 1]
    for letter in _letters(store):
        there = handed.pop(letter.msgid, 0)
        if letter.state is Letter.SENT:
            assert there, f"letter {letter.id} is called sent, and nobody got it"
        else:
            assert not there or LOST in letter.why, letter
    assert not handed, f"sent, and no letter of the store: {sorted(handed)}"


def _look_for_the_lost(store: Database) -> None:
    """What a person does about letters of which it is not known whether they went out: health is bad until then."""
    with store.begin() as session:
        lost = [each.id for each in session.outbox.waiting(Letter.HELD) if LOST in each.why]
        drop(session, lost, "operator", now(), "looked for in the archive")


def _each_copy_alike(store: Database, load: Load) -> None:
    """What was said of each copy of a thread in which nobody answers is the same, whoever was killed meanwhile."""
    found = defaultdict(Counter)
    for copy in load.copies:
        if copy.name not in RETRIED[:3]:
            continue
        with store.look() as session:
            row = session.series.of_patch(copy.first)
            assert row is not None, f"no series of {copy.first}"
            findings = sorted(each.rule for each in session.findings.of_series(row.id))
            letters = len(session.outbox.of_series(row.id))
        found[copy.name][(tuple(findings), letters)] += 1
    assert found and all(len(each) == 1 for each in found.values()), found


def _lived_on(site: Site, left_alone: dict[str, int]) -> None:
    """Ours went on in the second half, whatever became of the others."""
    ended = {name: site.supervisor.parts[name].ended for name in OURS}
    assert {name: len(site.supervisor.parts[name].memory) for name in OURS} == left_alone, ended


def _thirds(part: Part) -> tuple[float, float] | None:
    """The median memory in the first and in the last third of the process that lived longest, after it was warm."""
    longest = max(part.memory, key=len)
    warm = longest[int(len(longest) * WARM) :]
    if len(warm) < 9:
        return None
    third = len(warm) // 3
    return statistics.median(size for _, size in warm[:third]), statistics.median(size for _, size in warm[-third:])


def _flat(site: Site) -> None:
    for name in OURS:
        thirds = _thirds(site.supervisor.parts[name])
        assert thirds is not None, name
        assert thirds[1] <= thirds[0] * (1 + GROWTH) + SLACK, f"{name} grows: {thirds[0]:.1f} to {thirds[1]:.1f} MB"


def _say(
    site: Site,
    load: Load,
    visitor: Visitor,
    codes: Counter[str],
    waited: float,
    letters: tuple[LetterRow, ...],
    left_alone: dict[str, int],
) -> None:
    parts = site.supervisor.parts.values()
    reviews = _log(site, "lorelint-listen").count(b"event=reviewed")
    states = dict(Counter(each.state.value for each in letters))
    print(f"\n{length():.0f} s, then {waited:.0f} s until all was done")
    print(
        f"messages {load.delivered} delivered ({load.answered} answers), {site.archived()} archived; reviews {reviews}"
    )
    print(f"letters {states}, at the mail server {len(site.loop.sent())}")
    names = re.compile(r"<[^>]*>|^.* has answered")
    held = Counter(names.sub("...", why) for each in letters if each.state is not Letter.SENT for why in each.why)
    for why, count in held.most_common():
        print(f"    {count:4} {why}")
    print(
        f"asked {sum(visitor.asked.values())}, not answered {sum(visitor.missed.values())} while a part was down, ",
        end="",
    )
    print(f"{len(visitor.refused)} else; the slowest {visitor.slowest:.2f} s; {dict(codes)}")
    for part in parts:
        thirds = _thirds(part)
        memory = f"{thirds[0]:.1f} to {thirds[1]:.1f} MB" if thirds else "not long enough"
        print(f"{part.name:16} kills {part.kills:3} starts {part.starts:3} ended {Counter(part.ended)!s:40} {memory}")
