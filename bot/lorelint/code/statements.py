"""Macros that are given statements as an argument, rewritten as the block macros they are.

``CHECK(c, return r);`` becomes ``while(c){ return r;}`` and, in the middle of an expression,
``wait(dev, 2000, if (done) break; ) < 0`` becomes ``({while(1){ if (done) break; }})< 0``; same length,
same newlines, and what it was is noted. Where there is no room for the braces nothing is done.
"""

from __future__ import annotations

from lorelint.code.blocks import Block, BlockKind, Site, starts_statement
from lorelint.code.lex import BLANK, closing, opening
from lorelint.code.words import KEYWORDS
from lorelint.model.regex import regex

_CANDIDATE = regex(rb";(?=\s*+\))|[,(]\s*+(?=(?:return|break|continue|goto)\b)")
_NAME_AT_END = regex(rb"([A-Za-z_]\w*+)[ \t]*+\Z")
_JUMP = regex(rb"\s*+(?:return|break|continue|goto)\b")
_ROUND = regex(rb"\b(?:break|continue)\b")
_DEPTH_1 = regex(rb"[(){},;]")
_SPACE = regex(rb"\n*+[ \t]")
_ENOUGH = 200  # rewrites in one text


def statement_arguments(code: bytes, raw: bytes, blocks: dict[int, Block]) -> bytes:
    """All such macros of a text; `blocks` learns of them."""
    done = 0
    out = bytearray(code)
    for number, found in enumerate(_CANDIDATE.finditer(code)):
        if found.start() < done or number > _ENOUGH:
            continue
        site = _site(code, found.start())
        start = _first_statement(code, site) if site is not None else -1
        if site is None or start < 0:
            continue
        rewrite = _in_statement if starts_statement(code, site.start) else _inside
        where = rewrite(out, code, site, start)
        if where < 0:
            continue
        name = code[site.start : site.opens].rstrip().decode("utf-8", "surrogateescape")
        inner = code[start : site.closes - 1]
        each = _ROUND.search(inner) is not None and not _JUMP.match(inner)
        kind = BlockKind.EACH if each else BlockKind.ONCE
        blocks[where] = Block(name, kind, raw[site.opens + 1 : start].rstrip(b", \t\n"))
        done = site.closes
    return bytes(out)


def _site(code: bytes, at: int) -> Site | None:
    begin = opening(code, at + 1 if code[at] == 0x28 else at)
    named = _NAME_AT_END.search(code, max(0, begin - 96), begin) if begin > 0 else None
    if named is None or named.group(1) in KEYWORDS or code[named.start() - 1 : named.start()] == b"\n":
        return None
    close = closing(code, begin)
    return Site(named.start(), begin, close) if close > 0 else None


def _first_statement(code: bytes, site: Site) -> int:
    """Where the statements begin: the argument with the first semicolon or jump; -1 where there is none."""
    depth = 0
    start = site.opens + 1
    for found in _DEPTH_1.finditer(code, site.opens, site.closes):
        char = found.group()
        if char in b"({":
            depth += 1
        elif char in b")}":
            depth -= 1
        elif depth == 1:
            if char == b";":
                return start
            start = found.end()
        if depth == 1 and char in b"(," and _JUMP.match(code, start):
            return start
    return -1


def _in_statement(out: bytearray, code: bytes, site: Site, start: int) -> int:
    """The macro is a statement of its own. Returns where its loop or branch begins, -1 where there is no room."""
    end = site.closes - 1
    tail = code[start:end].rstrip()
    after = len(code) - len(code[site.closes :].lstrip())
    followed = code[after : after + 1] == b";"
    closed = tail.endswith((b";", b"}"))
    space = end - 1 if not closed and code[end - 1 : end] in (b" ", b"\t") else -1
    if not closed and space < 0 and not followed:
        return -1
    if start == site.opens + 1:
        if start - site.start < 6:
            return -1
        out[site.start : start] = b"if(1){".ljust(start - site.start)
    else:
        room = _SPACE.match(code, start, end)
        if room is None:
            return -1
        head = b"while" if site.opens - site.start >= 5 else b"if"
        out[site.start : site.opens] = head.ljust(site.opens - site.start)
        out[start - 1] = 0x29
        out[room.end() - 1] = 0x7B
    if closed or space >= 0:
        if space >= 0:
            out[space] = 0x3B
        out[end] = 0x7D
        if followed:
            out[after] = 0x20
    else:
        out[end] = 0x3B
        out[after] = 0x7D
    return site.start


def _inside(out: bytearray, code: bytes, site: Site, start: int) -> int:
    """The macro is an operand: a statement expression."""
    head = b"({while(1){"
    if start - site.start < len(head) or b"\n" in code[site.start : site.start + len(head)]:
        return -1
    end = site.closes - 1
    text = code[start:end].rstrip()
    tokens = b"}})" if text.endswith((b";", b"}")) else b";}})"
    after = len(code[site.closes :]) - len(code[site.closes :].lstrip(b" \t"))
    room = [at for at in (*range(start + len(text), end), *range(end, site.closes + after)) if code[at] != 0x0A]
    if len(room) < len(tokens):
        return -1
    out[site.start : start] = code[site.start : start].translate(BLANK)
    out[site.start : site.start + len(head)] = head
    for at, char in zip(room[-len(tokens) :], tokens, strict=True):
        out[at] = char
    if end in room[: -len(tokens)]:
        out[end] = 0x20
    return site.start + 2
