"""Review one series: base, both trees of every patch, rules, subtraction, concerns, report."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from lorelint.code.program import Cache, Program
from lorelint.jobs.base import climb
from lorelint.kernel.applied import knowledge_of
from lorelint.model.aside import Aside
from lorelint.model.base import Applied, Grade
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Report
from lorelint.model.mail import Change, Series, Thread
from lorelint.model.memory import Memory
from lorelint.model.source import OpenTree, Patcher
from lorelint.model.trouble import Trouble
from lorelint.rule.answers import answers_of
from lorelint.rule.concern import concerns
from lorelint.rule.delta import delta
from lorelint.rule.door import Rule


class Reviewed(Struct, frozen=True):
    """A report, and the trees it speaks of."""

    report: Report
    applied: Applied

    def line(self, seq: int, path: str, line: int) -> str | None:
        """The text of a line of a file after patch `seq`; None where there is none."""
        for snapshot in self.applied.snapshots:
            if snapshot.patch.seq == seq:
                raw = snapshot.after.read(path)
                lines = [] if raw is None else raw.split(b"\n")
                return lines[line - 1].decode("utf-8", "surrogateescape") if 0 < line <= len(lines) else None
        return None


def newest(thread: Thread, revision: int | None = None) -> Series:
    """The series to review. Raises LorelintError where the thread has no patch, or no such revision."""
    if not thread.series:
        why = next((each.text for each in thread.troubles if each.kind == "no-patch"), "no mail in it holds a patch")
        raise LorelintError("nothing to review", where=thread.source, remedy=why)
    if revision is None:
        return thread.series[-1]
    for series in reversed(thread.series):
        if series.version == revision:
            return series
    there = ", ".join(f"v{series.version}" for series in thread.series)
    raise LorelintError(f"has no v{revision}", where=thread.source, remedy=f"it holds {there}")


def review(
    thread: Thread,
    source: OpenTree | None,
    rules: Sequence[Rule],
    *,
    patcher: Patcher | None = None,
    pinned: bool = False,
    revision: int | None = None,
    version: str = "",
    memory: Memory | None = None,
    stamp: str = "",
    answers: bool = True,
    aside: Aside | None = None,
    applied: Applied | None = None,
) -> Reviewed:
    """Review the newest series of a thread, or `revision` of it.

    source   the tree to look for the base in; None: the hunks alone
    pinned   only the tree as given, no search of other commits
    version  of lorelint and its packs, for the report
    memory   of what was worked out before, by the very code that `stamp` stands for
    answers  what people said in the thread is read; else it is reviewed as if nobody had answered
    aside    another processor, if any
    applied  the series on its base, where that was looked for already
    Raises LorelintError where there is no patch to review.
    """
    series = newest(thread, revision)
    applied = applied or climb(series, source, patcher, pinned=pinned)
    know = knowledge_of(applied, source)
    cache = Cache.empty()
    result = delta(
        applied,
        rules,
        lambda tree: Program(tree, know, cache),
        answers=lambda tree: answers_of(tree, know, memory, stamp),
        missing=missing(series),
        aside=aside,
    )
    from lorelint.jobs.heard import Heard, hear  # a check has no answers to read, and needs what else is here

    heard = Heard((), result.judged, ())
    if answers:
        together = concerns(result.judged, rules, result.spans)
        heard = hear(thread, series, applied, result.judged, together, rules, lambda tree: Program(tree, know, cache))
    report = Report(
        source=thread.source,
        series=series,
        base=applied.base,
        findings=heard.judged,
        concerns=concerns(heard.judged, rules, result.spans),
        silences=result.silences,
        troubles=(*_troubles(thread, series, applied), *heard.troubles),
        failures=result.failures,
        unseen=(*result.unseen, *result.undecided),
        coverage=result.coverage,
        version=version,
        comments=heard.comments,
    )
    return Reviewed(report, applied)


def missing(series: Series) -> frozenset[int]:
    """Numbers of the patches that did not come."""
    return frozenset(range(1, series.expected + 1)) - {patch.seq for patch in series.patches}


def _troubles(thread: Thread, series: Series, applied: Applied) -> tuple[Trouble, ...]:
    found: list[Trouble] = [*thread.troubles, *series.troubles]
    for patch in series.patches:
        found += patch.troubles
    found += applied.troubles
    for snapshot in applied.snapshots:
        found += snapshot.troubles
    return tuple(dict.fromkeys(found))


_DAMAGED = "the mail may be damaged: get it from the archive again"
_ELSEWHERE = "name the tree and revision it was made on: --tree DIR --base REV"


def undone(report: Report) -> tuple[str, str] | None:
    """Why nothing at all could be looked at, and what to do about it; None where the job was done.

    A series is looked at where one function of it was judged, and where it changes no C. Otherwise there was C, and it
    lies outside every source tree, could not be read, or fits no tree that was tried.
    """
    if report.series is None or report.base is None or report.coverage.functions:
        return None
    touched = [diff for patch in report.series.patches for diff in patch.diffs]
    source = [diff for diff in touched if diff.path.endswith((".c", ".h"))]
    kinds = {each.kind for each in report.troubles}
    if any(diff.change is Change.MODIFY and not diff.hunks for diff in source):
        return "no change of a C file in it can be read", _DAMAGED
    if not touched and kinds & {"unsafe-path", "bad-path"}:
        return "every file it names lies outside a source tree", "such names are not followed"
    if not touched and "mangled" in kinds:
        return "no change of a file in it can be read", _DAMAGED
    if any(diff.hunks for diff in source) and report.base.grade is Grade.FRAGMENTS:
        told = (each.text for each in report.troubles if each.kind == "does-not-apply")
        return next(told, "the hunks alone show no whole function"), _ELSEWHERE
    return None


def job_done(report: Report) -> bool:
    """False where nothing at all could be looked at."""
    return undone(report) is None
