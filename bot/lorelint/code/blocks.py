"""Macros that head a block: iterators, scopes, retry loops. Found by shape, typed by name.

The kernel's ``.clang-format`` knows two thirds of the uses of such macros (6.12), so a table of
names is not enough: at the start of a statement ``name(balanced) {`` is one whatever its name,
and so is ``name(balanced)`` before a deeper indented next line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

from lorelint.code.lex import opening
from lorelint.code.words import KEYWORDS
from lorelint.model.regex import regex


class BlockKind(StrEnum):
    EACH = "each"  # an iterator: ends by itself
    ONCE = "once"  # the body runs at most once
    RETRY = "retry"  # goes round until it succeeds


class Block(Struct, frozen=True):
    """What a block macro was before it became a ``while``.

    name  as written
    args  the original text between its parentheses
    fail  for ``scoped_cond_guard(kind, FAIL, args)``: the text of the statement FAIL, and its line in the file
    """

    name: str
    kind: BlockKind
    args: bytes
    fail: tuple[bytes, int] | None = None


class Site(Struct, frozen=True):
    """Offsets of a block macro: its name, its parentheses (just past the closing one)."""

    start: int
    opens: int
    closes: int


_RETRY = regex(r"until|(?:^|_)retry|^for_i915_gem_ww$")
_ONCE = regex(r"^_*(?:scoped_|with_|if_|when_|unless_|case_|on_)|guard|_scope(?:d|_|$)|(?:^|_)once(?:_|$)|class_")
_EACH = regex(r"each|for_|loop|walk|iter")

# `)` and what makes it the head of a block: a brace, a deeper line, or a statement on the same line
_HEAD = regex(rb"\)(?:\s*+\{|[ \t]*+\n\s*+(?:[A-Za-z_*(;]|\+\+|--)|[ \t]++[A-Za-z_])")
_NAME_AT_END = regex(rb"([A-Za-z_]\w*+)[ \t]*+\Z")
_BY_NAME = regex(rb"for_?each|^for_|^_*with_|^scoped_|^drm_exec_until|_until_all_")
_NOT_BLOCKS = frozenset(b"defined __attribute__ __aligned __section __asm__ asm".split())
_LAST_WORD = regex(rb"\b(?:else|do)\s*+\Z")


def kind_of(name: str) -> BlockKind:
    """The kind of a block macro. One nobody knows counts as an iterator: none, one or many times, and it ends."""
    if _RETRY.search(name):
        return BlockKind.RETRY
    if _ONCE.search(name) and not _EACH.search(name.replace("scoped", "")):
        return BlockKind.ONCE
    return BlockKind.EACH


def sites(code: bytes) -> Iterator[Site]:
    """Block macros of masked text, in order of their closing parentheses."""
    for found in _HEAD.finditer(code):
        close = found.start()
        begin = opening(code, close)
        if begin <= 0:
            continue
        named = _NAME_AT_END.search(code, max(0, begin - 96), begin)
        if named is None or named.group(1) in KEYWORDS or named.group(1) in _NOT_BLOCKS:
            continue
        if starts_statement(code, named.start()) and _heads(code, named, found):
            yield Site(named.start(), begin, close + 1)


def starts_statement(code: bytes, at: int) -> bool:
    """Whether a statement can begin at an offset of masked text (never in column 0, where definitions begin)."""
    size = 128
    before = code[max(0, at - size) : at]
    while size < at and not before.strip():
        size *= 8
        before = code[max(0, at - size) : at]
    text = before.rstrip()
    if code[at - 1 : at] == b"\n":
        return False  # column 0: a definition
    if not text:
        return True
    if text[-1:] in b";{}:)":
        return True
    if _LAST_WORD.search(text):
        return True
    return text[text.rfind(b"\n") + 1 :].lstrip().startswith(b"#")


def _heads(code: bytes, named: re.Match[bytes], found: re.Match[bytes]) -> bool:
    tail = found.group()
    if tail.endswith(b"{"):
        return code[found.end() - 2 : found.end() - 1] != b"\n"  # a brace in column 0 is a function's
    if _BY_NAME.search(named.group(1)):
        return not tail.endswith((b"(", b";")) or b"\n" in tail
    if b"\n" not in tail or not tail[-1:].isalpha():
        return False
    return _column(code, found.end() - 1) > _column(code, _line_start(code, named.start()))


def _line_start(code: bytes, at: int) -> int:
    start = code.rfind(b"\n", 0, at) + 1
    return start + len(code[start:at]) - len(code[start:at].lstrip())


def _column(code: bytes, at: int) -> int:
    return len(code[code.rfind(b"\n", 0, at) + 1 : at].expandtabs(8))


def failing(code: bytes, site: Site) -> tuple[int, int] | None:
    """The second argument of a ``*_cond_guard``: the statement that runs when the lock is not had."""
    if b"cond_guard" not in code[site.start : site.opens]:
        return None
    cuts = []
    depth = 0
    for found in re.finditer(rb"[(){},]", code[site.opens : site.closes]):
        char = found.group()
        if char in b"({":
            depth += 1
        elif char in b")}":
            depth -= 1
        elif depth == 1:
            cuts.append(site.opens + found.start())
    if not cuts:
        return None
    return cuts[0] + 1, cuts[1] if len(cuts) > 1 else site.closes - 1
