"""Words that tell at the speed of memory that a text cannot hold what a rule looks for."""

from __future__ import annotations

import re
from collections.abc import Iterator


class Hints:
    """Patterns, one of which a text must match to be worth parsing.

    Each begins with letters that stand for themselves: those `re` finds by itself at a gigabyte a second, while
    alternatives of one pattern are tried at every byte. One that must begin otherwise comes with words, of which a text
    has one before it is tried. They are compiled when first asked.
    """

    __slots__ = ("_compiled", "_patterns")

    def __init__(self, *patterns: bytes | tuple[bytes, tuple[bytes, ...]]) -> None:
        self._patterns = patterns
        self._compiled: tuple[tuple[re.Pattern[bytes], tuple[bytes, ...]], ...] = ()

    def __call__(self, raw: bytes) -> bool:
        return any(pattern.search(raw) for pattern in self._likely(raw))

    def lines(self, raw: bytes) -> list[int]:
        """The lines, from 1 and sorted, on which what matches begins."""
        found = sorted({each.start() for pattern in self._likely(raw) for each in pattern.finditer(raw)})
        lines, line, last = [], 1, 0
        for at in found:
            line += raw.count(b"\n", last, at)
            last = at
            lines.append(line)
        return lines

    def _likely(self, raw: bytes) -> Iterator[re.Pattern[bytes]]:
        """The patterns of which a word stands in the text."""
        if not self._compiled:
            self._compiled = tuple(
                (re.compile(each), ()) if isinstance(each, bytes) else (re.compile(each[0]), each[1])
                for each in self._patterns
            )
        return (each for each, words in self._compiled if not words or any(word in raw for word in words))
