"""Hostile mails, of our own writing, and a small list that they are sent to."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.edge.signing import RECORD, signed

from lorelint.edge.b4.single import read_mail
from lorelint.edge.b4.threads import read_threads
from lorelint.edge.dns import TextRecords
from lorelint.edge.mailbox import Mail
from lorelint.edge.proof import MailProver
from lorelint.edge.store.database import Database
from lorelint.jobs.answers import Help, obey
from lorelint.jobs.intake import Reader, Taken, assemble, take
from lorelint.jobs.life import Pace
from lorelint.kernel.maintainers import parse
from lorelint.mail.nature import nature
from lorelint.model.feed import Arrival, Cursor, Nature
from lorelint.model.mail import Message
from lorelint.model.store import FindingRow, Letter, LetterRow, ReviewRow, State

AT = "2026-02-02T10:00:00Z"
NOW = "2026-02-02T12:00:00Z"
DOMAIN = "lorelint.example"
RULE = "retry-no-resched"
FINGERPRINT = "0123456789abcdef"
ANN, MARIA, SVEN = "Ann <ann@author.example>", "Maria <maria@rings.example>", "Sven <sven@stranger.example>"
ZONE = {f"sel._domainkey.{each}.example": RECORD for each in ("author", "rings", "stranger", "lorelint")}
MAINTAINERS = parse("RING\nM:\tMaria <maria@rings.example>\nF:\tdrivers/ring/\n")
LETTER = "lorelint-0@lorelint.example"


def mail(
    body: str | bytes = "Hello.\n",
    *,
    subject: str = "Re: talk",
    writer: str = SVEN,
    msgid: str = "m@stranger.example",
    parent: str = "",
    extra: str = "",
    head: str = "",
    date: str = "Mon, 02 Feb 2026 10:00:00 +0000",
) -> bytes:
    """`head` stands above all other headers, `extra` below them."""
    lines = [f"From: {writer}", "To: ring@lists.example", f"Subject: {subject}", f"Date: {date}"]
    lines += [f"Message-ID: <{msgid}>"] if msgid else []
    lines += [f"In-Reply-To: <{parent}>", f"References: <{parent}>"] if parent else []
    text = (head + "\n".join(lines) + "\n" + extra + "\n").encode("utf-8", "surrogateescape")
    return text + (body if isinstance(body, bytes) else body.encode("utf-8", "surrogateescape"))


def diff(path: str = "drivers/ring/ring.c", *added: str, old: str = "", mode: str = "100644") -> str:
    """A patch of one file."""
    lines = added or ("\tgoto again;",)
    return (
        f"diff --git a/{old or path} b/{path}\nindex 1111111..2222222 {mode}\n--- a/{old or path}\n+++ b/{path}\n"
        f"@@ -1,2 +1,{2 + len(lines)} @@\n int ring(void)\n {{\n" + "".join(f"+{line}\n" for line in lines)
    )


def patch(
    changes: str = "", *, message: str = "Try again.", subject: str = "[PATCH] ring: again", **more: str
) -> bytes:
    more = {"writer": ANN, "msgid": "p1@author.example"} | more
    return mail(f"{message}\n\nSigned-off-by: {ANN}\n---\n\n{changes or diff()}-- \n2.47\n", subject=subject, **more)


def answer(body: str, *, writer: str = ANN, sign: str = "", msgid: str = "a@author.example", **more: str) -> bytes:
    """A reply to our letter, signed by a domain where one is named."""
    raw = mail(body, subject="Re: [PATCH] ring: again", writer=writer, msgid=msgid, **({"parent": LETTER} | more))
    return signed(raw, sign) if sign else raw


def parts(*inner: str, boundary: str = "b", kind: str = "mixed") -> tuple[str, str]:
    """A header and a body of several parts, each with its own header."""
    body = "".join(f"--{boundary}\n{each}\n" for each in inner) + f"--{boundary}--\n"
    return f'MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary="{boundary}"\n', body


def text_part(body: str, kind: str = "text/plain", extra: str = "") -> str:
    return f"Content-Type: {kind}; charset=utf-8\n{extra}\n{body}"


def encoded(text: str) -> str:
    return base64.encodebytes(text.encode()).decode()


class Listing:
    """A list that is followed into a store; what comes to it, and what it made of that."""

    def __init__(self, folder: Path, dns: str) -> None:
        self.store = Database("", folder)
        self.reader = Reader(_understood, _threads)
        self.prover = MailProver(TextRecords(dns, lifetime=2.0))
        self.number = 0

    def close(self) -> None:
        self.store.close()

    def post(self, *mails: bytes) -> list[str]:
        """What each mail is taken for, and what the threads say of it."""
        return [_line(self.take(each)) for each in mails]

    def take(self, raw: bytes) -> Taken:
        self.number += 1
        at = f"2026-02-02T10:{self.number // 60:02}:{self.number % 60:02}Z"
        taken = take(self.store, Arrival(raw, Cursor("ring", 0, str(self.number)), at), self.reader, now=NOW)
        assemble(self.store, self.reader, now=NOW, pace=Pace())
        return taken

    def series(self) -> list[str]:
        with self.store.look() as session:
            rows = sorted(session.series.recent(), key=lambda row: row.id)
        return [f"v{row.version} {row.have}/{row.expected} by {row.author[1]}: {row.life}" for row in rows]

    def reviewed(self, msgid: str = "p1@author.example", state: Letter = Letter.SENT) -> None:
        """The series of a patch has a finding, and our letter told of it."""
        with self.store.begin() as session:
            row = session.series.of_patch(msgid)
            assert row is not None
            review = session.series.reviewed(ReviewRow(0, row.id, AT, "1", "linux", "c" * 40, "exact", (), 1.0))
            finding = FindingRow(
                0, review, row.id, msgid, FINGERPRINT, RULE, "drivers/ring/ring.c", "ring", 3, "again", "it never ends",
                "new", "warning", 0.9, "exact", True, State.NEW, 1,
            )  # fmt: skip
            session.findings.add([finding])
            letter = LetterRow(
                0, msgid, row.id, LETTER, state, (), "Re: ring", "body", (("", "ann@author.example"),), (), (),
                ("ring",), False, AT, "1", (FINGERPRINT,), (RULE,), created_at=AT,
            )  # fmt: skip
            assert session.outbox.add(letter)

    def obeyed(self, *mails: bytes) -> list[str]:
        """What each mail asks for and whether it is obeyed; at the end what became of finding and rule."""
        told = [line for line in self.post(*mails) if not line.startswith("answer")]
        help = Help(self.prover, lambda raw: read_mail(raw)[0], MAINTAINERS.of, (RULE,), DOMAIN)
        for done in obey(self.store, help, NOW):
            told += [f"{row.verdict} by {row.who}: {row.why or 'obeyed'}" for row in done.verdicts] or [done.why]
        with self.store.look() as session:
            row = session.series.of_patch("p1@author.example")
            assert row is not None
            told += [each.state.value for each in session.findings.of_series(row.id)]
            told += [f"{rule} is mute" for rule in session.verdicts.muted("ring")]
            told += [f"{each} gets no mail" for each in sorted(session.verdicts.opted_out())]
        return told

    def audited(self) -> list[str]:
        with self.store.look() as session:
            return [f"{what} {about}: {details}" for _, _, what, about, details in session.notes.trail()]


def _understood(raw: bytes) -> tuple[Message, Nature, str]:
    message, facts = read_mail(raw)
    return (message, *nature(message, facts, DOMAIN))


def _threads(mails: Sequence[bytes]):
    return read_threads([Mail(each) for each in mails], "the list")


def _line(taken: Taken) -> str:
    return f"{taken.nature.value}: {taken.why}"


def read(*mails: bytes) -> list[str]:
    """What is read of the mails of one thread: its troubles, the files each patch may touch, and their troubles."""
    told: list[str] = []
    for thread in read_threads([Mail(each) for each in mails], "list"):
        told += _troubles(thread.troubles)
        for series in thread.series:
            told += _troubles(series.troubles)
            for each in series.patches:
                paths = sorted({diff.path for diff in each.diffs})
                told.append(f"{each.seq}/{series.expected} of v{series.version}: {', '.join(paths[:3]) or 'no file'}")
                told += _troubles(each.troubles)
    return told


def _troubles(troubles: Iterable[object]) -> list[str]:
    found = [f"{each.kind}: {each.text}" for each in troubles]  # type: ignore[attr-defined]
    return list(dict.fromkeys(found))[:6]
