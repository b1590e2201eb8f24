"""In which order a function unmaps and revokes, and what keeps faults out in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from lorelint.rule import Step, TreeView, flow, ir
from lorelint.rule.analyses import mapping, unmaps
from lorelint.rule.analyses.folder import folder_of, near
from lorelint.rule.analyses.mapping import COUNTED, Gate, Way
from lorelint_rules.revoke import markers
from lorelint_rules.revoke.markers import Kind, Marker
from lorelint_rules.revoke.marks import MARKS, Zap
from lorelint_rules.revoke.marks import locks as locks_of
from lorelint_rules.revoke.paths import Guarded, between, paths

_DEEP = 2  # calls down to a marker
_WIDE = 40  # functions looked at for markers


class Taken(Struct, frozen=True):
    """A place of the function from which mappings are taken away."""

    node: int
    step: Step
    zap: Zap
    held: frozenset[str]


class Barred(Struct, frozen=True):
    """A place of the function at or below which the marker is set; `steps` lead to it."""

    node: int
    marker: Marker
    steps: tuple[Step, ...]
    held: frozenset[str]  # at the marker itself


class Race(Struct, frozen=True):
    """An unmap with the marker behind it."""

    taken: Taken
    barred: Barred
    way: Way
    gate: Gate | None
    locks: frozenset[str]  # of the handlers


class Fine(Struct, frozen=True):
    line: int
    reason: str
    steps: tuple[Step, ...]


class Order:
    """One function."""

    def __init__(self, view: TreeView, fn: ir.Function) -> None:
        self.view = view
        self.fn = fn
        self.marks = view.of(MARKS)
        self.held = self.marks.held
        self.scope = self.held.scope(fn)
        self._taken: tuple[Taken, ...] | None = None

    @property
    def over(self) -> frozenset[str]:
        """Locks that every caller holds."""
        return self.held.over(self.fn, every=True)

    @property
    def takes(self) -> bool:
        """Whether it may lead to a place that takes mappings away. Costs little to ask."""
        return self.fn.name in self.marks.takers(folder_of(self.fn.path))

    def verdicts(self) -> Iterator[Race | Fine]:
        # What is asked first costs least: most folders take no mappings away, and many of the others never had any.
        if not self.takes or not any(_lasts(way) for way in mapping.ways(self.view.program, self.fn.path)):
            return
        taken = self.taken()
        if not taken:
            return
        barred = tuple(self.barred())
        for each in barred:
            for way, gate in self.ways(each.marker):
                mine = [at for at in taken if at.zap.tags & (way.tags | {each.marker.tag})]
                for at in mine:
                    if at.node != each.node and self.reaches(at.node, each.node):
                        yield self._judge(at, each, way, gate, mine, barred)

    def taken(self) -> tuple[Taken, ...]:
        if self._taken is None:
            self._taken = self._find_taken()
        return self._taken

    def _find_taken(self) -> tuple[Taken, ...]:
        zaps = {(zap.step.path, zap.step.line): zap for zap in self.marks.zaps(folder_of(self.fn.path))}
        found = []
        for unmap in unmaps.unmaps(self.view.program, self.scope) if self.takes else ():
            place = unmap.chain[-1] if unmap.chain else unmap.step
            zap = zaps.get((place.path, place.line))
            if zap is not None:
                held = self.over | self.held.names(self.fn, unmap.node) | zap.must
                found.append(Taken(unmap.node, unmap.step, zap, held))
        return tuple(found)

    def barred(self) -> Iterator[Barred]:
        """Markers of the function and of those it calls."""
        todo: list[tuple[ir.Function, int | None, tuple[Step, ...], frozenset[str]]] = [(self.fn, None, (), self.over)]
        seen = {self.fn.key}
        while todo:
            fn, top, steps, held = todo.pop(0)
            scope = self.held.scope(fn)
            if markers.hints(fn.text):
                for marker in markers.find(self.view, scope):
                    step = Step(fn.path, marker.line, f"{marker.text} in {fn.name}()")
                    at = marker.node if top is None else top
                    yield Barred(at, marker, (*steps, step), held | self.held.names(fn, marker.node))
            if len(steps) >= _DEEP:
                continue
            for node in scope.cfg.nodes:
                for call in ir.calls(node.expr):
                    for callee in near(self.view.program, call.name, fn.path) if call.name else ():
                        if callee.key not in seen and len(seen) < _WIDE:
                            seen.add(callee.key)
                            below = Step(fn.path, call.line, f"{fn.name}() calls {call.name}()")
                            at = node.id if top is None else top
                            todo.append((callee, at, (*steps, below), held | self.held.names(fn, node.id)))

    def ways(self, marker: Marker) -> tuple[tuple[Way, Gate | None], ...]:
        """Ways by which mappings come back, each with the test of the marker."""
        found = markers.ways_of(marker, mapping.ways(self.view.program, self.fn.path))
        return tuple((way, gate) for way, gate in found if _lasts(way))

    def reaches(self, one: int, other: int) -> bool:
        """Whether one pass through the function comes from one place to the other."""
        return flow.reaches(self.scope.cfg, [one], {other}, may=self._once(one, other)) is not None

    def _once(self, one: int, other: int) -> Callable[[ir.Node, ir.Edge], bool]:
        loops = self.view.program.loops(self.fn)
        back = {edge for loop in loops if one in loop.body and other in loop.body for edge in loop.back}
        return lambda at, edge: (at.id, edge.to) not in back

    def handlers(self, way: Way, marker: Marker) -> frozenset[str]:
        """Locks that the way's handlers take for the test of the marker; what they hold at the insert, without one.

        Whether such a lock is held to the insert is another question, which fault-revoked-check asks.
        """
        found: frozenset[str] = frozenset()
        for path in paths(way):
            if not path.counted:
                guarded = Guarded(self.held, path)
                tests = [test for test in guarded.tests() if markers.guards(marker, test.gate)]
                found = found.union(*(test.held for test in tests)) if tests else found | guarded.at_insert
        return found

    def _judge(
        self, at: Taken, each: Barred, way: Way, gate: Gate | None, taken: list[Taken], barred: tuple[Barred, ...]
    ) -> Race | Fine:
        again = next((other for other in taken if other.node == each.node or self.reaches(each.node, other.node)), None)
        if again is not None:
            return Fine(at.step.line, "it is unmapped once more behind the marker", (*each.steps, again.step))
        before = next((other for other in barred if self._bars(other, each, way) and self._first(other, at)), None)
        if before is not None:
            return Fine(at.step.line, "a marker that the handlers test is set before the unmap", before.steps)
        locks = self.handlers(way, each.marker)
        over = locks & self._kept(at, each)
        if over:
            return Fine(
                at.step.line, f"{locks_of(over)}, which the handlers take, is held over both", (at.step, *each.steps)
            )
        if each.marker.kind in (Kind.CALL, Kind.FREE) and not each.held & locks:
            return Fine(at.step.line, "no lock of the fault handlers is taken for the revoke", (at.step, *each.steps))
        return Race(at, each, way, gate, locks)

    def _kept(self, at: Taken, each: Barred) -> frozenset[str]:
        """Locks of the unmap that are not given back on the way to the marker."""
        behind = self.held.behind(self.fn, at.node)
        nodes = between(self.scope.cfg, at.node, each.node)
        return self.over | frozenset(
            name
            for name in at.held & behind
            if self.held.releases(self.fn, name).isdisjoint(nodes) or each.node == at.node
        )

    def _bars(self, other: Barred, each: Barred, way: Way) -> bool:
        if other is each or other.marker.kind in (Kind.CALL, Kind.FREE):
            return False
        return any(markers.guards(other.marker, gate) for gate in way.gates)

    def _first(self, other: Barred, at: Taken) -> bool:
        return other.node == at.node or self.reaches(other.node, at.node)


def _lasts(way: Way) -> bool:
    """Whether its PTEs may outlive what they are of."""
    return any(each.api not in COUNTED for each in way.inserts)


def late_lock(order: Order) -> Iterator[tuple[Taken, str, int, Way]]:
    """An unmap before a lock that the function hands to its caller and the handlers take, with name and line of it."""
    if not order.takes:
        return
    takes = {lock.text for lock in order.held.effect(order.fn).takes if lock.kind != "asserted"}
    if not takes:
        return
    taken = order.taken()
    for way in mapping.ways(order.view.program, order.fn.path) if taken else ():
        wanted = takes & frozenset().union(*(Guarded(order.held, path).at_insert for path in paths(way)))
        for at in taken:
            for name in sorted(wanted - at.held) if at.zap.tags & way.tags else ():
                line = _opened(order, name)
                inside = any(name in other.held for other in taken)
                if line and not inside:
                    yield at, name, line, way


def _opened(order: Order, name: str) -> int:
    """Line at which a lock is taken, 0 where it is not seen."""
    for node in order.scope.cfg.nodes:
        if name not in order.held.names(order.fn, node.id) and name in order.held.behind(order.fn, node.id):
            return node.line
    return 0
