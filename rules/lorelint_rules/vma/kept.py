"""A VMA pointer put where it outlives the call: by whom, under which vm_ops, and what takes it out again."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import Step, TreeView, ir, regex, tables
from lorelint.rule.analyses.folder import beside, folder_of
from lorelint.rule.analyses.scope import Scope, peel, tag

_VMA = regex(r"^(?:const )?struct vm_area_struct \*$")
_STORES = frozenset({"WRITE_ONCE", "smp_store_release", "rcu_assign_pointer", "xchg"})
#: Structs that carry a VMA through one call chain and end with it, and those of the mm itself, which own the VMAs.
_PASSING = frozenset(
    "vm_area_struct mm_struct anon_vma_chain vm_fault mm_walk mmu_gather follow_pfnmap_args vm_area_desc migrate_vma "
    "page_vma_mapped_walk vma_merge_struct unlink_vma_file_batch hmm_range zap_details".split()
)
_MAPS = regex(r"(?:^|\.)(?:\w*mmap\w*|fault|huge_fault|map_pages|pfn_mkwrite|page_mkwrite|open)$")
_REMOVES = regex(
    rb"\b(?:h?list_del\w*|list_move\w*|k?v?free\w*|rb_erase\w*|xa_erase\w*|idr_remove\w*|interval_tree_remove"
    rb"|\w+_(?:put|free|drop|remove|erase|unlink|destroy|release|detach|unregister|clear|unmap|unset|close)\w*)\s*\("
)
_CALLERS = 4
_WIDE = 24
_DEEP = 3


class Store(Struct, frozen=True):
    """One assignment of a VMA pointer to something that outlives the call."""

    line: int
    node: int
    text: str  # ``obj->vma``
    owner: str  # the struct, "" where it is not known
    field: str


class Context(Struct, frozen=True):
    """A way from a table to the function that keeps the pointer, with the vm_ops that the VMA has then."""

    step: Step
    ops: tuple[tables.Table, ...]
    unknown: bool  # vm_ops are set to something that could not be read


def stores(scope: Scope) -> Iterator[Store]:
    for node in scope.cfg.nodes:
        for each in ir.walk(node.expr) if node.expr is not None else ():
            match each:
                case ir.Assign(op="=", target=ir.Member() as target, value=value):
                    pass
                case ir.Call(args=(first, value, *_)) if each.name in _STORES:
                    inner = first.operand if isinstance(first, ir.Unary) and first.op == "&" else first
                    if not isinstance(inner, ir.Member):
                        continue
                    target = inner
                case _:
                    continue
            if _is_vma(scope, value) and _outlives(scope, target) and not _forgotten(scope, node.id, target):
                yield Store(each.line, node.id, ir.show(target), scope.tag_of(target.base), target.field)


def _is_vma(scope: Scope, value: ir.Expr) -> bool:
    value = peel(value)
    if isinstance(value, ir.Member):
        return value.field == "vma" and "vm_fault" in scope.type_of(value.base)
    return isinstance(value, ir.Name) and _VMA.match(scope.types.get(value.name, "")) is not None


def _outlives(scope: Scope, target: ir.Member) -> bool:
    """Whether the object of a field is reached by a pointer, and is none that ends with the call."""
    here: ir.Expr = target
    far = False
    while isinstance(here, ir.Member | ir.Index):
        far = far or (isinstance(here, ir.Member) and here.arrow)
        here = here.base
    if not isinstance(here, ir.Name) or not (far or here.name not in scope.types):
        return False
    return tag(scope.types.get(here.name, "")) not in _PASSING and scope.tag_of(target.base) not in _PASSING


def _forgotten(scope: Scope, node: int, target: ir.Member) -> bool:
    """Whether the function itself puts NULL there again."""
    for other in scope.cfg.nodes:
        match other.expr:
            case ir.Assign(op="=", target=again, value=ir.Name(name="NULL")):
                if other.id > node and ir.show(again) == ir.show(target):
                    return True
    return False


# -- the ways in ----------------------------------------------------------------------------------


def contexts(view: TreeView, fn: ir.Function) -> tuple[Context, ...]:
    """Ways from tables of operations to a function, by direct calls."""
    return view.program.memo(("vma contexts", fn.path, fn.name), lambda: tuple(_contexts(view, fn)))


def _contexts(view: TreeView, fn: ir.Function) -> Iterator[Context]:
    seen = {fn.key}
    level = [fn]
    for _ in range(_CALLERS):
        above: list[ir.Function] = []
        for here in level:
            for use in view.program.uses(here):
                if use.kind == "table" and _MAPS.search(use.field):
                    step = Step(use.path, use.line, f".{use.field} = {here.name} of {tag(use.type)}")
                    if "vm_operations_struct" in use.type:
                        ops = tuple(t for t in view.program.tables(use.path) if _holds(t, use.field, here.name))
                        yield Context(step, ops, False)
                    elif use.field.rpartition(".")[2] != "open":
                        yield Context(step, *_installed(view, here))
            for site in view.program.callers(here):
                if site.fn.key not in seen and len(seen) < _WIDE:
                    seen.add(site.fn.key)
                    above.append(site.fn)
        level = above


def _holds(table: tables.Table, field: str, name: str) -> bool:
    value = table.get(field)
    return table.type == "struct vm_operations_struct" and value is not None and tables.named(value) == name


def _installed(view: TreeView, handler: ir.Function) -> tuple[tuple[tables.Table, ...], bool]:
    """The vm_ops that an mmap handler, or a function of its file below it, gives the VMA."""
    found: dict[tables.Table, None] = {}
    unknown = False
    todo: list[tuple[ir.Function, int]] = [(handler, 0)]
    seen = {handler.key}
    while todo:
        here, depth = todo.pop()
        for node in view.program.cfg(here).nodes:
            for each in ir.walk(node.expr) if node.expr is not None else ():
                match each:
                    case ir.Assign(op="=", target=ir.Member(field="vm_ops"), value=value):
                        ops = _tables(view, here.path, tables.named(peel(value)))
                        found.update(dict.fromkeys(ops))
                        unknown = unknown or not ops
                    case ir.Call() if each.name and depth < _DEEP:
                        callee = view.program.function(here.path, each.name)
                        if callee is not None and callee.key not in seen:
                            seen.add(callee.key)
                            todo.append((callee, depth + 1))
    return tuple(found), unknown


def _tables(view: TreeView, path: str, name: str) -> tuple[tables.Table, ...]:
    if not name:
        return ()
    for other in (path, *beside(view.program, folder_of(path))):
        raw = view.program.raw(other)
        if raw is not None and name.encode() in raw:
            found = tuple(t for t in view.program.tables(other) if t.name == name and "vm_operations" in t.type)
            if found:
                return found
    return ()


# -- what takes it out again, who uses it ---------------------------------------------------------


def taken_out(view: TreeView, ops: tables.Table, store: Store) -> Step | None:
    """What the ``.close`` of these operations does about the pointer."""
    value = ops.get("close")
    for fn in view.program.define(tables.named(value), ops.path) if value is not None and tables.named(value) else ():
        todo: list[tuple[ir.Function, int]] = [(fn, 0)]
        seen = {fn.key}
        while todo:
            here, depth = todo.pop(0)
            found = _takes(here, store)
            if found:
                line = here.first_line + here.text.count(b"\n", 0, found)
                return Step(here.path, line, f"{here.name}(), called when the VMA is closed, takes it out")
            for node in view.program.cfg(here).nodes if depth < _DEEP else ():
                for call in ir.calls(node.expr):
                    for callee in view.program.define(call.name, here.path) if call.name else ():
                        if callee.key not in seen and folder_of(callee.path) == folder_of(here.path):
                            seen.add(callee.key)
                            todo.append((callee, depth + 1))
    return None


def _takes(fn: ir.Function, store: Store) -> int:
    """Offset of what takes the pointer out, 0 for nothing."""
    start = fn.text.find(b"{")
    word = re.escape(store.field.encode("utf-8", "surrogateescape"))
    cleared = re.compile(rb"(?:->|\.)\s*" + word + rb"\s*=[^=]|&[\w>.-]*(?:->|\.)" + word + rb"\s*,").search(
        fn.text, start
    )
    found = cleared or _REMOVES.search(fn.text, start)
    return found.start() if found else 0


def users(view: TreeView, fn: ir.Function, store: Store) -> Step | None:
    """Another function of the folder that goes to the VMA behind the kept pointer."""
    word = re.compile(rb"(?:->|\.)\s*" + re.escape(store.field.encode()) + rb"\b(?!\s*[=!]=|\s*=[^=])")
    for path in (fn.path, *(each for each in beside(view.program, folder_of(fn.path)) if each != fn.path)):
        raw = view.program.raw(path)
        if raw is None or not path.endswith(".c") or word.search(raw) is None:
            continue
        for other in view.program.functions(path):
            if other.key != fn.key and word.search(other.text):
                step = _goes_to(view, other, store)
                if step is not None:
                    return step
    return None


def _goes_to(view: TreeView, fn: ir.Function, store: Store) -> Step | None:
    scope = Scope(view.program, fn)
    for node in scope.cfg.nodes:
        for each in ir.walk(node.expr) if node.expr is not None else ():
            match each:
                case ir.Member(base=base, field=field) if field == store.field:
                    owner = scope.tag_of(base)
                    written = isinstance(node.expr, ir.Assign) and node.expr.target == each
                    plain = node.at is ir.At.TEST and node.expr == each
                    if owner and owner == store.owner and not written and not plain and node.at is not ir.At.TEST:
                        return Step(fn.path, each.line, f"{fn.name}() uses {ir.show(each)} later on")
    return None
