"""What becomes of an acquired thing with a callee that is handed it, or the object in which it is kept."""

from __future__ import annotations

from lorelint.code import ir
from lorelint.model.regex import regex
from lorelint.rule.analyses.folder import resolve
from lorelint.rule.analyses.places import Place, place, within
from lorelint.rule.analyses.thing import BITS, FREE, NUMBER, Thing, stands

#: Calls that put an object on a list, or do something to a lock or a counter in it.
_PLAIN = regex(
    r"^(?:__)?(?:list|hlist)_(?:add|del|move)\w*$|^INIT_|^lockdep_|^(?:mutex|spin|raw_spin)_(?:lock|unlock|init|destroy)\w*$"
    r"|^spin_lock_init$|^init_(?:completion|waitqueue_\w+|rwsem)$|^sema_init$|^(?:kref|refcount|atomic\w*)_(?:init|set|get|inc)\w*$"
)
_COPIES = regex(r"^(?:mem(?:cpy|set|cmp|move)|k(?:un)?map(?:_\w+)?)$")


def goes_about(thing: Thing, node: ir.Node, at: Place) -> bool:
    """Whether a node may copy or empty an object in which a thing is kept (`at`)."""
    for each in ir.walk(node.expr) if node.expr is not None else ():
        match each:
            case ir.Call() if not (FREE.match(each.name) or _PLAIN.match(each.name)):
                if any(_around(arg, at) for arg in each.args):
                    fates = thing.owners.fates(each.name, thing.scope.fn.path)
                    blind = (name for fate in fates for name in fate.blind)
                    if not fates or not all(_PLAIN.match(name) or FREE.match(name) for name in blind):
                        return True
            case ir.Assign(op="=", value=value) if _around(value, at):
                return True
    return False


def _around(expr: ir.Expr, at: Place) -> bool:
    """Whether an expression is about an object that a place lies in."""
    where = place(expr)
    return bool(where) and where != at and within(at, where)


def looked_at(thing: Thing, call: ir.Call) -> bool:
    """Whether a call that is handed a thing leaves it as it is: by name, or its callee's body stores nothing.

    Where a number that stands for the thing goes, no body is asked.
    """
    if call.name in thing.resource.looks or BITS.match(call.name):
        return True
    spoken = (arg for arg in call.args if thing.speaks(arg, frozenset()))
    if not call.name or any(stands(arg) or NUMBER.match(thing.scope.type_of(arg)) for arg in spoken):
        return False
    bodies = resolve(thing.owners.program, call.name, thing.scope.fn.path, wide=False)
    return bool(bodies) and all(_stores_nothing(thing, body) for body in bodies)


def _stores_nothing(thing: Thing, fn: ir.Function) -> bool:
    fate = thing.owners.of(fn)
    nodes = thing.owners.program.cfg(fn).nodes
    written = (each for node in nodes if node.expr is not None for each in ir.walk(node.expr))
    stores = any(isinstance(each, ir.Assign) and not isinstance(each.target, ir.Name) for each in written)
    return not (stores or fate.released or fate.kept or any(not _COPIES.match(each) for each in fate.blind))
