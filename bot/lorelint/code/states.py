"""Worlds as tuples of small numbers, one for each part, and a bit for each mark.

Most worlds of a function share most of their parts, so that equality, the look-up of what was worked out before
and folding cost next to nothing. The numbers are those of one exploration; 0 is the empty part.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import reduce
from typing import Generic, TypeVar

from lorelint.code.codes import Codes
from lorelint.code.worlds import (
    Env,
    Passed,
    Site,
    Trail,
    World,
    env_text,
    known_text,
    marks_text,
    passed_text,
    trail_text,
)

K = TypeVar("K")
T = TypeVar("T", bound=Hashable)

State = tuple[int, int, int, int, int, bool]  # numbers of env, known, trail and last; bits of the marks; coarse
Table = tuple[int, ...]  # what is known, ascending: the number of a call, and behind it that of its codes
_SHIFT = 24  # bits of the latter: more than an exploration takes steps
_CODES = (1 << _SHIFT) - 1


class Pool(Generic[T]):
    """Values of one kind under numbers, equal ones under the same; `text` is what they are sorted by."""

    def __init__(self, first: T, text: Callable[[T], str] = str) -> None:
        self.values = [first]
        self._numbers = {first: 0}
        self._text = text
        self._texts: dict[int, str] = {}

    def number(self, value: T) -> int:
        found = self._numbers.get(value)
        if found is None:
            found = self._numbers[value] = len(self.values)
            self.values.append(value)
        return found

    def text(self, number: int) -> str:
        found = self._texts.get(number)
        if found is None:
            found = self._texts[number] = self._text(self.values[number])
        return found


class States:
    """The parts of the worlds of one exploration. `remembered` is how many tests a trail holds."""

    def __init__(self, remembered: int) -> None:
        self.envs: Pool[Env] = Pool(frozenset(), env_text)
        self.sites: Pool[Site] = Pool(Site(-1, ""))
        self.codes: Pool[Codes] = Pool(Codes())
        self.tables: Pool[Table] = Pool((), lambda table: known_text(frozenset(self._pairs(table))))
        self.trails: Pool[Trail] = Pool((), trail_text)
        self.tests: Pool[Passed | None] = Pool(None, lambda each: passed_text(each) if each else "")
        self._remembered = remembered
        self._bits: dict[Hashable, int] = {}  # a bit for each
        self._known: list[dict[int, int]] = [{}]  # tables as dictionaries
        self._longer: dict[tuple[int, int], int] = {}  # trail and test -> trail
        self._spoken: dict[tuple[int, int], list[int]] = {}  # env and trail -> calls that they speak of
        self._either: dict[tuple[int, int], int] = {}  # codes, codes -> codes

    # -- worlds

    def state(self, world: World) -> State:
        numbers = {self.sites.number(site): self.codes.number(codes) for site, codes in world.known}
        return (
            self.envs.number(world.env),
            self.tables.number(_table(numbers)),
            self.trails.number(world.trail),
            self.tests.number(world.last),
            self.bits(world.marks),
            world.coarse,
        )

    def world(self, state: State) -> World:
        env, known, trail, last, marks, coarse = state
        return World(
            self.envs.values[env],
            frozenset(self._pairs(self.tables.values[known])),
            self.trails.values[trail],
            self.tests.values[last],
            self.marks(marks),
            coarse,
        )

    def order(self, state: State) -> tuple[str, ...]:
        """What worlds are sorted by; it does not depend on the numbers."""
        env, known, trail, last, marks, coarse = state
        parts = (self.envs.text(env), self.tables.text(known), self.trails.text(trail), self.tests.text(last))
        return (*parts, marks_text(self.marks(marks)), str(coarse))

    def fold(self, states: list[State]) -> State:
        """One coarse state for many: only what holds in all of them, whatever their order."""
        env = frozenset.intersection(*(self.envs.values[each] for each in {state[0] for state in states}))
        first, *others = (self.known(each) for each in sorted({state[1] for state in states}))
        table = dict(first)
        for other in others:
            table = {site: self._or(codes, other[site]) for site, codes in table.items() if site in other}
        marks = reduce(int.__and__, (state[4] for state in states))
        return (self.envs.number(env), self.tables.number(_table(table)), 0, 0, marks, True)

    def _or(self, one: int, other: int) -> int:
        if one == other:
            return one
        found = self._either.get((one, other))
        if found is None:
            either = self.codes.values[one] | self.codes.values[other]
            found = self._either[one, other] = self.codes.number(either)
        return found

    def _pairs(self, table: Table) -> Iterator[tuple[Site, Codes]]:
        return ((self.sites.values[site], self.codes.values[codes]) for site, codes in _rows(table))

    # -- marks

    def bits(self, marks: Iterable[Hashable]) -> int:
        bits = 0
        for mark in marks:
            bits |= self._bits.setdefault(mark, 1 << len(self._bits))
        return bits

    def marks(self, bits: int) -> frozenset[Hashable]:
        return frozenset([mark for mark, bit in self._bits.items() if bits & bit]) if bits else frozenset()

    # -- parts

    def known(self, number: int) -> dict[int, int]:
        """What is known under a number: codes by call."""
        while len(self._known) <= number:
            self._known.append({row >> _SHIFT: row & _CODES for row in self.tables.values[len(self._known)]})
        return self._known[number]

    def longer(self, trail: int, test: int) -> int:
        """The trail with one more test: the last one of each call, as many as are remembered."""
        found = self._longer.get((trail, test))
        if found is None:
            passed = self.tests.values[test]
            assert passed is not None
            kept = [each for each in self.trails.values[trail] if each.site != passed.site]
            found = self.trails.number((*kept, passed)[-self._remembered :])
            self._longer[trail, test] = found
        return found

    def relevant(self, known: int, learnt: Mapping[int, int], env: int, trail: int) -> int:
        """What was known and what was learnt, of those calls that a variable or the trail still speaks of."""
        spoken = self._spoken.get((env, trail))
        if spoken is None:
            sites = {term for _, term in self.envs.values[env] if isinstance(term, Site)}
            sites.update([each.site for each in self.trails.values[trail] if each.site is not None])
            spoken = self._spoken[env, trail] = sorted([self.sites.number(site) for site in sites])
        table = self._known[known] if known < len(self._known) else self.known(known)
        rows = [
            site << _SHIFT | (learnt[site] if site in learnt else table[site])
            for site in spoken
            if site in learnt or site in table
        ]
        return self.tables.number(tuple(rows))


def _table(known: Mapping[int, int]) -> Table:
    return tuple([site << _SHIFT | codes for site, codes in sorted(known.items())])


def _rows(table: Table) -> Iterator[tuple[int, int]]:
    return ((row >> _SHIFT, row & _CODES) for row in table)


class Worlds(Mapping[K, tuple[World, ...]]):
    """The worlds at each place, made and sorted when they are asked for."""

    def __init__(self, states: States, places: Mapping[K, set[State]]) -> None:
        self._states, self._places = states, places
        self._made: dict[K, tuple[World, ...]] = {}

    def __getitem__(self, place: K) -> tuple[World, ...]:
        if place not in self._made:
            ordered = sorted(self._places[place], key=self._states.order)
            self._made[place] = tuple([self._states.world(state) for state in ordered])
        return self._made[place]

    def __iter__(self) -> Iterator[K]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
