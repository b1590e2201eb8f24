"""Bytes of C before any grammar: comments, literals and directives, blanked in place.

Every function keeps length and newlines, so an offset in the result is an offset in the file.
"""

from __future__ import annotations

import re

from lorelint.model.regex import regex

BLANK = bytes(0x0A if code == 0x0A else 0x20 for code in range(256))  # for bytes.translate: all but newlines
_FILL = bytes(0x0A if code == 0x0A else 0x73 for code in range(256))

COMMENT = rb"/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/)?+|//(?:[^\n\\]|\\[\s\S])*+"
STRING = rb"\"(?:[^\"\\\n]|\\[\s\S])*+\"?+|'(?:[^'\\\n]|\\[\s\S])*+'?+"
# From the number sign on: outside literals and comments C has no other use for one. All alternatives begin
# with a character of their own, so that the search between tokens is one fast loop.
DIRECTIVE = (
    rb"\#(?:[^\n\\/\"']++|\\[\s\S]|/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/)?+|//[^\n]*+|/"
    rb"|\"(?:[^\"\\\n]|\\[^\n])*+\"?+|'(?:[^'\\\n]|\\[^\n])*+'?+|\\)*+"
)
_TOKEN = regex(DIRECTIVE + rb"|" + COMMENT + rb"|" + STRING)  # no groups: they would cost the fast loop
_CONDITIONAL = regex(rb"\#[ \t]*+(ifdef|ifndef|if|elif|elifdef|elifndef|else|endif)\b")
_ZERO = regex(rb"[ \t]++0[ \t\r]*+(?:/[/*].*+)?\Z", re.DOTALL)
_PAREN = regex(rb"[()]")
_BRACKET = regex(rb"[()\[\]{}]")
DEEP = 100


def _replacement(found: re.Match[bytes]) -> bytes:
    text = found.group()
    first = text[0]
    if first == 0x2F:  # /
        return text.translate(BLANK)
    if first == 0x23:  # #
        return plain_directive(text)
    if b"\n" in text or len(text) < 3:  # a continued literal, or '' left open
        return text.replace(b"\0", b" ")
    return text[:1] + text[1:-1].translate(_FILL) + text[-1:]


def plain_directive(text: bytes) -> bytes:
    """A conditional with its expression made trivial (the grammar reads few of them); any other directive blank.

    ``#if 0`` stays what it is.
    """
    blank = text.translate(BLANK)
    found = _CONDITIONAL.match(text)
    if found is None:
        return blank
    word, start = found.group(1), found.start(1)
    plain = word if word in (b"else", b"endif") else b"elif X" if word.startswith(b"el") else b"if X"
    if word == b"if" and _ZERO.match(text, found.end()):
        plain = b"if 0"
    if b"\n" in blank[start : start + len(plain)] or start + len(plain) > len(text):
        return blank
    return text[:start] + plain + blank[start + len(plain) :]


def mask(raw: bytes) -> bytes:
    """Comments blank, literals filled with a letter, directives plain or blank, NUL bytes and CR blank."""
    if b"\0" in raw or b"\r" in raw:
        raw = raw.replace(b"\0", b" ").replace(b"\r", b" ")
    return _TOKEN.sub(_replacement, raw)


def blank(text: bytes) -> bytes:
    return text.translate(BLANK)


def closing(code: bytes, at: int, limit: int = 65536) -> int:
    """Just past the parenthesis that closes the one at `at`; -1 where none is within `limit` bytes or `DEEP`."""
    depth = 0
    for found in _PAREN.finditer(code, at, min(len(code), at + limit)):
        depth += 1 if found.group() == b"(" else -1
        if depth == 0:
            return found.end()
        if depth > DEEP:
            return -1
    return -1


def too_deep(code: bytes) -> bool:
    """Brackets nested deeper than `DEEP`: no person wrote it, and a parser's error recovery takes the square of it."""
    if code.count(b"(") + code.count(b"{") + code.count(b"[") <= DEEP:
        return False
    depth = 0
    for found in _BRACKET.finditer(code):
        depth = depth + 1 if found.group() in b"([{" else max(0, depth - 1)
        if depth > DEEP:
            return True
    return False


def opening(code: bytes, at: int, limit: int = 4096, steps: int = 256) -> int:
    """Offset of the parenthesis that the one at `at` closes; -1 where none is near."""
    need, here, floor = 1, at, max(0, at - limit)
    for _ in range(steps):
        found = code.rfind(b"(", floor, here)
        if found < 0:
            return -1
        need += code.count(b")", found + 1, here) - 1
        here = found
        if need == 0:
            return found
    return -1
