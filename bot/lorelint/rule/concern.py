"""Findings about one thing, told together, cause first."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from lorelint.model.finding import Concern, Finding, Judged, Kind, Severity, Status
from lorelint.rule.door import Rule
from lorelint.rule.engine import order

OPEN = (Status.NEW, Status.UNCERTAIN, Status.EXPOSED)  # what a patch brings: the stuff of concerns
_SEVERITIES = list(Severity)
_Group = tuple[int, tuple[str, str, str]]


def subject_of(finding: Finding) -> tuple[str, str, str]:
    """The thing a finding is about: one loop or object of one function."""
    return (finding.path, finding.function, finding.concern or finding.anchor)


def concerns(
    judged: Iterable[Judged], rules: Sequence[Rule], spans: Mapping[tuple[int, str, str], tuple[int, int]]
) -> tuple[Concern, ...]:
    """What each patch brings, grouped: by subject, and a cause with the symptoms whose proof passes through it.

    A cause is a finding whose rule has a lower `cause_rank` than the symptom's, and a step of the symptom
    lies in the cause's function at a line of the cause's own proof, or anywhere in it when it is another
    function than the symptom's.
    spans  (patch, path, function) -> lines of the functions judged
    """
    ranks = {rule.name: rule.cause_rank for rule in rules}
    groups: dict[_Group, list[Judged]] = {}
    for each in judged:
        if each.status in OPEN or each.finding.kind is Kind.REMARK:
            groups.setdefault((each.patch, subject_of(each.finding)), []).append(each)
    groups = {
        group: members for group, members in groups.items() if any(_defect(each) for each in members)
    }  # a remark alone is no concern
    heads = _joined(groups, ranks, spans)
    together: dict[_Group, list[Judged]] = {}
    for group in sorted(groups):
        together.setdefault(heads[group], []).extend(groups[group])
    found = [Concern(group[0], _ordered(members, ranks)) for group, members in together.items()]
    return tuple(sorted(found, key=lambda each: (each.patch, order(each.findings[0].finding))))


def _defect(judged: Judged) -> bool:
    return judged.finding.kind is Kind.DEFECT and judged.status in OPEN


def _joined(
    groups: Mapping[_Group, list[Judged]],
    ranks: Mapping[str, int],
    spans: Mapping[tuple[int, str, str], tuple[int, int]],
) -> dict[_Group, _Group]:
    """Each group's representative: causes and symptoms share one."""
    head = {group: group for group in groups}

    def top(group: _Group) -> _Group:
        while head[group] != group:
            group = head[group]
        return group

    near = _Near(groups, spans)
    for symptom in sorted(groups):
        for cause in sorted(near.to(symptom)):
            if cause[0] != symptom[0] or cause == symptom:
                continue
            if _named(cause, symptom) or _causes(groups[cause], groups[symptom], ranks, spans):
                one, other = sorted((top(cause), top(symptom)))
                head[other] = one
    return {group: top(group) for group in groups}


class _Near:
    """Groups that may be the cause of another: by what they are about, their lines, and their functions."""

    def __init__(self, groups: Mapping[_Group, list[Judged]], spans: Mapping[tuple[int, str, str], tuple[int, int]]):
        self.groups = groups
        self.about: dict[str, set[_Group]] = {}
        self.lines: dict[tuple[str, int], set[_Group]] = {}
        self.functions: dict[tuple[str, str], set[_Group]] = {}
        for group, members in groups.items():
            self.about.setdefault(group[1][2], set()).add(group)
            for each in members:
                finding = each.finding
                self.functions.setdefault((finding.path, finding.function), set()).add(group)
                for line in (finding.line, *(step.line for step in finding.steps if step.path == finding.path)):
                    self.lines.setdefault((finding.path, line), set()).add(group)
        self.spans: dict[str, list[tuple[int, int, str]]] = {}
        for (_, path, name), (first, last) in spans.items():
            if (path, name) in self.functions:
                self.spans.setdefault(path, []).append((first, last, name))
        for held in self.spans.values():
            held.sort()

    def to(self, symptom: _Group) -> set[_Group]:
        found = set(self.about.get(symptom[1][2], ()))
        for path, line in {(step.path, step.line) for each in self.groups[symptom] for step in each.finding.steps}:
            found |= self.lines.get((path, line), set())
            for name in self._around(path, line):
                if (path, name) != symptom[1][:2]:
                    found |= self.functions[path, name]
        return found

    def _around(self, path: str, line: int) -> set[str]:
        """Functions judged, in one tree or another, that may hold a line."""
        spans = self.spans.get(path, [])
        at = bisect_right(spans, (line, 1 << 60, ""))
        return {name for first, last, name in spans[:at] if line <= last}


def _named(cause: _Group, symptom: _Group) -> bool:
    """A finding in another function says by its concern that it is about the symptom's loop or object."""
    path, function, concern = symptom[1]
    return cause[1][2] == concern and concern.startswith(f"{path}:{function}:")


def _causes(
    causes: Iterable[Judged],
    symptoms: Sequence[Judged],
    ranks: Mapping[str, int],
    spans: Mapping[tuple[int, str, str], tuple[int, int]],
) -> bool:
    return any(
        _lies_on(cause, symptom, spans)
        for cause in causes
        for symptom in symptoms
        if _defect(cause)
        and _defect(symptom)
        and ranks.get(cause.finding.rule, 50) < ranks.get(symptom.finding.rule, 50)
    )


def _lies_on(cause: Judged, symptom: Judged, spans: Mapping[tuple[int, str, str], tuple[int, int]]) -> bool:
    finding, other = cause.finding, symptom.finding
    own = {finding.line, *(step.line for step in finding.steps if step.path == finding.path)}
    first, last = spans.get((cause.patch, finding.path, finding.function), (0, 0))
    apart = (finding.path, finding.function) != (other.path, other.function)
    return any(
        step.path == finding.path and (step.line in own or (apart and first <= step.line <= last))
        for step in other.steps
    )


def _ordered(members: Iterable[Judged], ranks: Mapping[str, int]) -> tuple[Judged, ...]:
    """Defects before remarks; causes before symptoms; the worse before the lesser."""

    def rank(each: Judged) -> tuple[object, ...]:
        finding = each.finding
        remark = finding.kind is Kind.REMARK
        return (remark, ranks.get(finding.rule, 50), _SEVERITIES.index(finding.severity), order(finding))

    return tuple(sorted(members, key=rank))
