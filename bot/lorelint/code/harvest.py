"""The facts of a file, read from its text: one pass over its pieces, no parse.

Made for reading a whole kernel: every step is a few searches in C, and only pieces with comments, literals or
directives in them are masked. What a person would call a phantom (an iterator taken for a function, a call in a
comment) is kept out by `segments` and `mask`, as everywhere in `code`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping

from lorelint.code.facts import POINTER, Assigned, Called, Defined, Defines, Entry, Facts, Handed, Member, Through
from lorelint.code.headers import params, returns
from lorelint.code.lex import mask
from lorelint.code.macros import macros
from lorelint.code.search import argument_places, arguments
from lorelint.code.segments import Piece, PieceKind, segments
from lorelint.code.tables import DESIGNATOR, LOCAL, plain_type
from lorelint.code.words import KEYWORDS

_CALL = re.compile(rb"([A-Za-z_]\w*+)\s*+\(")
_POINTER_CALL = re.compile(rb"\(\s*+\*\s*+([A-Za-z_][\w>.\-]*+)\s*+\)\s*+\(")
_BASE = re.compile(rb"(->|\.)?\s*+([A-Za-z_]\w*+)\s*+(?:\[[^\]\n]*+\]\s*+)*+(?:->|\.)\s*+\Z")
_EXPORT = re.compile(rb"(?m)^[ \t]*+EXPORT_(?:PER_CPU_)?SYMBOL\w*+\s*+\(\s*+(\w++)")
_TOKEN = re.compile(
    rb"[{}]|\.\s*+(\w++)\s*+(?=[=.\[])"
    rb"|=\s*+(?:&\s*+)?([A-Za-z_]\w*+)\s*+(?:\(([^(){};]*+)\))?\s*+(?=[,}#\n])"
    rb"|\(\s*+(?:const\s++)?+(struct\s++\w++)[\s*]*+(?:\[\s*+\])?+\s*+\)\s*+\{|[,;]"
)
_NEXT = re.compile(rb"\s*+(?:&\s*+)?+([a-z_]\w*+)\s*+(?=[,}])")
_NAME = re.compile(rb"[A-Za-z_]\w*+")
_LITERAL = re.compile(rb"\"[^\"]*+\"")
_ANNOTATED = re.compile(r"\b__\w+(?:\([^()]*\))?")
_STORED = re.compile(rb"(?:->|\.)\s*+(\w++)\s*+=\s*+(?:&\s*+)?+([A-Za-z_]\w*+)\s*+;")
_DECLARED = re.compile(rb"\bstruct\s++(\w++)([\w\s*,\[\]]++)")
_OBJECT = re.compile(rb"([A-Za-z_]\w*+)\s*+(?:\[[^\]]*+\]\s*+)*+(?:__\w++\s*+(?:\([^()]*+\)\s*+)?)*+=?\s*+\Z")
_TO_STRUCT = re.compile(
    rb"\bstruct\s++(\w++)\s*+(?:const\s*+|\*\s*+|__\w++\s*+)*+([A-Za-z_]\w*+)\s*+(?:\[[^\]]*+\]\s*+)*+[;,:]"
)
_TO_FUNCTION = re.compile(rb"\(\s*+\*\s*+(?:const\s++)?+([A-Za-z_]\w*+)\s*+(?:\[[^\]]*+\])?+\s*+\)\s*+\(")
_PARAMETERS = re.compile(rb"\([^()]*+\)")
_TAG = re.compile(rb"\b(?:struct|union)\s++(?:__packed\s++)?+([A-Za-z_]\w*+)\s*+(?:__\w++\s*+)*+\{?\s*+\Z")
_SPECIAL = re.compile(rb"[/\"'#\0\r]")
_row = tuple.__new__  # a named row in a third of the time its own constructor takes; there are millions of calls
_NO_FUNCTION = frozenset((b"true", b"false", b"jiffies", b"current"))
_NO_CALL = KEYWORDS | frozenset((b"defined", b"__attribute__", b"__typeof__", b"typeof", b"sizeof", b"__alignof__"))


def harvest(raw: bytes) -> Facts:
    """The facts of a file by its bytes. A file over 1 MiB has none (its `doubt` says so)."""
    parts = segments(raw)
    lines = _Lines(raw)
    functions: list[Defined] = []
    entries: list[Entry] = []
    assigned: list[Assigned] = []
    members: list[Member] = []
    for piece in parts.pieces:
        if piece.kind is PieceKind.FUNCTION:
            functions.append(_function(raw, piece, lines, entries, assigned))
        elif piece.kind is PieceKind.DATA:
            if DESIGNATOR.search(raw, piece.brace, piece.end):
                code = _masked(raw, piece.start, piece.end)
                entries.extend(_entries(code, piece.brace - piece.start, lines.of(piece.start), ""))
        elif piece.kind is PieceKind.TYPE:
            members.extend(_members(raw, piece))
    handed = _handed(raw, functions, entries, assigned) if functions else ()
    return Facts(
        functions=tuple(functions),
        entries=tuple(entries),
        assigned=tuple(assigned),
        handed=tuple(handed),
        macros=tuple(Defines(each.name, each.line, each.calls, each.wraps) for each in macros("", raw)),
        members=tuple(dict.fromkeys(members)),
        exports=tuple(_text(each) for each in dict.fromkeys(_EXPORT.findall(raw))) if b"EXPORT_" in raw else (),
        doubt=parts.doubt,
    )


class _Lines:
    """Line numbers of offsets that come in ascending order."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at, self._line = 0, 1

    def of(self, offset: int) -> int:
        if offset < self._at:
            self._at, self._line = 0, 1
        self._line += self._raw.count(b"\n", self._at, offset)
        self._at = offset
        return self._line


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _masked(raw: bytes, start: int, end: int) -> bytes:
    text = raw[start:end]
    return mask(text) if _SPECIAL.search(text) else text


def _function(raw: bytes, piece: Piece, lines: _Lines, entries: list[Entry], assigned: list[Assigned]) -> Defined:
    head = piece.head
    assert head is not None
    first = lines.of(piece.start)
    code = _masked(raw, piece.start, piece.end)
    body = piece.brace - piece.start
    name = _text(head.name)
    _, static = returns(raw[piece.start : piece.brace], head)
    own = {param.name for param in params(raw[piece.start : piece.end], head)}
    types = _Types(code)
    calls, through = _calls(code, body, first, own, types)
    if b"=" in code:
        if b"= {" in code or b"={" in code:
            for found in LOCAL.finditer(code, body):
                end = _closed(code, found.end() - 1)
                at = found.start()
                line = first + code.count(b"\n", 0, at)
                entries.extend(_entries(code[at:end], found.end() - 1 - at, line, name))
        assigned.extend(_assigned(code, body, first, name, own, types))
    line = first + raw.count(b"\n", piece.start, piece.start + head.at)
    return Defined(name, line, first, first + raw.count(b"\n", piece.start, piece.end), static, calls, through)


class _Types:
    """Which structure the variables of a function point to, found when first asked."""

    def __init__(self, code: bytes) -> None:
        self._code = code
        self._known: Mapping[bytes, bytes] | None = None

    def of(self, start: int) -> str:
        """What kind of object a field belongs to, whose name begins at `start`; see `Through`."""
        found = _BASE.search(self._code, max(0, start - 120), start)
        if found is None:
            return ""
        if found.group(1) is not None:
            return "->" + _text(found.group(2))
        if self._known is None:
            self._known = _declared(self._code)
        tag = self._known.get(found.group(2))
        return f"struct {_text(tag)}" if tag is not None else ""


def _declared(code: bytes) -> dict[bytes, bytes]:
    """Variables and parameters declared as, or as pointers to, a structure: name -> tag; the first one counts."""
    known: dict[bytes, bytes] = {}
    for found in _DECLARED.finditer(code):
        tag = found.group(1)
        for number, part in enumerate(found.group(2).split(b",")):
            names = _NAME.findall(part)
            if number and len(names) > 1:  # the next parameter
                tag = names[1] if names[0] == b"struct" and len(names) > 2 else b""
            if names and tag:
                known.setdefault(names[-1], tag)
    return known


def _calls(
    code: bytes, body: int, line: int, own: set[str], types: _Types
) -> tuple[tuple[Called, ...], tuple[Through, ...]]:
    """Calls by name, and through fields and pointers, in order."""
    calls: list[Called] = []
    through: list[Through] = []
    first = line
    line += code.count(b"\n", 0, body)
    at = body
    for found in _CALL.finditer(code, body):
        word, start = found.group(1), found.start()
        if word in _NO_CALL:
            continue
        line += code.count(b"\n", at, start)
        at = start
        before = code[start - 1]
        member = before == 0x2E or (before == 0x3E and code[start - 2] == 0x2D)  # . or ->
        name = word.decode()  # \w in bytes is ASCII
        if member or (before in b" \t\n" and code[max(0, start - 80) : start].rstrip()[-2:] == b"->"):
            through.append(Through(name, types.of(start), line))
        elif name in own:
            through.append(Through(name, "*", line))
        else:
            calls.append(_row(Called, (name, line)))
    if b"(*" in code:
        through.extend(_pointer_calls(code, body, first, types))
    return tuple(calls), tuple(through)


def _pointer_calls(code: bytes, body: int, first: int, types: _Types) -> Iterator[Through]:
    """``(*f)(..)`` and ``(*ops->f)(..)``."""
    for found in _POINTER_CALL.finditer(code, body):
        expr = found.group(1)
        field = _NAME.findall(expr)[-1]
        of = "*" if expr == field else types.of(found.end(1) - len(field))
        yield Through(_text(field), of, first + code.count(b"\n", 0, found.start()))


def _closed(code: bytes, at: int) -> int:
    """Just past the brace that closes the one at `at`; the end where none does."""
    depth = 0
    for found in re.finditer(rb"[{}]", code[at:]):
        depth += 1 if found.group() == b"{" else -1
        if depth == 0:
            return at + found.end()
    return len(code)


def _entries(code: bytes, brace: int, line: int, function: str) -> Iterator[Entry]:
    """Named values of one designated initialiser whose brace is at `brace`; `line` is that of the text's start.

    A compound literal inside is an object of its own type, without a name.
    """
    head = code[:brace]
    found = _OBJECT.search(head)
    kind = _type(head[: found.start()] if found is not None else head)
    name = _text(found.group(1)) if found is not None else ""
    inside = [(kind, name, "")]  # type, object and path of the braces that are open
    field, at = "", 0
    for token in _TOKEN.finditer(code, brace):
        char = token.group()[:1]
        kind, name, path = inside[-1]
        value = b""
        if char == b".":
            part = _text(token.group(1))
            field = f"{field}.{part}" if field else part
            continue
        if char == b"=":
            value = token.group(2) if token.group(3) is None else _only_name(token.group(3))
        elif char == b"}":
            inside.pop()
            if len(inside) < 2:
                return
            field = ""
            continue
        else:
            if char == b"{":
                inside.append((kind, name, _joined(path, field)))
            elif char == b"(":
                inside.append((_text(b" ".join(token.group(4).split())), "", ""))
            field, path = "", inside[-1][2]
            following = _NEXT.match(code, token.end())
            value = following.group(1) if following is not None else b""
        where = _joined(path, field)
        if where and value and not value.isupper() and value not in _NO_FUNCTION:
            line += code.count(b"\n", at, token.start())
            at = token.start()
            yield Entry(kind, name, function, where, _text(value), line)


def _joined(path: str, field: str) -> str:
    return f"{path}.{field}" if path and field else path or field


def _type(head: bytes) -> str:
    """The type that a declaration begins with, without storage and annotations."""
    return " ".join(plain_type(_ANNOTATED.sub("", _text(head))).split())


def _only_name(arguments: bytes) -> bytes:
    """The one name among the arguments of ``PTR(f)``; b"" for none or several."""
    names = _NAME.findall(_LITERAL.sub(b"", arguments))
    return names[0] if len(names) == 1 else b""


def _assigned(code: bytes, body: int, first: int, function: str, own: set[str], types: _Types) -> Iterator[Assigned]:
    for found in _STORED.finditer(code, body):
        value = _text(found.group(2))
        if value.isupper() or found.group(2) in _NO_FUNCTION or value in own:
            continue
        line = first + code.count(b"\n", 0, found.start(1))
        yield Assigned(function, types.of(found.start(1)), _text(found.group(1)), value, line)


def _members(raw: bytes, piece: Piece) -> Iterator[Member]:
    tag = _TAG.search(raw, piece.start, piece.brace)
    if tag is None:
        return
    name = _text(tag.group(1))
    code = _masked(raw, piece.brace, piece.end)
    if b"struct" in code:
        for found in _TO_STRUCT.finditer(_PARAMETERS.sub(b"()", code) if b"(" in code else code):
            yield Member(name, _text(found.group(2)), _text(found.group(1)))
    if b"(" in code:
        for found in _TO_FUNCTION.finditer(code):
            yield Member(name, _text(found.group(1)), POINTER)


def _handed(raw: bytes, functions: list[Defined], entries: list[Entry], assigned: list[Assigned]) -> Iterator[Handed]:
    """Functions of this file that stand as arguments: those named more often than the other rows explain."""
    known: dict[str, int] = {}
    for fn in functions:
        known[fn.name] = known.get(fn.name, 0) + 1
    rows = [name for fn in functions for name, _ in fn.calls]
    for name in (*rows, *(each.value for each in entries), *(each.value for each in assigned)):
        if name in known:
            known[name] += 1
    starts = [fn.first_line for fn in functions]
    code = b""
    for name in sorted(known):
        word = name.encode("utf-8", "surrogateescape")
        if raw.count(word) <= known[name] or next(argument_places(raw, word), None) is None:
            continue
        code = code or mask(raw)
        for callee, place, line in arguments(code, word):
            at = bisect_right(starts, line) - 1
            inside = functions[at] if at >= 0 and line <= functions[at].end_line else None
            if inside is None or callee != inside.name or line > inside.line:
                yield Handed(inside.name if inside is not None else "", callee, place, name, line)
