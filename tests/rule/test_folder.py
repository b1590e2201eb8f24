"""What is resolved near at hand: inline functions of a header, told by their look."""

from __future__ import annotations

import pytest

from lorelint.code.program import Program
from lorelint.kernel.load import knowledge
from lorelint.model.tree import EmptyTree, OverlayTree
from lorelint.rule.analyses.folder import inlines, near


def program(files: dict[str, str]) -> Program:
    return Program(OverlayTree(EmptyTree(), {path: text.encode() for path, text in files.items()}), knowledge((6, 12)))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("static inline int one(int a)\n{\n}\n", {"one"}),
        ("inline void two(void)\n{\n}\nstatic __always_inline long three(void)\n{\n}\n", {"two", "three"}),
        ("static inline\nint five(void)\n{\n}\n", {"five"}),
        ("/* an inline f(x) in words */\nint six(void);\n\tinline int seven(void) {\n", set()),
        ("static inline " + "a " * 100_000, set()),
        ("inline\n" * 20_000, set()),
        ("", set()),
    ],
)
def test_inlines(text: str, names: set[str]) -> None:
    assert inlines(program({"include/linux/a.h": text}), "include/linux/a.h") == names


def test_near_is_the_file_itself_and_then_its_folder() -> None:
    made = program(
        {
            "a/one.c": "static int go(void)\n{\n\treturn 1;\n}\n",
            "a/two.c": "int go(void)\n{\n\treturn 2;\n}\n",
            "a/three.c": "int other(void)\n{\n\treturn go();\n}\n",
            "a/b/four.c": "int go(void)\n{\n\treturn 4;\n}\n",
        }
    )
    assert [fn.path for fn in near(made, "go", "a/one.c")] == ["a/one.c"]
    assert [fn.path for fn in near(made, "go", "a/three.c")] == ["a/two.c"]
    assert near(made, "nothing", "a/three.c") == ()
