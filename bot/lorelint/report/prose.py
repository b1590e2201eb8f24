"""What all faces of a report agree on: what counts, what deserves a mail, in which order things are said."""

from __future__ import annotations

from msgspec.structs import replace

from lorelint.model.base import Grade
from lorelint.model.finding import Concern, Finding, Judged, Kind, Need, Report, Severity, Status
from lorelint.report.text import many

LIVE = frozenset({Status.NEW, Status.UNCERTAIN, Status.EXPOSED})
CITED = 2  # findings of one concern that are named in a mail; what the others say is told as a fact

_SEVERITY = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


def counts(judged: Judged) -> bool:
    """Does it make the exit code 1? New, uncertain and exposed defects do; remarks and old findings do not."""
    return judged.finding.kind is Kind.DEFECT and judged.status in LIVE


def found(report: Report) -> int:
    """How many findings count."""
    return sum(1 for judged in report.findings if counts(judged))


def mailable(judged: Judged) -> bool:
    """May this be said on a list? On hunks alone only what needs no more than the patch may."""
    seen = judged.grade is not Grade.FRAGMENTS or judged.finding.need is Need.PATCH
    return judged.mailable and seen


def would_be_mailed(judged: Judged) -> bool:
    """The same, had nobody raised it; notes are not worth a mail of their own."""
    return mailable(replace(judged, raised=())) and judged.finding.severity is not Severity.NOTE


def deserves(concern: Concern) -> bool:
    """Is a concern worth a mail: something new in it that is more than a note?"""
    return any(mailable(judged) and judged.finding.severity is not Severity.NOTE for judged in concern.findings)


def concerns(report: Report) -> tuple[Concern, ...]:
    """The concerns of a report that are live, findings outside any concern as concerns of their own."""
    inside = {id(judged) for concern in report.concerns for judged in concern.findings}
    loose = [Concern(judged.patch, (judged,)) for judged in report.findings if id(judged) not in inside]
    every = [*report.concerns, *loose]
    return tuple(concern for concern in every if any(counts(judged) for judged in concern.findings))


def gravest(concern: Concern) -> Severity:
    """The worst severity among the defects of a concern."""
    worst = [judged.finding.severity for judged in concern.findings if counts(judged)]
    return min(worst, key=lambda severity: _SEVERITY[severity], default=Severity.NOTE)


def cited(concern: Concern) -> tuple[Judged, ...]:
    """The findings a mail names, cause first."""
    return tuple(judged for judged in concern.findings if mailable(judged))[:CITED]


def tally(report: Report) -> str:
    """``2 warnings and 1 note``, of what counts."""
    numbers = []
    for severity in Severity:
        number = sum(1 for judged in report.findings if counts(judged) and judged.finding.severity is severity)
        if number:
            numbers.append(many(number, severity.value))
    return ", ".join(numbers)


def place(finding: Finding) -> str:
    """``path:line``."""
    return f"{finding.path}:{finding.line}"


def statement(finding: Finding) -> str:
    """The message, with the function where the message does not name it."""
    if not finding.function or finding.function in finding.message:
        return finding.message
    return f"in {finding.function}() {finding.message}"
