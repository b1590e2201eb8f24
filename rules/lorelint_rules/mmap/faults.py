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
    names = _made_of_it(scope)
    if any(_asks(node, names) or _within_the_vma(node) for node in scope.cfg.nodes):
        return None
    reckoned = next(_reckoned(view, scope, names), None)
    if reckoned is None:
        return None
    arrival = next(_from(view, fn), None)
    return None if arrival is None else Reached(*reckoned, arrival.steps)


def _speaks(expr: ir.Expr, names: frozenset[str]) -> bool:
    return any(
        (isinstance(each, ir.Member) and each.field == FIELD) or (isinstance(each, ir.Name) and each.name in names)
        for each in ir.walk(expr)
    )


def _made_of_it(scope: Scope) -> frozenset[str]:
    """Locals whose value is reckoned from the offset."""
    found: frozenset[str] = frozenset()
    while True:
        more = {
            name
            for node in scope.cfg.nodes
            if node.expr is not None
            for name, value in measures.assignments(node.expr)
            if _speaks(value, found)
        }
        if more <= found:
            return found
        found |= more


def _asks(node: ir.Node, names: frozenset[str]) -> bool:
    """Whether a test is about the offset itself: what is found by it may still be asked whether it is there."""
    if node.expr is None or node.at not in (ir.At.TEST, ir.At.SWITCH):
        return False
    compared = (each for each in ir.walk(node.expr) if isinstance(each, ir.Binary) and _speaks(each, names))
    return (node.at is ir.At.SWITCH and _speaks(node.expr, names)) or any(True for _ in compared)


def _within_the_vma(node: ir.Node) -> bool:
    """``vmf->pgoff - first``: how far the page is from where the mapping begins, whose length is another matter."""
    spoken = ir.walk(node.expr) if node.expr is not None else ()
    return any(isinstance(each, ir.Binary) and each.op == "-" and _speaks(each.left, frozenset()) for each in spoken)


def _reckoned(view: TreeView, scope: Scope, names: frozenset[str]) -> Iterator[tuple[int, str]]:
    """(line, text) of a page or address beside an object of the driver's, at the offset."""
    taken = _PAGES | view.know.names("fault_inserters")
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if call.name in taken:
                for arg in call.args:
                    if any(_beside(each, names) for each in _values(scope, arg)):
                        yield call.line, ir.show(call)
                        break


def _values(scope: Scope, expr: ir.Expr) -> Iterator[ir.Expr]:
    yield expr
    match peel(expr):
        case ir.Name(name=name):
            yield from scope.values(name)


def _beside(expr: ir.Expr, names: frozenset[str]) -> bool:
    """Something of an object, and the offset added to it."""
    for each in ir.walk(expr):
        match each:
            case ir.Binary(op="+", left=left, right=right) if _speaks(left, names) != _speaks(right, names):
                other = right if _speaks(left, names) else left
                if any(isinstance(part, ir.Member | ir.Call) for part in ir.walk(other)):
                    return True
    return False


def _from(view: TreeView, fn: ir.Function) -> Iterator[Arrival]:
    """Ways of user space to an mmap handler that installs this one, and says nothing of the offset."""
    for table in view.program.tables(fn.path):
        value = table.get("fault")
        if tag(table.type) != "vm_operations_struct" or value is None or ir.show(value).lstrip("&") != fn.name:
            continue
        word = re.compile(rb"&\s*" + re.escape(table.name.encode()) + rb"\b")
        for handler in view.program.functions(fn.path):
            if word.search(handler.text) and not _CHECKED.search(handler.text):
                for arrival in arrivals(view, handler):
                    if arrival.known and SUM not in arrival.state.proven and not _above(view, arrival):
                        yield arrival


def _above(view: TreeView, arrival: Arrival) -> bool:
    """Whether a caller on the way speaks of the offset."""
    for step in arrival.steps:
        for each in view.program.functions(step.path):
            if each.first_line <= step.line <= each.end_line and _CHECKED.search(each.text):
                return True
    return False
