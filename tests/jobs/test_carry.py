"""Findings of a version beside those of the versions before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lorelint.jobs.carry import became, carry
from lorelint.mail.diff import parse_diff
from lorelint.model.base import Base, Grade
from lorelint.model.comment import Raised
from lorelint.model.finding import Coverage, Finding, Judged, Kind, Report, Severity, Status
from lorelint.model.mail import BaseHint, Message, Patch, Series
from lorelint.model.store import FindingRow, State
from lorelint.model.trouble import Failure, Unseen

NOW = "2026-03-02T00:00:00Z"
DECIDED = (State.FALSE, State.WONTFIX, State.NOT_OURS, State.CONFIRMED, State.SNOOZED, State.SENT)


def finding(function: str) -> Finding:
    return Finding("bad-call", "a.c", function, 3, "bad", f"bad in {function}", Severity.WARNING, 0.9, ())


def judged(function: str, status: Status = Status.NEW, raised: tuple[Raised, ...] = ()) -> Judged:
    return Judged(finding(function), status, 1, Grade.EXACT, raised=raised)


def row(function: str, version: int = 1, state: State = State.NEW, **more: object) -> FindingRow:
    found = finding(function)
    made = FindingRow(
        version * 100 + ord(function[0]), version, version, "1@x", found.fingerprint, "bad-call", "a.c", function, 3,
        "bad", found.message, "new", "warning", 0.9, "exact", True, state, version,
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def _series(version: int = 2) -> Series:
    body, who = "--- a/a.c\n+++ b/a.c\n@@ -1 +1 @@\n-int a;\n+int b;\n", ("A", "a@x")
    mail = Message("p1@x", "x", *who, NOW, "", (), (), (), body)
    patch = Patch(1, "p1@x", "x", who, "", body, parse_diff(body).files, mail)
    return Series("p1@x", version, "x", who, 1, (patch,), None, BaseHint())


@pytest.fixture(scope="module")
def report() -> Report:
    """A review that saw all there was, and found nothing."""
    seen = Coverage(1, 1, 0, ("bad-call",))
    return Report("list", _series(), Base("tree", "", Grade.EXACT, ()), (), (), coverage=seen)


def put(
    report: Report, earlier: list[FindingRow], *found: Judged, version: int = 2
) -> tuple[list[FindingRow], list[int]]:
    carried = carry(earlier, replace(report, findings=found), review=9, series=version, version=version, now=NOW)
    return list(carried.rows), list(carried.fixed)


def test_a_finding_of_the_first_version(report: Report) -> None:
    (made,), fixed = put(report, [], judged("f"))
    assert (made.review, made.series, made.patch, made.since, made.state) == (9, 2, "p1@x", 2, State.NEW)
    assert made.mailable and fixed == [] and became(made, 2) == "new in v2"


@pytest.mark.parametrize("state", DECIDED)
def test_what_was_decided_goes_on(report: Report, state: State) -> None:
    before = row("f", 1, state, reason="since", who="bob@x", changed_at="then", snoozed_until="soon")
    (made,), fixed = put(report, [before], judged("f", raised=(Raised("c@x", "Eve", 3, True, ("w",)),)))
    assert (made.state, made.reason, made.who, made.changed_at) == (state, "since", "bob@x", "then")
    assert (made.snoozed_until, made.since, fixed) == ("soon", 1, [])
    assert became(made, 2) == "still there in v2, since v1"


def test_what_a_person_raised(report: Report) -> None:
    sure, unsure = Raised("c@x", "Eve", 3, True, ("w",)), Raised("d@x", "Bob", 3, False, ("w",))
    (made, perhaps), _ = put(report, [], judged("f", raised=(unsure, sure)), judged("g", raised=(unsure,)))
    assert (made.state, made.who, made.reason, made.mailable) == (State.RAISED, "Eve", "said in <c@x>", False)
    assert perhaps.state is State.NEW
    (again,), _ = put(report, [made], judged("f"), version=3)
    assert (again.state, again.who) == (State.RAISED, "Eve")


def test_what_is_gone_is_fixed(report: Report) -> None:
    earlier = [row("f"), row("g", state=State.FALSE), row("h", state=State.FIXED), row("i", state=State.SENT)]
    made, fixed = put(report, earlier)
    assert (made, fixed) == ([], [earlier[0].id, earlier[3].id])
    assert became(replace(earlier[0], fixed_in=2), 3) == "fixed in v2"


def test_what_was_gone_and_comes_again_is_new(report: Report) -> None:
    (made,), _ = put(report, [row("f", 1), row("f", 2, State.FIXED, since=1, fixed_in=3)], judged("f"), version=4)
    assert (made.since, made.state) == (4, State.NEW)


@pytest.mark.parametrize("status", [Status.MOVED, Status.BEFORE, Status.EXPOSED, Status.UNCERTAIN])
def test_what_is_there_in_whatever_way_is_not_fixed(report: Report, status: Status) -> None:
    assert put(report, [row("f")], judged("f", status))[1] == []


def test_too_little_seen_to_call_it_fixed(report: Report) -> None:
    blind = {
        "series": replace(report.series, expected=2),  # type: ignore[type-var]
        "base": replace(report.base, grade=Grade.FRAGMENTS),  # type: ignore[type-var]
        "failures": (Failure("bad-call", "a.c", "", "raised"),),
        "coverage": Coverage(1, 1, 0, ("other",)),
        "unseen": (Unseen("undecided", "a.c", 3, "bad-call in f(): no"),),
    }
    for name, value in blind.items():
        assert put(replace(report, **{name: value}), [row("f")])[1] == [], name
    assert put(replace(report, unseen=(Unseen("undecided", "b.c", 3, "x"),)), [row("f")])[1] == [row("f").id]
    assert put(replace(report, series=None), [row("f")], judged("f"))[1] == []


def test_remarks_and_what_a_patch_mends_are_in_the_report_alone(report: Report) -> None:
    remark = replace(judged("g"), finding=replace(finding("g"), kind=Kind.REMARK))
    assert put(report, [], judged("f", Status.FIXED), judged("h", Status.BEFORE), remark)[0] == []


FUNCTIONS = st.sampled_from("fghij")
HISTORY = st.lists(st.sets(FUNCTIONS), min_size=1, max_size=6)


@given(HISTORY, st.dictionaries(st.tuples(st.integers(1, 6), FUNCTIONS), st.sampled_from([*DECIDED, State.RAISED])))
def test_any_history(history: list[set[str]], decided: dict[tuple[int, str], State]) -> None:
    """Over any versions, with any decisions between them: a dismissed finding never comes back open, every finding
    says since when it is there without a gap, and what is gone is fixed exactly once.
    """
    series = _series()
    rows: dict[tuple[int, str], FindingRow] = {}
    for version, functions in enumerate(history, 1):
        whole = Report(
            "list", series, Base("tree", "", Grade.EXACT, ()), tuple(judged(each) for each in sorted(functions)), (),
            coverage=Coverage(1, 1, 0, ("bad-call",)),
        )  # fmt: skip
        earlier = [rows[key] for key in sorted(rows)]
        carried = carry(earlier, whole, review=version, series=version, version=version, now=NOW)
        for each in carried.rows:
            before = [rows[key] for key in sorted(rows) if key[1] == each.function]
            if before and before[-1].state.dismissed:
                assert each.state is before[-1].state
            run = [past for past in range(1, version) if each.function not in history[past - 1]]
            if not any(past.state.dismissed for past in before):
                assert each.since == max(run, default=0) + 1
            rows[version, each.function] = replace(each, id=version * 1000 + ord(each.function))
        for key, past in rows.items():
            if past.id in carried.fixed:
                assert past.function not in functions and past.state is not State.FIXED and not past.state.dismissed
                rows[key] = replace(past, state=State.FIXED, fixed_in=version)
            elif key[0] < version and past.function not in functions:
                assert past.state is State.FIXED or past.state.dismissed
        for (when, function), state in decided.items():
            if when == version and (version, function) in rows:
                rows[version, function] = replace(rows[version, function], state=state)
