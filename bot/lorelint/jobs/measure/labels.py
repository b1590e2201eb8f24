"""Precision and recall of the rules over labelled functions of public kernels."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from msgspec import Struct, field

from lorelint.code.ir import Function
from lorelint.code.program import Cache, Program
from lorelint.jobs.measure.pool import Clock, add, spread
from lorelint.jobs.scan import version_of
from lorelint.kernel.load import knowledge
from lorelint.model.errors import LorelintError
from lorelint.model.measurement import Case, Label, Measurement, Skip
from lorelint.model.tree import Tree
from lorelint.rule.door import ChangeView, Rule
from lorelint.rule.engine import Judge

Opener = Callable[[str, Sequence[str]], Tree]


def labels(text: str, where: str = "labels") -> tuple[Label, ...]:
    """Read labels, one JSON object a line. Raises LorelintError with the line that is no label."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(_label(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            remedy = "one JSON object a line, with id, rule, label, source.tree, source.path, source.function"
            what = f"no label: {type(error).__name__}: {error}"
            raise LorelintError(what, where=f"{where}:{number}", remedy=remedy) from error
    return tuple(found)


def _label(raw: Mapping[str, object]) -> Label:
    source = raw["source"]
    if not isinstance(source, Mapping):
        raise TypeError("source is no object")
    if raw["label"] not in ("positive", "negative"):
        raise ValueError(f"label is {raw['label']!r}")
    confidence = raw.get("confidence", 1.0)
    if not isinstance(confidence, int | float):
        raise TypeError("confidence is no number")
    first, _, last = str(source.get("lines") or "").partition("-")
    lines = (int(first), int(last or first)) if first.isdigit() and (last or first).isdigit() else (0, 0)
    return Label(
        id=str(raw["id"]),
        rule=str(raw["rule"]),
        positive=raw["label"] == "positive",
        tree=str(source.get("tree") or ""),
        overlay=str(source.get("overlay") or ""),
        path=str(source["path"]),
        function=str(source["function"]),
        lines=lines,
        kind=str(source.get("kind") or ""),
        confidence=float(confidence),
    )


class _Batch(Struct, frozen=True):
    """Labels about one tree under one overlay."""

    tree: str
    spec: str
    overlays: tuple[str, ...]
    labels: tuple[Label, ...]


class _Result(Struct):
    cases: list[Case] = field(default_factory=list)
    skipped: list[Skip] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def measure(
    text: str,
    trees: Mapping[str, str],
    open_tree: Opener,
    rules: Sequence[Rule],
    *,
    overlays: Callable[[str], str] | None = None,
    processes: int = 1,
    where: str = "labels",
) -> Measurement:
    """Run the rules over labelled functions.

    text       the labels, one JSON object a line
    trees      name, as in ``source.tree`` -> what `open_tree` takes
    open_tree  (spec, overlay folders) -> tree; with several processes a function of a module, as are the rules
    overlays   case, as in ``source.overlay`` -> its folder, "" where there is none
    A rule fires on a function when it yields a finding that is a defect, whatever the severity. What is
    found does not depend on `processes`.
    """
    known = {rule.name: rule for rule in rules}
    result = _Result()
    batches: dict[tuple[str, str], list[Label]] = {}
    for label in labels(text, where):
        reason = _left_out(label, known, trees, overlays)
        if reason:
            result.skipped.append(Skip(label.id, label.rule, reason))
        else:
            batches.setdefault((label.tree, label.overlay), []).append(label)
    work = []
    for (tree, overlay), members in sorted(batches.items()):
        folders = (overlays(overlay),) if overlay and overlays is not None else ()
        work.append(_Batch(tree, trees[tree], folders, tuple(members)))
    for part in spread(_by_tree(work), partial(_judge_all, open_tree=open_tree, rules=tuple(rules)), processes):
        result.cases += part.cases
        result.skipped += part.skipped
        add(result.seconds, part.seconds)
    return Measurement(
        cases=tuple(sorted(result.cases, key=lambda case: (case.rule, case.id))),
        skipped=tuple(sorted(result.skipped, key=lambda skip: (skip.rule, skip.id))),
        rules=tuple(sorted(known)),
        seconds=dict(result.seconds),
    )


def _left_out(
    label: Label, rules: Mapping[str, Rule], trees: Mapping[str, str], overlays: Callable[[str], str] | None
) -> str:
    if label.rule not in rules:
        return "no such rule"
    if not label.tree:
        return "the label names no tree"
    if label.tree not in trees:
        return f"tree not given: {label.tree}"
    if label.overlay and overlays is None:
        return "overlays not given"
    if label.overlay and overlays is not None and not overlays(label.overlay):
        return f"overlay not there: {label.overlay}"
    return ""


def _by_tree(work: Sequence[_Batch]) -> tuple[tuple[_Batch, ...], ...]:
    """Batches of one tree go to one process, so that what was read of it is read once."""
    by_tree: dict[str, list[_Batch]] = {}
    for batch in work:
        by_tree.setdefault(batch.tree, []).append(batch)
    return tuple(tuple(by_tree[name]) for name in sorted(by_tree))


def _judge_all(batches: Sequence[_Batch], open_tree: Opener, rules: Sequence[Rule]) -> _Result:
    result, cache, clock = _Result(), Cache.empty(), Clock()
    known = {rule.name: rule for rule in clock.timed(rules)}
    for batch in batches:
        tree = open_tree(batch.spec, batch.overlays)
        judge = Judge(Program(tree, knowledge(version_of(tree)), cache))
        # what an overlay changes, it changes in the tree without it
        under = open_tree(batch.spec, ()) if batch.overlays else None
        before = judge if under is None else Judge(Program(under, knowledge(version_of(tree)), cache))
        for label in batch.labels:
            fn = _function(judge.program, label)
            if fn is None:
                reason = f"no such function: {label.path}: {label.function}"
                result.skipped.append(Skip(label.id, label.rule, reason))
            else:
                result.cases.append(_case(label, fn, judge, before, known[label.rule]))
    result.seconds = clock.seconds
    return result


def _function(program: Program, label: Label) -> Function | None:
    """The function of that name; of several (one per configuration) the one that overlaps the label's lines."""
    named = [fn for fn in program.functions(label.path) if fn.name == label.function]
    first, last = label.lines
    overlapping = [fn for fn in named if fn.first_line <= last and first <= fn.end_line]
    return next(iter(overlapping or named), None)


def _case(label: Label, fn: Function, judge: Judge, before: Judge, rule: Rule) -> Case:
    outcome = judge.judge(rule, fn)
    if rule.sees is ChangeView:  # where no overlay says what was there before, the function is judged as a new one
        was = None if before is judge else before.program.function(fn.path, fn.name)
        outcome = judge.change(rule, before, was, fn)
    fired = bool(outcome.defects)
    return Case(
        id=label.id,
        rule=label.rule,
        tree=label.tree,
        overlay=label.overlay,
        path=label.path,
        function=label.function,
        line=fn.line,
        kind=label.kind,
        group=label.group,
        label="positive" if label.positive else "negative",
        confidence=label.confidence,
        fired=fired,
        verdict=("tp" if fired else "fn") if label.positive else ("fp" if fired else "tn"),
        findings=tuple(f"{each.line}: {each.severity}: {each.message}" for each in outcome.findings),
        silences=tuple(f"{each.line}: {each.reason}" for each in outcome.silences),
        doubts=tuple(f"{each.line}: {each.reason}" for each in outcome.doubts),
        failure="" if outcome.failure is None else outcome.failure.text,
    )
