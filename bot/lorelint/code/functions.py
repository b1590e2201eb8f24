"""The functions of a file: headers read, bodies only carried along."""

from __future__ import annotations

from functools import partial

from lorelint.code.headers import params, returns
from lorelint.code.ir import Function
from lorelint.code.segments import Piece, PieceKind, segments


def functions(path: str, raw: bytes) -> tuple[Function, ...]:
    """All function definitions of a file, in order. Nothing is parsed where the file's structure is plain."""
    found = []
    line, at = 1, 0
    for piece in segments(raw).pieces:
        if piece.kind is not PieceKind.FUNCTION:
            continue
        line += raw.count(b"\n", at, piece.start)
        at = piece.start
        found.append(_function(path, raw, piece, line))
    return tuple(found)


def one(path: str, raw: bytes, name: str) -> Function | None:
    """The first function of that name; cheaper than all of them."""
    wanted = name.encode("utf-8", "surrogateescape")
    if wanted not in raw:
        return None
    for piece in segments(raw).pieces:
        if piece.head is not None and piece.head.name == wanted:
            return _function(path, raw, piece, 1 + raw.count(b"\n", 0, piece.start))
    return None


def _function(path: str, raw: bytes, piece: Piece, line: int) -> Function:
    head = piece.head
    assert head is not None
    text = raw[piece.start : piece.end]
    kind, static = returns(text[: piece.brace - piece.start], head)
    return Function(
        name=head.name.decode("utf-8", "surrogateescape"),
        path=path,
        line=line + text.count(b"\n", 0, head.at),
        end_line=line + text.count(b"\n"),
        params=partial(params, text, head),
        returns=kind,
        static=static,
        text=text,
        first_line=line,
    )
