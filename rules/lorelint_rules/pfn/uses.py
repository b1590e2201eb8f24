"""What becomes of a PFN whose page-table lock is gone: handed to a device, touched, kept, or given to the callers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum

from msgspec import Struct
from msgspec.structs import replace

from lorelint.rule import Step, TreeView, ir, regex
from lorelint.rule.analyses.folder import resolve
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.pfn.lookups import Carriers, Hands, State, Values, carried, makes

_CALLERS = 5  # levels above the function that drops the lock
_WIDE = 24  # callers looked at
_DEEP = 3  # callees followed with a PFN in hand
_APART = regex(r"^(?:trace_|pr_|dev_|print|v?s?n?printk|WARN|BUG|put_|unpin|free_|__free|k?v?free|release_)")


class How(IntEnum):
    """What is done with it, the worst first."""

    DEVICE = 0  # a device, an IOMMU or a guest gets it
    TOUCHED = 1  # the kernel itself reads or writes there
    KEPT = 2  # it is put into an object


class Use(Struct, frozen=True):
    """One use of a stale PFN; `steps` lead from the function asked about to the place."""

    how: How
    fn: ir.Function
    line: int
    what: str  # the API, or the field it is kept in
    steps: tuple[Step, ...]

    @property
    def text(self) -> str:
        match self.how:
            case How.DEVICE:
                return f"{self.what}() hands it on for good"
            case How.TOUCHED:
                return f"{self.what}() goes to that memory"
        return f"it is put into {self.what}"


def values(view: TreeView, scope: Scope, carriers: Carriers, given: frozenset[str] = frozenset()) -> Values:
    return Values(scope, view.know.names("pfn_lookup"), carriers, given)


def uses(view: TreeView, found: Values, depth: int = _DEEP) -> Iterator[Use]:
    """Uses in one function, and below it in callees that are handed the PFN, in order of the text."""
    scope = found.scope
    touching = view.know.names("pfn_access")
    sinks = frozenset(each for each in view.know.names("pfn_sinks") if not makes(each))  # ioremap() only names it anew
    for node in scope.cfg.nodes:
        state = found.at(node.id)
        if not state or node.expr is None:
            continue
        for call in ir.calls(node.expr):
            if any(_stale(arg, state) for arg in call.args):
                if call.name in sinks | touching:
                    how = How.DEVICE if call.name in sinks else How.TOUCHED
                    step = Step(scope.fn.path, call.line, f"{scope.fn.name}() hands it to {call.name}()")
                    yield Use(how, scope.fn, call.line, call.name, (step,))
                elif call.name and depth and not _APART.match(call.name):
                    yield from _below(view, scope, call, state, depth)
        for each in ir.walk(node.expr):
            if isinstance(each, ir.Assign) and (where := _kept(scope, each.target)) and carried(each.value, state):
                step = Step(scope.fn.path, each.line, f"{scope.fn.name}() puts it into {where}")
                yield Use(How.KEPT, scope.fn, each.line, where, (step,))


def _stale(arg: ir.Expr, state: State) -> bool:
    return any(not each.fresh for each in carried(arg, state))


def _below(view: TreeView, scope: Scope, call: ir.Call, state: State, depth: int) -> Iterator[Use]:
    """What a callee does with it, the worst alone."""
    step = Step(scope.fn.path, call.line, f"{scope.fn.name}() hands it to {call.name}()")
    for callee in resolve(view.program, call.name, scope.fn.path, wide=False):
        for at, arg in enumerate(call.args):
            if at < len(callee.params) and callee.params[at].name and _stale(arg, state):
                found = of_parameter(view, callee, callee.params[at].name, depth - 1)
                if found is not None:
                    yield replace(found, steps=(step, *found.steps))


def of_parameter(view: TreeView, fn: ir.Function, name: str, depth: int) -> Use | None:
    """The worst use that a function makes of a PFN it is handed."""

    def look() -> Use | None:
        found = values(view, Scope(view.program, fn), {}, frozenset({name}))
        return worst(tuple(uses(view, found, depth)))

    return view.program.memo(("pfn in", fn.path, fn.name, fn.text, name, depth), look)


def worst(found: tuple[Use, ...]) -> Use | None:
    return min(found, key=lambda each: each.how, default=None)


def _kept(scope: Scope, target: ir.Expr) -> str:
    """The object of an assignment that outlives the call, as C text; "" for a local."""
    if not isinstance(target, ir.Member | ir.Index):
        return ""
    here: ir.Expr = target
    far = False
    while isinstance(here, ir.Member | ir.Index):
        far = far or (isinstance(here, ir.Member) and here.arrow)
        here = here.base
    if not isinstance(here, ir.Name):
        return ""
    type_ = scope.types.get(here.name)
    if far or type_ is None or (type_.endswith("*") and isinstance(target, ir.Index)):
        return ir.show(target)
    return ""


# -- callees that hand out a PFN, callers that get one --------------------------------------------


def carriers(view: TreeView, fn: ir.Function, depth: int = _DEEP) -> dict[str, Hands]:
    """Functions of the same file, called here, that hand out a PFN they looked up."""
    found: dict[str, Hands] = {}
    if not depth or not _looks_up(view, fn.path):
        return found
    for name in sorted(_called(view, fn) - {fn.name}):
        callee = view.program.function(fn.path, name)
        if callee is not None and (hands := handed(view, callee, depth - 1)).any:
            found[name] = hands
    return found


def _called(view: TreeView, fn: ir.Function) -> frozenset[str]:
    return frozenset(call.name for node in view.program.cfg(fn).nodes for call in ir.calls(node.expr) if call.name)


def _looks_up(view: TreeView, path: str) -> bool:
    """Whether a file reads PFNs out of page tables at all."""

    def look() -> bool:
        raw = view.program.raw(path) or b""
        return any(re.search(rb"\b" + name.encode() + rb"\s*\(", raw) for name in view.know.names("pfn_lookup"))

    return view.program.memo(("reads pfns", path), look)


def handed(view: TreeView, fn: ir.Function, depth: int = _DEEP) -> Hands:
    """What a function hands out of PFNs that it, or a callee of its file, has looked up."""

    def look() -> Hands:
        return values(view, Scope(view.program, fn), carriers(view, fn, depth)).handed()

    return view.program.memo(("pfn out of", fn.path, fn.name, fn.text, depth), look)


class Above(Struct, frozen=True):
    """What the callers of a function do with the PFN it hands out."""

    use: Use | None
    direct: ir.Function | None  # the caller that makes the use itself, if it calls the function directly
    seen: tuple[Step, ...]  # callers looked at


def above(view: TreeView, fn: ir.Function, hands: Hands) -> Above:
    """The worst use by callers of the same file, and theirs; else of any file."""
    best: tuple[int, int, Use, ir.Function | None] | None = None
    seen: list[Step] = []
    todo: list[tuple[ir.Function, Hands, tuple[Step, ...], int]] = [(fn, hands, (), 0)]
    known = {fn.key}
    while todo and len(known) <= _WIDE:
        here, gives, steps, level = todo.pop(0)
        for site in view.program.callers(here):
            if site.fn.key in known:
                continue
            known.add(site.fn.key)
            step = Step(site.fn.path, site.line, f"{site.fn.name}() gets it from {here.name}()")
            seen.append(step)
            found = values(view, Scope(view.program, site.fn), {here.name: gives})
            use = worst(tuple(uses(view, found)))
            if use is not None and (best is None or (use.how, level) < best[:2]):
                whole = replace(use, steps=(*steps, step, *use.steps))
                best = (use.how, level, whole, site.fn if level == 0 else None)
            more = found.handed()
            if more.any and level + 1 < _CALLERS:
                todo.append((site.fn, more, (*steps, step), level + 1))
    return Above(best[2] if best else None, best[3] if best else None, tuple(seen))
