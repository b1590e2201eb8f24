"""What a function undoes itself and then a second time, by dropping an object whose destructor undoes it too."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from msgspec import Struct

from lorelint.rule import Step, TreeView, ir, regex, worlds
from lorelint.rule.analyses.frees import canonical
from lorelint.rule.analyses.onward import onward
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.dmabuf.twice import aliases
from lorelint_rules.dmabuf.undoing import APIS, Undo, undone

_ALLOC = regex(r"^(?:devm_)?(?:k|kv|v)[mzc]?alloc(?:_obj|_node|_array)?$|_alloc$")
_ROOT = regex(r"^\W*(\w+)")
Mark = tuple[str, str]


class Double(Struct, frozen=True):
    """One thing that is undone twice on one path: first by an API, then by `by`, a call that drops the object.

    set    where the fields were set that the destructor asks about
    below  from `by` down to the second
    """

    what: str
    api: str
    by: str
    set: tuple[Step, ...]
    first: Step
    second: Step
    below: tuple[Step, ...]


def doubles(view: TreeView, fn: ir.Function) -> Iterator[Double]:
    """Each thing once."""
    scope = Scope(view.program, fn)
    first = dict(_first(scope))
    if not first:
        return
    whats = {what for what, _ in first.values()}
    later = [
        each
        for each in undone(view, scope)
        if each.node not in first and each.what in whats and _fresh(scope, each.what)
    ]
    if not later:
        return
    chains = frozenset({each.what for each in later} | {guard for each in later for guard in each.guards})
    explored = onward(scope, 0, marker=lambda node: _marks(scope, node, first, chains))
    told: set[str] = set()
    for each in later:
        if each.what in told or not any(_bad(world, each) for world in explored.at.get(each.node, ())):
            continue
        told.add(each.what)
        yield _double(scope, first, each)


def _first(scope: Scope) -> Iterator[tuple[int, tuple[str, ir.Call]]]:
    """Nodes at which the function undoes something of an object itself: (node, (chain, call))."""
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            at = APIS.get(call.name)
            if at is not None and at < len(call.args):
                what = canonical(scope, call.args[at])
                yield node.id, (_stored(scope, what), call)


def _stored(scope: Scope, what: str) -> str:
    """The field of a local object that a local was stored in, else the local."""
    if "->" in what or "." in what:
        return what
    for name in scope.types:
        if scope.local(name) and what in (known := aliases(scope, name)):
            return known[what]
    return what


def _fresh(scope: Scope, what: str) -> bool:
    """Whether the object was made by the function, so that the reference it drops is the last."""
    root = _ROOT.match(what)
    many = scope.values(root.group(1)) if root is not None and "->" in what else ()
    made = [each for each in many if not (isinstance(each, ir.Name) and each.name == "NULL")]
    return bool(made) and all(isinstance(each, ir.Call) and _ALLOC.search(each.name) for each in made)


def _marks(
    scope: Scope, node: ir.Node, first: dict[int, tuple[str, ir.Call]], chains: frozenset[str]
) -> Iterator[Hashable]:
    if node.id in first:
        yield ("undone", first[node.id][0])
    for each in ir.walk(node.expr) if node.expr is not None else ():
        match each:
            case ir.Assign(op="=", target=ir.Member() as target, value=value) if (text := ir.show(target)) in chains:
                yield ("clear" if ir.show(value) in ("NULL", "0") else "set", text)


def _bad(world: worlds.World, undo: Undo) -> bool:
    marks = world.marks
    if world.coarse or ("undone", undo.what) not in marks or ("clear", undo.what) in marks:
        return False
    return all(("set", guard) in marks and ("clear", guard) not in marks for guard in undo.guards)


def _double(scope: Scope, first: dict[int, tuple[str, ir.Call]], undo: Undo) -> Double:
    fn = scope.fn
    call = next(call for what, call in first.values() if what == undo.what)
    made = []
    for node in scope.cfg.nodes:
        match node.expr:
            case ir.Assign(op="=", target=ir.Member() as target) if ir.show(target) in undo.guards:
                made.append(Step(fn.path, node.line, f"{ir.show(target)} is set"))
    by = undo.steps[0].text.partition("calls ")[2].partition("(")[0]
    return Double(
        undo.what,
        call.name,
        by,
        tuple(made[:2]),
        Step(fn.path, call.line, f"{fn.name}() calls {ir.show(call)}"),
        undo.steps[0],
        undo.steps[1:],
    )
