"""What the rules say over mail: every series of some mailboxes that applies to one tree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct, field

from lorelint.jobs.measure.pool import Clock, add, shares, spread
from lorelint.jobs.review import review
from lorelint.model.base import Grade
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Judged, Kind, Report
from lorelint.model.mail import Series, Thread
from lorelint.model.measurement import Noise, Skip, Spoken
from lorelint.model.source import OpenTree, Patcher
from lorelint.model.tree import is_source
from lorelint.rule.concern import OPEN
from lorelint.rule.door import Rule

SHARE = 8  # mailboxes that one process takes at a time


class _Part(Struct):
    series: int = 0
    patches: int = 0
    functions: int = 0
    spoken: list[Spoken] = field(default_factory=list)
    left_out: list[Skip] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    grades: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)


def mail(
    boxes: Sequence[tuple[str, str]],
    corpus: str,
    tree: str,
    open_box: Callable[[str], tuple[Thread, ...]],
    open_tree: Callable[[], OpenTree],
    patcher: Callable[[], Patcher],
    rules: Sequence[Rule],
    *,
    processes: int = 1,
) -> tuple[Noise, dict[str, float]]:
    """Review every revision of every series in some mailboxes, and count what would be said.

    boxes      (name, what `open_box` takes)
    corpus     what a person calls all of them
    tree       name of the tree, as judgements name it
    open_tree  with several processes a function of a module, as are the others
    Returns the noise, and seconds of CPU per rule.
    """
    do = partial(_boxes, open_box=open_box, open_tree=open_tree, patcher=patcher, rules=tuple(rules))
    total = _Part()
    for part in spread(shares(tuple(boxes), SHARE), do, processes):
        total.series += part.series
        total.patches += part.patches
        total.functions += part.functions
        total.spoken += part.spoken
        total.left_out += part.left_out
        total.failures += part.failures
        total.grades.update(part.grades)
        add(total.seconds, part.seconds)
    noise = Noise(
        corpus=f"{corpus} on {tree}",
        tree=tree,
        changes=total.series,
        patches=total.patches,
        functions=total.functions,
        spoken=tuple(total.spoken),
        left_out=tuple(total.left_out),
        failures=tuple(total.failures),
        grades={grade.value: total.grades[grade.value] for grade in Grade if total.grades[grade.value]},
    )
    return noise, total.seconds


def _boxes(
    boxes: Sequence[tuple[str, str]],
    open_box: Callable[[str], tuple[Thread, ...]],
    open_tree: Callable[[], OpenTree],
    patcher: Callable[[], Patcher],
    rules: Sequence[Rule],
) -> _Part:
    part, clock, source, patch = _Part(), Clock(), open_tree(), patcher()
    timed = clock.timed(rules)
    for name, spec in boxes:
        try:
            threads = open_box(spec)
        except LorelintError as error:
            part.left_out.append(Skip(name, "", error.what))
            continue
        if not any(thread.series for thread in threads):
            part.left_out.append(Skip(name, "", "holds no patch"))
        for thread in threads:
            for series in thread.series:
                _series(part, name, thread, series, lambda one: review(one, source, timed, patcher=patch).report)
    part.seconds = clock.seconds
    return part


def _series(part: _Part, name: str, thread: Thread, series: Series, ask: Callable[[Thread], Report]) -> None:
    """One revision of one series: what would be said, or why nothing can be."""
    who = f"{name}: v{series.version} {series.subject}"
    if not any(is_source(diff.path) for patch in series.patches for diff in patch.diffs):
        part.left_out.append(Skip(who, "", "touches no C"))
        return
    report = ask(Thread(thread.source, thread.messages, (series,)))
    if report.base is None or not report.base.tree or report.base.grade is Grade.FRAGMENTS:
        told = next((each.text for each in report.troubles if each.kind == "does-not-apply"), "no base was found")
        part.left_out.append(Skip(who, "", f"does not apply: {told}"))
        return
    part.series += 1
    part.patches += sum(any(is_source(diff.path) for diff in patch.diffs) for patch in series.patches)
    part.functions += report.coverage.functions
    part.grades[report.base.grade.value] += 1
    part.spoken += [spoken(each, f"{who} {each.patch}/{series.expected}") for each in report.findings if counts(each)]
    part.failures += [f"{who}: {each.rule} on {each.path} {each.function}(): {each.text}" for each in report.failures]


def counts(judged: Judged) -> bool:
    """Whether a finding is one that a change brings and that stays."""
    return judged.finding.kind is Kind.DEFECT and judged.status in OPEN and judged.gone_in == 0


def spoken(judged: Judged, source: str) -> Spoken:
    found = judged.finding
    return Spoken(
        rule=found.rule,
        source=source,
        path=found.path,
        function=found.function,
        line=found.line,
        status=judged.status.value,
        mailable=judged.mailable,
        message=found.message,
    )
