"""A call graph in Graphviz's language: as a picture to be drawn, or only its outlines to be laid out.

Nodes have the size that their text needs in a font of fixed width, so that both are the same picture.
"""

from __future__ import annotations

from lorelint.model.graph import Edge, EdgeKind, Graph, Node, NodeKind
from lorelint.report.graph import Paint, extent, heading, indirect, place, site, subject, verb
from lorelint.report.text import clean, width

NAME, PLACE = 12.0, 9.5  # points
ADVANCE = 0.61  # of the size of a fixed-width font, a little more than any has
FONT = "DejaVu Sans Mono, Menlo, Consolas, monospace"
ENTRY = "#22303c"
INK = "#1d2733"
EDGE = "#56616d"
_POINT = 72.0


def labels(node: Node) -> tuple[str, str]:
    """The two lines of a node."""
    match node.kind:
        case NodeKind.ENTRY:
            return subject(node), place(node)
        case NodeKind.SLOT:
            return subject(node), ""
        case NodeKind.MACRO:
            return subject(node), f"macro, {place(node)}"
    return subject(node), place(node) or node.note.partition(":")[0]


def size(node: Node) -> tuple[float, float]:
    """Width and height in points."""
    first, second = labels(node)
    wide = max(width(first) * NAME, width(second) * PLACE) * ADVANCE
    extra = 34 if node.kind in (NodeKind.ENTRY, NodeKind.SLOT) else 22
    border = 6 if node.api else 0  # the second one
    return round(wide + extra + border, 1), (38.0 if second else 26.0) + border


def outline(graph: Graph) -> str:
    """What a layout needs: sizes and edges. Nodes are ``n0``, ``n1`` .. in their order."""
    number = {node.id: f"n{at}" for at, node in enumerate(graph.nodes)}
    lines = [
        "digraph calls {",
        *_SETTINGS,
        '  node [shape=box fixedsize=true label=""];',
        "  edge [dir=none headport=w tailport=e];",
    ]
    for node in graph.nodes:
        wide, high = size(node)
        lines.append(f"  {number[node.id]} [width={wide / _POINT:.4f} height={high / _POINT:.4f}];")
    lines += [f"  {number[edge.source]} -> {number[edge.target]};" for edge in graph.edges]
    return "\n".join([*lines, "}", ""])


_SETTINGS = ("  rankdir=LR;", "  ranksep=0.55;", "  nodesep=0.16;", "  remincross=true;", "  splines=true;")


def dot(graph: Graph) -> str:
    """The picture as text for ``dot``."""
    paint = Paint.of(graph)
    number = {node.id: f"n{at}" for at, node in enumerate(graph.nodes)}
    lines = [f"// {heading(graph)}: {extent(graph)}", "digraph calls {", *_SETTINGS]
    lines += [
        f"  graph [label=<{_legend(graph, paint)}> labelloc=b labeljust=l bgcolor=white fontname={_quoted(FONT)}];",
        f"  node [fontname={_quoted(FONT)} fontsize=11 fontcolor={_quoted(INK)} fixedsize=true];",
        f"  edge [headport=w tailport=e color={_quoted(EDGE)} arrowsize=0.7 fontname={_quoted(FONT)} fontsize=9];",
    ]
    lines += [f"  {number[node.id]} [{_node(node, paint)}];" for node in graph.nodes]
    lines += [f"  {number[edge.source]} -> {number[edge.target]} [{_edge(edge)}];" for edge in graph.edges]
    return "\n".join([*lines, "}", ""])


def _node(node: Node, paint: Paint) -> str:
    wide, high = size(node)
    fill, line = paint.colours(node.part)
    first, second = labels(node)
    shown = {
        "label": f"{first}\n{second}" if second else first,
        "tooltip": " ".join(filter(None, (first, second, clean(node.note)))),
        "width": f"{wide / _POINT:.4f}",
        "height": f"{high / _POINT:.4f}",
        "style": "rounded,filled",
        "shape": "box",
        "fillcolor": fill,
        "color": line,
    }
    match node.kind:
        case NodeKind.ENTRY:
            shown |= {"shape": "cds", "style": "filled", "fillcolor": ENTRY, "color": ENTRY, "fontcolor": "white"}
        case NodeKind.SLOT:
            shown |= {"style": "rounded,dashed", "fillcolor": "white", "color": EDGE}
        case NodeKind.MACRO:
            shown |= {"style": "filled"}
    if node.api:
        shown["peripheries"] = "2"
    if node.root:
        shown["penwidth"] = "2.4"
    return " ".join(f"{key}={_quoted(value)}" for key, value in shown.items())


def _edge(edge: Edge) -> str:
    shown = {"tooltip": f"{verb(edge)}: {site(edge)}"}
    if indirect(edge):
        shown["style"] = "dashed"
    if not edge.sure:
        shown["color"] = "#a3abb4"
    if edge.kind is EdgeKind.HANDED:
        shown["arrowhead"] = "empty"
    return " ".join(f"{key}={_quoted(value)}" for key, value in shown.items())


def _legend(graph: Graph, paint: Paint) -> str:
    cells = [
        f'<td bgcolor="{fill}" color="{line}" border="1">{_escaped(part)}</td>'
        for part, (fill, line) in paint.legend(graph)
    ]
    told = _escaped("dashed: not called by name; double border: an API; dark: the kernel is entered")
    title = f"<b>{_escaped(heading(graph))}</b> {_escaped(extent(graph))}"
    row = f"<tr>{''.join(cells)}</tr>" if cells else ""
    span = max(1, len(cells))
    return (
        f'<table border="0" cellspacing="6"><tr><td align="left" colspan="{span}">{title}</td></tr>{row}'
        f'<tr><td align="left" colspan="{span}"><font point-size="9">{told}</font></td></tr></table>'
    )


def _quoted(text: str) -> str:
    """A string of the language. A backslash in it is one, an end of line ends a line."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
