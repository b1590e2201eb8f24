"""Files judged as if new."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from lorelint.code.program import Program
from lorelint.jobs.scan import lone, scan
from lorelint.model.base import Grade
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Status

BAD = "int wrong(void)\n{\n\tbad();\n\treturn 0;\n}\n"
FINE = "int fine(void)\n{\n\tbad_but_bounded();\n\treturn 0;\n}\n"


def test_every_function_as_if_new(desk: SimpleNamespace) -> None:
    tree = desk.tree({"a/x.c": FINE + BAD, "a/b/y.h": BAD, "c/z.c": BAD})
    report = scan(tree, ["a"], [desk.BAD])
    assert [
        (each.finding.path, each.finding.line, each.status, each.patch, each.grade) for each in report.findings
    ] == [
        ("a/b/y.h", 3, Status.NEW, 0, Grade.EXACT),
        ("a/x.c", 8, Status.NEW, 0, Grade.EXACT),
    ]
    assert len(report.concerns) == 2
    assert [each.function for each in report.silences] == ["fine"]
    assert (report.coverage.files, report.coverage.functions) == (2, 3)
    assert report.series is None and report.base is None


def test_all_of_a_tree_and_overlapping_paths(desk: SimpleNamespace) -> None:
    tree = desk.tree({"a/x.c": BAD, "c/z.c": BAD})
    assert len(scan(tree, [""], [desk.BAD]).findings) == 2
    assert len(scan(tree, ["a", "a/x.c", "a/"], [desk.BAD]).findings) == 1


def test_what_is_forgotten_on_the_way_changes_nothing(desk: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = "int odd(void)\n{\n\tbad();\n\tint = ] 3 +;\n\treturn 0;\n}\n"
    tree = desk.tree({f"a/{number}.c": (BAD, FINE, odd)[number % 3] for number in range(30)})
    whole = scan(tree, [""], [desk.BAD])
    read: list[None] = []
    monkeypatch.setattr("lorelint.code.program.Program.__init__", _told(read, Program.__init__))
    monkeypatch.setattr("lorelint.jobs.scan.KEPT", 7)
    monkeypatch.setattr("lorelint.jobs.scan.PARSED", 2)
    assert scan(tree, [""], [desk.BAD]) == whole
    assert whole.unseen and len(read) == 5, "it was forgotten four times"


def _told(calls: list[None], made: Callable[..., None]) -> Callable[..., None]:
    def init(self: Program, *arguments: object) -> None:
        calls.append(None)
        made(self, *arguments)

    return init


def test_a_lone_file(desk: SimpleNamespace) -> None:
    report = scan(lone("x.c", BAD.encode()), ["x.c"], [desk.BAD])
    assert [each.finding.path for each in report.findings] == ["x.c"]
    over = scan(lone("x.c", BAD.encode(), desk.tree({"a.c": BAD})), ["x.c"], [desk.BAD])
    assert [each.finding.path for each in over.findings] == ["x.c"]


def test_a_path_without_c_is_an_error(desk: SimpleNamespace) -> None:
    with pytest.raises(LorelintError, match="small: nowhere: no such file or folder"):
        scan(desk.tree({"a.c": BAD}), ["nowhere"], [desk.BAD])


def test_a_failing_rule_is_reported_for_each_function(desk: SimpleNamespace) -> None:
    report = scan(desk.tree({"a.c": BAD + FINE}), ["a.c"], [desk.RAISES, desk.BAD])
    assert [each.function for each in report.failures] == ["wrong", "fine"]
    assert len(report.findings) == 1


def test_a_remark_alone_is_not_reported(desk: SimpleNamespace) -> None:
    text = "int f(void)\n{\n\treturn bad_remark();\n}\n"
    assert scan(desk.tree({"a.c": text}), ["a.c"], [desk.BAD]).findings == ()


def test_a_file_over_the_limit_is_said(desk: SimpleNamespace) -> None:
    report = scan(desk.tree({"a.c": BAD + "\n" * (1 << 20)}), ["a.c"], [desk.BAD])
    assert report.findings == ()
    assert [(each.kind, each.where) for each in report.troubles] == [("unreadable", "a.c")]
