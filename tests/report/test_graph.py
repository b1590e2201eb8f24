"""Pictures of call graphs: each format of one graph of our small tree, to the byte (`make bless` writes them anew)."""

from __future__ import annotations

import json as plain_json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from lorelint.code.graphml import graphml
from lorelint.edge.directory import DirectoryTree
from lorelint.edge.graphviz import Graphviz
from lorelint.jobs.graph import api_graph, graph, path
from lorelint.jobs.siblings import siblings
from lorelint.model.graph import Cut, Edge, EdgeKind, Graph, Layout, Node, NodeKind, Spot
from lorelint.report import graph_json, graph_siblings, json
from lorelint.report.graph_dot import dot, outline, size
from lorelint.report.graph_paths import paths
from lorelint.report.graph_svg import svg
from lorelint.report.graph_tree import tree
from lorelint.report.text import width

GOLDEN = Path(__file__).parent.parent / "golden" / "graph"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def small(root: Path) -> DirectoryTree:
    return DirectoryTree(root / "corpora" / "trees" / "small")


@pytest.fixture(scope="module")
def around(small: DirectoryTree) -> Graph:
    """Around a function with callers that loop, an entry and callees."""
    return graph(small, ["dmamap_resolve_pfn"], (6, 12), callers=4, callees=2)


@pytest.fixture(scope="module")
def odd() -> Graph:
    """Every kind of node and edge, and text that must not be obeyed."""
    nodes = (
        Node("a", NodeKind.FUNCTION, "f<b>&\u202e", "mm/x\n.c", 3, "mm", root=True, api="gup", note="2 more"),
        Node("m", NodeKind.MACRO, "M", "include/m.h", 1, "include"),
        Node("s", NodeKind.SLOT, "box_ops.map"),
        Node("e", NodeKind.ENTRY, 'fops."mmap', "drivers/a/a.c", 9, "drivers/a", entry="mmap"),
        Node("t", NodeKind.FUNCTION, "taker", "drivers/a/a.c", 4, "drivers/a"),
    )
    edges = (
        Edge("m", "a", EdgeKind.CALL, "include/m.h", 1, 3),
        Edge("s", "a", EdgeKind.BIND, "mm/x.c", 7, label="ops"),
        Edge("t", "s", EdgeKind.THROUGH, "drivers/a/a.c", 5, sure=False),
        Edge("e", "t", EdgeKind.BIND, "drivers/a/a.c", 9),
        Edge("t", "a", EdgeKind.HANDED, "drivers/a/a.c", 6, label="kref_put()"),
        Edge("a", "a", EdgeKind.CALL, "mm/x.c", 4),
    )
    return Graph("f()", "small", 2, 0, nodes, edges, (Cut("a", "2 more"), Cut("", "4 nodes were looked at")))


def placed(graph: Graph) -> Layout:
    """A layout of our own, so that no program's version has a say."""
    spots = {f"n{at}": Spot(150.0, 30.0 + 50 * at, *size(node)) for at, node in enumerate(graph.nodes)}
    number = {node.id: f"n{at}" for at, node in enumerate(graph.nodes)}
    ends = [(spots[number[edge.source]], spots[number[edge.target]]) for edge in graph.edges]
    curves = tuple(((one.x, one.y), (one.x, one.y), (two.x, two.y), (two.x, two.y)) for one, two in ends)
    return Layout(320.0, 60.0 + 50 * len(graph.nodes), spots, curves)


def check(name: str, text: str, blessing: bool) -> None:
    path = GOLDEN / name
    if blessing:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert path.is_file(), f"no expected output {name}: make bless"
    assert text == path.read_text("utf-8")


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("unicode", [True, False])
def test_tree(columns: int, unicode: bool, around: Graph, blessing: bool) -> None:
    text = tree(around, columns=columns, unicode=unicode)
    assert all(width(line) <= columns for line in text.splitlines())
    check(f"around.{columns}.{'unicode' if unicode else 'ascii'}.txt", text, blessing)
    assert unicode or text.isascii()


def test_tree_from_entries(small: DirectoryTree, blessing: bool) -> None:
    check("api.txt", tree(api_graph(small, "pfnmap", (6, 12), callers=6), from_entries=True), blessing)


def test_tree_in_colour(around: Graph, blessing: bool) -> None:
    text = tree(around, colour=True)
    check("around.ansi", text, blessing)
    assert re.sub(r"\x1b\[[\d;]*m", "", text) == tree(around)


def test_tree_of_everything_odd(odd: Graph, blessing: bool) -> None:
    text = tree(odd)
    check("odd.txt", text, blessing)
    assert "\u202e" not in text and "(see above)" not in text.splitlines()[0]


def test_dot(around: Graph, odd: Graph, blessing: bool) -> None:
    check("around.dot", dot(around), blessing)
    check("odd.dot", dot(odd), blessing)


def test_svg(around: Graph, odd: Graph, blessing: bool) -> None:
    check("around.svg", svg(around, placed(around)), blessing)
    check("odd.svg", svg(odd, placed(odd)), blessing)


def test_svg_is_read_by_those_who_do_not_see_it(odd: Graph) -> None:
    top = ET.fromstring(svg(odd, placed(odd)))
    assert top.get("role") == "img" and top.get("aria-labelledby") == "title desc"
    assert [each.text for each in top.findall(f"{SVG}title")] == ["f() in small"]
    (desc,) = top.findall(f"{SVG}desc")
    assert desc.text is not None and "4 functions" not in desc.text and 'mmap fops."mmap' in desc.text
    titles = [each.text or "" for each in top.iter(f"{SVG}title")]
    assert "taker() to box_ops.map: calls through at drivers/a/a.c:5; the name can mean others, too" in titles
    assert "M() to f<b>&<U+202E>(): calls at include/m.h:1 and 2 more" in titles
    texts = {each.text for each in top.iter(f"{SVG}text")}
    assert {"f<b>&<U+202E>()", "mm/x<U+000A>.c:3", "macro, include/m.h:1"} <= texts


def test_json(around: Graph, blessing: bool) -> None:
    text = json.dump(graph_json.graph(around))
    check("around.json", text, blessing)
    loaded = plain_json.loads(text)
    names = {node["id"] for node in loaded["nodes"]}
    assert all({edge["source"], edge["target"]} <= names for edge in loaded["edges"])


def test_graphml(around: Graph, blessing: bool) -> None:
    import networkx as nx

    text = graphml(around)
    check("around.graphml", text, blessing)
    read = nx.parse_graphml(text)
    assert set(read) == {node.id for node in around.nodes}
    assert read.number_of_edges() == len(around.edges)
    assert read.nodes["drivers/misc/dmamap/dmamap.c:dmamap_resolve_pfn"]["root"] is True


def test_paths(small: DirectoryTree, blessing: bool) -> None:
    found = path(small, "dmamap_ioctl", "follow_pfnmap_start", (6, 12), most=5)
    check("path.txt", paths(found), blessing)
    check("path.ascii.txt", paths(found, unicode=False), blessing)
    check("path.json", json.dump(graph_json.chains(found)), blessing)
    none = path(small, "follow_pfnmap_start", "dmamap_ioctl", (6, 12), most=5)
    check("no_path.txt", paths(none), blessing)
    cut = replace(none, cuts=(Cut("include/linux/pool.h:#take", "2 more"),))
    assert "include/linux/pool.h:take: 2 more" in paths(cut)


def test_siblings_of_what_everybody_calls(small: DirectoryTree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorelint.code.links.HUB", 0)
    told = graph_siblings.siblings(siblings(small, "follow_pfnmap_start", (6, 12)))
    assert "callers not looked at" in told and "0 callers" not in told
    assert "its callers are not looked at" in told


def test_siblings(small: DirectoryTree, blessing: bool) -> None:
    found = siblings(small, "follow_pfnmap_start", (6, 12))
    check("siblings.txt", graph_siblings.siblings(found), blessing)
    check("siblings.json", json.dump(graph_json.siblings(found)), blessing)


# -- laid out by the program


def test_a_picture_of_a_real_layout(around: Graph, program: Callable[[str], str]) -> None:
    program("dot")
    layout = Graphviz().lay(outline(around), [f"n{at}" for at in range(len(around.nodes))], len(around.edges))
    assert len(layout.curves) == len(around.edges)
    spots = list(layout.spots.values())
    for at, one in enumerate(spots):
        assert one.x - one.width / 2 >= 0 and one.x + one.width / 2 <= layout.width + 1
        assert one.y - one.height / 2 >= 0 and one.y + one.height / 2 <= layout.height + 1
        for two in spots[at + 1 :]:
            apart = (
                abs(one.x - two.x) >= (one.width + two.width) / 2 or abs(one.y - two.y) >= (one.height + two.height) / 2
            )
            assert apart, "boxes lie over each other"
    for edge, curve in zip(around.edges, layout.curves, strict=True):
        start = layout.spots[f"n{[node.id for node in around.nodes].index(edge.source)}"]
        assert abs(curve[0][1] - start.y) <= start.height, "a curve begins at its caller"
    assert len(svg(around, layout)) > 1000


def test_a_name_that_is_wide_stays_in_its_box(odd: Graph) -> None:
    (node,) = (node for node in odd.nodes if node.id == "t")
    wide, _ = size(replace(node, name="x" * 60))
    assert wide > 60 * 12 * 0.6
