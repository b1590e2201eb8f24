"""Labels in, counts out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from lorelint.edge.directory import DirectoryTree
from lorelint.jobs.measure import labels, measure, render, to_json
from lorelint.model.errors import LorelintError
from lorelint.model.tree import OverlayTree, Tree
from lorelint.rule.packs import load

TWO = "#if X\nint f(void)\n{\n\treturn 0;\n}\n#else\nint f(void)\n{\n\treturn bad();\n}\n#endif\n"
FILES = {
    "a.c": "int wrong(void)\n{\n\treturn bad();\n}\nint fine(void)\n{\n\treturn bad_but_bounded();\n}\n",
    "two.c": TWO,
}


def label(id: str, function: str = "wrong", good: bool = False, rule: str = "bad-call", **source: Any) -> str:
    confidence = source.pop("confidence", 0.9)
    where = {"kind": "linux-6.12", "path": "a.c", "function": function, "lines": "", "tree": "small", **source}
    word = "negative" if good else "positive"
    return json.dumps({"id": id, "rule": rule, "label": word, "source": where, "confidence": confidence})


def run(desk: SimpleNamespace, *lines: str, rules: Sequence[Any] = (), **more: Any) -> dict[str, Any]:
    def open_tree(spec: str, overlays: Sequence[str]) -> Tree:
        assert spec == "spec of small"
        tree: Tree = desk.tree(FILES)
        return OverlayTree(tree, {"a.c": FILES["a.c"].replace("bad()", "good()").encode()}) if overlays else tree

    text = "\n".join(lines)
    found: dict[str, Any] = to_json(measure(text, {"small": "spec of small"}, open_tree, rules or [desk.BAD], **more))
    read_again: dict[str, Any] = json.loads(json.dumps(found))
    return read_again


def test_the_four_verdicts(desk: SimpleNamespace) -> None:
    found = run(desk, label("1"), label("2", "fine"), label("3", good=True), label("4", "fine", good=True))
    row = found["rules"][0]
    assert row["rule"] == "bad-call"
    assert [row[each] for each in ("tp", "fp", "fn", "tn", "precision", "recall")] == [1, 1, 1, 1, 0.5, 0.5]
    assert [case["verdict"] for case in found["cases"]] == ["tp", "fn", "fp", "tn"]
    assert found["cases"][0]["findings"] == ["3: warning: bad() in wrong()"]
    assert found["cases"][1]["silences"] == ["7: bounded"]
    assert found["skipped"]["count"] == 0


def test_real_synthetic_and_unsure_are_apart(desk: SimpleNamespace) -> None:
    found = run(
        desk,
        label("1"),
        label("2", kind="synthetic"),
        label("3", good=True, confidence=0.6),
        label("4", confidence=0.65),
    )
    row = found["rules"][0]
    assert (row["tp"], row["fp"]) == (3, 0)
    assert (row["real"]["tp"], row["synthetic"]["tp"], row["unsure"]["fp"]) == (2, 1, 1)
    assert row["unsure"]["precision"] == 0.0 and row["unsure"]["recall"] is None
    assert {key: value for key, value in row.items() if key != "rule"} == found["total"]


def test_what_is_left_out_is_counted_with_reasons(desk: SimpleNamespace) -> None:
    found = run(
        desk,
        label("1", tree="other"),
        label("2", tree=None),
        label("3", rule="no-such"),
        label("4", "gone"),
        label("5", path="gone.c"),
        label("6", overlay="case"),
    )
    assert found["cases"] == [] and found["rules"] == []
    assert found["skipped"]["count"] == 6
    assert found["skipped"]["reasons"] == {
        "no such function": 2,
        "no such rule": 1,
        "overlays not given": 1,
        "the label names no tree": 1,
        "tree not given": 1,
    }


def test_an_overlay_stands_in_for_the_tree(desk: SimpleNamespace) -> None:
    lines = [label("1"), label("2", overlay="case"), label("3", overlay="none")]
    found = run(desk, *lines, overlays=lambda case: f"/overlays/{case}" if case == "case" else "")
    assert [(case["id"], case["fired"]) for case in found["cases"]] == [("1", True), ("2", False)]
    assert found["skipped"]["labels"] == [{"id": "3", "rule": "bad-call", "reason": "overlay not there: none"}]


def test_of_two_of_one_name_the_lines_decide(desk: SimpleNamespace) -> None:
    found = run(desk, label("1", "f", path="two.c", lines="8-9"), label("2", "f", path="two.c", lines="2-4"))
    assert [case["fired"] for case in found["cases"]] == [True, False]


def test_a_remark_does_not_fire_and_a_failure_is_told(desk: SimpleNamespace) -> None:
    raises = replace(desk.RAISES, name="bad-call")
    found = run(desk, label("1"), rules=[raises])
    assert (found["cases"][0]["verdict"], found["cases"][0]["failure"]) == ("fn", "ValueError: no")


def test_a_line_that_is_no_label() -> None:
    for line in ("{", "[]", '{"id": 1}', label("1").replace("positive", "perhaps")):
        with pytest.raises(LorelintError, match="labels:2: no label"):
            labels(label("1") + "\n" + line)


def test_the_table_tells_what_went_wrong(desk: SimpleNamespace) -> None:
    done = measure(
        "\n".join([label("1", "fine"), label("2", good=True), label("3", tree="other")]),
        {"small": "x"},
        lambda spec, overlays: desk.tree(FILES),
        [desk.BAD],
    )
    text = render(done)
    assert "missed: 1 (real) a.c:5: fine() in small" in text and "silent at 7: bounded" in text
    assert "wrongly found: 2 (real)" in text
    assert "left out: 1 (1 tree not given)" in text


def open_directory(spec: str, overlays: Sequence[str]) -> Tree:
    return DirectoryTree(Path(spec))


def test_the_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    text = "int wrong(void)\n{\n\tint ret;\n\n\tdo {\n\t\tret = f();\n\t} while (ret == -EAGAIN);\n\treturn ret;\n}\n"
    lines = []
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.c").write_text(text)
        lines += [label(f"{name}-{rule.name}", rule=rule.name, tree=name) for rule in load()]
    trees = {name: str(tmp_path / name) for name in ("one", "two", "three")}
    one = measure("\n".join(lines), trees, open_directory, load())
    assert one == measure("\n".join(lines), trees, open_directory, load(), processes=2)
    assert len(one.cases) == 3 * len(load())
