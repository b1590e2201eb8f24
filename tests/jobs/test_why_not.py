"""The first question about any silence."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from lorelint.jobs.why_not import render, why_not, why_not_after
from lorelint.model.errors import LorelintError
from lorelint.rule.door import ChangeView

FILES = {
    "a.c": "int bounded(void)\n{\n\treturn bad_but_bounded();\n}\nint wrong(void)\n{\n\treturn bad();\n}\n",
    "b.c": "int plain(void)\n{\n\treturn 0;\n}\nint bounded(void)\n{\n\treturn bad_in_name_only;\n}\n",
}


def test_silences_with_their_steps(desk: SimpleNamespace) -> None:
    answer = why_not(desk.BAD, "bounded", desk.tree(FILES))
    assert [(at.path, at.line) for at in answer.judged] == [("a.c", 1), ("b.c", 5)]
    assert [each.reason for each in answer.judged[0].silences] == ["bounded"]
    text = render(answer)
    assert "silent at line 3: bounded" in text and "a.c:3: ends" in text
    assert "its words are there, the shape of the code is not" in text


def test_one_file_of_several(desk: SimpleNamespace) -> None:
    tree = desk.tree(FILES)
    for answer in (why_not(desk.BAD, "bounded", tree, path="b.c"), why_not(desk.BAD, "b.c:bounded", tree)):
        assert [at.path for at in answer.judged] == ["b.c"]


def test_words_that_are_missing(desk: SimpleNamespace) -> None:
    answer = why_not(desk.BAD, "plain", desk.tree(FILES))
    assert answer.judged[0].missing == ("bad",)
    assert "missing: bad" in render(answer)


def test_a_rule_about_changes(desk: SimpleNamespace) -> None:
    answer = why_not(replace(desk.BAD, sees=ChangeView), "wrong", desk.tree(FILES))
    assert "about what a patch changes, and `review` asks it" in render(answer)


def test_it_speaks(desk: SimpleNamespace) -> None:
    answer = why_not(desk.BAD, "wrong", desk.tree(FILES))
    assert len(answer.judged[0].findings) == 1
    assert "it speaks (warning) at line 7: bad() in wrong()" in render(answer)


def test_no_such_function(desk: SimpleNamespace) -> None:
    answer = why_not(desk.BAD, "bad", desk.tree(FILES))
    assert answer.judged == ()
    assert answer.notes[:2] == ("no function of that name in small", "bad is mentioned in a.c")


def test_a_rule_that_fails(desk: SimpleNamespace) -> None:
    answer = why_not(desk.RAISES, "wrong", desk.tree(FILES))
    assert [each.text for each in answer.judged[0].failures] == ["ValueError: no"]
    assert "the rule failed: ValueError: no" in render(answer)


def test_after_a_patch_of_a_series(desk: SimpleNamespace) -> None:
    states = [
        {"a.c": FILES["a.c"]},
        {"a.c": FILES["a.c"].replace("bad()", "bad_but_bounded()")},
        {"a.c": FILES["a.c"]},
    ]
    thread, source = desk.thread(desk.series(states)), desk.source(states[0])
    first = why_not_after(desk.BAD, "wrong", thread, source, patch=1)
    assert [each.reason for each in first.judged[0].silences] == ["bounded"]
    last = why_not_after(desk.BAD, "wrong", thread, source)
    assert len(last.judged[0].findings) == 1
    with pytest.raises(LorelintError, match=r"has no patch 9 \(these came: 1, 2\)"):
        why_not_after(desk.BAD, "wrong", thread, source, patch=9)
