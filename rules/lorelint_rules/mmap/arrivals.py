"""How a function comes by a VMA of user space: the tables and callers that lead to it, and what they have proven."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import Step, TreeView, ir, regex
from lorelint.rule.analyses.folder import beside, folder_of
from lorelint.rule.analyses.mapping import MMAP_FIELDS
from lorelint.rule.analyses.scope import Scope, tag
from lorelint_rules.mmap.extent import SUM, Extent, State, calls, entered, vmas

_CHAIN = regex(r"\w+(?:(?:->|\.)\w+)*$")
_ARROW = regex(r"(->|\.)")
_DEEP = 4  # callers one above the other
_MANY = 8


class Arrival(Struct, frozen=True):
    """One way in.

    known   False where the table is one nobody here knows, and who calls through it is not in sight
    """

    state: State
    steps: tuple[Step, ...]
    known: bool = True


def arrivals(view: TreeView, fn: ir.Function) -> tuple[Arrival, ...]:
    """All ways into a function that takes a VMA; none where nobody is seen to hand it one."""
    return tuple(_arrivals(view, fn, ()))


def _arrivals(view: TreeView, fn: ir.Function, below: tuple[tuple[str, str], ...]) -> Iterator[Arrival]:
    scope = Scope(view.program, fn)
    if not vmas(scope) & frozenset(scope.params) or fn.key in below or len(below) >= _DEEP:
        return
    for use in view.program.uses(fn)[:_MANY]:
        field = use.field.rpartition(".")[2]
        if use.kind == "argument" or field not in MMAP_FIELDS:
            continue
        type_ = tag(use.type) if use.kind == "table" else _owner(view, use.path, use.line, use.function, use.type)
        step = Step(use.path, use.line, f".{field} = {fn.name}" + (f" of {type_}" if type_ else ""))
        if type_ in view.know.names("mmap_ops_unchecked"):
            yield Arrival(entered(scope), (step,))
        elif type_ in view.know.names("mmap_ops_checked"):
            yield Arrival(entered(scope).knowing(frozenset({SUM})), (step,))
        else:
            found = tuple(_through(view, scope, type_, field, step, (*below, fn.key)))
            yield from found or (Arrival(entered(scope), (step,), known=False),)
    for site in view.program.callers(fn)[:_MANY]:
        if site.fn.key != fn.key:
            above = Scope(view.program, site.fn)
            sites = tuple(calls(above, lambda call: call.name == fn.name))
            yield from _from(view, scope, above, sites, (*below, fn.key))


def _owner(view: TreeView, path: str, line: int, function: str, text: str) -> str:
    """The type of the object to whose field a function is assigned in another, "" where it is not told."""
    fn = view.program.function(path, function) if function else None
    if fn is None or not _CHAIN.match(text):
        return ""
    first, *fields = _ARROW.split(text)
    owner: ir.Expr = ir.Name(line, first)
    for arrow, field in zip(fields[::2], fields[1::2], strict=True):
        owner = ir.Member(line, owner, field, arrow == "->")
    return Scope(view.program, fn).tag_of(owner)


def _through(
    view: TreeView, scope: Scope, type_: str, field: str, step: Step, below: tuple[tuple[str, str], ...]
) -> Iterator[Arrival]:
    """Calls through a table of a driver's own, from its folder."""
    pattern = re.compile(rb"(?:->|\.)\s*" + field.encode() + rb"\s*\(")
    for path in beside(view.program, folder_of(scope.fn.path)) if type_ else ():
        if path.endswith(".c") and pattern.search(view.program.raw(path) or b""):
            for caller in view.program.functions(path):
                if pattern.search(caller.text):
                    above = Scope(view.program, caller)
                    sites = tuple(calls(above, lambda call, above=above: _means(above, call, type_, field)))  # type: ignore[misc]
                    for arrival in _from(view, scope, above, sites, below):
                        yield Arrival(arrival.state, (*arrival.steps, step), arrival.known)


def _means(scope: Scope, call: ir.Call, type_: str, field: str) -> bool:
    match call.callee:
        case ir.Member(base=base, field=name) if name == field:
            return scope.tag_of(base) == type_
    return False


def _from(
    view: TreeView,
    scope: Scope,
    above: Scope,
    sites: tuple[tuple[int, ir.Call], ...],
    below: tuple[tuple[str, str], ...],
) -> Iterator[Arrival]:
    """The ways into the caller, each followed to its calls that hand on a VMA."""
    names = vmas(above)
    sites = tuple(each for each in sites if any(isinstance(arg, ir.Name) and arg.name in names for arg in each[1].args))
    for arrival in _arrivals(view, above.fn, below) if sites else ():
        extent = Extent(view, above, arrival.state, frozenset(node for node, _ in sites))
        for node, call in sites:
            state = extent.at(node)
            if state is not None:
                step = Step(above.fn.path, call.line, f"{above.fn.name}() calls {scope.fn.name}()")
                yield Arrival(extent.handed(call, state, scope), (*arrival.steps, step), arrival.known)
