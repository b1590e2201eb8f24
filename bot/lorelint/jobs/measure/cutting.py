"""Where C text can be cut: loops and their conditions, guards, calls that stand alone. Text in, spans out.

All work on text whose comments and strings are blanked (`lorelint.code.lex.mask`), and know no more of C than that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lorelint.model.regex import regex

Span = tuple[int, int]

LEAVE = rb"(?:return[^;{}]*|break|continue|goto\s+\w+)\s*;"
_CONDITION = regex(rb"\b(if|while)\s*\(")
_GOTO = regex(rb"\s*+\{?(?:[^{};]*+;){0,6}?\s*+goto\s+(\w+)\s*;")
_LEAVES = regex(rb"\s*(?:\{[^{}]*?" + LEAVE + rb"\s*\}|" + LEAVE + rb")[ \t]*")
_ELSE = regex(rb"\s*else\b")
FAR = 4000  # bytes a condition may have


def closing(code: bytes, at: int) -> int:
    """The place of the parenthesis that closes the one at `at`, -1 where there is none."""
    depth = 0
    for found in re.finditer(rb"[()]", code[at : at + FAR]):
        depth += 1 if found.group() == b"(" else -1
        if depth == 0:
            return at + found.start()
    return -1


def opened(code: bytes, at: int) -> int:
    """The place of the brace that the one at `at` closes."""
    depth = 0
    for place in range(at, -1, -1):
        if code[place] in b"{}":
            depth += 1 if code[place : place + 1] == b"}" else -1
            if depth == 0:
                return place
    return 0


def closed(code: bytes, at: int) -> int:
    """The place of the brace that closes the one at `at`; the end of the text where there is none."""
    depth = 0
    for found in re.finditer(rb"[{}]", code[at:]):
        depth += 1 if found.group() == b"{" else -1
        if depth == 0:
            return at + found.start()
    return len(code)


def conjuncts(code: bytes, start: int, end: int) -> list[Span]:
    """Spans of the operands of the outermost ``&&`` of a condition."""
    spans, depth, begin = [], 0, start
    for found in re.finditer(rb"[()]|&&", code[start:end]):
        at = start + found.start()
        if found.group() == b"&&":
            if depth == 0:
                spans.append((begin, at))
                begin = at + 2
        else:
            depth += 1 if found.group() == b"(" else -1
    return [*spans, (begin, end)]


def loops(code: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(start of the loop, end of its last test, start and end of the condition under which it goes round)."""
    for found in _CONDITION.finditer(code):
        end = closing(code, found.end() - 1)
        if end < 0:
            continue
        if found[1] == b"while":
            before = code[: found.start()].rstrip()
            if before.endswith(b"}") and code[end + 1 :].lstrip()[:1] == b";":
                yield opened(code, len(before) - 1), end, found.end(), end
        else:
            jump = _GOTO.match(code, end + 1)
            label = jump and re.search(rb"^[ \t]*" + jump[1] + rb"[ \t]*:", code, re.M)
            if jump and label and label.start() < found.start():
                yield label.start(), jump.end(), found.end(), end


def guards(code: bytes) -> Iterator[tuple[Span, bytes]]:
    """``if (condition) leave`` without an else: its span and its condition."""
    for found in re.finditer(rb"\bif\s*\(", code):
        end = closing(code, found.end() - 1)
        leave = _LEAVES.match(code, end + 1) if end >= 0 else None
        after_else = code[: found.start()].rstrip().endswith(b"else")
        if leave is not None and not after_else and _ELSE.match(code, leave.end()) is None:
            yield (found.start(), leave.end()), code[found.end() : end]


def alone(code: bytes, names: frozenset[bytes]) -> Iterator[tuple[Span, bytes]]:
    """Calls of some functions that are a statement of their own, and no branch's only one: span and name."""
    for found in re.finditer(rb"([;{}:]\s*)\b(\w+)\s*\(", code):
        if found[2] not in names:
            continue
        end = closing(code, found.end() - 1)
        rest = re.compile(rb"\s*;").match(code, end + 1) if end >= 0 else None
        if rest is not None:
            yield (found.start(2), rest.end()), found[2]
