"""pfnmap-vma-flags: VM_PFNMAP is set by hand on a VMA that may be private and writable, and a fault inserts a PFN

What it sees
    An mmap handler sets VM_PFNMAP itself, the fault handler of its vm_ops calls vmf_insert_pfn(), and nothing on
    the way in refuses a private mapping that may be written.

Why it hurts
    vmf_insert_pfn_prot() does BUG_ON() for VM_PFNMAP in a copy-on-write mapping: mmap(MAP_PRIVATE, PROT_WRITE) and one
    access crash the kernel. Whoever may open the device can do that.

When it is silent
    is_cow_mapping() or VM_SHARED is tested, or VM_MAYWRITE cleared, by the handler, by one it asks, by its caller, or
    by get_unmapped_area(); remap_pfn_range() sets the flags and deals with copy-on-write itself; VM_MIXEDMAP with
    vmf_insert_mixed(). VM_DONTEXPAND is not asked for: mremap() does not let a VM_PFNMAP mapping grow.

Do this instead
    if (is_cow_mapping(vma->vm_flags)) return -EINVAL, before the flags are set.

References
    CVE-2024-39497 and 39bc27bd6880 (drm shmem helper); mm/memory.c vmf_insert_pfn_prot(), mm/mremap.c vma_to_resize();
    drivers/gpu/drm/ttm/ttm_bo_vm.c ttm_bo_mmap_obj() does it right
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import (
    Doubt,
    Finding,
    Need,
    Rule,
    Severity,
    Silence,
    Stage,
    Step,
    Tokens,
    TreeView,
    Verdict,
    flow,
    ir,
    tables,
)
from lorelint.rule.analyses.mapping import FAULT_FIELDS, Descent
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.mmap.arrivals import Arrival, arrivals
from lorelint_rules.mmap.extent import SHARED, Extent, asks_sharing, calls, names, vmas

NAME = "pfnmap-vma-flags"
_SETTERS = frozenset(
    {"vm_flags_set", "vm_flags_mod", "vm_flags_init", "vm_flags_reset", "vma_set_flags", "vma_desc_set_flags"}
)
_FLAG = frozenset({"VM_PFNMAP", "VMA_PFNMAP_BIT"})
_MAPPING = (b"MAP_PRIVATE", b"MAP_SHARED", b"MAP_TYPE", b"VM_SHARED")


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        scope = Scope(view.program, fn)
        if vmas(scope) & frozenset(scope.params):
            nodes = tuple(node for node in scope.cfg.nodes if node.expr is not None and _sets(node.expr))
            if nodes:
                yield _judge(view, scope, nodes[0])


def _sets(expr: ir.Expr) -> bool:
    for each in ir.walk(expr):
        match each:
            case ir.Call(args=(_, *flags)) if each.name in _SETTERS:
                # the last argument of vm_flags_mod() is what is cleared
                given = flags[:1] if each.name == "vm_flags_mod" else flags
                if any(names(flag) & _FLAG for flag in given):
                    return True
            case ir.Assign(op="|=" | "=", target=ir.Member(field="vm_flags"), value=value) if names(value) & _FLAG:
                return True
    return False


def _judge(view: TreeView, scope: Scope, sets: ir.Node) -> Verdict:
    fn = scope.fn

    def silent(reason: str, *steps: Step) -> Silence:
        return Silence(NAME, fn.path, fn.name, sets.line, reason, steps)

    insert = _insert(view, scope)
    if insert is None:
        return silent("no fault handler is seen that inserts a PFN into it")
    mapped = next(calls(scope, lambda call: call.name in ("remap_pfn_range", "io_remap_pfn_range")), None)
    if mapped is not None:
        step = Step(fn.path, mapped[1].line, f"{mapped[1].name}() deals with copy-on-write")
        return silent("it is mapped at once by a call that knows of copy-on-write", step)
    after = _asked_after(scope, sets)
    if after is not None:
        return silent("a private writable mapping is refused", after)
    ways = arrivals(view, fn)
    if not ways:
        return silent("nobody is seen to hand it a VMA of user space")
    open_, unseen = _unrefused(view, scope, sets, ways)
    if not open_:
        return silent("a private writable mapping is refused before, or cannot be written later")
    area = _unmapped_area(view, fn)
    if area is not None:
        return silent("get_unmapped_area() looks at the kind of mapping", area)
    known = [way for way in open_ if way.known]
    if unseen or not known:
        reason = f"{unseen}() is handed the VMA and is not in sight" if unseen else "who calls it is not in sight"
        return Doubt(NAME, fn.path, fn.name, sets.line, "VM_PFNMAP", reason)
    return _finding(fn, sets.line, insert, known[0])


def _unrefused(view: TreeView, scope: Scope, sets: ir.Node, ways: tuple[Arrival, ...]) -> tuple[list[Arrival], str]:
    """The ways in on which nothing asked before the flag is set, and a callee that might have."""
    found: list[Arrival] = []
    unseen: list[str] = []
    for way in () if _cleared(scope) else ways:
        extent = Extent(view, scope, way.state, frozenset({sets.id}))
        state = extent.at(sets.id)
        if state is not None and SHARED not in state.proven:
            found.append(way)
            unseen.append(extent.unseen_before(sets.id))
    return found, next(filter(None, unseen), "")


def _cleared(scope: Scope) -> bool:
    return any(
        call.name in ("vm_flags_clear", "vm_flags_mod") and call.args and "VM_MAYWRITE" in names(call.args[-1])
        for node in scope.cfg.nodes
        for call in ir.calls(node.expr)
    )


def _asked_after(scope: Scope, sets: ir.Node) -> Step | None:
    """A test of the kind of mapping that every way on from here comes by."""
    asks = {n.id: n for n in scope.cfg.nodes if n.at is ir.At.TEST and n.expr is not None and asks_sharing(n.expr)}
    if asks and flow.reaches(scope.cfg, [sets.id], [1], avoid=asks) is None:
        line = next(iter(asks.values())).line
        return Step(scope.fn.path, line, f"{scope.fn.name}() looks at the kind of mapping")
    return None


def _insert(view: TreeView, scope: Scope) -> Step | None:
    """Where a fault on this VMA inserts a PFN: below the vm_ops the function installs, else those of its file."""
    own = any(
        isinstance(each, ir.Assign)
        and isinstance(each.target, ir.Member)
        and each.target.field == "vm_ops"
        and ir.show(each.value) not in ("NULL", "0")
        for node in scope.cfg.nodes
        if node.expr is not None
        for each in ir.walk(node.expr)
    )
    for handler in (scope.fn,) if own else tuple(_faults(view, scope.fn.path)):
        for insert in Descent(view.program, handler).inserts:
            if insert.api.startswith("vmf_insert_pfn"):
                return insert.step
    return None


def _faults(view: TreeView, path: str) -> Iterator[ir.Function]:
    for table in view.program.tables(path):
        if table.type.endswith("vm_operations_struct"):
            for field in FAULT_FIELDS:
                value = table.get(field)
                if value is not None:
                    yield from view.program.define(tables.named(value), path)


def _unmapped_area(view: TreeView, fn: ir.Function) -> Step | None:
    """A get_unmapped_area() beside the handler that looks at MAP_PRIVATE."""
    for use in view.program.entries(fn):
        for table in view.program.tables(use.path):
            value = table.get("get_unmapped_area")
            if value is not None and tables.named(table.get("mmap") or value) == fn.name:
                for each in view.program.define(tables.named(value), use.path):
                    if any(word in each.text for word in _MAPPING):
                        return Step(each.path, each.line, f"{each.name}() looks at the kind of mapping")
    return None


def _finding(fn: ir.Function, line: int, insert: Step, way: Arrival) -> Finding:
    steps = (
        *way.steps,
        Step(fn.path, line, f"{fn.name}() sets VM_PFNMAP; nothing before has refused a private writable mapping"),
        insert,
    )
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=line,
        anchor="VM_PFNMAP",
        message=f"{fn.name}() sets VM_PFNMAP also for a private writable mapping, and a fault inserts a PFN: BUG_ON()",
        ask=f"what refuses mmap(MAP_PRIVATE, PROT_WRITE) in {fn.name}()?",
        severity=Severity.WARNING,
        confidence=0.8,
        steps=tuple(dict.fromkeys(steps)),
        need=Need.CALLS,
        concern="kind of mapping",
        facts=("vmf_insert_pfn_prot() has BUG_ON((vma->vm_flags & VM_PFNMAP) && is_cow_mapping(vma->vm_flags))",),
        advice="refuse is_cow_mapping(vma->vm_flags) before the flags are set",
        evidence=("VM_PFNMAP", insert.text),
    )


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=Tokens((("VM_PFNMAP", "VMA_PFNMAP_BIT"), ("vm_area_struct", "vm_area_desc"))),
    need=Need.CALLS,
    cause_rank=30,
)
