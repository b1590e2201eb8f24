"""The one forward solver, and the one question most rules ask."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Generic, TypeVar

from msgspec import Struct

from lorelint.code.ir import Cfg, Edge, Node
from lorelint.code.loops import postorder
from lorelint.code.work import spend

S = TypeVar("S")

STEP_LIMIT = 50_000


class Cut(Struct, frozen=True):
    """The solver stopped before it was done: its states are those of some paths, not of all."""

    steps: int  # transfers done
    line: int  # of the node it would have looked at next


class Solution(Struct, Generic[S], frozen=True):
    """`before[id]` is the state on entry to a node, None where no feasible path leads."""

    before: tuple[S | None, ...]
    cut: Cut | None = None


def solve(
    cfg: Cfg,
    start: S,
    transfer: Callable[[Node, Edge, S], S | None],
    join: Callable[[S, S], S],
    limit: int = STEP_LIMIT,
) -> Solution[S]:
    """Forward states to their fixed point, in reverse postorder.

    `transfer(node, edge, state)` is the state behind `node` when left by `edge`, None when that cannot
    be; `join` must be monotone over a lattice without endless climbs, or the solver ends with a `Cut`.
    States are compared with ``==``; None is no state.
    """
    order = postorder(cfg)
    order.reverse()
    place = {id: number for number, id in enumerate(order)}
    before: list[S | None] = [None] * len(cfg.nodes)
    before[0] = start
    pending = bytearray(len(order))
    pending[0] = 1
    steps = 0
    at = 0
    while (at := pending.find(1, at)) >= 0 or (at := pending.find(1)) >= 0:
        pending[at] = 0
        id = order[at]
        node = cfg.nodes[id]
        state = before[id]
        assert state is not None
        at += 1
        spend(1)
        for edge in node.out:
            if steps >= limit:
                return Solution(tuple(before), Cut(steps, node.line))
            steps += 1
            after = transfer(node, edge, state)
            if after is None:
                continue
            known = before[edge.to]
            joined = after if known is None else join(known, after)
            if known is None or joined != known:
                before[edge.to] = joined
                pending[place[edge.to]] = 1
    return Solution(tuple(before))


def after(cfg: Cfg, *starts: int) -> frozenset[int]:
    """Nodes that come after one of these; one of them itself, where a way leads back to it."""
    return _closed(starts, lambda id_: (edge.to for edge in cfg.nodes[id_].out))


def before(cfg: Cfg, *ends: int) -> frozenset[int]:
    """Nodes from which a way leads to one of these."""
    return _closed(ends, lambda id_: cfg.preds[id_])


def _closed(starts: Iterable[int], onward: Callable[[int], Iterable[int]]) -> frozenset[int]:
    seen: set[int] = set()
    todo = [each for start in starts for each in onward(start)]
    while todo:
        here = todo.pop()
        if here not in seen:
            seen.add(here)
            todo.extend(onward(here))
    return frozenset(seen)


def reaches(
    cfg: Cfg,
    sources: Iterable[int | tuple[int, int]],
    goals: Collection[int | tuple[int, int]],
    avoid: Callable[[Node], bool] | Collection[int] = (),
    inside: Collection[int] | None = None,
    may: Callable[[Node, Edge], bool] | None = None,
) -> tuple[int, ...] | None:
    """From these places, can that point be reached while avoiding this set? A shortest witness path, or None.

    sources  a node: control stands in it, its own effect is over, at least one step follows.
             An edge (from, to): it has just been taken, and `to` is entered.
    goals    a node, entered; or an edge (from, to), taken. A goal that is to be avoided is not reached
             as a node, and an edge to it still is taken.
    avoid    nodes that may not be entered: their ids, or a test
    inside   nodes the path may not leave (goal nodes and the ends of goal edges may lie outside)
    may      edges that can be taken; all if None

    The path holds node ids, from the source (its `from`, for an edge) to the goal.
    """
    shut: Callable[[Node], bool] = avoid if callable(avoid) else lambda node: node.id in avoid
    wanted = frozenset(goals)
    came: dict[int, int] = {}
    queue: deque[int] = deque()
    steps = 0
    for source in sources:
        if isinstance(source, tuple):
            origin, first = source
            if source in wanted:
                return source
            if first in came or shut(cfg.nodes[first]):
                continue
            if first in wanted:
                return source
            if inside is None or first in inside:
                came[first] = ~origin
                queue.append(first)
        else:
            queue.append(~source)
    while queue:
        taken = queue.popleft()
        steps += 1
        if not steps & 63:
            spend(8)
        here = taken if taken >= 0 else ~taken
        node = cfg.nodes[here]
        for edge in node.out:
            to = edge.to
            if may is not None and not may(node, edge):
                continue
            if (here, to) in wanted:
                return (*_path(came, taken), to)
            if to in came or shut(cfg.nodes[to]):
                continue
            if to in wanted:
                return (*_path(came, taken), to)
            if inside is None or to in inside:
                came[to] = here if taken >= 0 else ~here
                queue.append(to)
    return None


def _path(came: dict[int, int], end: int) -> tuple[int, ...]:
    """The way to `end`. A predecessor below zero is a source: control stood there and the way begins with it."""
    path: list[int] = []
    while end >= 0:
        path.append(end)
        end = came[end]
    path.append(~end)
    path.reverse()
    return tuple(path)
