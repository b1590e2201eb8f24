"""Fault handlers that reckon an address from the page's offset, where neither they nor the mmap handler bound it.

An mmap handler that maps nothing itself leaves the offset to the fault handler: ``vmf->pgoff`` is what the user asked
for in mmap(2), plus the page. An object that only compares the length of the VMA with its size lets a mapping begin
behind its end (usx2y, 5.10: sound/usb/usx2y/usX2Yhwdep.c).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import Step, TreeView, ir, measures, regex
from lorelint.rule.analyses.scope import Scope, peel, tag
from lorelint_rules.mmap.arrivals import Arrival, arrivals
from lorelint_rules.mmap.extent import SUM

FIELD = "pgoff"
_CHECKED = regex(rb"\bvm_pgoff\b")
_FLAGS = regex(r"^vm_flags_(?:set|clear|mod|init|reset)$")
_SAID = regex(r"print|^pr_|^dev_(?:dbg|info|warn|err)$")
_ROUNDS = 8
_PAGES = frozenset({"virt_to_page", "vmalloc_to_page", "pfn_to_page", "virt_to_phys", "virt_to_pfn", "vmalloc_to_pfn"})


class Reached(Struct, frozen=True):
    """What a handler makes of the offset, and how user space gets there without a bound."""

    line: int
    what: str
    steps: tuple[Step, ...]


def unbounded(view: TreeView, fn: ir.Function) -> Reached | None:
    """The address that a fault handler reckons from an offset which nobody compares with anything."""
    if b"->pgoff" not in fn.text or not any(tag(param.type) == "vm_fault" for param in fn.params):
        return None
    scope = Scope(view.program, fn)
    taken = _PAGES | view.know.names("fault_inserters")
    names = _reckoned_from(scope)
    if names is None or any(_asked(node, names, taken) for node in scope.cfg.nodes):
        return None
    found = next(_beside_an_object(scope, names, taken), None)
    arrival = next(_from(view, fn), None) if found is not None else None
    return None if found is None or arrival is None else Reached(*found, arrival.steps)


def _speaks(expr: ir.Expr, names: frozenset[str]) -> bool:
    return any(
        (isinstance(each, ir.Member) and each.field == FIELD) or (isinstance(each, ir.Name) and each.name in names)
        for each in ir.walk(expr)
    )


def _reckoned_from(scope: Scope) -> frozenset[str] | None:
    """Locals that are the offset, shifted or added to something; None where it goes into anything else."""
    nodes = [node.expr for node in scope.cfg.nodes if node.expr is not None]
    pairs = [pair for expr in nodes for pair in measures.assignments(expr)]
    found: frozenset[str] = frozenset()
    for _ in range(_ROUNDS):
        made = [(name, value) for name, value in pairs if not isinstance(value, ir.Call) and _speaks(value, found)]
        if not all(_plain(value, found) for _, value in made):
            return None
        more = frozenset(name for name, _ in made)
        if more <= found:
            return None if any(_changed(each, found) for expr in nodes for each in ir.walk(expr)) else found
        found |= more
    return None


def _changed(expr: ir.Expr, names: frozenset[str]) -> bool:
    """Whether the offset is cut to size in its place (``offset %= size``), or kept where others may compare it."""
    match expr:
        case ir.Assign(op="=", target=target, value=value):
            return not isinstance(target, ir.Name) and not isinstance(value, ir.Call) and _speaks(value, names)
        case ir.Assign(target=target, value=value):
            return _speaks(target, names) or _speaks(value, names)
        case ir.Update(target=target):
            return _speaks(target, names)
    return False


def _plain(expr: ir.Expr, names: frozenset[str]) -> bool:
    """Whether a value is the offset, as it is or shifted, perhaps added to something that has nothing to do with it."""
    if not _speaks(expr, names):
        return True
    match expr:
        case ir.Name() | ir.Member():
            return True
        case ir.Cast(value=value):
            return _plain(value, names)
        case ir.Binary(op="+" | "<<" | "*", left=left, right=right):
            return _plain(left, names) and _plain(right, names)
    return False


def _asked(node: ir.Node, names: frozenset[str], taken: frozenset[str]) -> bool:
    """Whether the offset is tested, or handed to anything but what finds the page: that may compare it."""
    if node.expr is None:
        return False
    if node.at in (ir.At.TEST, ir.At.SWITCH, ir.At.EACH) and _speaks(node.expr, names):
        return True
    handed = (call for call in ir.calls(node.expr) if any(_speaks(arg, names) for arg in call.args))
    return any(call.name not in taken and not _SAID.search(call.name) for call in handed)


def _beside_an_object(scope: Scope, names: frozenset[str], taken: frozenset[str]) -> Iterator[tuple[int, str]]:
    """(line, text) of a call that finds the page of an address of the driver's memory, with the offset added to it."""
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if call.name in taken and any(_added(each, names) for arg in call.args for each in _values(scope, arg)):
                yield call.line, ir.show(call)


def _values(scope: Scope, expr: ir.Expr) -> Iterator[ir.Expr]:
    yield expr
    match peel(expr):
        case ir.Name(name=name):
            yield from scope.values(name)


def _added(expr: ir.Expr, names: frozenset[str]) -> bool:
    """The offset added to what a field says."""
    match peel(expr):
        case ir.Binary(op="+", left=left, right=right) if _speaks(left, names) != _speaks(right, names):
            other = right if _speaks(left, names) else left
            return _plain(expr, names) and any(isinstance(part, ir.Member) for part in ir.walk(other))
    return False


def _from(view: TreeView, fn: ir.Function) -> Iterator[Arrival]:
    """Ways of user space to an mmap handler that installs this one, and says nothing of the offset."""
    for table in view.program.tables(fn.path):
        value = table.get("fault")
        if tag(table.type) != "vm_operations_struct" or value is None or ir.show(value).lstrip("&") != fn.name:
            continue
        word = re.compile(rb"&\s*" + re.escape(table.name.encode()) + rb"\b")
        for handler in view.program.functions(fn.path):
            if word.search(handler.text) and not _compares(view, handler):
                for arrival in arrivals(view, handler):
                    if arrival.known and SUM not in arrival.state.proven and not _above(view, arrival):
                        yield arrival


def _compares(view: TreeView, handler: ir.Function) -> bool:
    """Whether a handler speaks of the offset, or hands its VMA to what does, or may."""
    if _CHECKED.search(handler.text):
        return True
    vma = {param.name for param in handler.params if tag(param.type) == "vm_area_struct"}
    for node in view.program.cfg(handler).nodes:
        for call in ir.calls(node.expr):
            if not _FLAGS.match(call.name) and any(isinstance(arg, ir.Name) and arg.name in vma for arg in call.args):
                bodies = view.program.define(call.name, handler.path) if call.name else ()
                if not bodies or any(_CHECKED.search(body.text) for body in bodies):
                    return True
    return False


def _above(view: TreeView, arrival: Arrival) -> bool:
    """Whether a caller on the way speaks of the offset."""
    for step in arrival.steps:
        for each in view.program.functions(step.path):
            if each.first_line <= step.line <= each.end_line and _CHECKED.search(each.text):
                return True
    return False
