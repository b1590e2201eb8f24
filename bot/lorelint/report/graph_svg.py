"""A call graph as a picture: SVG, its text as text, the same bytes for the same layout.

Readable in print and by those who see few colours: what a colour says is in the legend and in each label's path, an
indirect hop is dashed, an entry is dark and pointed, an API has a double border.
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.model.graph import Edge, EdgeKind, Graph, Layout, Node, NodeKind, Spot
from lorelint.report.graph import Paint, extent, heading, indirect, place, site, subject, told, verb
from lorelint.report.graph_dot import ADVANCE, EDGE, ENTRY, FONT, INK, NAME, PLACE, labels
from lorelint.report.text import clean, cut, width

MARGIN = 24.0
_HEAD = 62.0  # the title's
_CUTS = 4  # told below the picture
_SANS = "DejaVu Sans, Helvetica, Arial, sans-serif"
_PALE = "#9aa3ad"
_STYLE = (
    f"text{{font-family:{FONT};font-size:{NAME}px;fill:{INK}}}"
    f".p{{font-size:{PLACE}px;fill:#44505c}}.t{{font-family:{_SANS};font-size:18px;font-weight:bold}}"
    f".s{{font-family:{_SANS};font-size:11px;fill:#44505c}}.d{{fill:#fff}}.dp{{font-size:{PLACE}px;fill:#cfd8e0}}"
    f".e{{fill:none;stroke:{EDGE};stroke-width:1.2}}.i{{stroke-dasharray:5 3}}.u{{stroke:{_PALE}}}"
    ".r{font-weight:bold}"
)


def svg(graph: Graph, layout: Layout) -> str:
    """The whole picture."""
    legend = list(_Legend(graph, max(layout.width, 560.0)).parts())
    wide = max(layout.width, *(row[1] for row in legend), width(heading(graph)) * 11.0) + 2 * MARGIN
    foot = max((row[2] for row in legend), default=0.0)
    high = _HEAD + layout.height + 2 * MARGIN + foot
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{high:.0f}"'
        f' viewBox="0 0 {wide:.0f} {high:.0f}" role="img" aria-labelledby="title desc">',
        f'<title id="title">{_text(heading(graph))}</title>',
        f'<desc id="desc">{_text(_described(graph))}</desc>',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="to" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 .8 7.6 4 0 7.2 1.8 4z" fill="{EDGE}"/></marker>'
        '<marker id="toward" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 .8 7.6 4 0 7.2 1.8 4z" fill="{_PALE}"/></marker></defs>',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text class="t" x="{MARGIN:.0f}" y="34">{_text(heading(graph))}</text>',
        f'<text class="s" x="{MARGIN:.0f}" y="53">{_text(extent(graph))}</text>',
        f'<g transform="translate({MARGIN:.0f} {_HEAD + MARGIN / 2:.0f})">',
    ]
    paint = Paint.of(graph)
    names = {node.id: subject(node) for node in graph.nodes}
    for edge, curve in zip(graph.edges, layout.curves, strict=True):
        lines.append(_edge(edge, curve, names))
    lines += [_node(node, layout.spots[f"n{at}"], paint) for at, node in enumerate(graph.nodes)]
    lines.append("</g>")
    lines.append(f'<g transform="translate({MARGIN:.0f} {_HEAD + layout.height + 1.5 * MARGIN:.0f})">')
    lines += [row[0] for row in legend]
    return "\n".join([*lines, "</g>", "</svg>", ""])


def _described(graph: Graph) -> str:
    entries = [subject(node) for node in graph.nodes if node.kind is NodeKind.ENTRY]
    said = f"A call graph: {extent(graph)}. Arrows lead from the caller to the called."
    if entries:
        said += f" Entered by {', '.join(entries[:12])}{' and others' if len(entries) > 12 else ''}."
    return said


def _edge(edge: Edge, curve: tuple[tuple[float, float], ...], names: dict[str, str]) -> str:
    start, *rest = (f"{x:.1f} {y:.1f}" for x, y in curve)
    classes = "e" + (" i" if indirect(edge) else "") + ("" if edge.sure else " u")
    said = f"{names[edge.source]} to {names[edge.target]}: {verb(edge)} at {site(edge)}"
    said += "" if edge.sure else "; the name can mean others, too"
    marker = "to" if edge.sure else "toward"
    line = f'd="M{start} C{" ".join(rest)}"'
    return f'<path class="{classes}" marker-end="url(#{marker})" {line}><title>{_text(said)}</title></path>'


def _node(node: Node, spot: Spot, paint: Paint) -> str:
    first, second = labels(node)
    x, y = spot.x - spot.width / 2, spot.y - spot.height / 2
    said = ". ".join(filter(None, (f"{subject(node)} {place(node)}".strip(), clean(node.note))))
    dark = node.kind is NodeKind.ENTRY
    one, two = ("d", "dp") if dark else ("r" if node.root else "", "p")
    top = spot.y + (4.2 if not second else -2.2)
    shape = "".join(_shape(node, x, y, spot.width, spot.height, paint))
    named = f' class="{one}"' if one else ""
    text = f'<text{named} x="{spot.x:.1f}" y="{top:.1f}" text-anchor="middle">{_text(first)}</text>'
    if second:
        text += (
            f'<text class="{two}" x="{spot.x:.1f}" y="{spot.y + 12:.1f}" text-anchor="middle">{_text(second)}</text>'
        )
    return f"<g><title>{_text(said)}</title>{shape}{text}</g>"


def _shape(node: Node, x: float, y: float, wide: float, high: float, paint: Paint) -> Iterator[str]:
    fill, line = paint.colours(node.part)
    if node.kind is NodeKind.ENTRY:
        right, low, point = x + wide, y + high, x + wide - 10
        corners = ((x, y), (point, y), (right, y + high / 2), (point, low), (x, low))
        points = " ".join(f"{one:.1f},{two:.1f}" for one, two in corners)
        yield f'<polygon points="{points}" fill="{ENTRY}"/>'
        return
    radius = {NodeKind.SLOT: high / 2, NodeKind.MACRO: 0.0}.get(node.kind, 6.0)
    stroke, dash = line, ""
    if node.kind is NodeKind.SLOT:
        fill, stroke, dash = "#fff", EDGE, ' stroke-dasharray="4 3"'
    if node.api:  # a double border
        yield _rect(x, y, wide, high, radius + 3, "#fff", stroke, 1.0, "")
        x, y, wide, high = x + 3, y + 3, wide - 6, high - 6
    yield _rect(x, y, wide, high, radius, fill, stroke, 2.4 if node.root else 1.1, dash)


def _rect(
    x: float, y: float, wide: float, high: float, radius: float, fill: str, stroke: str, pen: float, dash: str
) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="{radius:.1f}"'
        f' fill="{fill}" stroke="{stroke}" stroke-width="{pen}"{dash}/>'
    )


class _Legend:
    """The rows below the picture: colours, signs, what was not followed. Each part with its right and lower end."""

    def __init__(self, graph: Graph, room: float) -> None:
        self.graph = graph
        self.room = room

    def parts(self) -> Iterator[tuple[str, float, float]]:
        x, y = 0.0, 0.0
        for name, (fill, line) in Paint.of(self.graph).legend(self.graph):
            wide = width(name) * PLACE * ADVANCE + 26
            if x and x + wide > self.room:
                x, y = 0.0, y + 20
            box = _rect(x, y, 13, 13, 3, fill, line, 1.1, "")
            yield f'{box}<text class="p" x="{x + 18:.1f}" y="{y + 10:.1f}">{_text(name)}</text>', x + wide, y + 20
            x += wide + 8
        y += 24 if x else 0
        x = 0.0
        for sign, said in self._signs():
            wide = 40 + len(said) * 6.1
            if x and x + wide > self.room:
                x, y = 0.0, y + 20
            moved = f'<g transform="translate({x:.1f} {y:.1f})">{sign}</g>'
            yield f'{moved}<text class="s" x="{x + 36:.1f}" y="{y + 10:.1f}">{_text(said)}</text>', x + wide, y + 20
            x += wide + 10
        y += 28
        cuts = [told(self.graph, each) for each in self.graph.cuts]
        for at, each in enumerate(cuts[:_CUTS]):
            lead = "not followed: " if at == 0 else ""
            text = cut(lead + each, max(60, int(self.room / 6.0)))
            yield f'<text class="s" x="0" y="{y + 10:.1f}">{_text(text)}</text>', 0.0, y + 18
            y += 16
        if len(cuts) > _CUTS:
            yield f'<text class="s" x="0" y="{y + 10:.1f}">and {len(cuts) - _CUTS} more</text>', 0.0, y + 18

    def _signs(self) -> Iterator[tuple[str, str]]:
        nodes, edges = self.graph.nodes, self.graph.edges
        if any(not indirect(edge) for edge in edges):
            yield '<path class="e" marker-end="url(#to)" d="M0 7 C10 7 18 7 28 7"/>', "calls by name"
        if any(map(indirect, edges)):
            yield (
                '<path class="e i" marker-end="url(#to)" d="M0 7 C10 7 18 7 28 7"/>',
                "through a table, a field or an argument",
            )
        if any(not edge.sure for edge in edges):
            yield (
                '<path class="e u" marker-end="url(#toward)" d="M0 7 C10 7 18 7 28 7"/>',
                "the name can mean others, too",
            )
        if any(node.kind is NodeKind.ENTRY for node in nodes):
            yield f'<polygon points="2,1 20,1 27,7 20,13 2,13" fill="{ENTRY}"/>', "the kernel is entered"
        if any(node.kind is NodeKind.SLOT for node in nodes):
            yield _rect(1, 1, 26, 12, 6, "#fff", EDGE, 1.1, ' stroke-dasharray="4 3"'), "a field that holds functions"
        if any(node.api for node in nodes):
            outer = _rect(1, 0, 26, 14, 5, "#fff", EDGE, 1.0, "")
            yield outer + _rect(4, 3, 20, 8, 3, "#fff", EDGE, 1.0, ""), "an API of a family"
        if any(edge.kind is EdgeKind.CALL for edge in edges) and any(node.root for node in nodes):
            yield _rect(2, 1, 25, 12, 4, "#fff", INK, 2.4, ""), "asked about"


def _text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
