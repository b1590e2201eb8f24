"""The whole loop on the loopback: a series comes, a letter goes out, an answer comes back, a second version comes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT, Checkout
from tests.e2e.loop import BOT, DOMAIN, TREE, Loop
from tests.e2e.story import ANSWER, CHAPTERS, SOURCE, V1, V2, ago, ends_as_it_should, written


@pytest.fixture
def loop(tmp_path: Path, program: Callable[[str], str]) -> Iterator[Loop]:
    for name in ("public-inbox-init", "public-inbox-httpd", "public-inbox-mda", "git"):
        program(name)
    with Loop(tmp_path) as made:
        yield made


def told(loop: Loop, until: str = "") -> dict[str, Any]:
    """Tell the story to the end of a chapter; what each of its commands said."""
    said = {}
    for chapter in CHAPTERS:
        loop.inbox.deliver(*chapter.comes(loop))
        said[chapter.name] = loop.run(*chapter.command(loop))
        if chapter.name == until:
            break
    return said


def letter(loop: Loop) -> EmailMessage:
    (found,) = [mail for mail in loop.sent() if mail["In-Reply-To"] == f"<{V1}>"]
    return found


def test_the_whole_loop(loop: Loop, tmp_path: Path) -> None:
    said = told(loop, "sent")
    assert "event=reviewed" in said["posted"].err and "250 taken" in said["sent"].out
    _stands_in_the_thread(loop)
    _is_no_trailer_for_b4(loop, tmp_path)
    _is_placed_by_b4_review(loop, tmp_path)
    count = len(loop.sent())
    for chapter in CHAPTERS[4:]:
        loop.inbox.deliver(*chapter.comes(loop))
        said[chapter.name] = loop.run(*chapter.command(loop))
    assert f"<{ANSWER}> false-positive: obeyed" in said["answered"].err
    assert "letters=0" in said["posted again"].err and "nothing is released" in said["nothing is left"].err
    assert len(loop.sent()) == count
    ends_as_it_should(loop)


def _stands_in_the_thread(loop: Loop) -> None:
    """As lore shows it, and as mutt would thread it."""
    thread = {mail["Message-ID"]: mail for mail in loop.thread(V1)}
    there = thread[letter(loop)["Message-ID"]]
    patch = thread[f"<{V1}>"]
    assert there["In-Reply-To"] == f"<{V1}>" and there["References"].split() == [f"<{V1}>"]
    assert there["Subject"] == f"Re: {patch['Subject']}"
    assert there["Message-ID"].endswith(f"@{DOMAIN}>") and there["From"].addresses[0].addr_spec == BOT
    assert there["Auto-Submitted"] == "auto-generated" and "stop" in there["List-Unsubscribe"]
    assert there.get_content() == letter(loop).get_content().replace("\r\n", "\n")
    assert {each.addr_spec for each in (*there["To"].addresses, *there["Cc"].addresses)} == {
        "tomas@example.org", "odile@example.org", loop.inbox.address,
    }  # fmt: skip


def _is_no_trailer_for_b4(loop: Loop, folder: Path) -> None:
    """b4 takes the patch as it was posted. Another's tag below our letter it takes, so it did look."""
    below = letter(loop)["Message-ID"]
    tag = (
        f"From: Odile Brandt <odile@example.org>\nTo: {loop.inbox.address}\nSubject: Re: the loop\nDate: {ago()}\n"
        f"Message-ID: <tag@example.org>\nIn-Reply-To: {below}\nReferences: <{V1}> {below}\n\n"
        "Reviewed-by: Odile Brandt <odile@example.org>\n"
    )
    signed_off = "Signed-off-by: Tomas Lindqvist <tomas@example.org>"
    assert _trailers(loop, folder / "before") == [signed_off]
    loop.inbox.deliver(tag.encode())
    assert _trailers(loop, folder / "after") == [signed_off, "Reviewed-by: Odile Brandt <odile@example.org>"]


def _trailers(loop: Loop, folder: Path) -> list[str]:
    """Those of the commit that git makes of what `b4 am` gives."""
    checkout = Checkout(folder / "linux", TREE)
    settings = ("-c", f"b4.midmask={loop.inbox.url}/%s", "-c", "b4.attestation-policy=off")
    done = subprocess.run(
        [Path(sys.executable).with_name("b4"), *settings, "am", "-o", folder, V1],
        cwd=checkout.path,
        env={**loop.environment, "XDG_CACHE_HOME": str(folder), "XDG_DATA_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert DOMAIN not in done.stdout + done.stderr  # not as one that does not fit either
    (mailbox,) = folder.glob("*.mbx")
    checkout.git("am", "-q", str(mailbox))
    return checkout.git("log", "-1", "--format=%(trailers:unfold)").splitlines()


def _is_placed_by_b4_review(loop: Loop, folder: Path) -> None:
    """The comment stands in the file that it is about, at the line that it quotes last."""
    checkout = Checkout(folder / "review", TREE)
    (folder / "v1.mbox").write_bytes(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + written("dmamap-retry", ago())[0])
    checkout.am(folder / "v1.mbox")
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "e2e" / "b4review.py", f"{loop.inbox.url}/%s", V1],
        cwd=checkout.path,
        env={**os.environ, **loop.environment, "XDG_CACHE_HOME": str(folder / "b4")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (patch,) = json.loads(done.stdout)
    lines = (checkout.path / SOURCE).read_text().splitlines()
    placed = [(each["path"], lines[each["line"] - 1].strip()) for each in patch["reviews"][BOT]["comments"]]
    assert placed == [(f"b/{SOURCE}", "return -EAGAIN;")]


def test_without_the_answer_the_second_version_is_written_about(loop: Loop) -> None:
    """What the answer dismissed would have been said of v2: the silence is the answer's work."""
    told(loop, "sent")
    loop.inbox.deliver(*CHAPTERS[5].comes(loop))
    assert "letters=1" in loop.run("listen", "--once").err
    (waiting,) = loop.run("outbox", "--json").json()["letters"]
    assert waiting["in_reply_to"] == V2 and waiting["rules"] == ["retry-no-resched"]
