"""The ways a fault takes to the PTE: from the handler to the insert, the tests passed, the locks held over both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from lorelint.rule import Step, flow, ir
from lorelint.rule.analyses.lockset import HeldLocks
from lorelint.rule.analyses.mapping import COUNTED, Gate, Insert, Way

_DEEP = 6  # calls from the handler to the insert
_MANY = 8  # paths to one insert
_BELOW = 3  # calls from a function on the path down to a test


class Hop(Struct, frozen=True):
    """One function on the path, and the node at which it goes on."""

    fn: ir.Function
    node: int


class Test(Struct, frozen=True):
    """A test passed on the path.

    level  the hop in whose function it is made or asked for
    node   there
    held   names of locks held while it is made
    """

    gate: Gate
    level: int
    node: int
    held: frozenset[str]
    inside: bool  # in a function below the hop, which may have dropped its locks since


class Path(Struct, frozen=True):
    """One path from a place where the kernel comes in to one insert."""

    way: Way
    insert: Insert
    hops: tuple[Hop, ...]

    @property
    def counted(self) -> bool:
        return self.insert.api in COUNTED

    @property
    def root(self) -> ir.Function:
        """The last handler on the path: one may only hand on to another."""
        handlers = {fn.key for fn in self.way.roots}
        return next(hop.fn for hop in reversed(self.hops) if hop.fn.key in handlers)

    @property
    def calls(self) -> tuple[Step, ...]:
        """The calls from the handler down."""
        return tuple(
            Step(here.fn.path, below.fn.line, f"{here.fn.name}() leads to {below.fn.name}()")
            for here, below in zip(self.hops, self.hops[1:], strict=False)
        )


def paths(way: Way) -> Iterator[Path]:
    """All paths of a way, a few for each insert."""
    roots = {fn.key for fn in way.roots}
    for insert in dict.fromkeys(way.inserts):
        count = 0
        todo: list[tuple[Hop, ...]] = [(Hop(insert.fn, insert.node),)]
        while todo and count < _MANY:
            hops = todo.pop(0)
            if hops[0].fn.key in roots:
                count += 1
                yield Path(way, insert, hops)
                continue
            if len(hops) < _DEEP:
                seen = {hop.fn.key for hop in hops}
                todo.extend(
                    (Hop(link.fn, link.node), *hops)
                    for link in way.links
                    if link.callee == hops[0].fn.key and link.fn.key not in seen
                )


class Guarded:
    """What a path tests and holds."""

    def __init__(self, held: HeldLocks, path: Path) -> None:
        self.held = held
        self.path = path
        self._between: dict[tuple[int, int], tuple[int, ...]] = {}

    def above(self, level: int) -> frozenset[str]:
        """Locks that functions further up hold over what happens at a level."""
        return frozenset().union(*(self._names(at) for at in range(level)))

    def _names(self, level: int) -> frozenset[str]:
        hop = self.path.hops[level]
        return self.held.names(hop.fn, hop.node, asserted=level == 0)

    @property
    def at_insert(self) -> frozenset[str]:
        return self.above(len(self.path.hops))

    def tests(self) -> tuple[Test, ...]:
        """The tests that come before the insert, those in functions that are called on the way among them."""
        found = [test for gate in self.path.way.gates for test in self._placed(gate)]
        return tuple(dict.fromkeys(found))

    def _placed(self, gate: Gate) -> Iterator[Test]:
        levels = {hop.fn.key: level for level, hop in enumerate(self.path.hops)}
        todo: list[tuple[ir.Function, int, frozenset[str], int]] = [(gate.fn, gate.node, frozenset(), 0)]
        seen: set[tuple[str, str]] = set()
        while todo:
            fn, node, held, depth = todo.pop()
            held = held | self.held.names(fn, node)
            if fn.key in levels:
                level = levels[fn.key]
                goal = self.path.hops[level].node
                if (node == goal and depth) or flow.reaches(self.held.program.cfg(fn), [node], {goal}):
                    yield Test(gate, level, node, held | self.above(level), depth > 0)
                continue
            if fn.key not in seen and depth < _BELOW:
                seen.add(fn.key)
                todo.extend(
                    (link.fn, link.node, held, depth + 1) for link in self.path.way.links if link.callee == fn.key
                )

    def through(self, test: Test) -> frozenset[str]:
        """Locks of those held at the test that are held without a break from there to the insert."""
        hop = self.path.hops[test.level]
        above = self.above(test.level)
        there = self.held.names(hop.fn, test.node)
        nodes = self.between(test.level, test.node)
        return frozenset(
            name
            for name in test.held
            if name in above or (name in there and self.held.releases(hop.fn, name).isdisjoint(nodes))
        )

    def between(self, level: int, node: int) -> tuple[int, ...]:
        """Nodes on paths from a node of a hop's function to where it goes on, both ends included."""
        key = (level, node)
        if key not in self._between:
            hop = self.path.hops[level]
            self._between[key] = between(self.held.program.cfg(hop.fn), node, hop.node)
        return self._between[key]


def between(cfg: ir.Cfg, one: int, other: int) -> tuple[int, ...]:
    """Nodes on paths from one node to another that come by neither of them again, both ends included."""
    behind = _reached(one, other, lambda at: (edge.to for edge in cfg.nodes[at].out))
    before = _reached(other, one, lambda at: cfg.preds[at])
    return tuple(sorted((behind & before) | {one, other}))


def _reached(start: int, end: int, onward: Callable[[int], Iterable[int]]) -> set[int]:
    seen: set[int] = set()
    todo = [start]
    while todo:
        for each in onward(todo.pop()):
            if each not in seen and each not in (start, end):
                seen.add(each)
                todo.append(each)
    return seen
