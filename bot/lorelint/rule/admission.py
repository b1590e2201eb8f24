"""Which rules may have a say about a text: asked of every function, of which most hold words of few rules."""

from __future__ import annotations

from collections.abc import Iterable

from lorelint.code.ir import Function
from lorelint.rule.door import Rule


class Admission:
    """Tells for some rules what `Tokens.admit` of each would. What several rules want is looked for once."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        groups: dict[tuple[bytes, ...], int] = {}
        self._wanted: list[tuple[str, int]] = []  # by rule: the groups it wants, as bits
        for rule in rules:
            wanted = 0
            for group in rule.tokens.groups:
                words = tuple(word.encode() for word in group)
                wanted |= 1 << groups.setdefault(words, len(groups))
            self._wanted.append((rule.name, wanted))
        self._groups = tuple((1 << at, group) for group, at in groups.items())
        self._texts: dict[bytes, frozenset[str]] = {}
        self._told: dict[int, frozenset[str]] = {}

    def of(self, text: bytes) -> frozenset[str]:
        """Names of the rules."""
        known = self._texts.get(text)
        if known is None:
            held = 0
            for bit, group in self._groups:  # no generators here
                for word in group:
                    if word in text:
                        held |= bit
                        break
            known = self._told.get(held)
            if known is None:
                known = frozenset(name for name, wanted in self._wanted if not wanted & ~held)
                self._told[held] = known
            self._texts[text] = known
        return known

    def either(self, *functions: Function | None) -> frozenset[str]:
        """Names of the rules that may have a say about one of several functions."""
        return frozenset().union(*(self.of(fn.text) for fn in functions if fn is not None))
