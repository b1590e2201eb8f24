"""Precision and recall of the rules over labelled functions of public kernels."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context

from lorelint.code.ir import Function
from lorelint.code.program import Cache, Program
from lorelint.jobs.scan import version_of
from lorelint.kernel.load import knowledge
from lorelint.model.errors import LorelintError
from lorelint.model.tree import Tree
from lorelint.rule.door import Rule
from lorelint.rule.engine import Judge

SURE = 0.65  # labels of less confidence are counted apart

Opener = Callable[[str, Sequence[str]], Tree]


@dataclass(frozen=True, slots=True)
class Label:
    """One labelled function: what a rule ought to say about it."""

    id: str
    rule: str
    positive: bool
    tree: str
    overlay: str
    path: str
    function: str
    lines: tuple[int, int]  # (0, 0) where the label gives none
    kind: str
    confidence: float

    @property
    def group(self) -> str:
        """Where it is counted: ``real``, ``synthetic``, or ``unsure``."""
        if self.confidence < SURE:
            return "unsure"
        return "synthetic" if self.kind == "synthetic" else "real"


@dataclass(frozen=True, slots=True)
class Case:
    """A label and what the rule said. `verdict` is tp, fp, fn or tn."""

    id: str
    rule: str
    tree: str
    overlay: str
    path: str
    function: str
    line: int
    kind: str
    group: str
    label: str
    confidence: float
    fired: bool
    verdict: str
    findings: tuple[str, ...]  # "line: severity: message"
    silences: tuple[str, ...]
    doubts: tuple[str, ...]
    failure: str


@dataclass(frozen=True, slots=True)
class Skip:
    id: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """All cases and all labels left out, sorted by label."""

    cases: tuple[Case, ...]
    skipped: tuple[Skip, ...]


@dataclass(slots=True)
class Score:
    """Counts of verdicts; precision and recall are None where they divide by nothing."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def add(self, verdict: str) -> None:
        setattr(self, verdict, getattr(self, verdict) + 1)

    @property
    def precision(self) -> float | None:
        return round(self.tp / (self.tp + self.fp), 4) if self.tp + self.fp else None

    @property
    def recall(self) -> float | None:
        return round(self.tp / (self.tp + self.fn), 4) if self.tp + self.fn else None

    def json(self) -> dict[str, object]:
        return {**asdict(self), "precision": self.precision, "recall": self.recall}


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


@dataclass(frozen=True, slots=True)
class _Batch:
    """Labels about one tree under one overlay: the unit of work of one process."""

    tree: str
    spec: str
    overlays: tuple[str, ...]
    labels: tuple[Label, ...]


@dataclass(slots=True)
class _Result:
    cases: list[Case] = field(default_factory=list)
    skipped: list[Skip] = field(default_factory=list)


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
    for part in _run(work, open_tree, known, processes):
        result.cases += part.cases
        result.skipped += part.skipped
    return Measurement(
        tuple(sorted(result.cases, key=lambda case: (case.rule, case.id))),
        tuple(sorted(result.skipped, key=lambda skip: (skip.rule, skip.id))),
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


def _run(work: Sequence[_Batch], open_tree: Opener, rules: Mapping[str, Rule], processes: int) -> Iterator[_Result]:
    """Batches of one tree go to one process, so that what was read of it is read once."""
    by_tree: dict[str, list[_Batch]] = {}
    for batch in work:
        by_tree.setdefault(batch.tree, []).append(batch)
    groups = [tuple(by_tree[name]) for name in sorted(by_tree)]
    if processes <= 1 or len(groups) <= 1 or not _travels((open_tree, rules)):
        for group in groups:
            yield _judge_all(group, open_tree, rules)
        return
    with ProcessPoolExecutor(min(processes, len(groups)), mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(_judge_all, group, open_tree, rules) for group in groups]
        for each in waiting:
            yield each.result()


def _travels(value: object) -> bool:
    """Whether another process can be handed this: a stranger's rule may hold a function without a name."""
    try:
        pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True


def _judge_all(batches: Sequence[_Batch], open_tree: Opener, rules: Mapping[str, Rule]) -> _Result:
    result, cache = _Result(), Cache.empty()
    for batch in batches:
        tree = open_tree(batch.spec, batch.overlays)
        judge = Judge(Program(tree, knowledge(version_of(tree)), cache))
        for label in batch.labels:
            fn = _function(judge.program, label)
            if fn is None:
                reason = f"no such function: {label.path}: {label.function}"
                result.skipped.append(Skip(label.id, label.rule, reason))
            else:
                result.cases.append(_case(label, fn, judge, rules[label.rule]))
    return result


def _function(program: Program, label: Label) -> Function | None:
    """The function of that name; of several (one per configuration) the one that overlaps the label's lines."""
    named = [fn for fn in program.functions(label.path) if fn.name == label.function]
    first, last = label.lines
    overlapping = [fn for fn in named if fn.first_line <= last and first <= fn.end_line]
    return next(iter(overlapping or named), None)


def _case(label: Label, fn: Function, judge: Judge, rule: Rule) -> Case:
    outcome = judge.judge(rule, fn)
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


# -- telling -----------------------------------------------------------------------------------

GROUPS = ("real", "synthetic", "unsure")


def _scores(cases: Iterable[Case]) -> dict[str, Score]:
    """By group, and ``sure``: real and synthetic together."""
    scores = {name: Score() for name in ("sure", *GROUPS)}
    for case in cases:
        scores[case.group].add(case.verdict)
        if case.group != "unsure":
            scores["sure"].add(case.verdict)
    return scores


def _row(name: str, cases: Sequence[Case]) -> dict[str, object]:
    scores = _scores(cases)
    return {"rule": name, **scores["sure"].json(), **{group: scores[group].json() for group in GROUPS}}


def to_json(measurement: Measurement) -> dict[str, object]:
    """The measurement as plain data.

    ``rules``: per rule tp, fp, fn, tn, precision, recall over real and synthetic labels of confidence 0.65
    and more; the same under ``real``, ``synthetic`` and, for labels below that, ``unsure``. ``total``: the
    same over all rules. ``skipped``: how many labels were left out, and why.
    """
    names = sorted({case.rule for case in measurement.cases})
    rows = [_row(name, [case for case in measurement.cases if case.rule == name]) for name in names]
    reasons = Counter(skip.reason.partition(":")[0] for skip in measurement.skipped)
    total = _row("", measurement.cases)
    del total["rule"]
    return {
        "rules": rows,
        "total": total,
        "cases": [{**asdict(case)} for case in measurement.cases],
        "skipped": {
            "count": len(measurement.skipped),
            "reasons": dict(sorted(reasons.items())),
            "labels": [asdict(skip) for skip in measurement.skipped],
        },
    }


def render(measurement: Measurement) -> str:
    """A table per rule, then what went wrong and what was left out."""
    lines = [f"{'rule':28} {'group':9} {'tp':>4} {'fp':>4} {'fn':>4} {'tn':>4} {'precision':>9} {'recall':>7}"]
    names = sorted({case.rule for case in measurement.cases})
    for name in (*names, ""):
        cases = [case for case in measurement.cases if name in ("", case.rule)]
        for group, score in _scores(cases).items():
            if group != "sure" and not any(asdict(score).values()):
                continue
            shown = (name or "all rules") if group == "sure" else ""
            counts = f"{score.tp:4} {score.fp:4} {score.fn:4} {score.tn:4}"
            what = "all" if group == "sure" else group
            lines.append(f"{shown:28} {what:9} {counts} {_share(score.precision):>9} {_share(score.recall):>7}")
    for case in measurement.cases:
        if case.verdict in ("fp", "fn"):
            lines += _wrong(case)
    if measurement.skipped:
        reasons = Counter(skip.reason.partition(":")[0] for skip in measurement.skipped)
        told = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        lines += ["", f"left out: {len(measurement.skipped)} ({told})"]
    return "\n".join(lines) + "\n"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _wrong(case: Case) -> list[str]:
    what = "missed" if case.verdict == "fn" else "wrongly found"
    place = f"{case.path}:{case.line}: {case.function}() in {case.tree}" + (
        f" + {case.overlay}" if case.overlay else ""
    )
    said = [*case.findings, *(f"silent at {each}" for each in case.silences), *case.doubts, case.failure]
    return ["", f"{what}: {case.id} ({case.group}) {place}", *(f"  {each}" for each in said if each)]
