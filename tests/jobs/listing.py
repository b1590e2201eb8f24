"""A small list in a store: a series, its review, a letter of ours, and answers to it. All of it our own writing."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace
from tests.edge.signing import RECORD, signed

from lorelint.edge.b4.single import read_mail
from lorelint.edge.proof import MailProver
from lorelint.edge.store.database import Database
from lorelint.jobs.answers import Help
from lorelint.kernel import mailmap
from lorelint.kernel.maintainers import parse
from lorelint.model.feed import Arrival, Cursor, Nature
from lorelint.model.store import (
    FindingRow,
    Kept,
    Letter,
    LetterRow,
    Life,
    PatchRow,
    ReviewRow,
    SeriesRow,
)

AT = "2026-02-02T10:00:00Z"
NOW = "2026-02-02T12:00:00Z"
ANN = "Ann Author <ann@author.example>"
DOMAIN = "lorelint.example"
RULES = ("retry-no-resched", "unbounded-retry", "gup-pin-leak")
MAINTAINERS = parse(
    "RING\nM:\tMaria Maintainer <maria@rings.example>\nR:\tRex <rex@rings.example>\nF:\tdrivers/ring/\n"
)
PATCH = """The loop ends.

Signed-off-by: Ann Author <ann@author.example>
---
 drivers/ring/ring.c | 1 +
 1 file changed, 1 insertion(+)

diff --git a/drivers/ring/ring.c b/drivers/ring/ring.c
index 1111111..2222222 100644
--- a/drivers/ring/ring.c
+++ b/drivers/ring/ring.c
@@ -1,2 +1,3 @@
 int ring(void)
 {
+	goto again;
"""


ZONE = {f"sel._domainkey.{each}.example": RECORD for each in ("author", "rings", "stranger", "lorelint", "new", "home")}


MAILMAP = mailmap.parse(
    "Ann Author <ann@author.example> <ann@new.example>\nMaria Maintainer <maria@home.example> <maria@rings.example>\n"
    "Maria Maintainer <maria@home.example> <maria@gone.example>\n"
    "Cy <cy@x.example> Cyril <shared@new.example>\nAnn Author <ann@author.example> Ann <shared@new.example>\n"
)


def help_of(prover: MailProver) -> Help:
    return Help(prover, lambda raw: read_mail(raw)[0], MAINTAINERS.of, RULES, DOMAIN, MAILMAP.person)


def mail_of(msgid: str, subject: str, body: str, *, writer: str, parent: str = "", extra: str = "") -> bytes:
    answers = f"In-Reply-To: <{parent}>\nReferences: <{parent}>\n" if parent else ""
    head = f"From: {writer}\nTo: ring@lists.example\nSubject: {subject}\nDate: Mon, 02 Feb 2026 10:00:00 +0000\n"
    return f"{head}Message-ID: <{msgid}>\n{answers}{extra}\n{body}".encode()


class Listing:
    """One store and what is put into it; the names are those of the messages."""

    def __init__(self, folder: Path) -> None:
        self.store = Database("", folder)
        self.numbers: dict[str, int] = {}

    def message(self, raw: bytes, nature: Nature, inbox: str = "ring", at: str = AT) -> Kept:
        message = read_mail(raw)[0]
        kept = Kept(
            msgid=message.msgid,
            root="",
            at=at,
            date=message.date,
            author=(message.from_name, message.from_addr),
            subject=message.subject,
            nature=nature,
            why="",
            parent=message.in_reply_to,
            references=message.references,
            raw=raw,
        )
        with self.store.begin() as session:
            session.mails.add(kept, Arrival(raw, Cursor(inbox, 0, message.msgid), at))
        return kept

    def series(
        self, name: str = "p1", version: int = 1, key: str = "key", writer: str = "Ann Author <ann@author.example>"
    ):
        """A series of one patch, reviewed."""
        msgid = f"{name}@author.example"
        kept = self.message(mail_of(msgid, f"[PATCH v{version}] ring: again", PATCH, writer=writer), Nature.PATCH)
        row = SeriesRow(
            0, kept.msgid, key, version, "ring: again", kept.author, msgid, 1, 1, Life.REVIEWED, "", AT, AT, ""
        )
        with self.store.begin() as session:
            row = replace(row, root=session.mails.root_of(msgid))
            number = session.series.put(row, [PatchRow(msgid, 0, 1, "ring: again", "f" * 40)])
            session.series.move(number, Life.REVIEWED)
            review = session.series.reviewed(ReviewRow(0, number, AT, "1", "linux-6.12", "c" * 40, "exact", (), 1.0))
        self.numbers[name] = number
        self.reviews = {**getattr(self, "reviews", {}), name: review}
        return number

    def found(self, name: str, *rules: str, of: str = "ring") -> tuple[FindingRow, ...]:
        """Findings of a series; their fingerprints tell rule and function."""
        rows = [
            FindingRow(
                0,
                self.reviews[name],
                self.numbers[name],
                f"{name}@author.example",
                fingerprint(rule, of),
                rule,
                "drivers/ring/ring.c",
                of,
                3,
                "again",
                "it never ends",
                "new",
                "warning",
                0.9,
                "exact",
                True,
                since=1,
            )
            for rule in rules
        ]
        with self.store.begin() as session:
            session.findings.add(rows)
            return session.findings.of_series(self.numbers[name])

    def letter(self, name: str, state: Letter = Letter.SENT, *rules: str, inboxes: tuple[str, ...] = ("ring",)) -> str:
        """A letter of ours about all findings of a series, or those of some rules; its message-id."""
        with self.store.begin() as session:
            every = session.findings.of_series(self.numbers[name])
            named = [each for each in every if not rules or each.rule in rules]
            row = LetterRow(
                0,
                f"{name}@author.example",
                self.numbers[name],
                f"letter-{name}@{DOMAIN}",
                state,
                (),
                "Re: [PATCH] ring: again",
                "body",
                (("", "ann@author.example"),),
                (),
                (),
                inboxes,
                False,
                AT,
                "1",
                tuple(each.fingerprint for each in named),
                tuple(each.rule for each in named),
                created_at=AT,
            )
            assert session.outbox.add(row)
        return row.msgid

    def answer(
        self,
        body: str,
        *,
        parent: str,
        writer: str = ANN,
        msgid: str = "answer@author.example",
        extra: str = "",
        sign: bool = True,
    ) -> Kept:
        """Signed by the domain of its writer, unless it is not to be."""
        raw = mail_of(msgid, "Re: [PATCH] ring: again", body, writer=writer, parent=parent, extra=extra)
        domain = writer.rpartition("@")[2].strip(">")
        return self.message(signed(raw, domain) if sign else raw, Nature.ANSWER)

    def states(self, name: str) -> dict[str, str]:
        with self.store.look() as session:
            return {each.rule: each.state.value for each in session.findings.of_series(self.numbers[name])}


def fingerprint(rule: str, of: str = "ring") -> str:
    return f"{rule}{of}".encode().hex()[:8] + f"{sum(map(ord, rule + of)):08x}"
