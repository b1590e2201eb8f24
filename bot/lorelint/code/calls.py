"""The call graph around some functions, as a networkx graph.

networkx holds a neighbourhood well and the kernel not at all (650 MB, seconds a query), so the graph is
grown from the functions asked about, bounded in depth and size, and cut at hubs: transitive callers
through ``kfree()`` mean nothing. Every cut is marked on its node and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lorelint.code.ir import Function
from lorelint.code.lex import mask
from lorelint.code.program import Program
from lorelint.code.words import KEYWORDS
from lorelint.model.trouble import Unseen

if TYPE_CHECKING:
    import networkx as nx

HUB_FILES = 400  # a name that more files mention is not followed
NODES = 2000  # nodes after which nothing is added

_CALL = re.compile(rb"(?<![\w.])(?<!->)([A-Za-z_]\w*+)\s*+\(")

Node = tuple[str, str]  # (path, name); ("", name) for a function whose definition was not looked for or not found


def called(fn: Function) -> tuple[tuple[str, int], ...]:
    """Names called in a function's body, macros included, with the line of each first call; sorted by name."""
    code = mask(fn.text)
    own = {param.name for param in fn.params}
    first: dict[str, int] = {}
    for found in _CALL.finditer(code, max(0, code.find(b"{"))):
        name = found.group(1).decode("utf-8", "surrogateescape")
        if found.group(1) not in KEYWORDS and name not in own and name not in first:
            first[name] = fn.first_line + code.count(b"\n", 0, found.start())
    return tuple(sorted(first.items()))


def graph(program: Program, roots: Iterable[Function], callers: int = 1, callees: int = 1) -> nx.DiGraph[Any]:
    """Callers and callees of some functions, so many steps up and down.

    Nodes are (path, name) with attributes `fn` (a `Function` or None), `root` and `cut` ("" or why nothing
    beyond it was looked at). Edges run from caller to callee with `line`, the first call's. The same
    graph, in the same order, for the same roots.
    """
    import networkx as nx

    found: nx.DiGraph[Any] = nx.DiGraph()
    for fn in sorted(roots, key=lambda each: each.key):
        found.add_node(fn.key, fn=fn, root=True, cut="")
    start = list(found)
    for grow, steps in ((_up, callers), (_down, callees)):
        level = start
        for _ in range(steps):
            level = [node for each in level for node in grow(program, found, each)]
    return found


def _add(program: Program, graph: nx.DiGraph[Any], key: Node, fn: Function | None, near: Node) -> bool:
    """Whether the node is there now; a graph that is full is said once for each node at its rim."""
    if key in graph:
        return True
    if len(graph) >= NODES:
        graph.nodes[near]["cut"] = f"the graph holds {NODES} functions"
        program.miss(Unseen("cut", near[0], 0, f"call graph around {near[1]}(): {NODES} functions are enough"))
        return False
    graph.add_node(key, fn=fn, root=False, cut="")
    return True


def _is_hub(program: Program, graph: nx.DiGraph[Any], key: Node) -> bool:
    files = len(program.mentions(key[1]))
    if files > HUB_FILES:
        graph.nodes[key]["cut"] = f"{files} files mention it"
        program.miss(Unseen("cut", key[0], 0, f"call graph: {key[1]}() is a hub, {files} files mention it"))
        return True
    return False


def _up(program: Program, graph: nx.DiGraph[Any], key: Node) -> list[Node]:
    fn: Function | None = graph.nodes[key]["fn"]
    if fn is None or (not fn.static and _is_hub(program, graph, key)):
        return []
    fresh = []
    for site in program.callers(fn):
        new = site.fn.key not in graph
        if not _add(program, graph, site.fn.key, site.fn, key):
            break
        if new:
            fresh.append(site.fn.key)
        if not graph.has_edge(site.fn.key, key):
            graph.add_edge(site.fn.key, key, line=site.line)
    return fresh


def _down(program: Program, graph: nx.DiGraph[Any], key: Node) -> list[Node]:
    fn: Function | None = graph.nodes[key]["fn"]
    if fn is None:
        return []
    fresh: list[Node] = []
    for name, line in called(fn):
        local = program.function(fn.path, name)
        hub = local is None and len(program.mentions(name)) > HUB_FILES
        targets = (local,) if local is not None else () if hub else program.define(name, fn.path)
        ends: list[tuple[Node, Function | None]] = [(each.key, each) for each in targets]
        for key_, target in ends or [(("", name), None)]:
            new = key_ not in graph
            if not _add(program, graph, key_, target, key):
                return fresh
            if hub:
                graph.nodes[key_]["cut"] = f"{len(program.mentions(name))} files mention it"
            if new and target is not None:
                fresh.append(key_)
            if not graph.has_edge(key, key_):
                graph.add_edge(key, key_, line=line)
    return fresh
