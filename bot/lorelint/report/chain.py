"""Steps of proofs as a person reads them: those that say the same as one, those of several proofs as one walk."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from msgspec import Struct

from lorelint.model.finding import Step


class Link(Struct, frozen=True):
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
    """Several proofs as one walk, in an order that each of them would take.

    A place of which an earlier chain has told is not told of again: that chain's words stand.
    """
    walk: list[Step] = []
    for chain in chains:
        walk = _merged(walk, list(dict.fromkeys(chain)))
    return walk


def _merged(first: list[Step], second: list[Step]) -> list[Step]:
    ours = [(step.path, step.line) for step in first]
    theirs = [(step.path, step.line) for step in second]
    told = set(ours)
    walk: list[Step] = []
    for what, a, b, c, d in difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if what != "equal":
            walk += [step for step in second[c:d] if (step.path, step.line) not in told]
        walk += first[a:b]
    return walk


def span(numbers: Sequence[int]) -> str:
    """``3``, ``3-5``: neighbouring step numbers."""
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"
