"""Designated initialisers: ops tables and other named fields that hold functions.

At file scope and inside functions; arrays of such structures too. And assignments to fields
(``ops->fault = f``), which fill a table at run time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field

from tree_sitter import Node

from lorelint.code.conditionals import without_dead
from lorelint.code.expressions import Reader
from lorelint.code.ir import Call, Expr, Function, Init, Name, Unary, walk
from lorelint.code.lex import blank, mask
from lorelint.code.parse import Syntax, fragment
from lorelint.code.segments import Piece, PieceKind, segments
from lorelint.model.placed import placed
from lorelint.model.regex import regex

ITEMS = 20_000  # entries read of one table


@placed
class Table:
    """One initialised object that names fields.

    type      ``struct vm_operations_struct``, no ``const``, no array
    name      of the object, "" where it has none that can be read
    function  the function it is local to, "" at file scope
    fields    (field, value, line); a field of a structure inside is ``outer.inner``. Elements of an
              array follow one another.
    """

    path: str
    line: int = field(compare=False)
    type: str
    name: str
    fields: tuple[tuple[str, Expr, int], ...]
    function: str = ""

    def get(self, name: str) -> Expr | None:
        """The first value of a field."""
        return next((value for each, value, _ in self.fields if each == name), None)


@placed
class Setting:
    """``base->field = value;`` where the value is a name, perhaps with ``&``."""

    path: str
    line: int = field(compare=False)
    function: str
    base: str
    field: str
    value: str


DESIGNATOR = regex(rb"(?:[{,]|\n[ \t]*+#[^\n]*+)\s*+(?:\[[^\]]*+\]\s*+=\s*+)?+\{?\s*+\.\s*+\w+\s*+(?:=|\.|\[)")
LOCAL = regex(
    rb"(?:struct(?<!\wstruct)|union(?<!\wunion))\s++\w++\s++\w++\s*+(?:\[[^\]]*+\]\s*+)*+(?:__\w++\s*+)*+=\s*+\{"
)
SETTING = regex(
    rb"(?<![\w.>])([A-Za-z_]\w*+(?:\s*+(?:->|\.)\s*+\w++|\[[^\]\n]*+\])*?)\s*+(?:->|\.)\s*+(\w++)\s*+=\s*+(?:&\s*+)?+([A-Za-z_]\w*+)\s*+;"
)
_TYPE = regex(r"\b(?:struct|union)\s+\w+")
_DIRECTIVE = regex(rb"(?m)^[ \t]*+#.*+$")
_STORAGE = regex(r"\b(?:static|const|volatile|extern|register|inline)\b")


def data(path: str, raw: bytes) -> tuple[Table, ...]:
    """All designated initialisers of a file, in order; those inside functions after their function's start."""
    found: list[Table] = []
    line, at = 1, 0
    for piece in segments(raw).pieces:
        line += raw.count(b"\n", at, piece.start)
        at = piece.start
        if piece.kind is PieceKind.DATA:
            if DESIGNATOR.search(raw, piece.brace, piece.end):
                found.extend(_tables(path, raw[piece.start : piece.end], line, ""))
        elif piece.kind is PieceKind.FUNCTION:
            found.extend(_local(path, raw, piece, line))
    return tuple(found)


def _local(path: str, raw: bytes, piece: Piece, line: int) -> Iterator[Table]:
    assert piece.head is not None
    if not DESIGNATOR.search(raw, piece.brace, piece.end):
        return
    text = raw[piece.start : piece.end]
    code = mask(text)
    for found in LOCAL.finditer(code):
        end = _closing_brace(code, found.end() - 1)
        if end > 0 and DESIGNATOR.search(code, found.end() - 1, end):
            start = found.start()
            name = piece.head.name.decode("utf-8", "surrogateescape")
            yield from _tables(path, text[start:end], line + text.count(b"\n", 0, start), name)


def _closing_brace(code: bytes, at: int) -> int:
    depth = 0
    for found in re.finditer(rb"[{}]", code[at:]):
        depth += 1 if found.group() == b"{" else -1
        if depth == 0:
            return at + found.end()
    return -1


def _tables(path: str, text: bytes, line: int, function: str) -> Iterator[Table]:
    if b"#" in text:
        text = _all_arms(text)
    syntax = fragment(text + b";", line)
    reader = Reader(syntax.norm, syntax.raw, syntax.first_line)
    for node in syntax.body.children:
        if node.type != "declaration":
            continue
        kind = node.child_by_field_name("type")
        shown = plain_type(syntax.text(kind)) if kind is not None else ""
        for declared in node.children_by_field_name("declarator"):
            if declared.type != "init_declarator":
                continue
            value, name = declared.child_by_field_name("value"), _name(syntax, declared)
            if value is None or value.type != "initializer_list":
                continue
            fields = tuple(_fields(reader.read(value)))
            if fields:
                yield Table(path, syntax.line(declared), shown, name, fields, function)


def _all_arms(text: bytes) -> bytes:
    """Entries of every arm count, dead ones apart; the directives go."""
    code = mask(text)
    out = bytearray(text)
    live = without_dead(code)
    for at in range(len(code)):
        if live[at] == 0x20 and code[at] != 0x20:
            out[at] = 0x20
    for found in _DIRECTIVE.finditer(live):
        out[found.start() : found.end()] = blank(text[found.start() : found.end()])
    return bytes(out)


def plain_type(text: str) -> str:
    """``struct vm_operations_struct`` out of what stands before an object's name."""
    found = _TYPE.search(text)
    return " ".join((found.group() if found else _STORAGE.sub("", text)).split())


def _name(syntax: Syntax, declared: Node) -> str:
    node: Node | None = declared
    while node is not None and node.type != "identifier":
        node = node.child_by_field_name("declarator")
    return syntax.text(node) if node is not None else ""


def _fields(value: Expr) -> Iterator[tuple[str, Expr, int]]:
    """Entries of an initialiser in order; without recursion."""
    stack: list[tuple[str, Expr]] = [("", value)]
    for _ in range(ITEMS):
        if not stack:
            return
        prefix, here = stack.pop()
        if isinstance(here, Init):
            for designator, item in reversed(here.items):
                stack.append((_joined(prefix, designator), item))
        elif prefix:
            yield prefix, here, here.line


def _joined(prefix: str, designator: str) -> str:
    """Array indices leave no trace: the elements share their fields."""
    plain = re.sub(r"\[[^\]]*\]", "", designator).strip(". ")
    return f"{prefix}.{plain}" if prefix and plain else prefix or plain


def settings(fn: Function) -> tuple[Setting, ...]:
    """Fields of anything set to a name in a function, in order."""
    if b"=" not in fn.text:
        return ()
    code = mask(fn.text)
    found = []
    for each in SETTING.finditer(code, max(0, code.find(b"{"))):
        base, name, value = (each.group(number).decode("utf-8", "surrogateescape") for number in (1, 2, 3))
        line = fn.first_line + code.count(b"\n", 0, each.start(2))
        found.append(Setting(fn.path, line, fn.name, "".join(base.split()), name, value))
    return tuple(found)


def named(value: Expr) -> str:
    """The function or object an entry names: ``f``, ``&f``, ``PTR(f)``; "" for anything else."""
    if isinstance(value, Unary) and value.op == "&":
        value = value.operand
    if isinstance(value, Name):
        return value.name
    if isinstance(value, Call):
        names = [each.name for arg in value.args for each in walk(arg) if isinstance(each, Name)]
        return names[0] if len(names) == 1 else ""
    return ""


__all__ = ["DESIGNATOR", "LOCAL", "SETTING", "Setting", "Table", "data", "named", "plain_type", "settings"]
