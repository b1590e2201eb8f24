"""Who revokes and then waits until the last file is closed: every VMA holds its file, so nothing is mapped by then."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lorelint.rule import Step, TreeView, flow, ir
from lorelint.rule.analyses.folder import near
from lorelint.rule.analyses.mapping import Way, tables_with
from lorelint.rule.analyses.scope import Scope

#: Waits that end when they are told to, not by a signal or a clock, with the argument that says by what.
_WAITS = {
    "wait_event": 1,
    "wait_event_lock_irq": 1,
    "wait_event_idle": 1,
    "wait_var_event": 1,
    "wait_for_completion": 0,
}


def drained(view: TreeView, scope: Scope, node: int, ways: Iterable[Way]) -> Step | None:
    """A wait on every way from a place, that a closed file ends; None for none."""
    closers: tuple[ir.Function, ...] | None = None
    for at in scope.cfg.nodes:
        for call in ir.calls(at.expr):
            number = _WAITS.get(call.name)
            if number is None or len(call.args) <= number:
                continue
            if flow.reaches(scope.cfg, [node], {1}, avoid={at.id}) is not None:
                continue
            fields = {each.field for each in ir.walk(call.args[number]) if isinstance(each, ir.Member)}
            if closers is None:
                closers = tuple(_closers(view, scope.fn.path, ways))
            for fn in closers:
                if any(re.search(rb"\b" + field.encode() + rb"\b", fn.text) for field in fields):
                    return Step(scope.fn.path, call.line, f"{call.name}() waits until {fn.name}() has run for all")
    return None


def _closers(view: TreeView, path: str, ways: Iterable[Way]) -> Iterator[ir.Function]:
    """What runs when a file or a VMA of some ways goes, and what that calls beside it."""
    program = view.program
    kinds = dict.fromkeys([*((way.table, "release") for way in ways), ("vm_operations_struct", "close")])
    for type_, field in kinds:
        for table, name in tables_with(program, type_, field, path):
            for fn in near(program, name, table.path):
                yield fn
                called = dict.fromkeys(call.name for at in program.cfg(fn).nodes for call in ir.calls(at.expr))
                for below in called:
                    yield from near(program, below, fn.path) if below else ()
