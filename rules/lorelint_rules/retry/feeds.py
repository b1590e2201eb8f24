"""Loops whose length a user decides: over the pages of a user's range, or over a ring that a user refills.

They end by themselves, or when the user stops feeding them, so they are no retry loops; but a pass that
neither yields nor looks at signals can go round millions of times.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from enum import StrEnum

from msgspec import Struct

from lorelint.rule import Analysis, TreeView, bounds, codes, entries, ir, marks, measures, regex, summary
from lorelint_rules.retry.loops import SUMMARIES

_DEPTH = 3
_LOOP = regex(rb"\b(?:while|for)\b")
_WRAPPED = regex(rb"\[[^;{}\]]*[&%\[]")  # an index with a mask or remainder in it, or with another index


class Feed(StrEnum):
    PAGES = "pages of a user's range"
    RING = "entries of a ring that can be refilled meanwhile"


class UserLoop(Struct, frozen=True):
    function: ir.Function
    loop: ir.Loop
    feed: Feed
    line: int  # of the call or of the entry that shows it
    what: str  # the callee, or the ring
    marks: frozenset[str]  # that every way round past that place has

    @property
    def name(self) -> str:
        return self.loop.label or self.what


class _Fed(Struct, frozen=True):
    """Mark: the pass went by the place that shows whose loop it is."""


class UserLoops:
    def __init__(self, view: TreeView) -> None:
        self.program = view.program
        self.sums = view.of(SUMMARIES)
        self.entries = entries.Entries(view.program)
        self.pinners = view.know.names("gup_pin", "gup_get", "pfn_lookup", "page_faults")

    def of(self, fn: ir.Function) -> tuple[UserLoop, ...]:
        return self.program.memo(("user-loops", fn.path, fn.name, fn.text), lambda: tuple(self._search(fn)))

    def _search(self, fn: ir.Function) -> Iterator[UserLoop]:
        pages, ring = self._may_pin(fn), _WRAPPED.search(fn.text) is not None
        if not _LOOP.search(fn.text) or not (pages or ring):
            return
        cfg = self.program.cfg(fn)
        for loop in self.program.loops(fn):
            if loop.kind not in (ir.LoopKind.WHILE, ir.LoopKind.FOR, ir.LoopKind.DO):
                continue
            shown = (self._pages(fn, cfg, loop) if pages else None) or (self._ring(fn, cfg, loop) if ring else None)
            if shown is not None:
                feed, node, what = shown
                marks = self._marks(fn, cfg, loop, node)
                if marks is not None:
                    yield UserLoop(fn, loop, feed, cfg.nodes[node].line, what, marks)

    def _may_pin(self, fn: ir.Function) -> bool:
        """A cheap look at the text: one of the words is there, or a function of the file that has one of them."""

        def look() -> tuple[bytes, ...]:
            near = [each.name for each in self.program.functions(fn.path) if any(w in each.text for w in words)]
            return tuple(name.encode("utf-8", "surrogateescape") for name in near)

        words = [each.encode() for each in self.pinners]
        if any(word in fn.text for word in words):
            return True
        return any(name in fn.text for name in self.program.memo(("pinning", fn.path), look))

    def _pages(self, fn: ir.Function, cfg: ir.Cfg, loop: ir.Loop) -> tuple[Feed, int, str] | None:
        """A counted loop that pins, looks up or brings in a user's pages, itself or in a function of its file."""
        counters = bounds.Bounds(cfg, loop, self.program.know).counters
        if not counters or any(_few(cfg, loop, counters)):
            return None
        for id_ in sorted(loop.body):
            for call in ir.calls(cfg.nodes[id_].expr):
                if (call.name in self.pinners or self._pins(fn, call.name)) and not _all_left(
                    cfg, loop, call, counters
                ):
                    return Feed.PAGES, id_, f"{call.name}()"
        return None

    def _pins(self, fn: ir.Function, name: str) -> bool:
        callee = self.program.function(fn.path, name) if name and name != fn.name else None
        if callee is None or not any(each.encode() in callee.text for each in self.pinners):
            return False
        nodes = self.program.cfg(callee).nodes
        return any(call.name in self.pinners for node in nodes for call in ir.calls(node.expr))

    def _ring(self, fn: ir.Function, cfg: ir.Cfg, loop: ir.Loop) -> tuple[Feed, int, str] | None:
        """``while (true)`` over ``ring[index & mask]`` with nothing counted that ends it, on behalf of an ioctl."""
        known = bounds.Bounds(cfg, loop, self.program.know)
        if any(_counted_out(cfg, loop, known)):
            return None
        for id_ in sorted(loop.body):
            expr = cfg.nodes[id_].expr
            for each in ir.walk(expr) if expr is not None else ():
                if isinstance(each, ir.Index) and _wraps(each.index, known.counters):
                    return (Feed.RING, id_, ir.show(each.base)) if self.entries.from_ioctl(fn) else None
        return None

    def _marks(self, fn: ir.Function, cfg: ir.Cfg, loop: ir.Loop, place: int) -> frozenset[str] | None:
        def more(node: ir.Node, edge: ir.Edge | None) -> Iterable[Hashable]:
            return (_Fed(),) if edge is None and node.id == place else ()

        explored = self.sums.explorer(fn, _DEPTH, trail=0, inside=loop.body, more=more).run(loop.head, loop.back)
        went = [world for back in loop.back for world in explored.arrived[back] if _Fed() in world.marks]
        if not went or explored.cut or any(world.coarse for world in went):
            return None
        return frozenset.intersection(*(marks.settled(world) for world in went))


def _all_left(cfg: ir.Cfg, loop: ir.Loop, call: ir.Call, counters: frozenset[str]) -> bool:
    """The call is handed all that is left: one pass does the work, and whether it yields is decided in there."""
    held = {
        name: value
        for id_ in loop.body
        if (expr := cfg.nodes[id_].expr) is not None
        for name, value in measures.assignments(expr)
    }
    for arg in call.args:
        match held.get(arg.name, arg) if isinstance(arg, ir.Name) else arg:
            case ir.Binary(op="-", right=right) if ir.show(right) in counters:
                return True
    return False


def _few(cfg: ir.Cfg, loop: ir.Loop, counters: frozenset[str]) -> Iterator[ir.Node]:
    """Tests that end the loop at a count of its own: ``frag == MAX_SKB_FRAGS``, ``room = limit - used; room == 0``."""
    room = set(_rooms(cfg, loop))
    for id_ in loop.body:
        node = cfg.nodes[id_]
        if node.at is ir.At.TEST and any(edge.to not in loop.body for edge in node.out):
            match node.expr:
                case ir.Binary(op="==" | ">=" | ">" | "<" | "!=" | "<=", left=left, right=right):
                    most = codes.const(right)
                    counted = ir.show(left) in counters and most not in ("", "0", "1") and not codes.negative(most)
                    if counted or (ir.show(left) in room and most == "0"):
                        yield node
                case ir.Name(name=name) if name in room:
                    yield node


def _rooms(cfg: ir.Cfg, loop: ir.Loop) -> Iterator[str]:
    """Variables that each pass sets to what is left of a limit."""
    for id_ in loop.body:
        match cfg.nodes[id_].expr:
            case ir.Assign(op="=", target=ir.Name(name=name), value=ir.Binary(op="-")):
                yield name


def _counted_out(cfg: ir.Cfg, loop: ir.Loop, known: bounds.Bounds) -> Iterator[ir.Node]:
    """Tests that can end the loop by what it counts."""
    for id_ in loop.body:
        node = cfg.nodes[id_]
        if node.at is ir.At.TEST and any(edge.to not in loop.body for edge in node.out) and node.expr is not None:
            direct = not any(True for _ in ir.calls(node.expr))
            if direct and measures.lvalues(node.expr) & (known.counters | frozenset(known.cursors)):
                yield node


def _wraps(index: ir.Expr, counters: frozenset[str]) -> bool:
    """``i & (size - 1)`` or ``i % size`` of something that the loop counts up."""
    while isinstance(index, ir.Cast):
        index = index.value
    return isinstance(index, ir.Binary) and index.op in ("&", "%") and ir.show(index.left) in counters


USER_LOOPS: Analysis[UserLoops] = Analysis("user-loops", UserLoops)

__all__ = ["USER_LOOPS", "Feed", "UserLoop", "summary"]
