"""A store with a reviewed series in it, and letters under a policy. All of it our own writing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.report import samples

from lorelint.edge.b4.trailers import harvested
from lorelint.edge.store.database import Database
from lorelint.jobs.draft import Drafted, Help, draft
from lorelint.jobs.gate import gate
from lorelint.jobs.policy.parse import parse
from lorelint.model.feed import Arrival, Cursor, Nature
from lorelint.model.finding import Report
from lorelint.model.mail import Patch
from lorelint.model.policy import Policy
from lorelint.model.store import FindingRow, Kept, Letter, LetterRow, Life, PatchRow, ReviewRow, SeriesRow, State

POSTED, NOW, LATER = "2026-11-02T09:16:00Z", "2026-11-02T12:00:00Z", "2026-11-03T10:00:00Z"
MAX = ("Max Maintainer", "max@example.org")
POLICY = """\
sender = "bot@bot.example.org"
contact = "human@bot.example.org"
dry_run = false

[list.ring]
address = "ringmap@lists.example.org"
asked_by = "Max Maintainer"
asked_on = 2026-10-01
audience = "list"
minimum_confidence = 0.8
"""
MORE = """
[list.kernel]
address = "linux-kernel@vger.example.org"
asked_by = "Kim Kernel"
asked_on = 2026-10-02
audience = "author"
minimum_confidence = 0.8
"""
AUTOMATIC = POLICY + 'release = "automatic"\n'


def policy(text: str = POLICY) -> Policy:
    return parse(text, "policy.toml")


class Room:
    """A store, the series of a sample report in it, and its letters."""

    def __init__(self, folder: Path, inboxes: Sequence[str] = ("ring",)) -> None:
        self.store = Database("", folder)
        self.report: Report = samples.retry()
        self.inboxes = tuple(inboxes)
        self.stages: dict[str, str] = {}
        self.gate: Callable[[LetterRow], tuple[str, ...]] | None = None

    def take(self, report: Report, *, key: str = "ring", version: int = 2, same_as: str = "") -> SeriesRow:
        """Take the patches of a report in, as if they had come over the lists and been reviewed."""
        assert report.series is not None
        self.report = report
        patches = report.series.patches
        with self.store.begin() as session:
            for patch in patches:
                for inbox in self.inboxes:
                    kept = _kept(patch, inbox)
                    session.mails.add(kept, Arrival(kept.raw, Cursor(inbox, 0, patch.msgid), POSTED))
            row = SeriesRow(
                0, patches[0].msgid, key, version, report.series.subject, report.series.author, patches[0].msgid,
                len(patches), len(patches), Life.REVIEWED, "", POSTED, POSTED, "",
            )  # fmt: skip
            id = session.series.put(row, [PatchRow(p.msgid, 0, p.seq, p.subject, "", same_as) for p in patches])
            review = session.series.reviewed(ReviewRow(0, id, NOW, "1", "tree", "", "exact", (), 1.0, "", b"{}"))
            mails = {patch.seq: patch.msgid for patch in patches}
            session.findings.add(_row(judged, review, id, mails) for judged in report.findings)
            found = session.series.get(id)
            assert found is not None
            return found

    def draft(self, row: SeriesRow, policy: Policy, now: str = NOW, **more: Any) -> tuple[Drafted, ...]:
        help = Help(
            people=lambda paths: (MAX,),
            stage=lambda rule: self.stages.get(rule, "list"),
            gate=self.gate or gate(policy, harvested),
        )
        with self.store.begin() as session:
            return draft(session, self.report, row, policy, now, help=help, source=samples.source, **more)

    def letter(self, policy: Policy, now: str = NOW, **more: Any) -> LetterRow:
        """The one letter of the sample report."""
        (done,) = self.draft(self.take(samples.retry()), policy, now, **more)
        assert done.letter is not None, done
        return done.letter

    def letters(self, *states: Letter) -> tuple[LetterRow, ...]:
        with self.store.look() as session:
            return session.outbox.waiting(*(states or tuple(Letter)))

    def set(self, state: State, **more: str) -> None:
        """Put all findings into a state."""
        with self.store.begin() as session:
            for row in session.series.recent():
                for finding in session.findings.of_series(row.id):
                    session.findings.change(finding.id, state, who="somebody", at=NOW, **more)


def again(report: Report, version: int) -> Report:
    """The same report about a later version: other message-ids."""
    assert report.series is not None

    def later(patch: Patch) -> Patch:
        msgid = patch.msgid.replace("v2", f"v{version}")
        return replace(patch, msgid=msgid, mail=replace(patch.mail, msgid=msgid))

    return replace(report, series=replace(report.series, patches=tuple(map(later, report.series.patches))))


def _kept(patch: Patch, inbox: str) -> Kept:
    mail = patch.mail
    raw = f"From: {mail.from_addr}\nMessage-ID: <{mail.msgid}>\nSubject: {mail.subject}\n\n{patch.body}".encode()
    return Kept(
        patch.msgid, patch.msgid, POSTED, mail.date, (mail.from_name, mail.from_addr), mail.subject, Nature.PATCH,
        "", mail.in_reply_to, mail.references, (inbox,), raw,
    )  # fmt: skip


def _row(judged: Any, review: int, series: int, mails: dict[int, str]) -> FindingRow:
    finding = judged.finding
    return FindingRow(
        0, review, series, mails.get(judged.patch, ""), finding.fingerprint, finding.rule, finding.path,
        finding.function, finding.line, finding.anchor, finding.message, judged.status.value, finding.severity.value,
        finding.confidence, judged.grade.value, judged.mailable,
    )  # fmt: skip
