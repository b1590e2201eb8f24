"""The ways from one function to another, shortest first: grown from both ends until they meet."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

from lorelint.code.graph import Calls, Growth, Key
from lorelint.model.graph import Chain, Chains, Edge, Graph, Node

WITHIN = 12  # calls between the two
NODES = 6000  # looked at for one question
DEAR = 3  # what a step down costs, for all that a function calls, beside a step up
MORE = 40  # nodes that one end may have when they meet to be looked beyond, for ways that are a little longer


def chains(calls: Calls, sources: Sequence[Key], targets: Sequence[Key], most: int, within: int = WITHIN) -> Chains:
    """At most `most` ways, a repeated function in none; of as many definitions as the two names have."""
    growth = Growth(calls, NODES)
    met = _meet(growth, sources, targets, within)
    graph = growth.graph("", within, 0)
    ways = _ways(graph, sources, targets, calls) if met else iter(())
    found = list(islice(ways, most + 1))
    cuts = () if found else tuple(cut for cut in graph.cuts if not cut.text.startswith("nothing calls it"))
    name = calls.program.tree.name
    return Chains(sources[0].name, targets[0].name, name, within, tuple(found[:most]), len(found) > most, cuts)


def _meet(growth: Growth, sources: Sequence[Key], targets: Sequence[Key], within: int) -> bool:
    """Grow from both ends, where less is to be looked at, until they meet: all shortest ways are in it, and others."""
    growth.start((*sources, *targets))
    down, up = list(sources), list(targets)
    below, above = set(down), set(up)
    starts, ends = frozenset(sources), frozenset(targets)
    for _ in range(within):
        if below & above or growth.full or not (up or down):
            break
        if down and (not up or len(down) * DEAR < len(up)):
            down = growth.level(down, below, up=False, stop=ends)
        else:
            up = growth.level(up, above, up=True, stop=starts)
    met = bool(below & above)
    if met and len(down) <= MORE:
        growth.level(down, below, up=False, stop=ends)
    if met and len(up) <= MORE:
        growth.level(up, above, up=True, stop=starts)
    return met


def _ways(graph: Graph, sources: Sequence[Key], targets: Sequence[Key], calls: Calls) -> Iterator[Chain]:
    """Simple ways, by length and then by order of nodes."""
    nodes = {node.id: node for node in graph.nodes}
    edges: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        edges.setdefault(edge.source, []).append(edge)
    ends = {calls.node(key).id for key in targets}
    starts = [calls.node(key).id for key in sources]
    steps = _distances(graph, ends)
    for length in range(1, len(nodes) + 1):
        for start in starts:
            if steps.get(start, length + 1) <= length:
                yield from _exactly(nodes, edges, steps, start, ends, length)


def _distances(graph: Graph, ends: set[str]) -> dict[str, int]:
    """Hops from each node down to the nearest end."""
    above: dict[str, list[str]] = {}
    for edge in graph.edges:
        above.setdefault(edge.target, []).append(edge.source)
    steps = dict.fromkeys(sorted(ends), 0)
    left = deque(steps)
    while left:
        here = left.popleft()
        for other in above.get(here, ()):
            if other not in steps:
                steps[other] = steps[here] + 1
                left.append(other)
    return steps


def _exactly(
    nodes: dict[str, Node], edges: dict[str, list[Edge]], steps: dict[str, int], start: str, ends: set[str], length: int
) -> Iterator[Chain]:
    """Simple ways of exactly so many hops, depth first without recursion."""
    way: list[Edge] = []
    on_way = {start}
    choices = [iter(edges.get(start, ()))]
    while choices:
        edge = next(choices[-1], None)
        if edge is None:
            choices.pop()
            if way:
                on_way.discard(way.pop().target)
            continue
        here, left = edge.target, length - len(way) - 1
        if here in on_way or steps.get(here, left + 1) > left:
            continue
        if here in ends:
            if left == 0:
                chain = (*way, edge)
                yield Chain((nodes[start], *(nodes[each.target] for each in chain)), chain)
            continue
        way.append(edge)
        on_way.add(here)
        choices.append(iter(edges.get(here, ())))
