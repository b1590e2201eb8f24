"""What happens on the list: who writes when, and what an operator runs then. The mails are of our own writing."""

from __future__ import annotations

import email.utils
import mailbox
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

from tests.conftest import ROOT, Checkout
from tests.e2e.loop import TREE, Loop
from tests.edge.signing import signed

from lorelint.edge.store.database import Database
from lorelint.model.store import FindingRow, Letter, Life, SeriesRow

SOURCE = "drivers/misc/dmamap/dmamap.c"
AUTHOR = "Tomas Lindqvist <tomas@example.org>"
V1 = "20260402-dmamap-zap-race-v1-1-7c21f0b9d4e3@example.org"
V2 = "20260405-dmamap-zap-race-v2-1-1a7f2f6a0c11@example.org"
CHANGE_ID = "20260402-dmamap-zap-race-2f90b1c6a85d"
ANSWER = "20260404120000.answer@example.org"
# In v1: not mailed there, for the letter tells the cause of it; it would be in v2.
DISMISSED = "lorelint: false-positive retry-no-resched the fault sleeps on each pass"


def ago(**spans: float) -> str:
    """The Date of a mail that was sent a while ago."""
    return email.utils.format_datetime(datetime.now(UTC) - timedelta(**spans))


def written(name: str, date: str) -> list[bytes]:
    """The mails of a thread of our own writing, as if they were sent at `date`."""
    mails = [mail.as_bytes() for mail in mailbox.mbox(ROOT / "corpora" / "threads" / f"{name}.mbox")]
    return [re.sub(rb"^Date: .*$", b"Date: " + date.encode(), mail, count=1, flags=re.M) for mail in mails]


def second_version(folder: Path, first: bytes, date: str) -> bytes:
    """v2 of the patch, made by git: one failure is told from the others now, and the loop still goes on for ever."""
    folder.mkdir()
    mailbox = folder / "v1.mbox"
    mailbox.write_bytes(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + first + b"\n")
    checkout = Checkout(folder / "linux", TREE)
    checkout.am(mailbox)
    checkout.swap(SOURCE, "\t\t\treturn -EAGAIN;\n\t}", "\t\t\treturn err == -EINVAL ? -EAGAIN : err;\n\t}")
    checkout.git("commit", "-q", "-a", "--amend", "--author", AUTHOR, "--no-edit")
    head, _, body = checkout.git("format-patch", "-1", "--stdout", "-v2").partition("\n\n")
    subject = re.search(r"^Subject: (.*(?:\n .*)*)", head, re.M)
    assert subject
    body = body.replace("\n---\n", f"\n---\nchange-id: {CHANGE_ID}\n", 1)
    people = "To: Odile Brandt <odile@example.org>\nCc: small@lists.example.org, Ines Marchetti <ines@example.org>\n"
    top = f"From: {AUTHOR}\nDate: {date}\nSubject: {subject[1]}\nMessage-Id: <{V2}>\n{people}"
    return f"{top}\n{body}\n".encode()


def answer(letter: EmailMessage, text: str = DISMISSED, *, author: str = AUTHOR, msgid: str = ANSWER) -> bytes:
    """What the author writes back, signed by his domain; what he quotes asks for another thing."""
    head = (
        f"From: {author}\nTo: {letter['From']}\nCc: small@lists.example.org\nSubject: {letter['Subject']}\n"
        f"Date: {ago(minutes=1)}\nMessage-ID: <{msgid}>\nIn-Reply-To: {letter['Message-ID']}\n"
        f"References: {' '.join(str(letter['References']).split())} {letter['Message-ID']}\n\n"
    )
    quoted = "".join(f"> {line}".rstrip() + "\n" for line in letter.get_content().splitlines())
    return signed((head + quoted + f"\n{text}\n\n-- \nTomas\n").encode(), "example.org")


@dataclass(frozen=True, slots=True)
class Chapter:
    """Mail comes, then a command is run.

    command  its arguments as things stand; none where there is nothing to do
    comes    the mails that are delivered before
    """

    name: str
    command: Callable[[Loop], tuple[str, ...]]
    comes: Callable[[Loop], list[bytes]] = lambda loop: []


def _listen(loop: Loop) -> tuple[str, ...]:
    return ("listen", "--once")


def _send(loop: Loop) -> tuple[str, ...]:
    return ("send", "--once")


def _release(loop: Loop) -> tuple[str, ...]:
    held = [each["letter"] for each in loop.run("outbox", "--json").json()["letters"] if each["state"] == "held"]
    return ("outbox", "release", *map(str, held)) if held else ()


def _past(loop: Loop) -> list[bytes]:
    """What came before lorelint followed the list: nothing is said of it."""
    return written("winview-bounded", ago(days=3))


def _posted(loop: Loop) -> list[bytes]:
    return [*written("dmamap-retry", ago(hours=2)), *written("aperture-mmap", ago(hours=3))]


def _answered(loop: Loop) -> list[bytes]:
    return [answer(next(mail for mail in loop.sent() if mail["In-Reply-To"] == f"<{V1}>"))]


def _posted_again(loop: Loop) -> list[bytes]:
    return [second_version(loop.folder / "author", written("dmamap-retry", ago(hours=2))[0], ago(seconds=30))]


CHAPTERS = (
    Chapter("start", _listen, _past),
    Chapter("posted", _listen, _posted),
    Chapter("released", _release),
    Chapter("sent", _send),
    Chapter("answered", _listen, _answered),
    Chapter("posted again", _listen, _posted_again),
    Chapter("nothing is left", _send),
)


def ends_as_it_should(loop: Loop) -> None:
    """What is in the store when the story is told."""
    with loop.store() as store:
        _ends_as_it_should(loop, store)


def _ends_as_it_should(loop: Loop, store: Database) -> None:
    first, before = _series(store, V1)
    second, after = _series(store, V2)
    assert (first.life, first.superseded_by, second.life) == (Life.SUPERSEDED, second.id, Life.REVIEWED)
    assert {rule: each.state.value for rule, each in before.items()} == {
        "errno-collapsed-to-retry": "fixed",
        "unbounded-retry": "sent",
        "retry-no-resched": "false-positive",
    }
    assert before["errno-collapsed-to-retry"].fixed_in == 2
    assert {rule: (each.state.value, each.since) for rule, each in after.items()} == {
        "unbounded-retry": ("sent", 1),
        "retry-no-resched": ("false-positive", 1),
    }
    with store.look() as session:
        gone = before["errno-collapsed-to-retry"].id
        assert [what for _, _, what, _, _ in session.notes.trail(f"finding:{gone}")] == [
            "finding fixed",
            "finding sent",
        ]
        count = loop.inbox.run("git", f"--git-dir={loop.inbox.path}/git/0.git", "rev-list", "--count", "HEAD")
        assert sum(number for _, _, number in session.mails.counts()) == int(count) - len(_past(loop))
        assert not session.outbox.of_series(second.id)
        assert {each.state for each in session.outbox.waiting(*Letter)} == {Letter.SENT}


def _series(store: Database, msgid: str) -> tuple[SeriesRow, dict[str, FindingRow]]:
    with store.look() as session:
        row = session.series.of_patch(msgid)
        assert row is not None
        return row, {each.rule: each for each in session.findings.of_series(row.id)}
