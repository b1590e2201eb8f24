"""Noise over mail and between trees, and what persons made of it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from lorelint.jobs.measure.between import between
from lorelint.jobs.measure.judged import judged, judgements
from lorelint.jobs.measure.mail import mail
from lorelint.model.errors import LorelintError
from lorelint.model.mail import Thread
from lorelint.model.measurement import Measurement, Noise
from lorelint.report.measure import rates, render, to_json

FINE = {
    "a.c": "int f(void)\n{\n\treturn fine();\n}\n",
    "b.h": "#define B 1\n",
    "c.c": "int c(void)\n{\n\treturn 0;\n}\n",
}
BROKEN = {**FINE, "a.c": "int f(void)\n{\n\treturn bad();\n}\n"}
MENDED = {**BROKEN, "a.c": "int f(void)\n{\n\treturn good();\n}\n"}
ODD = {**FINE, "a.c": "int q(void)\n{\n\treturn 9;\n}\n"}


def no_patcher() -> Any:
    return None


def over_mail(desk: SimpleNamespace, boxes: dict[str, tuple[Thread, ...]]) -> Noise:
    def open_box(name: str) -> tuple[Thread, ...]:
        if name not in boxes:
            raise LorelintError("no such file", where=name)
        return boxes[name]

    names = [(name, name) for name in (*boxes, "gone.mbox")]
    noise, seconds = mail(names, "post", "small", open_box, lambda: desk.source(FINE), no_patcher, [desk.BAD])
    assert set(seconds) <= {"bad-call"}
    return noise


def test_every_revision_that_applies_is_reviewed(desk: SimpleNamespace) -> None:
    one = desk.series([FINE, BROKEN])
    two = desk.series([FINE, BROKEN, MENDED], version=2)
    noise = over_mail(desk, {"x.mbox": (desk.thread(one, two),)})
    assert (noise.changes, noise.patches, noise.functions > 0) == (2, 3, True)
    assert [(each.source, each.function, each.status) for each in noise.spoken] == [
        ("x.mbox: v1 x: patch 1 1/1", "f", "new")
    ], "what a later patch of the series mends is no noise"
    assert noise.grades == {"clean": 2}


def test_what_cannot_be_judged_is_named(desk: SimpleNamespace) -> None:
    no_c = desk.series([FINE, {**FINE, "README": "words\n"}])
    boxes = {
        "far.mbox": (desk.thread(desk.series([ODD, {**ODD, "a.c": ODD["a.c"].replace("9", "8")}])),),
        "words.mbox": (desk.thread(no_c),),
        "talk.mbox": (Thread("talk", (), ()),),
    }
    noise = over_mail(desk, boxes)
    assert (noise.changes, noise.patches, noise.functions) == (0, 0, 0)
    told = {each.id.partition(":")[0]: each.reason.partition(":")[0] for each in noise.left_out}
    assert told == {
        "far.mbox": "does not apply",
        "words.mbox": "touches no C",
        "talk.mbox": "holds no patch",
        "gone.mbox": "no such file",
    }


def over_trees(desk: SimpleNamespace, before: dict[str, str], after: dict[str, str], sample: int = 0) -> Noise:
    trees = (desk.tree(before, "old"), desk.tree(after, "new"))
    noise, _ = between(("old", "new"), lambda: trees, [desk.BAD], sample=sample)
    return noise


def test_files_that_differ_are_patches(desk: SimpleNamespace) -> None:
    before = {**FINE, "same.c": BROKEN["a.c"], "gone.c": BROKEN["a.c"], "tools/t.c": FINE["a.c"]}
    after = {**BROKEN, "same.c": BROKEN["a.c"], "came.c": BROKEN["a.c"], "tools/t.c": BROKEN["a.c"]}
    noise = over_trees(desk, before, after)
    assert [(each.path, each.line, each.status, each.mailable) for each in noise.spoken] == [("a.c", 3, "new", True)]
    assert (noise.patches, noise.functions, noise.tree) == (1, 1, "new")
    assert [(each.id, each.reason) for each in noise.left_out] == [
        ("came.c", "only in one of the trees"),
        ("gone.c", "only in one of the trees"),
    ]


def test_a_file_is_no_patch_where_no_rule_may_speak_of_what_differs(desk: SimpleNamespace) -> None:
    calm = "int g(void)\n{\n\treturn 0;\n}\n"
    before = {"a.c": BROKEN["a.c"] + calm}
    after = {"a.c": BROKEN["a.c"] + calm.replace("0", "1")}
    assert over_trees(desk, before, after).patches == 0


def test_a_sample_is_the_same_every_time(desk: SimpleNamespace) -> None:
    before = {f"{name}.c": FINE["a.c"] for name in "defgh"}
    after = {f"{name}.c": BROKEN["a.c"] for name in "defgh"}
    noise = over_trees(desk, before, after, sample=2)
    assert noise == over_trees(desk, before, after, sample=2)
    assert len(noise.spoken) == noise.patches == 2
    assert {each.path for each in noise.spoken} < {each.path for each in over_trees(desk, before, after).spoken}


def said(**more: Any) -> str:
    row = {
        "rule": "bad-call",
        "tree": "new",
        "path": "a.c",
        "function": "f",
        "line": 3,
        "verdict": "false",
        "reason": "x",
    }
    return json.dumps({**row, **more})


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (said(), "false"),
        (said(line=99, verdict="true"), "true"),
        (said(tree="old"), ""),
        (said(verdict="missed"), ""),
        (said(line=1) + "\n" + said(line=2, verdict="true"), ""),
        (said(line=3, verdict="arguable") + "\n" + said(line=2, verdict="true"), "arguable"),
    ],
    ids=["that line", "the function", "another tree", "about a silence", "two that differ", "two, one of the line"],
)
def test_persons_judge_by_place(line: str, verdict: str, desk: SimpleNamespace) -> None:
    noise = judged(over_trees(desk, FINE, BROKEN), judgements(line))
    assert [each.verdict for each in noise.spoken] == [verdict]


def test_rates(desk: SimpleNamespace) -> None:
    noise = over_trees(desk, {**FINE, "d.c": FINE["a.c"]}, {**BROKEN, "d.c": BROKEN["a.c"]})
    row = rates(judged(noise, judgements(said())), judged(noise, judgements(said())).spoken)
    assert (row["findings"], row["false"], row["unjudged"]) == (2, 1, 1)
    assert (row["wrong_per_100_patches"], row["at_most"], row["per_1000_functions"]) == (50.0, 100.0, 1000.0)
    done = Measurement(noises=(noise,), rules=("bad-call",))
    text = render(done)
    assert "noise: old to new: 2 changes, 2 patches, 2 functions judged (2 exact)" in text
    assert "not judged: bad-call a.c:3: f() (new)" in text
    found: Any = to_json(done)
    assert found["noise"][0]["rules"]["bad-call"]["at_most"] == 100.0


@pytest.mark.parametrize("line", ["[]", said(verdict="perhaps"), said(reason=""), said(line="x"), '{"rule": "a"}'])
def test_a_line_that_is_no_judgement(line: str) -> None:
    with pytest.raises(LorelintError, match="judgements:2: no judgement"):
        judgements(said() + "\n" + line)


def test_a_rule_that_fails_is_told(desk: SimpleNamespace) -> None:
    trees = (desk.tree(FINE, "old"), desk.tree(BROKEN, "new"))
    noise, _ = between(("old", "new"), lambda: trees, [desk.RAISES])
    assert noise.failures and "ValueError" in noise.failures[0]
