"""Preprocessor conditionals that cut a statement, resolved arm by arm.

A conditional around whole statements parses as it is and becomes a branch of unknown condition. One
that cuts a statement (``} else`` / ``#endif``, half a condition, items of an initialiser) does
not: such conditionals are replaced by one of their arms, and each arm gets its variant of the text.
``#if 0`` never compiles and is blank in all of them.
"""

from __future__ import annotations

import re

from msgspec import Struct, field

from lorelint.code.lex import BLANK
from lorelint.model.regex import regex

VARIANTS = 4
NESTED = 32  # conditionals inside conditionals that are looked at

_DIRECTIVE = regex(rb"(?m)^[ \t]*+\#[ \t]*+(if|elif|else|endif)\b[ \t]*+(\w*+).*+$")
_LABEL = regex(rb"(?:\A|[;{}:])\s*+(?!(?:case|default)\b)[A-Za-z_]\w*+\s*+:\Z")
_DANGLING = regex(rb"(?:\b(?:else|do)|\))\Z")


class Group(Struct):
    """One ``#if`` .. ``#endif``: the spans of its directives, the spans of its arms between them."""

    directives: list[tuple[int, int]] = field(default_factory=list)
    arms: list[tuple[int, int]] = field(default_factory=list)
    dead: bool = False  # ``#if 0``
    other: bool = False  # has an ``#else``

    @property
    def choices(self) -> int:
        return len(self.arms) if self.other else len(self.arms) + 1


def groups(code: bytes) -> list[Group]:
    """The conditionals of masked text in order of their beginning; unmatched directives are in none."""
    found: list[Group] = []
    stack: list[Group] = []
    for each in _DIRECTIVE.finditer(code):
        word = each.group(1)
        if word == b"if":
            group = Group(dead=each.group(2) == b"0")
            stack.append(group)
            if len(stack) <= NESTED:
                found.append(group)
        elif not stack:
            continue
        else:
            group = stack[-1]
            group.arms.append((group.directives[-1][1], each.start()))
            group.other = group.other or word == b"else"
        group.directives.append(each.span())
        if word == b"endif":
            stack.pop()
    return [group for group in found if group.arms and len(group.directives) == len(group.arms) + 1]


def without_dead(code: bytes) -> bytes:
    """``#if 0`` arms blank; their directives too, unless an ``#elif`` follows."""
    out = bytearray(code)
    for group in groups(code):
        if not group.dead:
            continue
        _wipe(out, *group.arms[0])
        if len(group.arms) <= (2 if group.other else 1):
            for span in group.directives:
                _wipe(out, *span)
    return bytes(out)


def _wipe(out: bytearray, start: int, end: int) -> None:
    out[start:end] = out[start:end].translate(BLANK)


def cutting(code: bytes) -> list[Group]:
    """The conditionals that cut a statement, by the tokens around and inside them."""
    every = groups(code)
    if not every:
        return []
    plain = _DIRECTIVE.sub(lambda found: found.group().translate(BLANK), code)
    return [group for group in every if _cuts(plain, group)]


def _cuts(plain: bytes, group: Group) -> bool:
    before = _tail(plain, group.directives[0][0])
    if before and (before[-1:] not in b";{}:" or _LABEL.search(before)):
        return True
    after = plain[group.directives[-1][1] : group.directives[-1][1] + 400].lstrip()
    if re.match(rb"else\b", after):
        return True
    return any(_torn(plain[start:end].strip()) for start, end in group.arms)


def _tail(plain: bytes, at: int) -> bytes:
    size = 200
    while size < at and size < 16_384 and not plain[at - size : at].strip():
        size *= 4
    return plain[max(0, at - size) : at].rstrip()


def _torn(arm: bytes) -> bool:
    if not arm:
        return False
    if arm.count(b"(") != arm.count(b")") or arm.count(b"{") != arm.count(b"}"):
        return True
    if arm[-1:] not in b";}:" or _LABEL.search(arm):
        return True
    return re.match(rb"(?:else|while)\b|[^\w\s{}(*;+#&\"-]", arm) is not None or arm.startswith(b"&&")


def resolve(code: bytes, chosen: list[Group], variant: int) -> bytes:
    """The text with each of these conditionals replaced by its arm number `variant` (or its last one)."""
    out = bytearray(code)
    for group in chosen:
        for span in group.directives:
            _wipe(out, *span)
        pick = min(variant, group.choices - 1)
        for number, span in enumerate(group.arms):
            if number != pick:
                _wipe(out, *span)
    return bytes(out)


def variants(chosen: list[Group]) -> int:
    """How many texts these conditionals ask for, at most `VARIANTS`."""
    return min(VARIANTS, max((group.choices for group in chosen), default=1))
