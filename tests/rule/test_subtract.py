"""Partners before and after."""

from __future__ import annotations

from msgspec.structs import replace

from lorelint.model.finding import Doubt, Finding, Kind, Severity, Status
from lorelint.model.trouble import Failure
from lorelint.rule.outcome import Outcome
from lorelint.rule.reach import Subject
from lorelint.rule.subtract import Pool, mute, subtract

FINDING = Finding("r", "a.c", "f", 3, "api", "so", Severity.WARNING, 0.9, ())
TOUCHED = Subject(None, None, touched=True)


def statuses(before: Outcome, after: Outcome, subject: Subject = TOUCHED) -> list[str]:
    return [each.status.value for each in subtract(subject, before, after).changes]


def test_the_same_evidence_is_the_same_finding_before_order_is() -> None:
    one, other = replace(FINDING, line=3, evidence=("one",)), replace(FINDING, line=9, evidence=("other",))
    found = subtract(TOUCHED, Outcome((other,)), Outcome((one, other)))
    assert [(each.finding.line, each.status) for each in found.changes] == [(3, Status.NEW), (9, Status.BEFORE)]
    assert found.gone == ()


def test_a_remark_before_is_silence_before() -> None:
    remark = replace(FINDING, kind=Kind.REMARK)
    assert statuses(Outcome((remark,)), Outcome((FINDING,))) == ["new"]
    found = subtract(TOUCHED, Outcome((FINDING,)), Outcome((remark,)))
    assert [each.anchor for each in found.gone] == ["api"]


def test_a_doubt_about_something_else_is_no_doubt() -> None:
    def doubt(anchor: str) -> Doubt:
        return Doubt("r", "a.c", "f", 3, anchor, "not seen")

    assert statuses(Outcome((doubt("other"),)), Outcome((FINDING,))) == ["new"]
    assert statuses(Outcome((doubt("api"),)), Outcome((FINDING,))) == ["uncertain"]
    assert statuses(Outcome((doubt(""),)), Outcome((FINDING,))) == ["uncertain"]


def test_a_failure_on_either_side_decides_nothing() -> None:
    failed = Outcome(failure=Failure("r", "a.c", "f", "ValueError"))
    assert statuses(failed, Outcome((FINDING,))) == ["uncertain"]
    assert subtract(TOUCHED, Outcome((FINDING,)), failed).gone == ()


def test_an_anchor_follows_a_rename() -> None:
    after = Outcome((replace(FINDING, anchor="new_api"),))
    found = subtract(TOUCHED, Outcome((FINDING,)), after, {"api": "new_api"})
    assert [each.was is not None for each in found.changes] == [True]


def test_one_part_of_the_evidence_may_turn_with_the_anchor() -> None:
    was = replace(FINDING, anchor="s.revoked", evidence=("flag", "s.revoked", "ops", "mmap"))
    now = replace(FINDING, anchor="s.status", evidence=("state", "s.status", "ops", "mmap"))
    assert statuses(Outcome((was,)), Outcome((now,))) == ["exposed"]
    far = replace(now, evidence=("state", "s.status", "ops", "fault"))
    assert statuses(Outcome((was,)), Outcome((far,))) == ["new"]


def test_a_move_takes_each_finding_once() -> None:
    pool = Pool(came=[(FINDING, ("bad();",)), (replace(FINDING, line=9), ("bad();",))], gone=[(FINDING, ("bad();",))])
    assert len(pool.moves()) == 1
    assert Pool(came=[(FINDING, ())], gone=[(FINDING, ())]).moves() == []


def test_what_may_not_speak_becomes_a_doubt() -> None:
    muted = mute(Outcome((FINDING,)), lambda finding: False, "why")
    assert [(each.anchor, each.reason) for each in muted.doubts] == [("api", "why")]
    assert muted.findings == ()
