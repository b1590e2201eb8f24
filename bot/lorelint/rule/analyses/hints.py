"""Words that tell at the speed of memory that a text cannot hold what a rule looks for."""

from __future__ import annotations

import re


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
        if not self._compiled:
            self._compiled = tuple(
                (re.compile(each), ()) if isinstance(each, bytes) else (re.compile(each[0]), each[1])
                for each in self._patterns
            )
        for pattern, words in self._compiled:  # no generators: it is asked of every function of a folder
            if words:
                for word in words:
                    if word in raw:
                        break
                else:
                    continue
            if pattern.search(raw):
                return True
        return False
