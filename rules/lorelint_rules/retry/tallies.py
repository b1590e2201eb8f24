"""Loops that go round for what failed in a pass: each failure is counted, and the count begins anew with each pass.

The call that fails is not what the jump back asks about, and no code says "again": there is a variable that a pass sets
to 0 and only failures raise, and a test of it on the way round.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from msgspec import Struct

from lorelint.rule import TreeView, bounds, codes, flow, ir, marks, regex
from lorelint_rules.retry.loops import SUMMARIES

_KINDS = (ir.LoopKind.GOTO, ir.LoopKind.DO, ir.LoopKind.WHILE)
_ERROR = regex(rb"(?:\breturn|=)\s*-E[A-Z]")
_RAISED = regex(rb"\+\+|\+=|\|=|=\s*(?:true|1)\b")


class Tally(Struct, frozen=True):
    """What one loop counts.

    failing  where a call fails and is counted, the first in the text
    test     node of the test on the way round
    marks    that every such way round has
    """

    loop: ir.Loop
    counter: str
    failing: ir.Call
    test: int
    marks: frozenset[str]


class _Asked(Struct, frozen=True):
    """Mark: the pass went by the test, and something had failed."""


def tallies(view: TreeView, fn: ir.Function) -> Iterator[Tally]:
    """The loops of a function that go round as long as something in them fails, with nothing that ends them."""
    if not _RAISED.search(fn.text):
        return
    cfg = view.program.cfg(fn)
    for loop in view.program.loops(fn):
        if loop.kind in _KINDS and not loop.tangled:
            for counter, raised in sorted(_counters(cfg, loop).items()):
                calls = [_failing(view, fn, cfg, node) for node in raised]
                if calls and None not in calls:
                    yield from _rounds(view, fn, loop, counter, calls[0])


def _counters(cfg: ir.Cfg, loop: ir.Loop) -> dict[str, list[int]]:
    """Variables that a pass sets to 0 before it raises them, by where they are raised; nothing else writes them."""
    begun: dict[str, list[int]] = {}
    raised: dict[str, list[int]] = {}
    other: set[str] = set()
    for node in sorted(loop.body):
        expr = cfg.nodes[node].expr
        for each in ir.walk(expr) if expr is not None else ():
            match each:
                case (
                    ir.Assign(op="=", target=ir.Name(name=name), value=value)
                    | ir.Declare(name=name, value=ir.Expr() as value)
                ) if codes.const(value) in ("0", "false"):
                    begun.setdefault(name, []).append(node)
                case ir.Assign(op="=" | "+=" | "|=", target=ir.Name(name=name), value=value) if codes.const(value) in (
                    "1",
                    "true",
                ):
                    raised.setdefault(name, []).append(node)
                case ir.Update(op="++", target=ir.Name(name=name)):
                    raised.setdefault(name, []).append(node)
                case (
                    ir.Assign(target=ir.Name(name=name))
                    | ir.Update(target=ir.Name(name=name))
                    | ir.Unary(op="&", operand=ir.Name(name=name))
                ):
                    other.add(name)
    found = {}
    for name, nodes in raised.items():
        starts = begun.get(name, [])
        anew = starts and flow.reaches(cfg, [loop.head], nodes, avoid=tuple(starts), inside=loop.body) is None
        if anew and loop.head not in nodes and name not in other:
            found[name] = nodes
    return found


def _failing(view: TreeView, fn: ir.Function, cfg: ir.Cfg, raised: int) -> ir.Call | None:
    """The call whose failure is what leads right to a place."""
    before = cfg.preds[raised]
    node = cfg.nodes[before[0]] if len(before) == 1 else None
    if node is None or not isinstance(node.expr, ir.Call) or not node.expr.name:
        return None
    failed = any(edge.to == raised and edge.when is True for edge in node.out)
    return node.expr if failed and _fails(view, node.expr.name, fn.path) else None


def _fails(view: TreeView, name: str, near: str) -> bool:
    """It returns 0 or an error, as far as its text tells."""
    found = view.program.define(name, near)
    return all(each.returns in ("int", "long") for each in found) and any(_ERROR.search(each.text) for each in found)


def _rounds(view: TreeView, fn: ir.Function, loop: ir.Loop, counter: str, failing: ir.Call | None) -> Iterator[Tally]:
    cfg, sums = view.program.cfg(fn), view.of(SUMMARIES)
    asked = {node: held for node in loop.body if (held := _asks(cfg.nodes[node], counter)) is not None}
    if not asked or failing is None:
        return
    known = bounds.Bounds(cfg, loop, view.know)

    def more(node: ir.Node, edge: ir.Edge | None) -> Iterable[Hashable]:
        yield from known.marks(node, edge)
        if edge is not None and node.id in asked and edge.when is asked[node.id]:
            yield _Asked()

    explored = sums.explorer(fn, inside=loop.body, more=more, trail=0).run(loop.head, loop.back)
    went = [world for back in loop.back for world in explored.arrived[back] if _Asked() in world.marks]
    if explored.cut or any(world.coarse for world in went):
        return
    endless = [world for world in went if known.bound(world) is None]
    if endless:
        shared = frozenset.intersection(*(marks.settled(world) for world in endless))
        yield Tally(loop, counter, failing, min(asked), shared)


def _asks(node: ir.Node, counter: str) -> bool | None:
    """By which outcome of a test something has failed; None for a test of something else."""
    if node.at is not ir.At.TEST:
        return None
    match node.expr:
        case ir.Name(name=name) if name == counter:
            return True
        case ir.Binary(op="!=" | ">", left=ir.Name(name=name), right=right) if name == counter:
            return True if codes.const(right) == "0" else None
        case ir.Binary(op="==", left=ir.Name(name=name), right=right) if name == counter:
            return False if codes.const(right) == "0" else None
    return None
