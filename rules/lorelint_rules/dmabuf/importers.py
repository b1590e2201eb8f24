"""The ops an importer hands to dma_buf_dynamic_attach(), and whether they have what the core calls."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

from lorelint.rule import Step, TreeView, ir, tables
from lorelint.rule.analyses.folder import beside, folder_of
from lorelint.rule.analyses.scope import Scope, peel

TYPE = "struct dma_buf_attach_ops"
_UP = 3  # callers climbed for ops that are a parameter
_WIDE = 16


class Has(StrEnum):
    """Whether the ops of one attachment have the callback."""

    YES = "yes"
    NO = "no"
    ANYONE = "anyone"  # whoever calls an exported function says
    NONE = "none"  # no ops: a static importer
    UNSEEN = "unseen"


class Answer(Struct, frozen=True):
    """One origin of the ops, and the place that tells."""

    has: Has
    step: Step
    name: str = ""  # of the table


def callback(view: TreeView) -> str:
    """What the core calls to tell an importer that its mapping ends: the name of the field in this version."""
    old = "dma_buf_move_notify" in view.know.names("dmabuf_need_resv_exporter")
    return "move_notify" if old else "invalidate_mappings"


def optional(view: TreeView) -> bool:
    """Whether the core does without it."""
    return callback(view) != "move_notify"


def table(view: TreeView, name: str, path: str) -> tables.Table | None:
    """The ops object of a name, in the same file or beside it."""
    for each in dict.fromkeys((path, *beside(view.program, folder_of(path)))):
        raw = view.program.raw(each)
        if raw is not None and name.encode() in raw:
            for found in view.program.tables(each):
                if found.name == name and found.type == TYPE:
                    return found
    return None


def answers(view: TreeView, scope: Scope, expr: ir.Expr, depth: int = _UP) -> Iterator[Answer]:
    """Where the ops come from, as far as they can be followed."""
    expr = peel(expr)
    fn = scope.fn
    here = Step(fn.path, expr.line or fn.line, f"{fn.name}() hands on {ir.show(expr)}")
    match expr:
        case ir.Unary(op="&", operand=ir.Name(name=name)):
            yield _of_table(view, name, fn.path, here)
        case ir.Name(name="NULL") | ir.Number():
            yield Answer(Has.NONE, here)
        case ir.Name(name=name) if name in scope.params:
            yield from _of_parameter(view, scope, name, depth)
        case ir.Name(name=name) if scope.values(name) and depth:
            for value in scope.values(name):
                yield from answers(view, scope, value, depth - 1)
        case _:
            yield Answer(Has.UNSEEN, here)


def _of_table(view: TreeView, name: str, path: str, here: Step) -> Answer:
    found = table(view, name, path)
    if found is None:
        return Answer(Has.UNSEEN, here, name)
    value = found.get(callback(view))
    if value is None or ir.show(value) in ("NULL", "0"):
        return Answer(Has.NO, Step(found.path, found.line, f"{name} has no .{callback(view)}"), name)
    return Answer(Has.YES, Step(found.path, value.line, f".{callback(view)} = {ir.show(value)} of {name}"), name)


def _of_parameter(view: TreeView, scope: Scope, name: str, depth: int) -> Iterator[Answer]:
    """What callers hand over; somebody out of sight may call a function that is exported."""
    fn = scope.fn
    test = looked_at(scope, name, callback(view))
    if test is not None:
        yield Answer(Has.YES, test)
        return
    if not fn.static:
        text = f"{fn.name}() takes {name} from whoever calls it, and does not look at .{callback(view)}"
        yield Answer(Has.ANYONE, Step(fn.path, fn.line, text))
    at = scope.params.index(name)
    for site in view.program.callers(fn)[:_WIDE] if depth else ():
        caller = Scope(view.program, site.fn)
        for node in caller.cfg.nodes:
            for call in ir.calls(node.expr):
                if call.name == fn.name and call.line == site.line and len(call.args) > at:
                    yield from answers(view, caller, call.args[at], depth - 1)


def looked_at(scope: Scope, name: str, field: str) -> Step | None:
    """A test of the callback in ops that were handed over."""
    for node in scope.cfg.nodes:
        if node.at is not ir.At.TEST or node.expr is None:
            continue
        for each in ir.walk(node.expr):
            if isinstance(each, ir.Member) and each.field == field and ir.show(each.base) == name:
                return Step(scope.fn.path, node.line, f"{ir.show(node.expr)} is looked at")
    return None
