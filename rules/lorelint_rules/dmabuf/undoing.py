"""What a function undoes of an object it is handed: the destructor, and whoever drops the last reference to it.

An `Undo` of ``map_put(map)`` that ends in ``dma_buf_detach(map->buf, map->attach)`` is ``map->attach`` with what
the destructor asks first: ``if (map->table)`` is the guard ``map->table``. What hangs on another test is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from lorelint.rule import Step, TreeView, flow, ir, regex
from lorelint.rule.analyses.folder import near
from lorelint.rule.analyses.frees import canonical, substitute
from lorelint.rule.analyses.scope import Scope, peel

#: What undoes a step, and the argument that names what is undone.
APIS = {
    "dma_buf_put": 0,
    "dma_buf_detach": 1,
    "dma_buf_unpin": 0,
    "dma_buf_unmap_attachment": 1,
    "dma_buf_unmap_attachment_unlocked": 1,
}
DEPTH = 3
_KREF = frozenset({"kref_put", "kref_put_mutex", "kref_put_lock"})
_LAST = regex(r"dec_and_test|dec_and_lock|kref_put")
_ROOT = regex(r"^\W*(\w+)")


class Undo(Struct, frozen=True):
    """One thing that is undone.

    what    its chain, from a parameter of the function asked about
    guards  chains that must not be NULL for it
    node    where, in that function
    """

    what: str
    api: str
    guards: tuple[str, ...]
    node: int
    steps: tuple[Step, ...]


def undoes(view: TreeView, fn: ir.Function, depth: int = DEPTH) -> tuple[Undo, ...]:
    """All that a function undoes for its caller, itself and below."""
    key = ("dmabuf undoes", fn.path, fn.name, fn.text, depth)
    return view.program.memo(key, lambda: _undoes(view, fn, depth))


def _undoes(view: TreeView, fn: ir.Function, depth: int) -> tuple[Undo, ...]:
    scope = Scope(view.program, fn)
    found: list[Undo] = []
    for each in undone(view, scope, depth):
        guards = _guards(scope, each.node)
        if guards is not None:
            found.append(Undo(each.what, each.api, (*guards, *each.guards), each.node, each.steps))
    return tuple(found)


def undone(view: TreeView, scope: Scope, depth: int = DEPTH) -> Iterator[Undo]:
    """What each statement of a function undoes, with the guards of those below it alone."""
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            yield from _of_call(view, scope, node.id, call, depth)


def _of_call(view: TreeView, scope: Scope, node: int, call: ir.Call, depth: int) -> list[Undo]:
    step = Step(scope.fn.path, call.line, f"{scope.fn.name}() calls {ir.show(call)}")
    at = APIS.get(call.name)
    if at is not None and at < len(call.args):
        what = canonical(scope, call.args[at])
        return [Undo(what, call.name, (), node, (step,))] if what else []
    if not depth or not call.name or not call.args:
        return []
    if call.name in _KREF and len(call.args) > 1 and isinstance(call.args[1], ir.Name):
        return _by_kref(view, scope, node, call, depth, step)
    found = []
    for callee in near(view.program, call.name, scope.fn.path):
        if callee.key == scope.fn.key:
            continue
        handed = {param.name: canonical(scope, arg) for param, arg in zip(callee.params, call.args, strict=False)}
        for each in undoes(view, callee, depth - 1):
            moved = _moved(each, handed, node, step)
            found += [moved] if moved is not None else []
    return found


def _by_kref(view: TreeView, scope: Scope, node: int, call: ir.Call, depth: int, step: Step) -> list[Undo]:
    """kref_put(&obj->ref, release): the release finds its object by container_of()."""
    counter = peel(call.args[0])
    inner = counter.operand if isinstance(counter, ir.Unary) else counter
    if not isinstance(inner, ir.Member) or not isinstance(call.args[1], ir.Name):
        return []
    owner = canonical(scope, inner.base)
    found = []
    for release in near(view.program, call.args[1].name, scope.fn.path):
        below = Scope(view.program, release)
        names = [name for name in below.types if _contains(below, name)]
        for each in undoes(view, release, depth - 1):
            moved = _moved(each, dict.fromkeys(names, owner), node, step)
            found += [moved] if moved is not None else []
    return found


def _contains(scope: Scope, name: str) -> bool:
    """Whether a local is the object that the function's parameter lies in."""
    value = scope.value(name)
    return isinstance(value, ir.Call) and bool(value.args) and ir.show(value.args[0]) in scope.params


def _moved(each: Undo, handed: dict[str, str], node: int, step: Step) -> Undo | None:
    """An undo of a callee in terms of its caller."""
    texts = []
    for text in (each.what, *each.guards):
        root = _ROOT.match(text)
        if root is None or not handed.get(root.group(1)):
            return None
        texts.append(substitute(text, root.group(1), handed[root.group(1)]))
    return Undo(texts[0], each.api, tuple(texts[1:]), node, (step, *each.steps))


def _guards(scope: Scope, node: int) -> tuple[str, ...] | None:
    """Chains that must be there for a node to be come to; None where it hangs on a test of another kind."""
    found = []
    for test in scope.cfg.nodes:
        if test.at is not ir.At.TEST or test.expr is None:
            continue
        for truth in (True, False):
            if flow.reaches(scope.cfg, [0], {node}, may=_without(test.id, truth)) is not None:
                continue
            chain = _asked(scope, test.expr, truth)
            if chain is None:
                return None
            found += [chain] if chain else []
    return tuple(dict.fromkeys(found))


def _without(test: int, truth: bool) -> Callable[[ir.Node, ir.Edge], bool]:
    def may(node: ir.Node, edge: ir.Edge) -> bool:
        return node.id != test or edge.when is not truth

    return may


def _asked(scope: Scope, expr: ir.Expr, truth: bool) -> str | None:
    """The chain that is there where a test came out so: "" for a test that holds of any object; None for others."""
    match expr:
        case ir.Unary(op="!", operand=inner):
            return _asked(scope, inner, not truth)
        case ir.Call(args=(inner, *_)) if expr.name in ("IS_ERR_OR_NULL", "IS_ERR"):
            return _asked(scope, inner, not truth)
        case ir.Call() if _LAST.search(expr.name):
            return "" if truth else None
        case ir.Name() | ir.Member():
            chain = canonical(scope, expr)
            if not truth or not chain:
                return None
            return chain if "->" in chain or "." in chain else ""
        case ir.Binary(op="!=" | "==" as op, left=left, right=ir.Name(name="NULL")):
            return _asked(scope, left, truth is (op == "!="))
    return None
