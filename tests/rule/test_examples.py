"""The harness of the examples: what it reads, and what it does not let pass."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lorelint.model.errors import LorelintError
from lorelint.rule.examples import parse, problems

GOOD = """\
--- a/x.c
+++ b/x.c
 int old(void)
 {
 \tbad();
 }

+int fresh(void)
+{
+\tbad();\t/* want: bad() in fresh() */
+}
+
+int miss(void)
+{
+\tgood();
+}
"""


def test_both_trees_and_the_wants() -> None:
    example = parse(GOOD)
    assert example.before["x.c"] == b"int old(void)\n{\n\tbad();\n}\n\n"
    after = example.after["x.c"]
    assert after is not None and after.startswith(b"int old(void)\n{\n\tbad();\n}\n\nint fresh(void)\n")
    assert [(want.path, want.line, want.text) for want in example.wants] == [("x.c", 8, "bad() in fresh()")]


def test_several_files_new_and_gone() -> None:
    text = "# kernel: 6.12\n--- /dev/null\n+++ b/new.c\n+int x;\n--- a/old.c\n+++ /dev/null\n-int y;\n"
    example = parse(text)
    assert dict(example.before) == {"new.c": None, "old.c": b"int y;\n"}
    assert dict(example.after) == {"new.c": b"int x;\n", "old.c": None}
    assert example.kernel == (6, 12)


def test_a_removed_line_of_dashes_is_no_header() -> None:
    example = parse("--- a/x.c\n+++ b/x.c\n int i;\n---- i;\n+++ i;\n")
    assert example.before["x.c"] == b"int i;\n--- i;\n"


def test_a_plain_file_is_all_new(bench: SimpleNamespace) -> None:
    text = "int fresh(void)\n{\n\tbad(); /* want: bad() */\n}\nint miss(void)\n{\n\tgood();\n}\n"
    assert parse(text, "some_rule.c").before == {"some_rule.c": None}
    assert problems(bench.BAD, text) == ()


def test_a_line_without_a_mark_is_an_error_with_its_number() -> None:
    with pytest.raises(LorelintError, match=r"x\.diff:3: no line of a whole-file diff"):
        parse("--- a/x.c\n+++ b/x.c\nint x;\n", "x.diff")


def test_a_good_example_has_no_problems(bench: SimpleNamespace) -> None:
    assert problems(bench.BAD, GOOD) == ()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("want: bad() in fresh()", "want: something else", "not found: something else"),
        ("\t/* want: bad() in fresh() */", "", "wants nothing"),
        ("+\tgood();", "+\tbad();", "not wanted: x.c:13: bad() in miss()"),
        ("+\tgood();", "+\tother();", "no near miss"),
        (" \tbad();", "+\tbad();", "not wanted: x.c:3"),
    ],
)
def test_what_is_wrong_is_told(bench: SimpleNamespace, old: str, new: str, told: str) -> None:
    text = GOOD.replace(old, new)
    if told == "no near miss":
        text = text.replace(" \tbad();", " \tother();")
    assert any(told in each for each in problems(bench.BAD, text)), problems(bench.BAD, text)


def test_a_rule_that_raises_is_a_problem(bench: SimpleNamespace) -> None:
    assert any("the rule failed on" in each for each in problems(bench.RAISES, GOOD))
