"""Words that tell at the speed of memory that a text cannot hold what a rule looks for."""

from __future__ import annotations

import re


class Hints:
    """Patterns, one of which a text must match to be worth parsing.

    Each begins with letters that stand for themselves: those `re` finds by itself at a gigabyte a second, while
    alternatives of one pattern are tried at every byte. They are compiled when first asked.
    """

    __slots__ = ("_compiled", "_patterns")

    def __init__(self, *patterns: bytes) -> None:
        self._patterns = patterns
        self._compiled: tuple[re.Pattern[bytes], ...] = ()

    def __call__(self, raw: bytes) -> bool:
        if not self._compiled:
            self._compiled = tuple(re.compile(each) for each in self._patterns)
        return any(each.search(raw) for each in self._compiled)
