"""Structure definitions: the fields and their types, read from text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field

from lorelint.code.headers import param, split, without_annotations
from lorelint.code.lex import closing, mask
from lorelint.code.segments import PieceKind, segments
from lorelint.code.words import KEPT_IN_TYPES
from lorelint.model.placed import placed
from lorelint.model.regex import regex


@placed
class Record:
    """``struct name { .. }`` or ``union name { .. }``; fields of unnamed structures inside are its own."""

    path: str
    line: int = field(compare=False)
    kind: str  # "struct" or "union"
    name: str  # the tag, or the name given by a typedef
    fields: tuple[tuple[str, str], ...]  # (name, type text), in order


_HEAD = regex(rb"\b(struct|union)\s++(?:__packed\s++)?(\w*+)\s*+\Z|\b(struct|union)\s*+\Z")
_INNER = regex(rb"\b(?:struct|union)\b\s*+(\w*+)\s*+\{")
_GROUP = regex(rb"\b(?:__)?struct_group(?:_tagged|_attr)?\s*+\(")
_TOKEN = regex(rb"[{};]")
_BITS = regex(rb":(?!:)[^,;]*+\Z")
_MACRO = regex(rb"([A-Z_][A-Z0-9_]*+)\s*+\(([^()]*+(?:\([^()]*+\)[^()]*+)*+)\)\s*+\Z")
_TYPEDEF = regex(rb"\s*+(?:__\w++\s*+)*+([A-Za-z_]\w*+)\s*+;")
_UNNAMED = b"__unnamed__"
_DIRECTIVE = regex(rb"(?m)#.*$")


def structs(path: str, raw: bytes) -> tuple[Record, ...]:
    """All structure definitions at file scope, in order."""
    found = []
    line, at = 1, 0
    for piece in segments(raw).pieces:
        if piece.kind is not PieceKind.TYPE:
            continue
        head = without_annotations(mask(raw[piece.start : piece.brace]))
        tag = _HEAD.search(head)
        if tag is None:
            continue
        name = (tag.group(2) or b"") or _typedef(raw, head, piece.end)
        if not name:
            continue
        line += raw.count(b"\n", at, piece.brace)
        at = piece.brace
        body = _DIRECTIVE.sub(b"", without_annotations(mask(raw[piece.brace + 1 : piece.end - 1]), KEPT_IN_TYPES))
        kind = (tag.group(1) or tag.group(3)).decode()
        found.append(Record(path, line, kind, _text(name), tuple(_fields(body))))
    return tuple(found)


def _typedef(raw: bytes, head: bytes, end: int) -> bytes:
    found = _TYPEDEF.match(raw, end) if b"typedef" in head else None
    return found.group(1) if found is not None else b""


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _ungrouped(body: bytes) -> bytes:
    """``struct_group(name, fields);`` as the fields alone."""
    out = bytearray(body)
    for found in _GROUP.finditer(body):
        close = closing(body, found.end() - 1)
        if close < 0:
            continue
        start = found.end()
        skip = 2 if b"_tagged" in found.group() or b"_attr" in found.group() else 1
        for _ in range(skip):
            comma = body.find(b",", start, close)
            start = comma + 1 if comma >= 0 else start
        out[found.start() : start] = b" " * (start - found.start())
        out[close - 1 : close] = b" "
    return bytes(out)


def _fields(body: bytes) -> Iterator[tuple[str, str]]:
    """Declarations outside braces; what stands in the braces of unnamed structures counts too."""
    body = _ungrouped(body)
    depth, start = 0, 0
    named: list[int] = []  # depths at which a structure with fields of its own opened
    for found in _TOKEN.finditer(body):
        char = found.group()
        if char == b"{":
            depth += 1
            if not named and not _is_unnamed(body, start, found.start(), depth):
                named.append(depth)
            if not named:
                start = found.end()
        elif char == b"}":
            if named and named[-1] == depth:
                named.pop()
            elif not named:
                start = found.end()
            depth -= 1
        elif not named:
            yield from _declared(body[start : found.start()])
            start = found.end()


def _is_unnamed(body: bytes, start: int, brace: int, depth: int) -> bool:
    """``struct { .. };``: its fields belong to the outer one. ``struct { .. } name;`` has its own."""
    end, level = brace, 0
    for found in re.finditer(rb"[{}]", body[brace:]):
        level += 1 if found.group() == b"{" else -1
        if level == 0:
            end = brace + found.end()
            break
    return body[end:].lstrip().startswith(b";")


def _declared(text: bytes) -> Iterator[tuple[str, str]]:
    brace = text.rfind(b"}")
    if brace >= 0:  # struct { .. } name, or struct tag { .. } name
        head = text[: text.find(b"{")].split()
        tag = b" ".join(head) if len(head) > 1 else b" ".join((*head, _UNNAMED))
        text = tag + b" " + text[brace + 1 :]
    text = text.strip()
    if not text:
        return
    macro = _MACRO.match(text)
    if macro is not None:  # DECLARE_BITMAP(name, bits), DECLARE_FLEX_ARRAY(type, name)
        arguments = split(macro.group(2))
        flex = macro.group(1) == b"DECLARE_FLEX_ARRAY" and len(arguments) == 2
        name = arguments[1 if flex else 0].strip()
        if re.fullmatch(rb"\w+", name):
            yield _text(name), (_text(arguments[0].strip()) + " *") if flex else _text(macro.group(1))
        return
    parts = split(text)
    first = param(_BITS.sub(b"", parts[0]))
    if first.name:
        yield first.name, first.type.replace(" " + _UNNAMED.decode(), "")
    base = re.sub(r"[\s*]+$", "", first.type)
    for part in parts[1:]:
        each = param(base.encode("utf-8", "surrogateescape") + b" " + _BITS.sub(b"", part))
        if each.name:
            yield each.name, each.type.replace(" " + _UNNAMED.decode(), "")
