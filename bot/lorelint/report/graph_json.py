"""Call graphs, chains and siblings as plain values for JSON.

``schema`` counts up when a key changes its meaning or goes away; new keys may come without that.
"""

from __future__ import annotations

from collections.abc import Iterable

from lorelint.model.graph import Chain, Chains, Cut, Edge, Graph, Node, Siblings
from lorelint.report.json import SCHEMA, Document


def graph(found: Graph) -> Document:
    """``nodes`` are named by ``id`` in ``edges`` and ``cuts``; lines are from 1, 0 for a node that is nowhere."""
    return {
        "schema": SCHEMA,
        "kind": "graph",
        "title": found.title,
        "tree": found.tree,
        "callers": found.callers,
        "callees": found.callees,
        "nodes": [_node(node) for node in found.nodes],
        "edges": [_edge(edge) for edge in found.edges],
        "cuts": _cuts(found.cuts),
    }


def chains(found: Chains) -> Document:
    """Each chain has one edge less than nodes: the hop to the next node."""
    return {
        "schema": SCHEMA,
        "kind": "path",
        "source": found.source,
        "target": found.target,
        "tree": found.tree,
        "within": found.within,
        "more": found.more,
        "chains": [_chain(each) for each in found.chains],
        "cuts": _cuts(found.cuts),
    }


def siblings(found: Siblings) -> Document:
    return {
        "schema": SCHEMA,
        "kind": "siblings",
        "function": found.function,
        "path": found.path,
        "line": found.line,
        "tree": found.tree,
        "shapes": [
            {
                "heading": shape.heading,
                "callers": [
                    {"path": each.path, "line": each.line, "function": each.function, "facts": list(each.facts)}
                    for each in shape.callers
                ],
            }
            for shape in found.shapes
        ],
        "cuts": _cuts(found.cuts),
    }


def _chain(chain: Chain) -> Document:
    return {"nodes": [_node(node) for node in chain.nodes], "edges": [_edge(edge) for edge in chain.edges]}


def _node(node: Node) -> Document:
    return {
        "id": node.id,
        "kind": node.kind.value,
        "name": node.name,
        "path": node.path,
        "line": node.line,
        "part": node.part,
        "root": node.root,
        "api": node.api,
        "entry": node.entry,
        "note": node.note,
    }


def _edge(edge: Edge) -> Document:
    return {
        "source": edge.source,
        "target": edge.target,
        "kind": edge.kind.value,
        "path": edge.path,
        "line": edge.line,
        "count": edge.count,
        "label": edge.label,
        "sure": edge.sure,
    }


def _cuts(cuts: Iterable[Cut]) -> list[Document]:
    return [{"node": cut.node, "text": cut.text} for cut in cuts]
