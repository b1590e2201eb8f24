"""The top-level pieces of a C file, found by column-0 structure instead of a parse.

Kernel style puts the brace that closes a function, a structure or a table in column 0. Between such
braces the text is skipped with a few searches in C; only what stands at file scope is looked at token
by token. Wherever the structure is in doubt (braces that do not balance, statements in column 0, a
stray closing brace) the whole file is parsed instead, with the same result type.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from lorelint.code.headers import Header, declared_from, first_arms, header, without_annotations
from lorelint.code.lex import BLANK, COMMENT, DIRECTIVE, STRING, mask
from lorelint.code.parse import definitions
from lorelint.model.regex import regex
from lorelint.model.tree import LIMIT


class PieceKind(StrEnum):
    FUNCTION = "function"
    DATA = "data"  # an initialised object
    TYPE = "type"  # struct, union, enum
    OTHER = "other"


class Piece(NamedTuple):
    """One piece with braces. `start` and `end` are bytes, `brace` the offset of its (last) opening brace."""

    kind: PieceKind
    start: int
    brace: int
    end: int
    head: Header | None  # offsets relative to `start`; of functions alone


class Segments(Struct, frozen=True):
    """All pieces in order; `doubt` says why the file had to be parsed whole, "" where it had not."""

    pieces: tuple[Piece, ...]
    doubt: str = ""


class _Doubt(Exception):
    pass


_TOKEN = regex(DIRECTIVE + rb"|" + COMMENT + rb"|" + STRING + rb"|[;{}]")
_BRACES = regex(DIRECTIVE + rb"|" + COMMENT + rb"|" + STRING + rb"|[(){}]")
# inside a piece nothing but labels, directives and comments stands in column 0
_COLUMN_0 = regex(rb"\n(?:\{|[A-Za-z_]\w*+(?!\w*+[ \t]*+:))")
_LINE_END = regex(rb"[ \t]*+(?:/\*[^\n]*+)?+\n")
_BLANK_OR_COMMENT = regex(rb"(?:\s++|" + COMMENT + rb")*+")
_TYPE = regex(rb"\b(?:struct|union|enum)\b")
_DESIGNATOR = regex(rb"\{(?:\s++|" + COMMENT + rb")*+\.\s*+\w++\s*+=")
_COLUMN_0_WORD = regex(rb"\s*+(?<![^\n])([A-Za-z_])")
_SEMICOLON = regex(rb"\s*+;")
_EXTERN_C = regex(rb"\bextern\s++\"C\"\s*+\Z")


def segments(raw: bytes) -> Segments:
    """The pieces of a file. Files over 1 MiB have none."""
    if len(raw) > LIMIT:
        return Segments((), "over 1 MiB")
    try:
        return Segments(tuple(_Scan(raw).run()))
    except _Doubt as doubt:
        return Segments(_parsed(raw), str(doubt))


def _parsed(raw: bytes) -> tuple[Piece, ...]:
    """The functions by a parse of the whole file, with whatever data pieces lie between left out."""
    pieces = []
    for start, brace, end in definitions(raw):
        piece = _function(raw, start, brace, end)
        if piece is not None:
            pieces.append(piece)
    return tuple(pieces)


def _function(raw: bytes, start: int, brace: int, end: int) -> Piece | None:
    code = raw[start:brace]
    readings: tuple[bytes, ...] = (code,)
    if b"/" in code or b"#" in code or b'"' in code:
        code = mask(code)
        readings = (code,) if b"#" not in code else (_last_arm(code), first_arms(code))
    for reading in readings:
        head = header(reading)
        if head is not None and raw.startswith(head.name, start + head.at):  # not one of the letters that mask
            return Piece(PieceKind.FUNCTION, start, brace, end, head)
    return None


def _last_arm(code: bytes) -> bytes:
    """A header after conditionals: what follows the last directive."""
    past = code.find(b"\n", code.rfind(b"#"))
    return code[:past].translate(BLANK) + code[past:] if past >= 0 else b""


class _Scan:
    """One pass over a file's text at file scope.

    What was looked at is not looked at again for the brace behind it: a table of thousands of rows that no declaration
    opens (it is included into one) is one item.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.pieces: list[Piece] = []
        self.extern = 0  # open `extern "C" {`
        self.closing = -1  # where the next brace in column 0 closes something
        self.uneven = -1  # such a brace that does not close what was last thought
        self._begin(0)

    def _begin(self, at: int) -> None:
        """The next item begins here."""
        self.start = at
        self.past = at  # end of what in the item is done with
        self.count = 0  # pieces of the item

    def run(self) -> list[Piece]:
        raw, at = self.raw, 0
        while True:
            brace = raw.find(b"{", at)
            start = self._header_start(at, brace) if brace >= 0 else -1
            if start >= 0:
                self._begin(start)
                at = self._piece(start, brace)
                if self.start != at:
                    found = _SEMICOLON.match(raw, at)
                    at = found.end() if found is not None else self._slowly(at)
            else:
                self._begin(at)
                at = self._slowly(at)
                if at >= len(raw):
                    return self.pieces

    def _header_start(self, at: int, brace: int) -> int:
        """Where the declaration before a brace begins, by the nearest delimiter; -1 where that is not plain."""
        raw = self.raw
        comment = raw.rfind(b"*/", at, brace)
        if raw.rfind(b"/*", at, brace) > comment or raw.find(b"}", at, brace) >= 0:
            return -1
        start = max(at, raw.rfind(b";", at, brace) + 1, comment + 2 if comment >= 0 else at)
        directive = raw.rfind(b"\n#", max(0, at - 1), brace)
        if directive >= 0:
            end = raw.find(b"\n", directive + 1, brace)
            if end < 0 or raw[end - 1] == 0x5C:
                return -1
            start = max(start, end)
        found = _COLUMN_0_WORD.match(raw, start, brace)
        if found is None:
            return -1
        text = raw[start:brace]
        if text.count(b"(") != text.count(b")") or b'"' in text or b"//" in text or b"#" in text:
            return -1
        return found.start(1)

    def _slowly(self, at: int) -> int:
        """Token by token until an item has ended; where to go on."""
        raw, search = self.raw, _TOKEN.search
        while True:
            found = search(raw, at)
            if found is None:
                return len(raw)
            at = found.end()
            char = raw[found.start()]
            if char == 0x7B:  # {
                at = self._brace(found.start())
                if self.start == at:
                    return at
            elif char == 0x3B:  # ;
                if self._in_parens(found.start()):
                    at = self._past_parens(found.start())
                self._begin(at)
            elif char == 0x7D:  # }
                if not self.extern:
                    raise _Doubt("a stray closing brace")
                self.extern -= 1
                self._begin(at)
            elif char == 0x23 and self._first_token() >= found.start():
                self._begin(at)

    def _first_token(self) -> int:
        """Where the item's first token is; the item begins there from now on."""
        if not self.count and self.past == self.start:
            self._begin(_BLANK_OR_COMMENT.match(self.raw, self.start).end())  # type: ignore[union-attr]
        return self.start

    def _in_parens(self, at: int) -> bool:
        text = self.raw[self.past : at]
        if text.count(b"(") == text.count(b")"):
            return False
        text = mask(text)
        return text.count(b"(") > text.count(b")")

    def _past_parens(self, at: int) -> int:
        """Just past the parenthesis that closes those of the item open at `at`."""
        depth = 0
        for found in _BRACES.finditer(self.raw, self.past):
            char = found.group()
            if char == b"(":
                depth += 1
            elif char == b")":
                depth -= 1
                if depth == 0 and found.start() > at:
                    self.past = found.end()
                    return self.past
        raise _Doubt("a parenthesis without end")

    def _brace(self, at: int) -> int:
        """An opening brace at file scope: add its piece, return where to go on."""
        if self._in_parens(at):
            return self._past_parens(at)
        start = self._first_token()
        if _EXTERN_C.search(self.raw, self.past, at):
            self.extern += 1
            self._begin(at + 1)
            return at + 1
        return self._piece(start, at)

    def _piece(self, start: int, at: int) -> int:
        """The piece whose brace is at `at`; where to go on. If it ends its item, the next begins there."""
        raw, since = self.raw, start
        # struct { .. } *name(..) { is read from its beginning, { .. }, { .. }, { from where the row before it ended
        if self.count and (self.count > 1 or self.pieces[-1].kind is not PieceKind.TYPE):
            since = _BLANK_OR_COMMENT.match(raw, self.past).end()  # type: ignore[union-attr]
        text = raw[since:at]
        tail = text.rstrip()
        end = self._end(at)
        if tail.endswith(b"="):
            return self._data(PieceKind.DATA, since, at, end)
        piece = None
        table = _DESIGNATOR.match(raw, at) is not None  # machine(name) { .name = .. }
        if b"(" in tail and not table:
            piece = _function(raw, since, at, end)
        if piece is None:
            code = mask(tail) if b"#" in tail or b"/" in tail else tail
            row = self.count > 0 and code.strip() == b","
            if table or row or b"=" in code:
                return self._data(PieceKind.DATA, since, at, end)
            if _TYPE.search(code, 1 + max(map(code.rfind, (b"(", b")", b"=", b";")))):
                return self._data(PieceKind.TYPE, since, at, end)
            if b"#" in text and since == start:
                raise _Doubt("a header cut by a conditional")
            return self._data(PieceKind.OTHER, since, at, end)
        self.pieces.append(_trimmed(raw, piece))
        self._begin(end)
        return end

    def _data(self, kind: PieceKind, start: int, at: int, end: int) -> int:
        """A piece whose item goes on until its semicolon."""
        if self.count and kind is self.pieces[-1].kind:
            start = self.pieces.pop().start  # a[] = { .. }, b = { .. }
        self.pieces.append(Piece(kind, start, at, end, None))
        self.past = end
        self.count += 1
        return end

    def _end(self, at: int) -> int:
        """Just past the brace that closes the one at `at`."""
        raw = self.raw
        if raw[at - 1 : at] == b"\n" or _LINE_END.match(raw, at + 1):
            if self.closing < at:
                found = raw.find(b"\n}", at)
                self.closing = found if found >= 0 else len(raw)
            end = self.closing
            if end < len(raw) and end != self.uneven:
                even = raw.count(b"{", at, end + 2) == raw.count(b"}", at, end + 2)
                if even and not _COLUMN_0.search(raw, at + 1, end):
                    return end + 2
                self.uneven = end
            return self._matched(at)
        end = raw.find(b"}", at) + 1
        text = raw[at + 1 : end]
        if not end or b"{" in text or b"\n" in text or b'"' in text or b"'" in text or b"/" in text:
            return self._matched(at)
        return end

    def _matched(self, at: int) -> int:
        """The same, token by token; of a conditional's arms the first one counts."""
        depth = 0
        arms: list[tuple[int, int | None]] = []  # (depth at #if, depth after the first arm)
        for found in _BRACES.finditer(self.raw, at):
            char = found.group()
            if char == b"{":
                depth += 1
            elif char == b"}":
                depth -= 1
                if depth == 0:
                    if arms:
                        raise _Doubt("a piece that ends inside a conditional")
                    return found.end()
            elif char[:1] == b"#":
                depth = _follow(char, depth, arms)
        raise _Doubt("a brace without end")


def _follow(directive: bytes, depth: int, arms: list[tuple[int, int | None]]) -> int:
    word = directive[1:].lstrip()
    if word.startswith(b"if"):
        arms.append((depth, None))
    elif word.startswith((b"el", b"endif")) and arms:
        before, after = arms.pop()
        after = depth if after is None else after
        if word.startswith(b"endif"):
            return after
        arms.append((before, after))
        return before
    return depth


def _trimmed(raw: bytes, piece: Piece) -> Piece:
    """Leave out what stands before the declaration: a macro call with no semicolon, the arms of a conditional."""
    head = piece.head
    assert head is not None
    text = raw[piece.start : piece.start + head.at]
    if b"}" not in text and b"#" not in text and b")" not in text:
        return piece
    text = without_annotations(mask(text))
    cut = text.rfind(b"}") + 1  # struct { .. } *name(..) {
    last = text.rfind(b"#")
    if last >= 0 and text.find(b"\n", last) >= 0 and text[text.find(b"\n", last) :].strip():
        cut = max(cut, text.find(b"\n", last))
    cut += declared_from(text[cut:])
    cut += len(text[cut:]) - len(text[cut:].lstrip())
    if cut == 0:
        return piece
    moved = Header(head.name, head.at - cut, head.opens - cut, head.closes - cut, head.pairs, head.definer)
    return Piece(piece.kind, piece.start + cut, piece.brace, piece.end, moved)
