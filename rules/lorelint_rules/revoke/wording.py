"""What revoke-without-unmap says: steps, facts, reasons."""

from __future__ import annotations

from lorelint.rule import Step, TreeView, ir
from lorelint.rule.analyses.mapping import Gate, Way
from lorelint.rule.analyses.unmaps import Unmap
from lorelint_rules.revoke.cover import Caller, Fate, Leaf
from lorelint_rules.revoke.markers import Kind, Marker

_MEMORY = frozenset(
    {
        "vmf_insert_pfn",
        "vmf_insert_pfn_prot",
        "vmf_insert_pfn_pmd",
        "vmf_insert_pfn_pud",
        "io_remap_pfn_range",
        "remap_pfn_range",
        "vm_iomap_memory",
    }
)


def is_device(way: Way) -> bool:
    """PFNs without struct page behind them: device memory, or memory that may be given away."""
    return way.inserter in _MEMORY


def marker(fn: ir.Function, found: Marker) -> Step:
    return Step(fn.path, found.line, f"{found.text} in {fn.name}()")


def message(fn: ir.Function, found: Marker, way: Way) -> str:
    what = f"{found.text} revokes the object"
    if found.kind is Kind.CALL:
        what = f"{found.api}() takes the memory of {found.object} away"
    elif found.kind is Kind.FREE:
        what = f"{found.api}() gives the memory of {found.object} back"
    elif found.kind is Kind.LEFT:
        what = f"{found.text} takes the memory of {found.object} away"
    return f"{what}, and the user mappings that {way.handler.name}() has made stay"


def steps(
    fn: ir.Function,
    line: int,
    found: Marker,
    way: Way,
    gate: Gate | None,
    leaves: tuple[Leaf, ...],
    below: tuple[Step, ...],
) -> tuple[Step, ...]:
    top = next(leaf for leaf in leaves if leaf.fate is Fate.EXPOSED)
    made = below or (marker(fn, found),)
    out = [*made, way.entry, way.insert]
    if gate is not None:
        out.append(
            Step(gate.step.path, gate.step.line, f"{gate.step.text}: it keeps new PTEs out, those that are there stay")
        )
    out.append(Step(fn.path, line, f"no unmap on the way through {fn.name}(), in its callees, or around it"))
    out.append(Step(top.step.path, top.step.line, f"entered by {top.step.text}"))
    return tuple(dict.fromkeys(out))


def facts(view: TreeView, kind: Kind, way: Way, gate: Gate | None, callers: tuple[Caller, ...]) -> tuple[str, ...]:
    out = []
    for caller in callers:
        if caller.good:
            leaf = caller.leaves[0]
            how = "unmaps" if leaf.fate is Fate.COVERED else "runs when nothing can be mapped"
            out.append(f"{caller.fn.name}() {how} ({leaf.step.path}:{leaf.step.line})")
    if gate is None and kind not in (Kind.CALL, Kind.FREE, Kind.LEFT):
        out.append("no fault or mmap handler was found that tests the marker")
    if way.dmabuf:
        out.append(
            "VMAs of a dma-buf are linked in dmabuf->file->f_mapping: "
            "the zap of the exporter's own device file does not reach them"
        )
        told = sorted(
            view.know.names("dma_invalidate_apis_not_cpu_unmap")
            & {"dma_buf_move_notify", "dma_buf_invalidate_mappings"}
        )
        out.extend(f"{name}() tells importers; it takes no CPU mapping away" for name in told)
    return tuple(out)


def advice(found: Marker, way: Way) -> str:
    mapping = "dmabuf->file->f_mapping" if way.dmabuf else "the address_space of the mapped file"
    if found.kind is Kind.LEFT:
        return f"call unmap_mapping_range() on {mapping} before the memory is given back, or wait for the last close"
    return (
        f"call unmap_mapping_range() on {mapping} after the marker is set, under the lock that the fault handler takes"
    )


def gone(unmap: Unmap, always: bool) -> str:
    """Where the mappings go when the object does."""
    place = unmap.chain[-1] if unmap.chain else unmap.step
    where = f"{unmap.api}() at {place.path}:{place.line}"
    return f"{where} takes the mappings away, on {'every path' if always else 'the paths on which it matters'}"


def fates(leaves: tuple[Leaf, ...]) -> tuple[Step, ...]:
    return tuple(
        dict.fromkeys(Step(leaf.step.path, leaf.step.line, f"{leaf.fate}: {leaf.step.text}") for leaf in leaves)
    )


def safe(leaves: tuple[Leaf, ...]) -> str:
    """Why nothing is left behind, whichever way it is entered."""
    covered = [leaf for leaf in leaves if leaf.fate is Fate.COVERED]
    exempt = [leaf for leaf in leaves if leaf.fate is Fate.EXEMPT]
    if covered and not exempt:
        return "every caller unmaps"
    if exempt and not covered:
        return "entered only when nothing can be mapped: from .release, probe, open or at boot"
    return "every caller unmaps or runs when nothing can be mapped"
