"""Loops that go round for what failed in a pass: each failure is counted, and the count begins anew with each pass.

The call that fails is not what the jump back asks about, and no code says "again": there is a variable that a pass sets
to 0 and only failures raise, and a test of it on the way round.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from msgspec import Struct

from lorelint.rule import TreeView, bounds, codes, flow, ir, marks, regex
from lorelint_rules.retry.loops import HOSTED, SUMMARIES

_KINDS = (ir.LoopKind.GOTO, ir.LoopKind.DO, ir.LoopKind.WHILE)
_TAKES = regex(r"dequeue|(?:^|_)(?:pop|get_next)(?:_|$)|^list_(?:del|move)")
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
    if fn.path.startswith(HOSTED) or not _RAISED.search(fn.text):
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
    """The call whose failure is what leads right to a place, where nothing else is done about it."""
    before = cfg.preds[raised]
    node = cfg.nodes[before[0]] if len(before) == 1 else None
    if node is None or not isinstance(node.expr, ir.Call) or not node.expr.name:
        return None
    here = raised
    while len(cfg.nodes[here].out) == 1 and len(cfg.preds[here := cfg.nodes[here].out[0].to]) == 1:
        if any(True for _ in ir.calls(cfg.nodes[here].expr)):
            return None
    failed = any(edge.to == raised and edge.when is True for edge in node.out)
    return node.expr if failed and _fails(view, node.expr.name, fn.path) else None


def _fails(view: TreeView, name: str, near: str) -> bool:
    """It returns 0 or an error and nothing else."""
    sums = view.of(SUMMARIES)
    told = [sums.of(each) for each in view.program.define(name, near)]
    codes_ = [outcome.codes for each in told for outcome in each.outcomes]
    return (
        not any(each.cut for each in told)
        and all(each.only == "0" or each.fails for each in codes_)
        and any(each.fails for each in codes_)
    )


def _rounds(view: TreeView, fn: ir.Function, loop: ir.Loop, counter: str, failing: ir.Call | None) -> Iterator[Tally]:
    cfg, sums = view.program.cfg(fn), view.of(SUMMARIES)
    inner = frozenset().union(*(each.body for each in view.program.loops(fn) if each.body < loop.body))
    asked = {
        node: held
        for node in loop.body - inner
        if (held := _asks(cfg.nodes[node], counter)) is not None and _decides(cfg, loop, node, held)
    }
    if not asked or failing is None or _takes(cfg, loop):
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


def _decides(cfg: ir.Cfg, loop: ir.Loop, test: int, held: bool) -> bool:
    """Whether a test alone sends the loop round: its other outcome never does, and on some way round nothing else is
    looked at that could end it."""
    ends = {source for source, _ in loop.leave if source != test}
    failed = [(test, edge.to) for edge in cfg.nodes[test].out if edge.when is held]
    other = [(test, edge.to) for edge in cfg.nodes[test].out if edge.when is not held and edge.to in loop.body]
    if loop.head in ends or flow.reaches(cfg, other, [loop.head], inside=loop.body) is not None:
        return False
    forth = test == loop.head or flow.reaches(cfg, [loop.head], [test], avoid=ends, inside=loop.body) is not None
    return forth and flow.reaches(cfg, failed, [loop.head], avoid=ends | {test}, inside=loop.body) is not None


def _takes(cfg: ir.Cfg, loop: ir.Loop) -> bool:
    """Each pass takes an item: there is less to do in the next."""
    names = {call.name for node in loop.body for call in ir.calls(cfg.nodes[node].expr)}
    return any(map(_TAKES.search, names))


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
