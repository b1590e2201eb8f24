"""The facts of a file, read from its text: one pass over its pieces, no parse.

Made for reading a whole kernel: every step is a few searches in C, and only pieces with comments, literals or
directives in them are masked. What a person would call a phantom (an iterator taken for a function, a call in a
comment) is kept out by `segments` and `mask`, as everywhere in `code`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from lorelint.code.backwards import NO_FUNCTION, Backwards, Place
from lorelint.code.facts import POINTER, Assigned, Defined, Defines, Entry, Facts, Handed, Member
from lorelint.code.headers import params, returns
from lorelint.code.lex import mask
from lorelint.code.macros import macros
from lorelint.code.search import arguments
from lorelint.code.segments import Piece, PieceKind, segments
from lorelint.code.tables import DESIGNATOR, LOCAL, plain_type
from lorelint.model.regex import regex
from lorelint.model.tree import LIMIT

_EXPORT = regex(rb"(?m)^[ \t]*+EXPORT_(?:PER_CPU_)?SYMBOL\w*+\s*+\(\s*+(\w++)")
_TOKEN = regex(
    rb"[{}]|\.\s*+(\w++)\s*+(?=[=.\[])"
    rb"|=\s*+(?:&\s*+)?([A-Za-z_]\w*+)\s*+(?:\(([^(){};]*+)\))?\s*+(?=[,}#\n])"
    rb"|\(\s*+(?:const\s++)?+(struct\s++\w++)[\s*]*+(?:\[\s*+\])?+\s*+\)\s*+\{|[,;]"
)
_NEXT = regex(rb"\s*+(?:&\s*+)?+([a-z_]\w*+)\s*+(?=[,}])")
_NAME = regex(rb"[A-Za-z_]\w*+")
_LITERAL = regex(rb"\"[^\"]*+\"")
_ANNOTATED = regex(r"\b__\w+(?:\([^()]*\))?")
_OBJECT = regex(rb"([A-Za-z_]\w*+)\s*+(?:\[[^\]]*+\]\s*+)*+(?:__\w++\s*+(?:\([^()]*+\)\s*+)?)*+=?\s*+\Z")
_TO_STRUCT = regex(
    rb"\bstruct\s++(\w++)\s*+(?:const\s*+|\*\s*+|__\w++\s*+)*+([A-Za-z_]\w*+)\s*+(?:\[[^\]]*+\]\s*+)*+[;,:]"
)
_TO_FUNCTION = regex(rb"\(\s*+\*\s*+(?:const\s++)?+([A-Za-z_]\w*+)\s*+(?:\[[^\]]*+\])?+\s*+\)\s*+\(")
_PARAMETERS = regex(rb"\([^()]*+\)")
_TAG = regex(rb"\b(?:struct|union)\s++(?:__packed\s++)?+([A-Za-z_]\w*+)\s*+(?:__\w++\s*+)*+\{?\s*+\Z")
_SPECIAL = regex(rb"[/\"'#\0\r]")
NESTED = 32  # braces of one initialiser that may be open
COUNTED = 1 << 30  # bytes in which names are counted; a file of so many names is looked through for all of them


def harvest(raw: bytes) -> Facts:
    """The facts of a file by its bytes. A file over 1 MiB has none (its `doubt` says so)."""
    parts = segments(raw)
    if len(raw) > LIMIT:
        return Facts(doubt=parts.doubt)
    lines = _Lines(raw)
    functions: list[Defined] = []
    entries: list[Entry] = []
    assigned: list[Assigned] = []
    members: list[Member] = []
    text = Backwards(mask(raw)) if any(piece.head is not None for piece in parts.pieces) else None
    for piece in parts.pieces:
        if piece.kind is PieceKind.FUNCTION:
            assert text is not None
            functions.append(_function(raw, text, piece, lines.of(piece.start), entries, assigned))
        elif piece.kind is PieceKind.DATA:
            if DESIGNATOR.search(raw, piece.brace, piece.end):
                code = _masked(raw, piece.start, piece.end)
                entries.extend(_entries(code, 0, piece.brace - piece.start, len(code), lines.of(piece.start), ""))
        elif piece.kind is PieceKind.TYPE:
            members.extend(_members(raw, piece))
    handed = _handed(raw, text, functions, entries, assigned) if text is not None else ()
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


def _function(
    raw: bytes, text: Backwards, piece: Piece, first: int, entries: list[Entry], assigned: list[Assigned]
) -> Defined:
    head, code = piece.head, text.code
    assert head is not None
    start, brace, end = piece.start, piece.brace, piece.end
    last = first + raw.count(b"\n", start, end)

    def names() -> frozenset[bytes]:
        found = params(raw[start:brace], head)
        return frozenset(each.name.encode("utf-8", "surrogateescape") for each in found)

    place = Place(start, brace, end, last, raw[start + head.opens : start + head.closes], names)
    name = _text(head.name)
    _, static = returns(raw[start:brace], head)
    calls, through = text.calls(place)
    if code.find(b"= {", brace, end) >= 0 or code.find(b"={", brace, end) >= 0:
        line, at = first, start
        for found in LOCAL.finditer(code, brace, end):
            line += code.count(b"\n", at, found.start())
            at = found.start()
            entries.extend(_entries(code, found.start(), found.end() - 1, end, line, name))
    assigned.extend(text.stored(place, name))
    line = first + raw.count(b"\n", start, start + head.at)
    return Defined(name, line, first, last, static, calls, through)


def _entries(code: bytes, start: int, brace: int, end: int, line: int, function: str) -> Iterator[Entry]:
    """Named values of the designated initialiser that begins at `start`, in a line, and has its brace at `brace`.

    A compound literal inside is an object of its own type, without a name.
    """
    head = code[start:brace]
    found = _OBJECT.search(head)
    kind = _type(head[: found.start()] if found is not None else head)
    name = _text(found.group(1)) if found is not None else ""
    inside = [(kind, name, "")]  # type, object and path of the braces that are open
    field, at = "", start
    for token in _TOKEN.finditer(code, brace, end):
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
            if len(inside) > NESTED:
                return  # nobody's table: braces that do not close
            if char == b"{":
                inside.append((kind, name, _joined(path, field)))
            elif char == b"(":
                inside.append((_text(b" ".join(token.group(4).split())), "", ""))
            field, path = "", inside[-1][2]
            following = _NEXT.match(code, token.end())
            value = following.group(1) if following is not None else b""
        where = _joined(path, field)
        if where and value and not value.isupper() and value not in NO_FUNCTION:
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


def _handed(
    raw: bytes, text: Backwards, functions: list[Defined], entries: list[Entry], assigned: list[Assigned]
) -> Iterator[Handed]:
    """Functions of this file that stand as arguments: those named more often than the other rows explain."""
    known: dict[str, int] = {}
    for fn in functions:
        known[fn.name] = known.get(fn.name, 0) + 1
    rows = [name for fn in functions for name, _ in fn.calls]
    for name in (*rows, *(each.value for each in entries), *(each.value for each in assigned)):
        if name in known:
            known[name] += 1
    starts = [fn.first_line for fn in functions]
    whole = text.arguments()
    words = [word for word in (name.encode("utf-8", "surrogateescape") for name in sorted(known)) if word in whole]
    if len(words) * len(raw) <= COUNTED:
        words = [word for word in words if raw.count(word) > known[_text(word)]]
    found: list[tuple[int, bytes, Handed]] = []
    for word, places in text.argument_places(words).items():
        for callee, place, at in arguments(text.code, places):
            found.append((at, word, Handed("", callee, place, _text(word), 0)))
    lines = _Lines(text.code)
    placed = [(word, lines.of(at), row) for at, word, row in sorted(found)]
    for _, line, row in sorted(placed, key=lambda each: each[:2]):
        at = bisect_right(starts, line) - 1
        inside = functions[at] if at >= 0 and line <= functions[at].end_line else None
        if inside is None or row.callee != inside.name or line > inside.line:
            yield row._replace(function=inside.name if inside is not None else "", line=line)
