"""Chains from one function to another as text: each call with its place, indirect hops dashed."""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.model.graph import Chain, Chains, Edge, EdgeKind, Node, NodeKind
from lorelint.report.graph import indirect, place, subject
from lorelint.report.graph_tree import ASCII, UNICODE, Signs
from lorelint.report.ink import Ink
from lorelint.report.text import clean, many, width, wrap

_CUTS = 8


def paths(found: Chains, *, columns: int = 80, colour: bool = False, unicode: bool = True) -> str:
    """The whole answer, also where there is none."""
    return "\n".join(_lines(found, columns, Ink(colour), UNICODE if unicode else ASCII)) + "\n"


def calls(chain: Chain) -> int:
    """Calls of a chain: a hop through a slot is one, a macro's none."""
    return sum(node.kind is NodeKind.FUNCTION for node in chain.nodes[1:])


def _lines(found: Chains, columns: int, ink: Ink, signs: Signs) -> Iterator[str]:
    title = f"{clean(found.source)}() to {clean(found.target)}() in {clean(found.tree)}"
    for line in wrap(title, columns, rest="    "):
        yield ink(line, "title")
    if not found.chains:
        yield f"  no path within {many(found.within, 'call')}"
        # a macro's id has a sign of its own, which is no part of its name
        told = [f"{cut.node.replace(':#', ':')}: {cut.text}" if cut.node else cut.text for cut in found.cuts]
        if told:
            yield "  not followed:"
        for text in told[:_CUTS]:
            yield from wrap(clean(text), columns, first="    ", rest="      ")
        if len(told) > _CUTS:
            yield f"    and {len(told) - _CUTS} more"
        return
    for number, chain in enumerate(found.chains, 1):
        yield ""
        yield f"{number}. {many(calls(chain), 'call')}"
        yield _row(
            "   ",
            ink(f"{subject(chain.nodes[0])}", "bold"),
            subject(chain.nodes[0]),
            place(chain.nodes[0]),
            columns,
            ink,
        )
        for edge, node in zip(chain.edges, chain.nodes[1:], strict=True):
            lead = "   " + (signs.dashed[1] if indirect(edge) else signs.last)
            name = subject(node) + _marks(edge, node)
            holder = f" in {clean(edge.label)}" if edge.kind is EdgeKind.BIND and edge.label else ""
            if width(lead + name + holder + _site(edge)) + 2 <= columns:
                name += holder
            style = "note" if node.kind is NodeKind.SLOT else "bold" if node is chain.nodes[-1] else ""
            yield _row(lead, ink(name, style) if style else name, name, _site(edge), columns, ink)
    yield ""
    said = (
        f"{signs.dashed[1].strip()[-1]} not called by name; a place is that of the call, the first the function's own"
    )
    if found.more:
        said = f"there are more: --most N; {said}"
    for line in wrap(said, columns):
        yield ink(line, "dim")


def _marks(edge: Edge, node: Node) -> str:
    marks = f" [{clean(node.api)}]" if node.api else ""
    if edge.kind is EdgeKind.HANDED:
        marks += f" via {clean(edge.label)}"
    return marks + ("" if edge.sure else " ?")


def _site(edge: Edge) -> str:
    return clean(f"{edge.path}:{edge.line}") + (f" x{edge.count}" if edge.count > 1 else "")


def _row(lead: str, shown: str, name: str, where: str, columns: int, ink: Ink) -> str:
    gap = max(2, min(44, columns - width(where)) - width(lead) - width(name))
    if width(lead) + width(name) + gap + width(where) > columns:
        gap = 2
    return f"{ink(lead, 'dim')}{shown}{' ' * gap}{ink(where, 'place')}"
