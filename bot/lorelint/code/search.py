"""Names in text: where a call or a definition stands, and which file can mean which."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from lorelint.code.lex import closing, mask, opening
from lorelint.model.regex import regex

if TYPE_CHECKING:
    from lorelint.code.ir import Function
    from lorelint.code.macros import Include
    from lorelint.code.tables import Table


class CallSite(Struct, frozen=True):
    """One call; `line` is that of the callee's name."""

    fn: Function
    line: int


class Use(Struct, frozen=True):
    """A function's name as a value.

    kind      ``table`` (an entry of an initialised object), ``field`` (``x->f = name``) or ``argument``
    function  in which it stands, "" at file scope
    type      of the table; for ``field`` the expression before the field; for ``argument`` the callee or macro
    field     of the table or object; for ``argument`` its place, from "1"
    """

    kind: str
    path: str
    line: int
    function: str
    type: str
    field: str


class Placed(Protocol):
    """A function definition, as far as what can mean it goes."""

    @property
    def path(self) -> str: ...

    @property
    def static(self) -> bool: ...


# Folders whose code is never linked into the kernel.
_APART = frozenset(("tools", "samples", "scripts", "Documentation", "usr"))
# Where a definition that everybody calls most likely is; only the order in which files are opened depends on it.
_CORE = ("mm", "kernel", "lib", "fs", "virt", "block", "ipc", "security", "crypto", "net", "init")


def order(paths: Sequence[str], near: str) -> tuple[str, ...]:
    """Where a definition is looked for: the same folder, headers for all, the core, then the nearest."""
    folder = near.split("/")[:-1]

    def nearness(path: str) -> tuple[int, int, int, str]:
        parts = path.split("/")
        top, inside = parts[0], parts[:-1]
        shared = 0
        for one, two in zip(inside, folder, strict=False):
            if one != two:
                break
            shared += 1
        if top in _APART and folder[:1] != [top]:
            return (4, 0, 0, path)
        if inside == folder:
            return (0, 0, 0, path)
        if "include" in inside:
            return (1, -shared, len(parts), path)
        core = _CORE.index(top) if top in _CORE else len(_CORE)
        return (2, core, 0, path) if core < len(_CORE) else (3, -shared, 0, path)

    return tuple(sorted(paths, key=nearness))


def seen_from(path: str, near: str) -> bool:
    """Whether a header is one for all, or lies in one of the folders around a file."""
    there, here = path.split("/"), near.split("/")
    if not _linked(there, here):
        return False
    if "include" in there[:-1]:
        return True
    folder, mine = there[:-1], here[:-1]
    return folder == mine[: len(folder)] or mine == folder[: len(mine)] or folder[:2] == mine[:2]


def _linked(there: list[str], here: list[str]) -> bool:
    if there[0] != here[0] and (there[0] in _APART or here[0] in _APART):
        return False
    return not (there[0] == here[0] == "arch" and there[1:2] != here[1:2])


def visible(fn: Placed, near: str) -> bool:
    """Whether a call in another file can mean this definition."""
    if fn.path.endswith(".h"):
        return seen_from(fn.path, near)
    return not fn.static and _linked(fn.path.split("/"), near.split("/"))


def rank(fn: Placed, near: str, included: Sequence[Include]) -> int:
    """How directly a definition answers a call: 0 a header the file includes, 1 its folder, 2 elsewhere."""
    folder = near.rpartition("/")[0]
    if fn.path.endswith(".h"):
        for each in included:
            if fn.path.endswith("/include/" + each.path) or fn.path == "include/" + each.path:
                return 0
            if each.local and fn.path == _joined(folder, each.path):
                return 0
    return 1 if fn.path.rpartition("/")[0] == folder else 2


def _joined(folder: str, path: str) -> str:
    parts = folder.split("/") if folder else []
    for part in path.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def may_define(raw: bytes, name: str) -> bool:
    """A cheap look before a file's functions are found: the name and a parenthesis on a line from column 0."""
    word = name.encode("utf-8", "surrogateescape")
    at = raw.find(word) if word else -1
    while at >= 0:
        end = at + len(word)
        column_0 = raw[raw.rfind(b"\n", 0, at) + 1] not in b" \t#/*\n"
        if column_0 and raw[end : end + 2].lstrip()[:1] in (b"(", b")", b","):
            return True
        at = raw.find(word, end)
    return False


def declares(raw: bytes, name: str) -> bool:
    """Whether a header has a declaration ``name(..);`` on a line from column 0."""
    word = name.encode("utf-8", "surrogateescape")
    for found in re.finditer(rb"(?<!\w)" + re.escape(word) + rb"(?=\()", raw):
        start = raw.rfind(b"\n", 0, found.start()) + 1
        close = closing(raw, found.end(), 4096)
        if close > 0 and raw[start] not in b" \t#/*\n" and _ENDS.match(raw, close):
            return True
    return False


def calls_in(fn: Function, name: str) -> Iterator[CallSite]:
    """Calls of `name` by name in the body of a function."""
    word = name.encode("utf-8", "surrogateescape")
    if word not in fn.text or any(param.name == name for param in fn.params):
        return
    code = mask(fn.text)
    pattern = re.compile(rb"(?<![\w.])(?<!->)" + re.escape(word) + rb"\s*+\(")
    for found in pattern.finditer(code, max(0, code.find(b"{"))):
        yield CallSite(fn, fn.first_line + code.count(b"\n", 0, found.start()))


def by_callee(functions: Iterable[Function]) -> dict[bytes, tuple[Function, ...]]:
    """The functions that may call a name: those in which it stands before a parenthesis."""
    found: dict[bytes, list[Function]] = {}
    for fn in functions:
        for word in dict.fromkeys(_BEFORE_PARENTHESIS.findall(fn.text)):
            found.setdefault(word, []).append(fn)
    return {word: tuple(many) for word, many in found.items()}


_BEFORE_PARENTHESIS = regex(rb"(\w++)(?=\s*+[(/#\\])")  # or before a comment or a directive, which masks blank
_ENDS = regex(rb"[\w\s()]*+;")
_ARGUMENT_END = regex(rb"\s++[,)]")
_CALLEE = regex(rb"\s*+(\w++)(?<![0-9])")  # backwards
_BRACKET = regex(rb"[(),\[\]{}]")


def uses_in(path: str, code: bytes, name: str, tables: Sequence[Table], functions: Sequence[Function]) -> Iterator[Use]:
    """The name as a value in one file; `code` is its masked text."""
    word = name.encode("utf-8", "surrogateescape")
    from lorelint.code.tables import settings

    yield from entries_in(path, name, tables)
    for fn in functions:
        if word in fn.text:
            for each in settings(fn):
                if each.value == name:
                    yield Use("field", path, each.line, fn.name, each.base, each.field)
    yield from _arguments(path, code, word, functions)


def entries_in(path: str, name: str, tables: Sequence[Table]) -> Iterator[Use]:
    """The name as a value in the tables of one file."""
    from lorelint.code.tables import named

    for table in tables:
        for field, value, line in table.fields:
            if named(value) == name:
                yield Use("table", path, line, table.function, table.type, field)


def _arguments(path: str, code: bytes, word: bytes, functions: Sequence[Function]) -> Iterator[Use]:
    starts = [fn.first_line for fn in functions]
    for callee, place, line in handed(code, word):
        at = bisect_right(starts, line) - 1
        inside = functions[at].name if at >= 0 and line <= functions[at].end_line else ""
        if callee != inside or line > functions[at].line:
            yield Use("argument", path, line, inside, callee, str(place))


def handed(code: bytes, word: bytes) -> Iterator[tuple[str, int, int]]:
    """Where a word is a whole argument in masked text: (what it is handed to, its place from 1, line), in order."""
    line, last = 1, 0
    for callee, place, at in arguments(code, argument_places(code, word)):
        line, last = line + code.count(b"\n", last, at), at
        yield callee, place, line


def arguments(code: bytes, places: Iterable[int]) -> Iterator[tuple[str, int, int]]:
    """What is handed on at these places of masked text, in order: (what it is handed to, its place from 1, offset)."""
    for at in places:
        begin = opening(code, at)
        callee = _CALLEE.match(code[max(0, begin - 96) : begin][::-1]) if begin > 0 else None
        if callee is not None:
            name = callee.group(1)[::-1].decode()
            yield name, 1 + _commas(code, begin + 1, at), at


def argument_places(text: bytes, word: bytes) -> Iterator[int]:
    """Offsets at which a word stands like a whole argument: after ``(,&`` or a blank, before ``,`` or ``)``."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if at and text[at - 1] in b"(, \t\n&" and (text[end : end + 1] in b",)" or _ARGUMENT_END.match(text, end)):
            yield at
        at = text.find(word, end)


def _commas(code: bytes, start: int, end: int) -> int:
    """Commas outside parentheses."""
    depth = count = 0
    for found in _BRACKET.finditer(code, start, end):
        char = found.group()
        if char in b"([{":
            depth += 1
        elif char in b")]}":
            depth -= 1
        elif depth == 0:
            count += 1
    return count
