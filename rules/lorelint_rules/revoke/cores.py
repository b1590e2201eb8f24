"""Memory that is given back when a driver lets go of what it has registered, and that open files go on mapping.

Two ways lead to such mappings. The driver's own handler has made them: ``misc_deregister()`` keeps new files out, those
that are open stay. Or a core maps what the struct names that it is handed (``uio_register_device()``): it forgets the
struct, and what is mapped stays. A driver that then gives the memory back takes it from under these mappings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lorelint.rule import TreeView, flow, ir, regex
from lorelint.rule.analyses import mapping, unmaps
from lorelint.rule.analyses.mapping import Way
from lorelint.rule.analyses.scope import Scope, tag
from lorelint.rule.analyses.structs import fields
from lorelint_rules.revoke.markers import FREES, Kind, Marker, fresh

Names = frozenset[tuple[str, str]]  # (struct, field)

#: A driver that maps itself what it has registered, or page by page as it is written to.
_OTHERWISE = regex(rb"\.\w*mmap\s*=|deferred_io")


def unregisters(view: TreeView) -> frozenset[str]:
    return view.know.names("unregisters_leaving_mappings")


def spoken(view: TreeView, raw: bytes) -> bool:
    """Whether a text lets go of something that was registered."""
    return any(name.encode() in raw for name in unregisters(view))


def find(view: TreeView, scope: Scope) -> Iterator[Marker]:
    """Calls that let go and are followed by others that give the memory back which is mapped."""
    if not spoken(view, scope.fn.text):
        return
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if call.name in unregisters(view) and call.args and not fresh(scope, call.args[0]):
                yield from _of_core(view, scope, node.id, call)
                yield from _of_driver(view, scope, node.id, call)


def ways(view: TreeView, path: str, marker: Marker) -> tuple[Way, ...]:
    """The ways by which the memory can have been mapped."""
    if marker.field != marker.api:
        return _own(view, path, marker.tag, marker.field)
    return _registers(view, path, marker.tag) or _cores(view, path, marker.api, marker.tag)


def _marker(node: int, call: ir.Call, given: ir.Call, struct: str, field: str) -> Marker:
    text = f"{call.name}() and then {given.name}()"
    return Marker(node, call.line, Kind.LEFT, struct, field, f"struct {struct}", text, "", api=call.name)


# -- mapped by the driver's own handler


def _of_driver(view: TreeView, scope: Scope, start: int, call: ir.Call) -> Iterator[Marker]:
    path, card = scope.fn.path, _around(scope, call.args[0])
    registers = bool(card) and bool(_registers(view, path, card))
    for node, given in _calls(scope):
        if given.name in FREES and _behind(scope, start, node):
            for arg in _freed(given):
                for owner, field in scope.members(arg):
                    if _own(view, path, owner, field):
                        yield _marker(start, call, given, owner, field)
        elif given.name in view.know.names("gives_back_device") and registers and _behind(scope, start, node):
            registers = False  # once is enough
            yield _marker(start, call, given, card, call.name)


def _around(scope: Scope, expr: ir.Expr) -> str:
    """The struct of the object of which something is registered: ``misc_deregister(&card->misc)``."""
    expr = scope.resolve(expr)
    while isinstance(expr, ir.Unary | ir.Index):
        expr = expr.operand if isinstance(expr, ir.Unary) else expr.base
    return scope.tag_of(expr.base) if isinstance(expr, ir.Member) else ""


def _registers(view: TreeView, path: str, struct: str) -> tuple[Way, ...]:
    """Ways of the same file to registers of the object."""
    return tuple(
        way
        for way in mapping.ways(view.program, path)
        if way.entry.path == path and way.device and struct in way.tags and not way.counted and not way.tracked
    )


def _own(view: TreeView, path: str, struct: str, field: str) -> tuple[Way, ...]:
    """Ways of the same file that map what a field names, and that no count of VMAs follows."""
    return tuple(
        way
        for way in mapping.ways(view.program, path)
        if way.entry.path == path and (struct, field) in way.mapped and not way.counted and not way.tracked
    )


# -- mapped by a core


def _of_core(view: TreeView, scope: Scope, start: int, call: ir.Call) -> Iterator[Marker]:
    struct, path = scope.tag_of(call.args[0]), scope.fn.path
    raw = view.program.raw(path) or b""
    if struct in mapping.GENERIC or _OTHERWISE.search(raw):  # before the core is looked at, which takes longer
        return
    mapped = _cores(view, path, call.name, struct)
    names = frozenset(pair for way in mapped for pair in way.mapped if pair[0] not in mapping.GENERIC)
    if not names:
        return
    kinds = _kinds(view, mapped[0].entry.path)
    if kinds and not re.search(rb"=\s*(?:" + b"|".join(kinds) + rb")\s*;", raw):
        return  # what it registers is mapped by pages with references
    for node, given in _calls(scope):
        if _behind(scope, start, node) and _gives(view, scope, given, names, registers=bool(kinds)):
            yield _marker(start, call, given, struct, call.name)
            return


def _kinds(view: TreeView, core: str) -> tuple[bytes, ...]:
    """The kinds of memory that a core maps without references; () for one that knows no kinds."""
    raw = view.program.raw(core) or b""
    return tuple(name.encode() for name in sorted(view.know.names("registered_memory_lasting")) if name.encode() in raw)


def _gives(view: TreeView, scope: Scope, given: ir.Call, names: Names, *, registers: bool) -> bool:
    """Whether a call gives back what the core was told to map; `registers`: it may be those of the device."""
    if given.name in FREES:
        known = told(view, scope.fn.path, names)
        return any(pair in known for arg in _freed(given) for pair in scope.members(arg))
    if given.name in view.know.names("gives_back_range"):
        structs = {owner for owner, _ in names}
        return registers and any(owner in structs for arg in given.args for owner, _ in scope.members(arg))
    return registers and given.name in view.know.names("gives_back_device")


def told(view: TreeView, path: str, names: Names) -> Names:
    """The names by which a driver knows what it has told a core to map: ``info->mem[0].addr = card->dma``."""
    program = view.program

    def compute() -> Names:
        stores = re.compile(rb"[.>](?:" + b"|".join(sorted(field.encode() for _, field in names)) + rb")\s*=(?!=)")
        found = set(names)
        for fn in program.functions(path):
            if stores.search(fn.text):
                scope = Scope(program, fn)
                for node in scope.cfg.nodes:
                    match node.expr:
                        case ir.Assign(op="=", target=ir.Member(base=base, field=field), value=value):
                            if (scope.tag_of(base), field) in names:
                                found.update(scope.members(value))
        return frozenset(pair for pair in found if pair[0] not in mapping.GENERIC)

    return program.memo(("told to map", path, names), compute)


def _cores(view: TreeView, near: str, api: str, struct: str) -> tuple[Way, ...]:
    """The ways by which the core of an API maps what such a struct names; none where it takes the mappings away."""
    program = view.program

    def compute() -> tuple[Way, ...]:
        return tuple(
            way
            for fn in program.define(api, near)
            if unmaps.below(program, fn) is None
            for way in mapping.ways(program, fn.path)
            if way.entry.path == fn.path and not way.counted and _named(view, fn.path, struct, way)
        )

    return program.memo(("mapped by core", api, struct, near), compute)


def _named(view: TreeView, path: str, struct: str, way: Way) -> bool:
    """Whether what is mapped is named by a struct, or by one that lies in it."""
    within = {struct, *(tag(type_) for _, type_ in fields(view.program, struct, path))} - mapping.GENERIC
    return any(owner in within for owner, _ in way.mapped)


# -- calls


def _calls(scope: Scope) -> Iterator[tuple[int, ir.Call]]:
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            yield node.id, call


def _behind(scope: Scope, start: int, node: int) -> bool:
    return flow.reaches(scope.cfg, [start], {node}) is not None


def _freed(call: ir.Call) -> tuple[ir.Expr, ...]:
    """The arguments that name the memory."""
    return tuple(call.args[at] for at in FREES[call.name] if at < len(call.args))
