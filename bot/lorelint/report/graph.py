"""What all pictures of a call graph share: what a node is called, its colours, the words of the legend."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from lorelint.model.graph import Cut, Edge, EdgeKind, Graph, Node, NodeKind
from lorelint.report.text import clean, many

# Fill and line, told apart by people who see fewer colours, too; dark text is readable on each fill.
_COLOURS = (
    ("#d6e8f7", "#2f6da3"),
    ("#fbe3c5", "#b8690b"),
    ("#d5efe2", "#1c7f58"),
    ("#f3d9e8", "#a03c76"),
    ("#fbf3bd", "#8a7a10"),
    ("#e1dcf5", "#5b48a8"),
    ("#f8d7d0", "#b3412a"),
    ("#d9eef0", "#23747d"),
)
OTHER = ("#ebebeb", "#6b6b6b")


class Paint(Struct, frozen=True):
    """The colours of a graph's subsystems, the most frequent first; those that are left share one."""

    parts: tuple[str, ...]

    @classmethod
    def of(cls, graph: Graph) -> Paint:
        count = Counter(node.part for node in graph.nodes if node.part and node.kind is not NodeKind.ENTRY)
        ranked = sorted(count, key=lambda part: (-count[part], part))
        return cls(tuple(ranked[: len(_COLOURS)]))

    def colours(self, part: str) -> tuple[str, str]:
        return _COLOURS[self.parts.index(part)] if part in self.parts else OTHER

    def legend(self, graph: Graph) -> list[tuple[str, tuple[str, str]]]:
        """Subsystems and their colours, as far as they are in the graph."""
        rows = [(clean(part), self.colours(part)) for part in self.parts]
        if any(node.part and node.kind is not NodeKind.ENTRY and node.part not in self.parts for node in graph.nodes):
            rows.append(("other", OTHER))
        return rows


def subject(node: Node) -> str:
    """``follow_pfnmap_start()``, ``vfio_device_ops.ioctl``, ``ioctl vfio_fops.unlocked_ioctl``."""
    name = clean(node.name)
    if node.kind is NodeKind.ENTRY:
        return f"{node.entry} {name}"
    return name if node.kind is NodeKind.SLOT else f"{name}()"


def place(node: Node) -> str:
    """``mm/memory.c:6435``, "" for what is nowhere."""
    return clean(f"{node.path}:{node.line}") if node.path else ""


def site(edge: Edge) -> str:
    """The first place of an edge, and how many more there are."""
    more = f" and {edge.count - 1} more" if edge.count > 1 else ""
    return clean(f"{edge.path}:{edge.line}") + more


def indirect(edge: Edge) -> bool:
    return edge.kind is not EdgeKind.CALL


def verb(edge: Edge) -> str:
    """What one end does to the other, as a clause: ``calls``, ``bound as vfio_fops``."""
    match edge.kind:
        case EdgeKind.CALL:
            return "calls"
        case EdgeKind.THROUGH:
            return "calls through"
        case EdgeKind.HANDED:
            return f"handed to {clean(edge.label)}"
    return f"bound in {clean(edge.label)}" if edge.label else "bound"


def heading(graph: Graph) -> str:
    """One line on what the picture shows."""
    where = f" in {clean(graph.tree)}" if graph.tree else ""
    return f"{clean(graph.title)}{where}"


def extent(graph: Graph) -> str:
    """How far was looked and what there is."""
    functions = sum(node.kind is NodeKind.FUNCTION for node in graph.nodes)
    entries = sum(node.kind is NodeKind.ENTRY for node in graph.nodes)
    parts = [f"{many(graph.callers, 'level')} of callers" if graph.callers else ""]
    parts.append(f"{many(graph.callees, 'level')} of callees" if graph.callees else "")
    parts.append(many(functions, "function"))
    parts.append(many(entries, "entry", "entries") if entries else "")
    return ", ".join(filter(None, parts))


def told(graph: Graph, cut: Cut) -> str:
    """A cut as one sentence about its node."""
    node = next((each for each in graph.nodes if each.id == cut.node), None)
    return clean(cut.text) if node is None else f"{subject(node)}: {clean(cut.text)}"
