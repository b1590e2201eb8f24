"""Mechanical edits: where they are made, and where the text is not plain enough for one."""

from __future__ import annotations

import pytest

from lorelint.code.program import Program
from lorelint.kernel.load import knowledge
from lorelint.model.finding import Edit
from lorelint.model.tree import EmptyTree, OverlayTree
from lorelint.rule.analyses.fixes import before, line_of, swap


def function(body: str) -> tuple[object, str]:
    text = f"int a;\n\nint f(int x)\n{{\n{body}\n}}\n"
    program = Program(OverlayTree(EmptyTree("t"), {"a.c": text.encode()}), knowledge((6, 12)))
    fn = program.function("a.c", "f")
    assert fn is not None
    return fn, text


def edited(body: str, at: str, code: str) -> str | None:
    """The body with `code` before the line that begins with `at`."""
    fn, text = function(body)
    lines = text.split("\n")
    number = next(n for n, line in enumerate(lines, 1) if line.strip().startswith(at))
    edits = before(fn, number, code)  # type: ignore[arg-type]
    if not edits:
        return None
    for edit in reversed(edits):
        lines[edit.line - 1 : edit.line] = edit.lines
    return "\n".join(lines[4:-2])


def test_among_statements() -> None:
    assert edited("\tx = 1;\n\tgoto again;", "goto", "yield();") == "\tx = 1;\n\tyield();\n\tgoto again;"


def test_under_a_condition_without_braces() -> None:
    assert edited("\tif (x)\n\t\tgoto again;\n\treturn x;", "goto", "yield();") == (
        "\tif (x) {\n\t\tyield();\n\t\tgoto again;\n\t}\n\treturn x;"
    )


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ("\tif (x)\n\t\tgoto again;\n\telse\n\t\tx = 1;", "goto"),  # braces on one arm alone
        ("\tif (x &&\n\t    y)\n\t\tgoto again;", "goto"),  # the condition does not begin on the line above
        ("\tx = y +\n\t\tz;", "z;"),
        ("#define M(x) \\\n\tgoto again;", "goto"),
    ],
)
def test_what_is_not_plain_gets_none(body: str, at: str) -> None:
    assert edited(body, at, "yield();") is None


def test_a_word_is_swapped_once() -> None:
    fn, _ = function("\tput_page(x);\n\tput_page(put_page);")
    assert swap(fn, 5, "put_page", "unpin_user_page") == (Edit(5, ("\tunpin_user_page(x);",)),)  # type: ignore[arg-type]
    assert swap(fn, 6, "put_page", "unpin_user_page") == ()  # type: ignore[arg-type]
    assert swap(fn, 5, "page", "x") == () and line_of(fn, 99) is None  # type: ignore[arg-type]
