"""Rewrites that lose something, for text that did not parse without them.

Each is tried in turn, and kept only where it leaves fewer errors. Same length, same newlines.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lorelint.code import words
from lorelint.code.conditionals import groups, resolve
from lorelint.code.lex import BLANK, closing, opening
from lorelint.model.regex import regex

_ASM = regex(
    rb"\b(?:asm|__asm__|__asm|asm_inline|asm_goto_output)\b"
    rb"(?:\s*+\b(?:volatile|__volatile__|__volatile|goto|inline|__inline__)\b)*+\s*+\("
)
_NUMBER = regex(rb"(?<![\w.])[0-9]\w*+")
_LITERAL = regex(
    rb"(?:0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)[uUlLzZ]*|[0-9]+(?:[eE][0-9]*)?[fFlL]?|0[xX][0-9a-fA-F]*[pP][0-9]*"
)
_UNIT = regex(rb"(?<=[0-9]) ++[A-Z]\w*+(?=\s*+[;)\]+*/-])")
_TAIL = regex(rb"\}\s*+(\w*(?:for_each|while)\w*+)\s*+\(")
_DO = regex(rb"\bdo\s*+\Z")
_NO_NAME = regex(rb"(?<=[;{])\s*+\w++\s++:\s*+\d++\s*+;")
_DESIGNATED = regex(rb"(?<=[(,])(\s*+)\.(?=\w++\s*+=[^=])")
_OPERATOR = regex(rb"(?<=[(,])\s*+(?:[=!<>]=|<<|>>|&&|\|\||[-+*/%&|^<>])(?=\s*+[,)])")
_EMPTY = regex(rb"(?<=[(,])(\s*+),|,(?=\s*+\))")
_UNKNOWN = regex(rb"(?<=[;{}])(\s*+)([A-Z_][A-Z0-9_]*+)(?=\s++[A-Za-z_]\w*+\s++\**[A-Za-z_]\w*+\s*+(?:[;=,]|\[))")
_SECTION = regex(rb"(?<=\])\s*+__\w++(?=\s*+[;=])|(?<=\w)\s++__[A-Z]++__(?=\s*+[;=])")
_NO_SEMICOLON = regex(rb"(?m)^([ \t]*+)[A-Za-z_]\w*+(?:[ \t]*+(?=\())?")
_IN_STRING = regex(rb"(?<=\")\s*+[A-Za-z_]\w*+\s*+\(|\b[A-Z_][A-Z0-9_]++\s++(?=[a-z_]\w*+\(\")")
_NEXT_LINE = regex(rb"[ \t]*+\n\s*?([ \t]*+)(?=[A-Za-z_}*])")
_NEXT_CALL = regex(rb"[ \t]++[A-Z_]++\(")
_DECLARE = regex(rb"\b(?:DECLARE|DEFINE)_[A-Z0-9_]++\(\s*+(\w++)")
_OPERAND = regex(rb"\"s*+\"\s*+\(")  # "r" (x): in masked text nothing but an operand of assembler
_NAME = regex(rb"([A-Za-z_]\w*+)\s*+\Z")


def _wipe(out: bytearray, start: int, end: int) -> None:
    out[start:end] = out[start:end].translate(BLANK)


def conditionals(code: bytes, variant: int) -> bytes:
    """Every conditional resolved, also those around whole statements."""
    return resolve(code, groups(code), variant) if b"#" in code else code


def assembler(code: bytes, _: int) -> bytes:
    """``asm volatile(MACRO("..") : ..)`` as ``asm volatile("")``; macros that take operands lose their arguments."""
    out = bytearray(code)
    for found in _ASM.finditer(code):
        close = closing(code, found.end() - 1)
        if close - found.end() < 3:
            continue
        _wipe(out, found.end(), close - 1)
        at = next((at for at in range(found.end(), close - 2) if 0x0A not in out[at : at + 2]), -1)
        if at >= 0:
            out[at : at + 2] = b'""'
    for found in _OPERAND.finditer(code):
        begin = opening(code, found.start())
        named = _NAME.search(code, max(0, begin - 96), begin) if begin > 0 else None
        if named is None or named.group(1) in words.KEYWORDS:
            continue
        close = closing(code, begin)
        if close > 0:
            _wipe(out, begin + 1, close - 1)
    return bytes(out)


def arguments(code: bytes, _: int) -> bytes:
    """Arguments that are no expressions: ``.a = 1``, ``==``, nothing at all, ``48_47``."""
    code = _NUMBER.sub(_number, code)
    code = _UNIT.sub(lambda found: found.group().translate(BLANK), code)
    code = _DESIGNATED.sub(rb"\1 ", code)
    code = _OPERATOR.sub(lambda found: re.sub(rb"\S", b"_", found.group()), code)
    for _n in range(4):
        code, count = _EMPTY.subn(lambda found: found.group().replace(b",", b" "), code)
        if not count:
            break
    return code


def _number(found: re.Match[bytes]) -> bytes:
    text = found.group()
    return text if _LITERAL.fullmatch(text) else b"_" + text[1:]


def tails(code: bytes, _: int) -> bytes:
    """``do { .. } for_each_x(..);`` as a ``while``; fields without a name blank."""
    code = _NO_NAME.sub(lambda found: found.group().translate(BLANK), code)
    out = bytearray(code)
    for found in _TAIL.finditer(code):
        brace = _opening_brace(code, found.start())
        start, end = found.span(1)
        if brace > 0 and end - start >= 5 and _DO.search(code, max(0, brace - 64), brace):
            out[start:end] = b"while".ljust(end - start)
    return bytes(out)


def _opening_brace(code: bytes, at: int) -> int:
    need, here = 1, at
    for _ in range(400):
        found = code.rfind(b"{", 0, here)
        if found < 0:
            return -1
        need += code.count(b"}", found + 1, here) - 1
        here = found
        if need == 0:
            return found
    return -1


def strings(code: bytes, _: int) -> bytes:
    """Calls of macros between strings."""
    out = bytearray(code)
    for found in _IN_STRING.finditer(code):
        if found.group().endswith(b"("):
            close = closing(code, found.end() - 1)
            if close > 0 and code[close : close + 64].lstrip()[:1] in b'",)':
                _wipe(out, found.start(), close)
        else:
            _wipe(out, found.start(), found.end())
    return bytes(out)


def unknown_words(code: bytes, _: int) -> bytes:
    """A word nobody knows before a declaration or after an array."""
    code = _SECTION.sub(lambda found: found.group().translate(BLANK), code)
    code = _UNKNOWN.sub(_unless_keyword, code)
    out = bytearray(code)
    for found in _DECLARE.finditer(code):
        close = closing(code, found.start(1) - 1 - (found.start(1) - code.rfind(b"(", 0, found.start(1)) - 1))
        if close > 0 and code[close : close + 1] == b";":
            _wipe(out, found.start(), found.start(1))
            _wipe(out, found.end(1), close)
            out[found.start() : found.start() + 3] = b"int"
    return bytes(out)


def _unless_keyword(found: re.Match[bytes]) -> bytes:
    return found.group() if found.group(2) in words.KEYWORDS else found.group().translate(BLANK)


def semicolons(code: bytes, _: int) -> bytes:
    """``MACRO(x)`` alone on its line, and the next line no deeper: a semicolon goes before the next word."""
    out = bytearray(code)
    for found in _NO_SEMICOLON.finditer(code):
        word = found.group().strip()
        if word in words.KEYWORDS or not found.group(1):
            continue
        end = closing(code, found.end(), 4096) if code[found.end() : found.end() + 1] == b"(" else found.end()
        if end < 0 or (end == found.end() and not word.isupper()):
            continue
        if word.isupper() and _NEXT_CALL.match(code, end):
            out[end] = 0x3B
            continue
        tail = _NEXT_LINE.match(code, end)
        if tail is None or len(tail.group(1).expandtabs()) > len(found.group(1).expandtabs()):
            continue
        at = tail.start() if code[tail.start()] != 0x0A else tail.start(1)
        if at < tail.end() and out[at] in b" \t":
            out[at] = 0x3B
        elif end == found.end():
            _wipe(out, found.start(), end)
    return bytes(out)


RESCUES: tuple[Callable[[bytes, int], bytes], ...] = (
    arguments,
    tails,
    strings,
    semicolons,
    unknown_words,
    assembler,
    conditionals,
)
