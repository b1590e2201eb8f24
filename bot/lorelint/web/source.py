"""Source for the eye: C in colours (classes, no styles), what the patch wrote and cut, the steps of a proof in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape
from msgspec import Struct, field

from lorelint.report.text import clean

_LONGEST = 400  # characters of a line that is shown


class Mark(Struct, frozen=True):
    """A step of the proof, at the line it stands on."""

    number: int
    text: str


class Row(Struct, frozen=True):
    """One line. `number` is that after the patch, 0 for one that was cut; `gap`: lines before it are left out."""

    op: str
    number: int
    code: Markup
    marks: tuple[Mark, ...] = ()
    gap: bool = False
    place: bool = False

    @property
    def kind(self) -> str:
        """A class."""
        return {"+": "add", "-": "cut"}.get(self.op, "same")


class Piece(Struct, frozen=True):
    """Lines of one file."""

    path: str
    rows: tuple[Row, ...]
    changed: bool = field(default=False)


def pieces(
    kept: Iterable[Mapping[str, Any]], steps: Sequence[Mapping[str, Any]], place: tuple[str, int]
) -> list[Piece]:
    """What was kept of the source around a finding, with the steps in it. `place` is the finding's own line."""
    marks: dict[tuple[str, int], list[Mark]] = {}
    for number, step in enumerate(steps, 1):
        marks.setdefault((step["path"], step["line"]), []).append(Mark(number, step["text"]))
    return [_piece(each["path"], each["lines"], marks, place) for each in kept]


def _piece(
    path: str, lines: Sequence[Sequence[Any]], marks: Mapping[tuple[str, int], list[Mark]], place: tuple[str, int]
) -> Piece:
    after = iter(coloured(tuple(text for op, _, text in lines if op != "-")))
    before = iter(coloured(tuple(text for op, _, text in lines if op == "-")))
    rows: list[Row] = []
    last = 0
    for op, number, _ in lines:
        code = next(before if op == "-" else after)
        gap = bool(op != "-" and last and number > last + 1)
        here = tuple(marks.get((path, number), ())) if op != "-" else ()
        rows.append(Row(op, number, code, here, gap, op != "-" and (path, number) == place))
        last = number or last
    return Piece(path, tuple(rows), any(row.op != " " for row in rows))


@lru_cache(maxsize=512)
def coloured(lines: tuple[str, ...]) -> tuple[Markup, ...]:
    """Lines of C as markup, one each; what cannot be seen in them is spelt out."""
    from pygments.lexer import Lexer
    from pygments.lexers.c_cpp import CLexer
    from pygments.token import STANDARD_TYPES

    made: list[list[str]] = [[]]
    text = "\n".join(clean(line[:_LONGEST], tabs=True) for line in lines)
    lexer: Lexer = CLexer(stripnl=False, ensurenl=False)  # type: ignore[no-untyped-call]
    for kind, value in lexer.get_tokens(text):
        name = STANDARD_TYPES.get(kind, "")
        for at, part in enumerate(value.split("\n")):
            if at:
                made.append([])
            if part:
                safe = escape(part)
                made[-1].append(f'<span class="{name}">{safe}</span>' if name and name not in _PLAIN else str(safe))
    markup = [Markup("".join(parts)) for parts in made]
    return tuple((markup + [Markup("")] * len(lines))[: len(lines)])


_PLAIN = frozenset({"", "n", "p", "w", "o"})  # as the text around them


class Line(Struct, frozen=True):
    """A line of a mail, and what it is: `kind` is a class."""

    kind: str
    text: str


def mail_lines(body: str, most: int = 5_000) -> list[Line]:
    """A mail as a reader shows it: quoted lines by their depth, a diff by its signs, a signature apart."""
    lines: list[Line] = []
    inside = False
    for text in body.rstrip("\n").split("\n")[:most]:
        text = text.rstrip("\r").expandtabs(8)
        depth = _depth(text)
        if text.startswith("diff --git "):
            inside = True
        if text == "-- ":
            inside = False
        if depth:
            kind = f"q{min(depth, 4)}"
        elif inside:
            kind = _diff_kind(text)
        else:
            kind = "sig" if text == "-- " or (lines and lines[-1].kind == "sig") else ""
        lines.append(Line(kind, text))
    return lines


def _depth(text: str) -> int:
    depth = 0
    for char in text:
        if char == ">":
            depth += 1
        elif char != " ":
            break
    return depth


def _diff_kind(text: str) -> str:
    if text.rstrip() == "---":  # what b4 puts between the diff and its own lines
        return ""
    if text.startswith(("diff --git ", "index ", "--- ", "+++ ", "new file", "deleted file", "rename ", "similarity ")):
        return "meta"
    return {"+": "add", "-": "cut", "@": "hunk"}.get(text[:1], "same")
