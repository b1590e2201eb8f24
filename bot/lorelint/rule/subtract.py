"""Three-valued subtraction: what a rule said before, taken from what it says after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from lorelint.model.finding import Doubt, Finding, Kind, Severity, Status
from lorelint.rule.outcome import Outcome
from lorelint.rule.reach import Subject

_SEVERITIES = list(Severity)  # worst first


class Change(Struct, frozen=True):
    """One finding after, with what it was before."""

    finding: Finding
    status: Status
    was: Finding | None = None
    because: str = ""


class Difference(Struct, frozen=True):
    """What a patch did to the findings of one rule in one function. `gone` fired before and does not after."""

    changes: tuple[Change, ...] = ()
    gone: tuple[Finding, ...] = ()


def subtract(subject: Subject, before: Outcome, after: Outcome, renamed: Mapping[str, str] | None = None) -> Difference:
    """Findings after, each with its status, and those that are gone.

    renamed  functions that go by another name after: an anchor is followed
    """
    names = renamed or {}
    left = {kind: [each for each in before.findings if each.kind is kind] for kind in Kind}
    changes = []
    for finding, was in _matched(after.findings, left, names):
        changes.append(_change(subject, before, finding, was))
    unsure = after.failure is not None or any(not each.anchor for each in after.doubts)
    doubted = {each.anchor for each in after.doubts}
    gone = tuple(
        each for each in left[Kind.DEFECT] if not unsure and names.get(each.anchor, each.anchor) not in doubted
    )
    return Difference(tuple(changes), gone)


def _matched(
    findings: Sequence[Finding], left: dict[Kind, list[Finding]], names: Mapping[str, str]
) -> list[tuple[Finding, Finding | None]]:
    """Each finding with its partner before, which is taken out of `left`.

    The same anchor, with the same evidence first, then in order; at last the same loop or object, or the same
    evidence but for the anchor: what a finding is about got another name, or another API in its place.
    """

    def same(finding: Finding, was: Finding) -> bool:
        return names.get(was.anchor, was.anchor) == finding.anchor

    partners: dict[int, Finding] = {}
    tests: tuple[Callable[[Finding, Finding], bool], ...] = (
        lambda finding, was: same(finding, was) and finding.evidence == was.evidence,
        same,
        _turned,
    )
    for fits in tests:
        for index, finding in enumerate(findings):
            if index in partners:
                continue
            for was in left[finding.kind]:
                if fits(finding, was):
                    partners[index] = was
                    left[finding.kind].remove(was)
                    break
    return [(finding, partners.get(index)) for index, finding in enumerate(findings)]


def _turned(finding: Finding, was: Finding) -> bool:
    """The same defect about something that goes by another name now."""
    if finding.concern and finding.concern == was.concern:
        return True
    now, then = _evidence(finding), _evidence(was)
    if now == then:
        return now != ()
    # A flag that became a state: one part may differ where there are enough others.
    return len(now) == len(then) >= 4 and sum(one != other for one, other in zip(now, then, strict=True)) == 1


def _evidence(finding: Finding) -> tuple[str, ...]:
    return tuple(each.replace(finding.anchor, "@") for each in finding.evidence) if finding.anchor else ()


def _change(subject: Subject, before: Outcome, finding: Finding, was: Finding | None) -> Change:
    if was is None:
        unknown = _doubt(before, finding.anchor)
        return Change(finding, Status.UNCERTAIN, None, unknown) if unknown else Change(finding, Status.NEW)
    if _SEVERITIES.index(finding.severity) < _SEVERITIES.index(was.severity):
        return Change(finding, Status.EXPOSED, was, f"it was a {was.severity} before")
    if (was.path, was.function) != (finding.path, finding.function):
        return Change(finding, Status.MOVED, was)
    if was.anchor != finding.anchor and subject.touched:
        return Change(finding, Status.EXPOSED, was, f"it was about {was.anchor} before")
    if subject.entered:
        return Change(finding, Status.EXPOSED, was, subject.entered)
    return Change(finding, Status.BEFORE, was)


def _doubt(before: Outcome, anchor: str) -> str:
    """Why it is not known whether the rule fired before; "" when it was silent."""
    if before.failure is not None:
        return f"{before.failure.rule} failed on the tree before"
    doubts = [each for each in before.doubts if each.anchor in ("", anchor)]
    return f"before: {doubts[0].reason}" if doubts else ""


# -- what moved between two functions ------------------------------------------------------------


class Pool(Struct):
    """Findings of one patch that came or went in touched functions, to be matched across functions."""

    came: list[tuple[Finding, tuple[str, ...]]] = field(default_factory=list)
    gone: list[tuple[Finding, tuple[str, ...]]] = field(default_factory=list)

    def moves(self) -> list[tuple[Finding, Finding]]:
        """(before, after) pairs of one rule and anchor whose lines of code are the same."""
        found = []
        left = list(self.gone)
        for finding, lines in self.came:
            for each in left:
                was, old = each
                if lines and lines == old and (was.rule, was.anchor) == (finding.rule, finding.anchor):
                    found.append((was, finding))
                    left.remove(each)
                    break
        return found


def mute(outcome: Outcome, speaks: Callable[[Finding], bool], reason: str) -> Outcome:
    """Findings that may not speak become doubts."""
    verdicts = tuple(
        Doubt(each.rule, each.path, each.function, each.line, each.anchor, reason)
        if isinstance(each, Finding) and not speaks(each)
        else each
        for each in outcome.verdicts
    )
    return replace(outcome, verdicts=verdicts)
