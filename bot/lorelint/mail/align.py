"""Quoted lines to the lines they were taken from, whatever mailers did to white space and long lines. Pure.

Lines that stand once in the text fix the order (the longest run of them that ascends); the others follow the line
above them. Time grows as n log n; what may grow faster, the search for pieces of prose, is paid from a budget.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

from msgspec import Struct

SHORT = 6  # characters; pieces of wrapped lines below that are not recognised
NEAR = 3  # lines below the last one where a piece of a wrapped line is looked for
LIKE = 50  # places of a line that stands often, of which the one with the same indentation is taken
PROSE = 16  # characters; shorter pieces of prose that was filled anew are not recognised


class Budget(Struct):
    """Characters that may still be looked at."""

    left: int

    def take(self, characters: int) -> bool:
        if characters > self.left:
            return False
        self.left -= characters
        return True


class Text:
    """The lines of a mail, made ready to be recognised in quotes of it."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = [squeezed(line) for line in lines]
        self._columns = [_column(line) for line in lines]
        self._places: dict[str, list[int]] = {}
        for at, line in enumerate(self.lines):
            self._places.setdefault(line, []).append(at)
        self._ends = list(accumulate(map(len, self.lines)))
        self._whole: str | None = None

    def find(self, quoted: Sequence[str]) -> list[int | None]:
        """For each quoted line the index of the line it repeats, None where there is none."""
        wanted = [squeezed(line) for line in quoted]
        places = self._places
        once = [(number, places[line][0]) for number, line in enumerate(wanted) if len(places.get(line, ())) == 1]
        return self._filled(wanted, [_column(line) for line in quoted], _ascending(once))

    def find_prose(self, quoted: Sequence[str], budget: Budget) -> list[int | None]:
        """The same for what a person wrote: mailers fill paragraphs anew, so a line may hold parts of others."""
        found = self.find(quoted)
        if self._whole is None:
            self._whole = "".join(self.lines)
        for number, line in enumerate(quoted):
            wanted = squeezed(line)
            if found[number] is None and len(wanted) >= PROSE and budget.take(len(self._whole)):
                at = self._whole.find(wanted)
                found[number] = bisect_right(self._ends, at) if at >= 0 else None
        return found

    def _filled(self, wanted: Sequence[str], columns: Sequence[int], fixed: Mapping[int, int]) -> list[int | None]:
        """The lines between the fixed ones: the next place below the line above, no further than the next fixed one."""
        found: list[int | None] = []
        ceiling = _ceilings(len(wanted), fixed, len(self.lines))
        last = -1
        for number, line in enumerate(wanted):
            at = fixed.get(number)
            if at is None and line:
                at = self._next(self._places.get(line, ()), last, ceiling[number], columns[number])
                if at is None:
                    at = self._piece(line, last)
            elif at is None and last + 1 < len(self.lines) and not self.lines[last + 1]:
                at = last + 1
            last = last if at is None else at
            found.append(at)
        return found

    def _next(self, places: Sequence[int], last: int, ceiling: int, column: int) -> int | None:
        """The place right below the last line; else the next one with the same indentation; else the next one."""
        first = bisect_left(places, last + 1)
        there = [at for at in places[first : first + LIKE] if at <= ceiling]
        if not there or there[0] == last + 1 > 0:
            return there[0] if there else None
        return next((at for at in there if self._columns[at] == column), there[0])

    def _piece(self, line: str, last: int) -> int | None:
        """The line, at or right below the last one, that a mailer has wrapped into this piece and others."""
        if len(line) < SHORT:
            return None
        if last >= 0 and self.lines[last].endswith(line):
            return last
        for at in range(last + 1, min(last + 1 + NEAR, len(self.lines))):
            if self.lines[at].startswith(line):
                return at
        return None


def squeezed(line: str) -> str:
    """A line without white space: indentation and line ends do not survive every mailer."""
    return "".join(line.split())


def _column(line: str) -> int:
    """Where the text of a line of a diff begins, tabs or blanks alike."""
    expanded = line[:200].expandtabs(8)
    return len(expanded) - len(expanded[1:].lstrip()) if expanded else 0


def _ascending(pairs: Sequence[tuple[int, int]]) -> dict[int, int]:
    """The longest choice of (quoted, source) pairs in which both ascend; a source line may be quoted twice."""
    tails: list[int] = []  # source of the last pair of the best run of each length
    ends: list[int] = []  # number of that pair
    before: list[int] = []
    for number, (_, at) in enumerate(pairs):
        length = bisect_right(tails, at)
        before.append(ends[length - 1] if length else -1)
        if length == len(tails):
            tails.append(at)
            ends.append(number)
        else:
            tails[length], ends[length] = at, number
    chosen: dict[int, int] = {}
    number = ends[-1] if ends else -1
    while number >= 0:
        quoted, at = pairs[number]
        chosen[quoted] = at
        number = before[number]
    return chosen


def _ceilings(count: int, fixed: Mapping[int, int], end: int) -> list[int]:
    ceiling = [end] * count
    bound = end
    for number in range(count - 1, -1, -1):
        ceiling[number] = bound
        bound = fixed.get(number, bound)
    return ceiling
