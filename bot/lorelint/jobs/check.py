"""Check an author's own commits: the same rules, trees and subtraction as a review of the mailed series."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from lorelint.code.program import Cache, Program
from lorelint.kernel.applied import knowledge_of
from lorelint.model.aside import Aside
from lorelint.model.base import Applied
from lorelint.model.finding import Judged, Kind, Report, Severity, Status
from lorelint.model.mail import FileDiff, Patch
from lorelint.model.memory import Memory
from lorelint.model.trouble import Trouble
from lorelint.model.work import Dismissals, Work
from lorelint.rule.answers import answers_of
from lorelint.rule.concern import concerns
from lorelint.rule.delta import delta
from lorelint.rule.door import Rule

LIVE = frozenset({Status.NEW, Status.UNCERTAIN, Status.EXPOSED})


class Checked(Struct, frozen=True):
    """What a check says: the report without the findings that its author has dismissed, and those."""

    report: Report
    applied: Applied
    dismissed: tuple[Judged, ...] = ()


def check(
    work: Work,
    rules: Sequence[Rule],
    *,
    only: int = 0,
    dismissals: Dismissals | None = None,
    version: str = "",
    memory: Memory | None = None,
    stamp: str = "",
    aside: Aside | None = None,
) -> Checked:
    """Judge the work.

    only  number of the one patch that is asked about, 0 for all; later ones are judged with it, since they may end what
          it begins
    """
    applied = work.applied
    if only:
        applied = replace(applied, snapshots=tuple(each for each in applied.snapshots if each.patch.seq >= only))
    know = knowledge_of(applied, None)
    cache = Cache.empty()
    result = delta(
        applied,
        rules,
        lambda tree: Program(tree, know, cache),
        answers=lambda tree: answers_of(tree, know, memory, stamp),
        aside=aside,
    )
    judged = tuple(each for each in result.judged if not only or each.patch == only)
    report = Report(
        source=work.said,
        series=work.series,
        base=applied.base,
        findings=judged,
        concerns=concerns(judged, rules, result.spans),
        silences=result.silences,
        troubles=tuple(dict.fromkeys(_troubles(applied))),
        failures=result.failures,
        unseen=(*result.unseen, *result.undecided),
        coverage=result.coverage,
        version=version,
    )
    return checked(report, applied, dismissals or {})


def checked(report: Report, applied: Applied, dismissals: Dismissals) -> Checked:
    """A report less what its author lets stand."""
    gone = tuple(each for each in report.findings if counts(each) and each.finding.fingerprint in dismissals)
    if not gone:
        return Checked(report, applied)
    left = [replace(each, findings=tuple(one for one in each.findings if one not in gone)) for each in report.concerns]
    kept = tuple(each for each in report.findings if each not in gone)
    live = tuple(each for each in left if any(counts(one) for one in each.findings))
    return Checked(replace(report, findings=kept, concerns=live), applied, gone)


def _troubles(applied: Applied) -> list[Trouble]:
    found = [*applied.troubles]
    for snapshot in applied.snapshots:
        found += [*snapshot.patch.troubles, *snapshot.troubles]
    return found


def counts(judged: Judged) -> bool:
    """Whether the work is what makes it so, and it stays."""
    return judged.finding.kind is Kind.DEFECT and judged.status in LIVE


def fails(judged: Judged, least: Severity, exposed: bool = False) -> bool:
    """Whether a finding is new, stays to the end of the series, and is at least this grave.

    exposed  what was there before and is newly reached counts too
    """
    order = list(Severity)
    wanted = LIVE if exposed else frozenset({Status.NEW})
    grave = order.index(judged.finding.severity) <= order.index(least)
    return judged.finding.kind is Kind.DEFECT and judged.status in wanted and not judged.gone_in and grave


def place_of(patch: Patch, among: Sequence[Patch]) -> int:
    """The number of the patch that makes the very change this one makes; 0 where none does.

    Line numbers and blob ids do not count: what is mailed may have been rebased since. Of several the one of the same
    subject is meant.
    """
    change = _change(patch.diffs)
    alike = [each for each in among if change and _change(each.diffs) == change]
    named = [each for each in alike if each.subject == patch.subject]
    return next((each.seq for each in (*named, *alike)), 0)


def _change(diffs: Sequence[FileDiff]) -> tuple[object, ...]:
    return tuple(
        sorted(
            (diff.old_path, diff.new_path, tuple((line.op, line.text) for _, line in diff.lines() if line.op != " "))
            for diff in diffs
        )
    )
