"""A call graph as text: callers above, callees below, each shared part once.

With callers and callees the function stands in the middle; of an API, ways are told from the entries downwards.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lorelint.model.graph import Edge, EdgeKind, Graph, Node, NodeKind
from lorelint.report.graph import extent, heading, indirect, place, subject
from lorelint.report.ink import Ink
from lorelint.report.text import clean, many, width, wrap


class Signs(Struct, frozen=True):
    """What branches are drawn with."""

    tee: str
    last: str
    first: str  # the last one of a tree that grows upwards
    bar: str
    dashed: tuple[str, str, str]  # tee, last, first for an indirect hop
    entry: str
    dots: str


UNICODE = Signs("├─ ", "└─ ", "┌─ ", "│  ", ("├┄ ", "└┄ ", "┌┄ "), "◆ ", "…")
ASCII = Signs("|- ", "`- ", ",- ", "|  ", ("|~ ", "`~ ", ",~ "), "* ", "...")
_NOTES = 12  # remarks that are told


class _Line(Struct, frozen=True):
    """One node where it stands in the tree: by which edge, which of its ancestors have later siblings."""

    node: Node
    edge: Edge | None
    rest: tuple[bool, ...]
    again: bool


def tree(
    graph: Graph, *, columns: int = 80, colour: bool = False, unicode: bool = True, from_entries: bool = False
) -> str:
    """The whole picture: around each root, or from the entries downwards."""
    page = _Page(graph, columns, Ink(colour), UNICODE if unicode else ASCII)
    return "\n".join(page.lines(from_entries)) + "\n"


class _Page:
    def __init__(self, graph: Graph, columns: int, ink: Ink, signs: Signs) -> None:
        self.graph = graph
        self.columns = columns
        self.ink = ink
        self.signs = signs
        self.nodes = {node.id: node for node in graph.nodes}
        self.above: dict[str, list[Edge]] = {}
        self.below: dict[str, list[Edge]] = {}
        for edge in graph.edges:
            self.below.setdefault(edge.source, []).append(edge)
            self.above.setdefault(edge.target, []).append(edge)
        self.remarks: dict[str, int] = {}

    def lines(self, from_entries: bool) -> Iterator[str]:
        for line in wrap(heading(self.graph), self.columns, rest="    "):
            yield self.ink(line, "title")
        if not self.graph.nodes:
            yield f"  nothing leads there within {many(self.graph.callers, 'level')} of callers"
            return
        yield from wrap(extent(self.graph), self.columns, first="  ", rest="  ")
        if from_entries:
            yield from self._from_entries()
        else:
            for root in self.graph.nodes:
                if root.root:
                    yield ""
                    yield from self._hourglass(root)
        yield from self._foot()

    def _hourglass(self, root: Node) -> Iterator[str]:
        up = list(self._walk(root, self.above, set()))
        down = list(self._walk(root, self.below, set()))
        for line in reversed(up[1:]):
            yield self._line(line, upwards=True)
        yield self._line(down[0], upwards=False)
        for line in down[1:]:
            yield self._line(line, upwards=False)

    def _from_entries(self) -> Iterator[str]:
        shown: set[str] = set()
        for node in self.graph.nodes:
            if node.kind is NodeKind.ENTRY:
                yield ""
                for line in self._walk(node, self.below, shown):
                    yield self._line(line, upwards=False)

    def _walk(self, root: Node, edges: dict[str, list[Edge]], done: set[str]) -> Iterator[_Line]:
        """A tree depth first; what was shown before is named and not entered again. Without recursion."""
        stack: list[tuple[Node, Edge | None, tuple[bool, ...]]] = [(root, None, ())]
        while stack:
            node, edge, rest = stack.pop()
            nexts = edges.get(node.id, [])
            again = node.id in done and bool(nexts)
            yield _Line(node, edge, rest, again)
            done.add(node.id)
            if again:
                continue
            for at, each in reversed(list(enumerate(nexts))):
                other = self.nodes[each.source if edges is self.above else each.target]
                stack.append((other, each, (*rest, at < len(nexts) - 1)))

    def _line(self, line: _Line, upwards: bool) -> str:
        signs, edge, node = self.signs, line.edge, line.node
        lead = "".join(signs.bar if more else " " * len(signs.bar) for more in line.rest[:-1])
        if line.rest:
            solid = (signs.tee, signs.first if upwards else signs.last)
            dashed = (signs.dashed[0], signs.dashed[2] if upwards else signs.dashed[1])
            lead += (dashed if edge is not None and indirect(edge) else solid)[0 if line.rest[-1] else 1]
        name = (signs.entry if node.kind is NodeKind.ENTRY else "") + subject(node)
        name += self._marks(line, upwards)
        # Of several definitions that a call can mean, the place tells which this one is.
        where = place(node) if edge is not None and not edge.sure and not upwards else self._where(node, edge)
        room = self.columns - width(lead) - width(name) - 2
        gap = max(2, min(46, self.columns - 32) - width(lead) - width(name))
        if where and room < width(where):
            where = _shortened(where, room, signs.dots)
        gap = max(2, min(gap, self.columns - width(lead) - width(name) - width(where)))
        style = "good" if node.kind is NodeKind.ENTRY else "bold" if node.root else "note" if node.api else ""
        shown = self.ink(name, style) if style else name
        return f"{self.ink(lead, 'dim')}{shown}{' ' * gap if where else ''}{self.ink(where, 'place')}".rstrip()

    def _marks(self, line: _Line, upwards: bool) -> str:
        node, edge = line.node, line.edge
        marks = f" [{clean(node.api)}]" if node.api else ""
        if edge is not None and not edge.sure:
            marks += " ?"
        if edge is not None and edge.kind is EdgeKind.HANDED:
            marks += f" via {clean(edge.label)}"
        if node.note and not line.again:
            marks += f" ({self.remarks.setdefault(node.id, len(self.remarks) + 1)})"
        if line.again:
            marks += " (see below)" if upwards else " (see above)"
        return marks

    def _where(self, node: Node, edge: Edge | None) -> str:
        if edge is None or node.kind is NodeKind.ENTRY:
            return place(node)
        count = f" x{edge.count}" if edge.count > 1 else ""
        return clean(f"{edge.path}:{edge.line}") + count

    def _foot(self) -> Iterator[str]:
        signs = self.signs
        keys = [f"{signs.dashed[0].strip()[-1]} not called by name"] if any(map(indirect, self.graph.edges)) else []
        if any(not edge.sure for edge in self.graph.edges):
            keys.append("? the name can mean others, too")
        if any(node.kind is NodeKind.ENTRY for node in self.graph.nodes):
            keys.append(f"{signs.entry.strip()} the kernel is entered")
        if any(node.api for node in self.graph.nodes):
            keys.append("[..] an API of that family")
        if keys:
            yield ""
            for line in wrap("; ".join(keys), self.columns):
                yield self.ink(line, "dim")
        told = [*self.remarks.items()][:_NOTES]
        general = [cut.text for cut in self.graph.cuts if not cut.node]
        if told or general:
            yield ""
            yield "not followed:"
        for id, number in told:
            lead = f"  ({number}) "
            text = f"{subject(self.nodes[id])}: {clean(self.nodes[id].note)}"
            yield from wrap(text, self.columns, first=lead, rest=" " * len(lead))
        if len(self.remarks) > _NOTES:
            yield f"  and {len(self.remarks) - _NOTES} more (--format json has them all)"
        for text in general:
            yield from wrap(clean(text), self.columns, first="  ", rest="  ")


def _shortened(where: str, room: int, dots: str) -> str:
    """A place that fits: folders go first, from the left; "" where not even the file's name does."""
    parts = where.split("/")
    while len(parts) > 1 and width(dots + "/" + "/".join(parts[1:])) > room:
        parts = parts[1:]
    if len(parts) > 1:
        return dots + "/" + "/".join(parts[1:])
    return parts[0] if width(parts[0]) <= room else ""
