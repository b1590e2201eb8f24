"""The calls around a function as a picture in a page: nodes can be reached by the keyboard, edges go with them.

Made of the values that were kept with the review. Colours are the style sheet's, by classes, so it is right in the
dark too. Without a layout there is the list of calls alone, which stands below the picture in any case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup, escape
from msgspec import Struct

from lorelint.report.text import clean

NAME, PLACE = 12.0, 9.5
_KINDS = frozenset({"function", "macro", "slot", "entry"})
_MARGIN = 12.0


class Call(Struct, frozen=True):
    """One edge in words."""

    source: str
    verb: str
    target: str
    place: str
    sure: bool


class Calls(Struct, frozen=True):
    """`picture` is "" where nothing was laid out."""

    picture: Markup
    calls: tuple[Call, ...]
    cuts: tuple[str, ...]


def calls(graph: Mapping[str, Any] | None) -> Calls | None:
    """What is told of a graph; None for none."""
    if not graph:
        return None
    names = {node["id"]: subject(node) for node in graph["nodes"]}
    told = tuple(
        Call(names[e["source"]], _verb(e), names[e["target"]], f"{e['path']}:{e['line']}", bool(e["sure"]))
        for e in graph["edges"]
    )
    cuts = tuple(
        f"{names[cut['node']]}: {cut['text']}" if cut["node"] in names else cut["text"] for cut in graph["cuts"]
    )
    return Calls(_picture(graph), told, cuts)


def subject(node: Mapping[str, Any]) -> str:
    """What a node is called."""
    name = clean(node["name"])
    if node["kind"] == "entry":
        return f"{clean(node['entry'])} {name}"
    return name if node["kind"] == "slot" else f"{name}()"


def _verb(edge: Mapping[str, Any]) -> str:
    label = clean(edge["label"])
    said = {"call": "calls", "through": "calls through", "handed": f"is handed to {label}"}
    return said.get(edge["kind"], f"is bound in {label}" if label else "is bound to")


def _picture(graph: Mapping[str, Any]) -> Markup:
    layout = graph.get("layout")
    if not layout:
        return Markup("")
    wide, high = (each + 2 * _MARGIN for each in layout["size"])
    at = {node["id"]: number for number, node in enumerate(graph["nodes"])}
    parts = [
        f'<svg class="calls" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {high:.0f}" width="{wide:.0f}" '
        f'height="{high:.0f}" role="group" aria-label="{escape(_said(graph))}">',
        '<defs><marker id="to" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 .8 7.6 4 0 7.2 1.8 4z"/></marker></defs>',
        f'<g transform="translate({_MARGIN:.0f} {_MARGIN:.0f})">',
    ]
    parts += [_edge(edge, curve, at) for edge, curve in zip(graph["edges"], layout["curves"], strict=True)]
    parts += [_node(node, spot, at) for node, spot in zip(graph["nodes"], layout["spots"], strict=True)]
    return Markup("".join([*parts, "</g></svg>"]))


def _said(graph: Mapping[str, Any]) -> str:
    return (
        f"Calls around {clean(graph['title'])}. Arrows lead from the caller to the called; each is told in words below."
    )


def _edge(edge: Mapping[str, Any], curve: Any, at: Mapping[str, int]) -> str:
    start, *rest = (f"{float(x):.1f} {float(y):.1f}" for x, y in curve)
    classes = "edge" + ("" if edge["kind"] == "call" else " indirect") + ("" if edge["sure"] else " unsure")
    ends = f'data-from="n{at[edge["source"]]}" data-to="n{at[edge["target"]]}"'
    return f'<path class="{classes}" {ends} marker-end="url(#to)" d="M{start} C{" ".join(rest)}"/>'


def _node(node: Mapping[str, Any], spot: Any, at: Mapping[str, int]) -> str:
    x, y, wide, high = (float(each) for each in spot)
    kind = node["kind"] if node["kind"] in _KINDS else "function"
    classes = f"node {kind}" + (" root" if node["root"] else "") + (" api" if node["api"] else "")
    where = f"{node['path']}:{node['line']}" if node["path"] else ""
    told = ". ".join(filter(None, (subject(node), clean(where), clean(node["note"]))))
    return (
        f'<g class="{classes}" id="n{at[node["id"]]}" tabindex="0" role="img" aria-label="{escape(told)}">'
        f"<title>{escape(told)}</title>{''.join(_shape(kind, bool(node['api']), x, y, wide, high))}"
        f"{''.join(_texts(subject(node), clean(where), x, y))}</g>"
    )


def _shape(kind: str, api: bool, x: float, y: float, wide: float, high: float) -> Iterator[str]:
    left, top = x - wide / 2, y - high / 2
    if kind == "entry":
        right, low, point = left + wide, top + high, left + wide - 10
        corners = ((left, top), (point, top), (right, y), (point, low), (left, low))
        points = " ".join(f"{one:.1f},{two:.1f}" for one, two in corners)
        yield f'<polygon points="{points}"/>'
        return
    radius = {"slot": high / 2, "macro": 0.0}.get(kind, 6.0)
    if api:
        yield _rect(left, top, wide, high, radius + 3, "outer")
        left, top, wide, high = left + 3, top + 3, wide - 6, high - 6
    yield _rect(left, top, wide, high, radius, "box")


def _rect(x: float, y: float, wide: float, high: float, radius: float, name: str) -> str:
    return f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="{radius:.1f}"/>'


def _texts(first: str, second: str, x: float, y: float) -> Iterator[str]:
    top = y + (4.2 if not second else -2.2)
    yield f'<text x="{x:.1f}" y="{top:.1f}" font-size="{NAME}" text-anchor="middle">{escape(first)}</text>'
    if second:
        yield (
            f'<text class="place" x="{x:.1f}" y="{y + 12:.1f}" font-size="{PLACE}" text-anchor="middle">'
            f"{escape(second)}</text>"
        )
