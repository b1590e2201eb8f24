"""A series in, a report out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lorelint.jobs.review import job_done, missing, newest, review
from lorelint.model.base import Grade
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Status

FINE = "int fine(void)\n{\n\tint i = 0;\n\n\treturn i;\n}\n\n"
FRESH = "int fresh(void)\n{\n\tbad();\n\treturn 0;\n}\n"
PATH = "drivers/x/x.c"


def test_a_new_defect_is_reported_with_its_base(desk: SimpleNamespace) -> None:
    states = [{PATH: FINE}, {PATH: FINE + FRESH}]
    done = review(desk.thread(desk.series(states)), desk.source(states[0]), [desk.BAD], version="lorelint 1")
    report = done.report
    assert [(each.status, each.finding.line, each.patch) for each in report.findings] == [(Status.NEW, 10, 1)]
    assert [len(each.findings) for each in report.concerns] == [1]
    assert report.base is not None and report.base.tree == "small"
    assert report.base.grade in (Grade.EXACT, Grade.CLEAN)
    assert report.coverage.rules == ("bad-call",)
    assert report.version == "lorelint 1"
    assert done.line(1, PATH, 10) == "\tbad();"
    assert done.line(1, PATH, 99) is None and done.line(2, PATH, 1) is None
    assert job_done(report)


def test_the_same_input_gives_the_same_report(desk: SimpleNamespace) -> None:
    states = [{PATH: FINE}, {PATH: FINE + FRESH}]
    one, other = (
        review(desk.thread(desk.series(states)), desk.source(states[0]), rules).report
        for rules in ([desk.BAD, desk.RAISES], [desk.RAISES, desk.BAD])
    )
    assert one == other
    assert [each.rule for each in one.failures] == ["raises"]


def test_brought_in_one_patch_and_gone_in_the_next(desk: SimpleNamespace) -> None:
    states = [{PATH: FINE}, {PATH: FINE + FRESH}, {PATH: FINE + FRESH.replace("bad", "good")}]
    report = review(desk.thread(desk.series(states)), desk.source(states[0]), [desk.BAD]).report
    assert [(each.patch, each.status, each.gone_in) for each in report.findings] == [(1, Status.NEW, 2)]


def test_a_series_with_a_patch_missing(desk: SimpleNamespace) -> None:
    states = [{PATH: FINE}, {PATH: FINE + FRESH}]
    series = desk.series(states, expected=3, seqs=[2])
    assert missing(series) == {1, 3}
    report = review(desk.thread(series), desk.source(states[0]), [desk.BAD]).report
    assert [each.status for each in report.findings] in ([Status.NEW], [Status.UNCERTAIN])
    assert (report.findings[0].status is Status.NEW) == (report.findings[0].grade is Grade.EXACT)


def test_without_a_tree_only_what_the_patch_shows_speaks(desk: SimpleNamespace) -> None:
    states = [{PATH: FINE}, {PATH: FINE + FRESH}]
    report = review(desk.thread(desk.series(states)), None, [desk.BAD]).report
    assert report.base is not None and report.base.grade is Grade.FRAGMENTS
    assert [(each.finding.function, each.status, each.grade) for each in report.findings] == [
        ("fresh", Status.NEW, Grade.FRAGMENTS)
    ]
    assert job_done(report)


def test_a_patch_that_applies_nowhere_and_shows_no_function(desk: SimpleNamespace) -> None:
    long = "int f(void)\n{\n" + "".join(f"\tstep{number}();\n" for number in range(40)) + "}\n"
    states = [{PATH: long}, {PATH: long.replace("step20", "bad")}]
    report = review(desk.thread(desk.series(states)), desk.source({"other.c": FINE}), [desk.BAD]).report
    assert report.findings == ()
    assert "does-not-apply" in {each.kind for each in report.troubles}
    assert not job_done(report)


def test_the_newest_revision_unless_named(desk: SimpleNamespace) -> None:
    states = [{PATH: FINE}, {PATH: FINE + FRESH}]
    thread = desk.thread(desk.series(states), desk.series(states, version=2))
    assert newest(thread).version == 2
    assert newest(thread, 1).version == 1
    with pytest.raises(LorelintError, match="has no v7"):
        newest(thread, 7)


def test_a_thread_without_a_patch(desk: SimpleNamespace) -> None:
    with pytest.raises(LorelintError, match="nothing to review"):
        review(desk.thread(), None, [desk.BAD])
