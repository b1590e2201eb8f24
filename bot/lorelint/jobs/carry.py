"""Findings from one version of a series to the next, by fingerprint: what was dismissed stays dismissed, what a person
or we have said is not said again, what is gone is known to be fixed. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from lorelint.jobs.review import undone
from lorelint.model.base import Grade
from lorelint.model.finding import Judged, Kind, Report, Status
from lorelint.model.store import FindingRow, State

# What a series has to answer for; what moved, was there before or is mended by it is in the report alone.
KEPT = (Status.NEW, Status.UNCERTAIN, Status.EXPOSED)
# States that go on as long as the finding is there, the others begin anew with each version.
_LASTING = (State.FALSE, State.WONTFIX, State.NOT_OURS, State.CONFIRMED, State.SNOOZED, State.SENT, State.RAISED)


class Carried(Struct, frozen=True):
    """The findings of a review, and those of earlier versions that are gone (their ids)."""

    rows: tuple[FindingRow, ...]
    fixed: tuple[int, ...]


def carry(
    earlier: Sequence[FindingRow], report: Report, *, review: int, series: int, version: int, now: str
) -> Carried:
    """Put the findings of a version beside those of the versions before.

    earlier  the earliest first; those of an earlier review of the very same series may be among them, at the end
    """
    before = {row.fingerprint: row for row in earlier}
    mails = {patch.seq: patch.msgid for patch in report.series.patches} if report.series else {}
    here = [judged for judged in report.findings if judged.finding.kind is Kind.DEFECT and judged.status in KEPT]
    rows = []
    for judged in here:
        patch, known = mails.get(judged.patch, ""), before.get(judged.finding.fingerprint)
        rows.append(replace(_row(judged, known, version, now), review=review, series=series, patch=patch))
    return Carried(tuple(rows), _fixed(earlier, report, series))


def became(row: FindingRow, version: int) -> str:
    """What a version has to say of a finding of its series: "new in v3", "still there in v3", "fixed in v3"."""
    if row.fixed_in:
        return f"fixed in v{row.fixed_in}"
    return f"new in v{version}" if row.since >= version else f"still there in v{version}, since v{row.since}"


def _row(judged: Judged, before: FindingRow | None, version: int, at: str) -> FindingRow:
    finding = judged.finding
    back = before is not None and before.state is State.FIXED  # it was gone, and came again
    state, reason, who, changed_at, until = _state(judged, before, at)
    return FindingRow(
        id=0,
        review=0,
        series=0,
        patch="",
        fingerprint=finding.fingerprint,
        rule=finding.rule,
        path=finding.path,
        function=finding.function,
        line=finding.line,
        anchor=finding.anchor,
        message=finding.message,
        status=judged.status.value,
        severity=finding.severity.value,
        confidence=finding.confidence,
        grade=judged.grade.value,
        mailable=judged.mailable,
        state=state,
        since=version if before is None or back else (before.since or version),
        reason=reason,
        who=who,
        changed_at=changed_at,
        snoozed_until=until,
    )


def _state(judged: Judged, before: FindingRow | None, at: str) -> tuple[State, str, str, str, str]:
    """What a person decided goes on; else what a person said in the thread counts."""
    lasts = before is not None and before.state in _LASTING
    if before is not None and lasts and before.state is not State.RAISED:
        return before.state, before.reason, before.who, before.changed_at, before.snoozed_until
    if judged.said:
        raised = next(each for each in judged.raised if each.sure)
        return State.RAISED, f"said in <{raised.msgid}>", raised.name, at, ""
    if before is not None and lasts:
        return before.state, before.reason, before.who, before.changed_at, ""
    return State.NEW, "", "", "", ""


def _fixed(earlier: Sequence[FindingRow], report: Report, series: int) -> tuple[int, ...]:
    """Findings of other versions that are gone; nothing where too little was seen to say so."""
    if report.series is None or not report.series.complete or undone(report) is not None:
        return ()
    if report.base is None or report.base.grade is Grade.FRAGMENTS:
        return ()
    there = {judged.finding.fingerprint for judged in report.findings if judged.status is not Status.FIXED}
    gone = (row for row in earlier if row.series != series and row.fingerprint not in there)
    return tuple(
        row.id for row in gone if not row.state.dismissed and row.state is not State.FIXED and _seen(row, report)
    )


def _seen(row: FindingRow, report: Report) -> bool:
    """Whether the rule could have found it again: it ran, and where the finding was nothing stayed unseen."""
    if row.rule not in report.coverage.rules or any(failure.rule == row.rule for failure in report.failures):
        return False
    here = [each for each in report.unseen if each.path == row.path]
    return not any(each.kind == "skipped" or row.function in each.text for each in here)
