"""The call graph around some functions, grown on demand from facts, upwards and downwards.

It is bounded everywhere: levels, nodes, callers of one name, functions of one slot. What a bound keeps out is said
on the node and among the cuts. Macros and slots lie between two functions and take no level of their own. A climb ends
where the kernel is entered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from lorelint.code.facts import Assigned, Defined, Defines, Entry, Handed
from lorelint.code.links import HUB, Links, Spot, Stands, private
from lorelint.code.slots import Slot, Slots, function_at
from lorelint.code.words import KEYWORDS
from lorelint.model.entrances import Entrances, Family
from lorelint.model.graph import Cut, Edge, EdgeKind, Graph, Node, NodeKind
from lorelint.model.regex import regex

FAN_OUT = 24  # functions of one slot that are drawn
TABLES = 6  # tables of one kind of entry in which one function stands that are drawn
VARIANTS = 3  # definitions that one call can mean, after which none is drawn
NAMED = "named"  # the kind of an entry that only a macro at file scope stands for
_SYSCALL = regex(rb"\bSYSCALL\w*DEFINE[0-9x]\s*\(")


class Key(NamedTuple):
    """What a node is.

    function, macro: its file and name; slot: structure and field; entry: file, line and
    kind, what it is of
    """

    kind: NodeKind
    where: str
    name: str


class Link(NamedTuple):
    """One way from a node to another; `other` is the end that was not asked about."""

    other: Key
    kind: EdgeKind
    path: str
    line: int
    times: int = 1
    label: str = ""
    sure: bool = True


class Around(Struct):
    """What is above or below one node, and why that is not all."""

    links: list[Link] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Calls:
    """Neighbours of nodes in the call graph of one tree.

    entered  fields by which the kernel is entered are entries, one for each table; else they are slots like others
    """

    def __init__(
        self, links: Links, entrances: Entrances, families: Iterable[Family] = (), *, entered: bool = True
    ) -> None:
        self.links = links
        self.slots = Slots(links)
        self.entered = entered
        self.program = links.program
        self.entrances = entrances
        self.families = tuple(families)

    # -- what there is

    def keys(self, name: str, path: str = "") -> tuple[Key, ...]:
        """All functions of a name, else all macros, in a file or anywhere; sorted."""
        found = {Key(NodeKind.FUNCTION, spot.path, name) for spot in self.links.definitions(name)}
        found = found or {Key(NodeKind.MACRO, each, name) for each, _ in self.links.macros(name)}
        return tuple(sorted(key for key in found if not path or key.where == path))

    def api(self, name: str) -> str:
        """The first family that an API belongs to."""
        return next((each.name for each in self.families if name in each.functions), "")

    def node(self, key: Key, root: bool = False) -> Node:
        """A node without notes."""
        kind, where, name = key
        if kind is NodeKind.SLOT:
            return Node(f"{where}.{name}", kind, f"{where}.{name}", root=root)
        if kind is NodeKind.ENTRY:
            path, at, entry = where.split("\0")
            return Node(f"{entry} {name} {path}:{at}", kind, name, path, int(at), part(path), entry=entry)
        rows = self.links.local(where, name) if kind is NodeKind.FUNCTION else ()
        line = rows[0].row.line if rows else self._macro_line(where, name)
        mark = "#" if kind is NodeKind.MACRO else ""
        return Node(f"{where}:{mark}{name}", kind, name, where, line, part(where), root, self.api(name))

    def _macro_line(self, path: str, name: str) -> int:
        return next((row.line for row in self.program.facts(path).macros if row.name == name and row.calls), 0)

    def ends(self, key: Key) -> bool:
        """Whether nothing is looked at beyond a node: an entry, or the field of one, which thousands share."""
        if key.kind is NodeKind.SLOT:
            return not self.entered and bool(self.entrances.of_slot(key.where, key.name))
        return key.kind is NodeKind.ENTRY

    def warm(self, front: Iterable[Key], up: bool) -> None:
        """Let a tree without an index search at once for all that one level asks."""
        asked = [key for key in front if not self.ends(key)]
        slots = [Slot(key.where, key.name) for key in asked if key.kind is NodeKind.SLOT]
        if up:
            names = [key.name for key in asked if key.kind is not NodeKind.SLOT]
            self.slots.warm(slots, names)
            return
        called = [(name, key.where) for key in asked for name, _ in self._called(key)]
        self.slots.warm(slots, [name for name, _ in called])
        macros = (row for name, near in called if not self._common(name, near) for row in self._macros(name, near))
        self.links.warm([name for _, row in macros for name in row.calls])
        self.links.warm([each.value for slot in slots for each in self.slots.held(slot)[0]])

    # -- above

    def above(self, key: Key) -> Around:
        """Who leads to a node."""
        if key.kind is NodeKind.SLOT:
            return self._above_slot(Slot(key.where, key.name))
        if key.kind is NodeKind.MACRO:
            return self._above_name(key, key.where.endswith(".c"), macro=True)
        rows = self.links.local(key.where, key.name)
        alone = all(private(spot.path, spot.static) for spot in rows)
        found = self._above_name(key, alone)
        tables: dict[str, int] = {}
        for link, note in self._values(key, alone):
            if link is None:
                found.notes.append(note)
                continue
            kind = link.other.where.rpartition("\0")[2] if link.other.kind is NodeKind.ENTRY else ""
            tables[kind] = tables.get(kind, 0) + 1
            if not kind or tables[kind] <= TABLES:
                found.links.append(link)
        for kind, count in tables.items():
            if kind and count > TABLES:
                found.notes.append(f"entered by {count} tables as {kind}, {TABLES} shown")
        if not found.links and not found.notes:
            entry = self._syscall(rows)
            if entry is not None:
                found.links.append(entry)
        return found

    def _above_name(self, key: Key, alone: bool, macro: bool = False) -> Around:
        rows, whole = self.links.callers(key.where, key.name, alone, macro)
        found = Around()
        if not whole:
            found.notes.append(f"mentioned in more than {HUB} files: its callers are not looked at")
        for row in rows:
            other = _key(row.path, row.row)
            if other != key:
                found.links.append(Link(other, EdgeKind.CALL, row.path, row.line, row.times, "", row.sure))
        return found

    def _above_slot(self, slot: Slot) -> Around:
        callers, note = self.slots.callers(slot)
        links = [
            Link(
                _key(each.spot.path, each.spot.row),
                EdgeKind.THROUGH,
                each.spot.path,
                each.line,
                each.times,
                "",
                each.sure,
            )
            for each in callers
        ]
        return Around(links, [note] if note else [])

    def _values(self, key: Key, alone: bool) -> Iterator[tuple[Link | None, str]]:
        """Where the function stands in a table, in a field, or as an argument."""
        stands, whole = self.links.stands(key.where, key.name, alone)
        if not whole:
            yield None, f"mentioned in more than {HUB} files: where it stands as a value is not looked at"
        seen: set[tuple[Key, str]] = set()
        for each in stands:
            for link, note in self._stands(each):
                if link is None and note:
                    yield None, note
                elif link is not None and (link.other, link.label) not in seen:
                    seen.add((link.other, link.label))
                    yield link, note

    def _stands(self, stands: Stands) -> Iterator[tuple[Link | None, str]]:
        path, row = stands
        match row:
            case Entry():
                slot = self.slots.of_entry(row)
                if slot is None:
                    yield None, f"unresolved: .{row.field} at {path}:{row.line}"
                else:
                    yield self._bound(slot, path, row.line, row.object), ""
            case Assigned():
                spot = function_at(path, self.program.facts(path).functions, row.function, row.line)
                slots = self.slots.of(spot, row) if spot is not None else ()
                if not slots:
                    yield None, f"unresolved: ->{row.field} at {path}:{row.line}"
                for slot in slots:
                    yield self._bound(slot, path, row.line, "", len(slots) == 1), ""
            case Handed():
                yield self._handed(path, row), ""

    def _bound(self, slot: Slot, path: str, line: int, holder: str, sure: bool = True) -> Link:
        kind = self.entrances.of_slot(slot.tag, slot.field) if self.entered else ""
        if not kind:
            return Link(Key(NodeKind.SLOT, slot.tag, slot.field), EdgeKind.BIND, path, line, 1, holder, sure)
        name = f"{holder or slot.tag}.{slot.field}"
        return Link(_entry(kind, path, line, name), EdgeKind.BIND, path, line, 1, slot.id, sure)

    def _handed(self, path: str, row: Handed) -> Link | None:
        kind = self.entrances.handed.get(row.callee, "")
        if kind:
            return Link(_entry(kind, path, row.line, f"{row.callee}()"), EdgeKind.BIND, path, row.line, 1, row.callee)
        if self.entrances.ignores(row.callee) or row.callee.encode("utf-8", "surrogateescape") in KEYWORDS:
            return None
        if row.function:
            other = Key(NodeKind.FUNCTION, path, row.function)
            return Link(other, EdgeKind.HANDED, path, row.line, 1, f"{row.callee}()")
        return Link(_entry(NAMED, path, row.line, f"{row.callee}()"), EdgeKind.HANDED, path, row.line, 1, row.callee)

    def _syscall(self, rows: tuple[Spot, ...]) -> Link | None:
        for spot in rows:
            raw = self.program.raw(spot.path) or b""
            head = b"\n".join(raw.split(b"\n")[spot.row.first_line - 1 : spot.row.line])
            if _SYSCALL.search(head):
                key = _entry("syscall", spot.path, spot.row.line, f"{spot.name}()")
                return Link(key, EdgeKind.BIND, spot.path, spot.row.line)
        return None

    # -- below

    def below(self, key: Key) -> Around:
        """What a node leads to. Hubs are left out and said, APIs that a family names are not."""
        if key.kind is NodeKind.SLOT:
            return self._below_slot(Slot(key.where, key.name))
        found = Around()
        names: dict[str, list[int]] = {}
        for name, line in self._called(key):
            names.setdefault(name, []).append(line)
        self.links.warm(list(names))
        hubs, several = [], []
        for name, lines in names.items():
            if self._common(name, key.where):
                hubs.append(name)
            else:
                others = self._meant(name, key.where)
                if len(others) > VARIANTS:
                    several.append(f"{name} ({len(others)})")
                    continue
                for other in others:
                    if other != key:
                        sure = len(others) == 1
                        found.links.append(Link(other, EdgeKind.CALL, key.where, min(lines), len(lines), "", sure))
        if several:
            found.notes.append(f"names with several definitions are not drawn: {', '.join(sorted(several))}")
        if hubs:
            found.notes.append(f"calls that are common are not drawn: {', '.join(sorted(hubs))}")
        if key.kind is NodeKind.FUNCTION:
            self._through(key, found)
        return found

    def _called(self, key: Key) -> Iterator[tuple[str, int]]:
        if key.kind is NodeKind.MACRO:
            for path, macro in self.links.macros(key.name):
                if path == key.where:
                    yield from ((name, macro.line) for name in macro.calls)
        elif key.kind is NodeKind.FUNCTION:
            for spot in self.links.local(key.where, key.name):
                yield from spot.row.calls

    def _common(self, name: str, near: str) -> bool:
        """Whether a call tells nothing: of a hub that is no API and not the file's own."""
        return self.links.hub(name) and not self.links.local(near, name) and not self.api(name)

    def _macros(self, name: str, near: str) -> tuple[tuple[str, Defines], ...]:
        return () if self.links.local(near, name) else self.links.meant_macros(name, near)

    def _meant(self, name: str, near: str) -> list[Key]:
        """The functions, and the macros that lead on to one, that a call can mean; sorted."""
        others = {Key(NodeKind.FUNCTION, spot.path, name) for spot in self.links.meant(name, near)}
        for path, row in self._macros(name, near):
            if any(self.links.meant(each, path) for each in row.calls if each != name):
                others.add(Key(NodeKind.MACRO, path, name))
        return sorted(others)

    def _through(self, key: Key, found: Around) -> None:
        """Calls through fields."""
        seen: dict[Slot, Link] = {}
        for spot in self.links.local(key.where, key.name):
            for row in spot.row.through:
                slots = self.slots.of(spot, row)
                if not slots:
                    what = f"(*{row.field})()" if row.of == "*" else f"->{row.field}()"
                    found.notes.append(f"unresolved: {what} at {spot.path}:{row.line}")
                for slot in slots:
                    link = seen.get(slot)
                    if link is not None:
                        seen[slot] = link._replace(times=link.times + 1)
                        continue
                    other = Key(NodeKind.SLOT, slot.tag, slot.field)
                    seen[slot] = Link(other, EdgeKind.THROUGH, spot.path, row.line, 1, "", len(slots) == 1)
        found.links.extend(seen.values())

    def _below_slot(self, slot: Slot) -> Around:
        held, whole = self.slots.held(slot)
        found: dict[Key, Link] = {}
        for each in held:
            for spot in self.links.meant(each.value, each.path):
                key = Key(NodeKind.FUNCTION, spot.path, spot.name)
                found.setdefault(key, Link(key, EdgeKind.BIND, each.path, each.line, 1, each.object))
        links, notes = list(found.values()), []
        if len(links) > FAN_OUT or not whole:
            count = f"{len(links):,}" if whole else f"more than {len(links):,}"
            notes.append(f"{count} functions, {min(FAN_OUT, len(links))} shown")
        return Around(links[:FAN_OUT], notes)


def _key(path: str, row: Defined | Defines) -> Key:
    return Key(NodeKind.MACRO if isinstance(row, Defines) else NodeKind.FUNCTION, path, row.name)


def _entry(kind: str, path: str, line: int, name: str) -> Key:
    return Key(NodeKind.ENTRY, f"{path}\0{line}\0{kind}", name)


def part(path: str) -> str:
    """The subsystem of a file, by its folders: ``mm``, ``drivers/vfio``, ``drivers/gpu/drm``."""
    folders = path.split("/")[:-1]
    deep = {"drivers": 2, "arch": 2, "virt": 2, "fs": 2}.get(folders[0] if folders else "", 1)
    if folders[:3] == ["drivers", "gpu", "drm"]:
        deep = 3
    return "/".join(folders[:deep])


class Growth(Struct):
    """A graph being grown around its roots."""

    calls: Calls
    limit: int  # nodes
    closed: bool = False  # a root is not looked at as the caller of another
    nodes: dict[Key, Node] = field(default_factory=dict)
    edges: dict[tuple[Key, Key, EdgeKind, str], Edge] = field(default_factory=dict)
    cuts: dict[Cut, None] = field(default_factory=dict)
    full: bool = False

    def start(self, roots: Iterable[Key]) -> None:
        for key in roots:
            self.nodes[key] = self.calls.node(key, root=True)

    def grow(self, roots: Iterable[Key], levels: int, up: bool) -> None:
        """So many levels of calls from the roots, level by level."""
        front = list(roots)
        seen = set(front)
        for _ in range(levels):
            front = self.level(front, seen, up)

    def level(self, front: list[Key], seen: set[Key], up: bool, stop: frozenset[Key] = frozenset()) -> list[Key]:
        """One level beyond `front`, and its functions. Macros and slots are passed without a level of their own.

        stop  nothing beyond these is looked at
        """
        here = list(front)
        beyond: list[Key] = []
        while here:
            asked = [key for key in here if key not in stop and not self.calls.ends(key)]
            self.calls.warm(asked, up)
            here = []
            for key in asked:
                for other in self._step(key, up):
                    if other not in seen:
                        seen.add(other)
                        (here if other.kind in (NodeKind.MACRO, NodeKind.SLOT) else beyond).append(other)
        return beyond

    def _step(self, key: Key, up: bool) -> Iterator[Key]:
        around = self.calls.above(key) if up else self.calls.below(key)
        left = 0
        for link in around.links:
            if self.closed and link.other in self.nodes and self.nodes[link.other].root:
                continue
            if link.other not in self.nodes:
                if len(self.nodes) >= self.limit:
                    left += 1
                    continue
                self.nodes[link.other] = self.calls.node(link.other)
            ends = (link.other, key) if up else (key, link.other)
            self._edge(ends, link)
            yield link.other
        notes = list(around.notes)
        if left:
            self.full = True
            notes.append(f"{left} more {'callers' if up else 'callees'} are not drawn")
        if up and not around.links and not notes and not self.nodes[key].root:
            notes.append("nothing calls it by name, and it stands in no table")
        self._note(key, notes)

    def _edge(self, ends: tuple[Key, Key], link: Link) -> None:
        source, target = (self.nodes[each].id for each in ends)
        edge = Edge(source, target, link.kind, link.path, link.line, link.times, link.label, link.sure)
        self.edges.setdefault((*ends, link.kind, link.label), edge)

    def _note(self, key: Key, notes: list[str]) -> None:
        if not notes:
            return
        node = self.nodes[key]
        known = node.note.split("; ") if node.note else []
        self.nodes[key] = replace(node, note="; ".join(dict.fromkeys((*known, *notes))))
        for note in notes:
            self.cuts.setdefault(Cut(node.id, note))

    def graph(self, title: str, callers: int, callees: int) -> Graph:
        """What was grown, in order."""
        rank = {node.id: at for at, node in enumerate(self.nodes.values())}
        edges = sorted(
            self.edges.values(), key=lambda edge: (rank[edge.source], rank[edge.target], edge.kind, edge.label)
        )
        cuts = list(self.cuts)
        if self.full:
            cuts.append(Cut("", f"{self.limit:,} nodes were looked at, and there are more"))
        tree = self.calls.program.tree.name
        return Graph(title, tree, callers, callees, tuple(self.nodes.values()), tuple(edges), tuple(cuts))


def between(graph: Graph, entry: str) -> Graph:
    """What lies on a way from an entry of a kind ("" for any) down to a root; the rest is left out."""
    below: dict[str, list[str]] = {}
    above: dict[str, list[str]] = {}
    for edge in graph.edges:
        below.setdefault(edge.source, []).append(edge.target)
        above.setdefault(edge.target, []).append(edge.source)
    kinds = {entry} if entry else {node.entry for node in graph.nodes} - {"", NAMED}
    entries = [node.id for node in graph.nodes if node.entry in kinds]
    kept = _reached(entries, below) & _reached([node.id for node in graph.nodes if node.root], above)
    nodes = tuple(node for node in graph.nodes if node.id in kept)
    edges = tuple(edge for edge in graph.edges if edge.source in kept and edge.target in kept)
    cuts = tuple(cut for cut in graph.cuts if not cut.node or cut.node in kept)
    return replace(graph, nodes=nodes, edges=edges, cuts=cuts)


def _reached(start: Iterable[str], to: dict[str, list[str]]) -> set[str]:
    seen = set(start)
    left = list(seen)
    while left:
        for other in to.get(left.pop(), ()):
            if other not in seen:
                seen.add(other)
                left.append(other)
    return seen
