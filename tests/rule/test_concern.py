"""What is told together, and in which order."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from lorelint.model.base import Grade
from lorelint.model.finding import Finding, Judged, Kind, Severity, Status, Step
from lorelint.rule.concern import concerns
from lorelint.rule.door import Rule


def _none(view: object) -> Any:
    return iter(())


RULES = tuple(
    Rule(name, run=_none, since="0.1", cause_rank=rank) for name, rank in (("cause", 0), ("loop", 50), ("yield", 60))
)
SPANS = {(1, "a.c", "callee"): (1, 20), (1, "a.c", "caller"): (30, 60), (1, "a.c", "other"): (70, 90)}


def judged(rule: str, function: str, line: int, *steps: int, status: Status = Status.NEW, **more: Any) -> Judged:
    places = tuple(Step("a.c", each, "so") for each in (line, *steps))
    finding = Finding(rule, "a.c", function, line, "api", "so it is", Severity.WARNING, 0.9, places)
    return Judged(replace(finding, **more), status, 1, Grade.EXACT)


def shape(*findings: Judged) -> list[list[tuple[str, str]]]:
    found = concerns(findings, RULES, SPANS)
    return [[(each.finding.rule, each.finding.function) for each in concern.findings] for concern in found]


def test_findings_about_one_loop_are_one_concern_causes_first() -> None:
    one = judged("yield", "caller", 40, concern="loop at retry")
    other = judged("loop", "caller", 44, concern="loop at retry")
    assert shape(one, other) == [[("loop", "caller"), ("yield", "caller")]]


def test_two_loops_are_two_concerns() -> None:
    one = judged("loop", "caller", 40, concern="loop one")
    other = judged("loop", "caller", 50, concern="loop two")
    assert len(shape(one, other)) == 2


def test_a_cause_on_the_steps_of_a_symptom_joins_and_leads() -> None:
    cause = judged("cause", "callee", 10, concern="its errno")
    symptom = judged("loop", "caller", 40, 10, concern="the loop")
    assert shape(symptom, cause) == [[("cause", "callee"), ("loop", "caller")]]


def test_a_step_elsewhere_in_the_callee_is_enough() -> None:
    cause = judged("cause", "callee", 10, concern="its errno")
    assert len(shape(judged("loop", "caller", 40, 12, concern="the loop"), cause)) == 1
    assert len(shape(judged("loop", "caller", 40, 75, concern="the loop"), cause)) == 2


def test_rules_of_equal_rank_are_no_cause_of_each_other() -> None:
    assert len(shape(judged("loop", "callee", 10, concern="one"), judged("loop", "caller", 40, 10, concern="two"))) == 2


def test_one_cause_joins_two_symptoms() -> None:
    cause = judged("cause", "callee", 10, concern="its errno")
    first = judged("loop", "caller", 40, 10, concern="the loop")
    second = judged("loop", "other", 80, 10, concern="the other loop")
    assert shape(second, first, cause) == [[("cause", "callee"), ("loop", "caller"), ("loop", "other")]]


def test_remarks_stand_last_and_never_alone() -> None:
    remark = judged("cause", "caller", 41, concern="the loop", kind=Kind.REMARK, status=Status.BEFORE)
    assert shape(remark) == []
    assert shape(remark, judged("loop", "caller", 40, concern="the loop")) == [
        [("loop", "caller"), ("cause", "caller")]
    ]


def test_only_what_the_patch_brings_is_a_concern() -> None:
    assert (
        shape(*(judged("loop", "caller", 40, status=each) for each in (Status.BEFORE, Status.FIXED, Status.MOVED)))
        == []
    )
    assert len(shape(judged("loop", "caller", 40, status=Status.EXPOSED))) == 1


def test_patches_are_kept_apart() -> None:
    one = judged("loop", "caller", 40, concern="the loop")
    assert [each.patch for each in concerns((one, replace(one, patch=2)), RULES, SPANS)] == [1, 2]


def test_the_worse_goes_before_the_lesser() -> None:
    note = judged("loop", "caller", 40, concern="c", severity=Severity.NOTE)
    error = judged("loop", "caller", 50, concern="c", severity=Severity.ERROR)
    found = concerns((note, error), RULES, SPANS)
    assert [each.finding.severity for each in found[0].findings] == [Severity.ERROR, Severity.NOTE]


def test_a_concern_may_name_the_loop_of_another_function() -> None:
    cause = judged("cause", "callee", 10, concern="a.c:caller:loop:retry")
    symptom = judged("loop", "caller", 40, concern="a.c:caller:loop:retry")
    assert shape(symptom, cause) == [[("cause", "callee"), ("loop", "caller")]]
    apart = judged("cause", "callee", 10, concern="range of f"), judged("loop", "caller", 40, concern="range of f")
    assert len(shape(*apart)) == 2
