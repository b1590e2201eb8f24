"""Markers by their role: a switch of an object that a reset turns and that user space's way in asks for first.

Whatever such a field is called, both ends say what it is for: a handler by which user space begins to use the device
fails at once where the switch is turned, and the reset turns it.
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Step, TreeView, ir, regex
from lorelint.rule.analyses import mapping
from lorelint.rule.analyses.folder import folder_of
from lorelint.rule.analyses.mapping import Gate, Way
from lorelint.rule.analyses.scope import Scope, peel, tag
from lorelint_rules.revoke.markers import Kind, Marker, fresh

_REFUSES = regex(rb"\bif\s*+\(\s*+(!?+)\s*+[\w>.-]*?(?:->|\.)(\w++)\s*+\)\s*+\{?+\s*+return\s++-E")
_TURNS = regex(rb"(?:->|\.)(\w++)\s*+=\s*+(?:true|false)\s*+;")
#: Fields of tables by which user space begins to use a device, or maps it.
_BEGINS = frozenset({"open", "alloc_ucontext", "open_device"}) | mapping.MMAP_FIELDS | frozenset(mapping.FAULT_FIELDS)


def turned(view: TreeView, fn: ir.Function) -> bool:
    """Whether a function may turn such a switch, by its text."""
    known = _candidates(view, folder_of(fn.path))
    turns = (each[1].decode("utf-8", "surrogateescape") for each in _TURNS.finditer(fn.text)) if known else ()
    return any((field, value) in known for field in turns for value in (True, False))


def find(view: TreeView, scope: Scope) -> Iterator[Marker]:
    """The switches that a function turns to where user space is refused."""
    if not turned(view, scope.fn):
        return
    for node in scope.cfg.nodes:
        match node.expr:
            case ir.Assign(op="=", target=ir.Member(base=base, field=field) as target, value=value):
                to = ir.show(peel(value))
                owner = scope.tag_of(base) if to in ("true", "false") and not fresh(scope, base) else ""
                if owner and refused(view, scope.fn.path, owner, field, to == "true") is not None:
                    text = f"{ir.show(target)} = {to}"
                    yield Marker(node.id, node.line, Kind.ROLE, owner, field, ir.show(base), text, "", frozenset({to}))


def ways(view: TreeView, path: str, marker: Marker) -> tuple[tuple[Way, Gate | None], ...]:
    """The ways to registers of the very object."""
    gate = refused(view, path, marker.tag, marker.field, "true" in marker.names)
    return tuple(
        (way, gate)
        for way in mapping.ways(view.program, path)
        if way.device and not way.counted and not way.tracked and gate is not None and _of_object(view, gate, way)
    )


def _of_object(view: TreeView, gate: Gate, way: Way) -> bool:
    """Whether the memory is of the object that the refusal is about: it is in sight, or one table says both."""
    if gate.tag in way.tags:
        return True
    return any(use.path == way.entry.path and tag(use.type) == way.table for use in view.program.entries(gate.fn))


def refused(view: TreeView, path: str, owner: str, field: str, when: bool) -> Gate | None:
    """A handler of the folder that fails where this field of this struct has this value."""
    program = view.program

    def compute() -> Gate | None:
        for fn in _candidates(view, folder_of(path)).get((field, when), ()):
            if _begins(view, fn):
                scope = Scope(program, fn)
                for node in scope.cfg.nodes:
                    if node.at is ir.At.TEST and node.expr is not None and _is_of(scope, node.expr, owner, field):
                        text = ir.show(node.expr)
                        step = Step(fn.path, node.line, f"{fn.name}() tests {text}")
                        return Gate(owner, field, frozenset(), False, text, step, fn, node.id)
        return None

    return program.memo(("refused", folder_of(path), owner, field, when), compute)


def _begins(view: TreeView, fn: ir.Function) -> bool:
    return any(use.field.rpartition(".")[2] in _BEGINS for use in view.program.entries(fn))


def _is_of(scope: Scope, expr: ir.Expr, owner: str, field: str) -> bool:
    return any(
        isinstance(each, ir.Member) and each.field == field and scope.tag_of(each.base) == owner
        for each in ir.walk(expr)
    )


def _candidates(view: TreeView, folder: str) -> dict[tuple[str, bool], tuple[ir.Function, ...]]:
    """(field, value) -> functions of a folder that fail at once where the field has this value."""

    def compute() -> dict[tuple[str, bool], tuple[ir.Function, ...]]:
        found: dict[tuple[str, bool], dict[ir.Function, None]] = {}
        for path, raw in mapping.files(view.program, folder):
            for fn in view.program.functions(path) if _REFUSES.search(raw) else ():
                for each in _REFUSES.finditer(fn.text):
                    field = each[2].decode("utf-8", "surrogateescape")
                    found.setdefault((field, not each[1]), {})[fn] = None
        return {key: tuple(many) for key, many in found.items()}

    return view.program.memo(("refusing", folder), compute)
