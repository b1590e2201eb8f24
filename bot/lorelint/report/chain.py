"""Steps of proofs as a person reads them: those that say the same as one, those of several proofs as one walk."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lorelint.model.finding import Step


@dataclass(frozen=True, slots=True)
class Link:
    """What is so at one place, or at several places of one file."""

    text: str
    path: str
    lines: tuple[int, ...]

    @property
    def place(self) -> str:
        """``path:line``, or ``path:line, line, line``."""
        return f"{self.path}:{', '.join(map(str, self.lines))}"


def links(steps: Iterable[Step]) -> list[Link]:
    """The steps in order; neighbours in one file that say the same become one."""
    made: list[Link] = []
    for step in steps:
        if made and (made[-1].text, made[-1].path) == (step.text, step.path):
            lines = made[-1].lines
            made[-1] = Link(step.text, step.path, lines if step.line in lines else (*lines, step.line))
        else:
            made.append(Link(step.text, step.path, (step.line,)))
    return made


def merged(chains: Sequence[Sequence[Step]]) -> list[Step]:
    """Several proofs as one walk: every place once, in an order that each of them would take.

    Where two of them speak of one place, the earlier chain's words stand.
    """
    walk: list[Step] = []
    for chain in chains:
        walk = _merged(walk, _once(chain))
    return _once(walk)


def _once(chain: Iterable[Step]) -> list[Step]:
    seen: dict[tuple[str, int], Step] = {}
    for step in chain:
        seen.setdefault((step.path, step.line), step)
    return list(seen.values())


def _merged(first: list[Step], second: list[Step]) -> list[Step]:
    ours = [(step.path, step.line) for step in first]
    theirs = [(step.path, step.line) for step in second]
    walk: list[Step] = []
    for what, a, b, c, d in difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if what != "equal":
            walk += second[c:d]
        walk += first[a:b]
    return walk
