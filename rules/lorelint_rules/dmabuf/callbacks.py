"""The callback by which an importer is told that the memory goes: what it must not wait for."""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Finding, Need, Severity, Silence, Step, TreeView, Verdict, ir
from lorelint.rule.analyses.folder import near
from lorelint.rule.analyses.scope import Scope

_TAKES = frozenset({"dma_resv_lock", "dma_resv_lock_interruptible", "dma_resv_lock_slow"})


def told(view: TreeView, rule: str, fn: ir.Function, entry: Step) -> Verdict:
    """The callback: nothing that is ordered before the reservation lock may be waited for."""
    sections = view.know.sections
    again = _retakes(view, fn)
    if again is not None:
        fact = "the caller holds it: a ww_mutex that is waited for by its own holder"
        return _calls_with(rule, fn, entry, fn, again, fact)
    for each in (fn, *_below(view, fn)):
        for node in view.program.cfg(each).nodes:
            for call in ir.calls(node.expr):
                known = sections.get(call.name)
                if known is None or known.kind != "mmap_lock" or known.opens == "on-nonzero":
                    continue
                fact = "mmap_lock is ordered before a reservation lock: a fault takes them in that order"
                return _calls_with(rule, fn, entry, each, call, fact)
    return Silence(rule, fn.path, fn.name, fn.line, "the callback waits for no lock that is ordered before", (entry,))


def _retakes(view: TreeView, fn: ir.Function) -> ir.Call | None:
    """A call that takes the reservation lock of the attachment's dma-buf, which the callback is called with."""
    scope = Scope(view.program, fn)
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if call.name in _TAKES and call.args:
                lock = scope.resolve(call.args[0])
                if ir.show(lock) == f"{scope.params[0]}->dmabuf->resv":
                    return call
    return None


def _calls_with(rule: str, fn: ir.Function, entry: Step, where: ir.Function, call: ir.Call, fact: str) -> Finding:
    """A lock that the callback must not wait for."""
    return Finding(
        rule=rule,
        path=fn.path,
        function=fn.name,
        line=call.line if where.key == fn.key else fn.line,
        anchor=call.name,
        message=f"{call.name}() is waited for in {entry.text.partition(' =')[0]}, "
        "which is called with the reservation lock held",
        severity=Severity.WARNING,
        confidence=0.75,
        steps=(entry, Step(where.path, call.line, f"{where.name}() calls {ir.show(call)}")),
        need=Need.FILE,
        concern=fn.name,
        facts=(fact,),
        advice="leave what needs mmap_lock to a work item"
        if call.name not in _TAKES
        else "leave the lock to the caller",
        evidence=("order", call.name),
    )


def _below(view: TreeView, fn: ir.Function) -> Iterator[ir.Function]:
    """Functions of the same file and folder that it calls."""
    names = {call.name for node in view.program.cfg(fn).nodes for call in ir.calls(node.expr) if call.name}
    for name in sorted(names):
        yield from (each for each in near(view.program, name, fn.path) if each.key != fn.key)
