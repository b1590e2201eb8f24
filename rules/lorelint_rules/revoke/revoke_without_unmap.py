"""revoke-without-unmap: an object is made unusable and its user mappings stay

What it sees
    A function revokes an object: it sets a field such as revoked or unplugged (dead, gone or removed where a
    handler tests it, or where registers of the device are mapped), a state constant such as CLOSED or PURGED,
    clears the owner that a fault handler tests, resets the device or powers it down; turns a switch, by whatever
    name, in a reset that .open or .alloc_ucontext refuses by; or lets go of what it has registered
    (misc_deregister(), uio_unregister_device()) and then gives back the memory that is mapped. The
    object's memory can be mapped by user space: an ops table sets .mmap and the handler, or a fault handler
    it installs, inserts PFNs, or the core does that it was registered with. And no call takes the mappings
    away: not in the function, not below it, not around it in every caller.

Why it hurts
    A handler that tests the marker keeps new PTEs out; those that are there survive it. User space goes on
    reading and writing a device that does not answer (machine check, SError, an unrecoverable PCIe error),
    or memory that has been given to somebody else.

When it is silent
    - nothing maps the object: its ops table has no .mmap
    - unmap_mapping_range(), zap_vma_ptes(), drm_vma_node_unmap() or the like on the same way, in a callee,
      or in every caller around it; the TTM core unmaps before a move, and RDMA's in ib_unregister_device()
    - entered from .release alone: every VMA holds a reference to its file; from probe, open or boot: nothing
      is mapped yet; the object was made by this very function
    - it waits behind the marker for what .release or a VMA's .close tells: nothing is mapped when the wait ends
    - pages with references of their own (vm_insert_page), or a state that says nothing of the memory where pages
      are mapped whose VMAs vm_ops count; sysfs files, whose mappings kernfs ends
    - an importer that drops its DMA mappings. dma_buf_move_notify() and iommu_unmap() are no CPU unmaps

Do this instead
    Block new faults first (the marker, under the lock that the fault handler takes), then
    unmap_mapping_range() on the address_space the VMAs are linked in: the inode's i_mapping of the device, or
    dmabuf->file->f_mapping for the mmap of a dma-buf.

References
    CVE-2020-12888, commits abafbc551fdd and 11c4cd07ba11 (vfio-pci); 3234ac664a87 (/dev/mem);
    b9d4efa8f9a2 (DRM unplug); 20260226202211.929005-4-mattev@meta.com (mmap of vfio's dma-bufs);
    mm/memory.c unmap_mapping_range()
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Doubt, Finding, Need, Rule, Severity, Silence, Stage, Step, TreeView, Verdict, ir
from lorelint.rule.analyses.folder import folder_of
from lorelint.rule.analyses.mapping import Gate, Way
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.revoke import marked, wording
from lorelint_rules.revoke.cover import Caller, Cover, Fate, Leaf
from lorelint_rules.revoke.drained import drained
from lorelint_rules.revoke.markers import Kind, Marker

NAME = "revoke-without-unmap"
_RANK = {Finding: 3, Doubt: 2, Silence: 1}

_PLAINEST = (Kind.FIELD, Kind.STATE, Kind.OWNER)

Ways = tuple[tuple[Way, Gate | None], ...]


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        verdicts: dict[str, tuple[Marker, Verdict]] = {}
        for marker, verdict in _judge(view, fn):
            known = verdicts.get(marker.anchor)
            if known is None or _RANK[type(verdict)] > _RANK[type(known[1])]:
                verdicts[marker.anchor] = (marker, verdict)
        yield from _one_an_object(tuple(verdicts.values()))
        if not verdicts and (api := marked.unmaps(view, fn)):
            yield Silence(NAME, fn.path, fn.name, fn.line, f"it calls {api}(), and revokes nothing itself")


def _one_an_object(verdicts: tuple[tuple[Marker, Verdict], ...]) -> Iterator[Verdict]:
    """An object that is revoked by several statements is told once, by the plainest of them."""
    told: dict[str, Marker] = {}
    for marker, verdict in verdicts:
        if isinstance(verdict, Finding) and marker.kind in _PLAINEST:
            known = told.get(marker.tag)
            if known is None or _PLAINEST.index(marker.kind) < _PLAINEST.index(known.kind):
                told[marker.tag] = marker
    for marker, verdict in verdicts:
        if not isinstance(verdict, Finding) or told.get(marker.tag, marker) == marker:
            yield verdict


def _judge(view: TreeView, fn: ir.Function) -> Iterator[tuple[Marker, Verdict]]:
    if not marked.mappable(view, folder_of(fn.path)):
        return
    if marked.worth(view, fn):
        scope = Scope(view.program, fn)
        for marker in marked.found(view, scope):
            verdict = _own(view, scope, marker)
            if verdict is not None:
                yield marker, verdict
    for callee, line in marked.calls(view, fn):
        scope = Scope(view.program, callee)
        for marker in marked.found(view, scope):
            verdict = _around(view, fn, line, scope, marker)
            if verdict is not None:
                yield marker, verdict


def _own(view: TreeView, scope: Scope, marker: Marker) -> Verdict | None:
    """The verdict on the function that holds the marker."""
    fn = scope.fn
    ways = marked.ways(view, fn, marker)
    if not ways:
        return _unmapped(view, fn, marker)
    quiet = _harmless(view, fn, marker, ways)
    if quiet is not None:
        return quiet
    cover = Cover(view, tuple(way for way, _ in ways), marker)
    if cover.undoing(scope, marker.node):
        reason = "only when something failed: the function undoes what it has begun"
        return Silence(NAME, fn.path, fn.name, marker.line, reason, (wording.marker(fn, marker),))
    here = cover.here(scope, marker.node)
    if here is not None:
        reason = wording.gone(here, cover.always(scope, marker.node, here))
        return Silence(
            NAME, fn.path, fn.name, marker.line, reason, (wording.marker(fn, marker), here.step, *here.chain)
        )
    waits = drained(view, scope, marker.node, cover.ways)
    if waits is not None:
        reason = "it waits until the last file is closed: every VMA holds its file"
        return Silence(NAME, fn.path, fn.name, marker.line, reason, (wording.marker(fn, marker), waits))
    callers = cover.callers(fn, marker.value)
    leaves = cover.fates(fn, callers)
    if any(leaf.fate is Fate.EXPOSED for leaf in leaves):
        blamed = _contrast(fn, marker, callers, leaves)
        if blamed:
            names = ", ".join(f"{caller.fn.name}()" for caller in blamed)
            reason = f"it is for the callers to unmap: {names} does not"
            return Silence(NAME, fn.path, fn.name, marker.line, reason, wording.fates(leaves))
        return _finding(view, fn, marker.line, marker, ways, leaves, ())
    if any(leaf.fate is Fate.UNKNOWN for leaf in leaves):
        unknown = next(leaf for leaf in leaves if leaf.fate is Fate.UNKNOWN)
        return Doubt(NAME, fn.path, fn.name, marker.line, marker.anchor, unknown.step.text)
    return Silence(
        NAME, fn.path, fn.name, marker.line, wording.safe(leaves), (wording.marker(fn, marker), *wording.fates(leaves))
    )


def _around(view: TreeView, fn: ir.Function, line: int, scope: Scope, marker: Marker) -> Verdict | None:
    """The verdict on a caller of the function that holds the marker, where the callers are to unmap."""
    ways = marked.ways(view, scope.fn, marker)
    if not ways or _harmless(view, fn, marker, ways) is not None:
        return None
    cover = Cover(view, tuple(way for way, _ in ways), marker)
    if cover.undoing(scope, marker.node) or cover.here(scope, marker.node) is not None:
        return None
    callers = cover.callers(scope.fn, marker.value)
    mine = [caller for caller in callers if caller.fn.key == fn.key and caller.line == line]
    if not mine:
        return None
    place = Step(scope.fn.path, marker.line, f"{scope.fn.name}() does {marker.text}")
    if mine[0] in _contrast(scope.fn, marker, callers, cover.fates(scope.fn, callers)):
        return _finding(view, fn, line, marker, ways, mine[0].leaves, (place,), callers)
    if mine[0].good:
        reason = wording.safe(mine[0].leaves)
        return Silence(NAME, fn.path, fn.name, line, reason, (place, *wording.fates(mine[0].leaves)))
    return None


def _contrast(
    fn: ir.Function, marker: Marker, callers: tuple[Caller, ...], leaves: tuple[Leaf, ...]
) -> tuple[Caller, ...]:
    """Callers that leave the mappings where it is for the callers to take them away: theirs is the defect.

    It is for them where others of the same folder do so, where a helper of one file is also called when nothing is
    mapped, and where the caller says by an argument what state the device is to have.
    """
    if any(leaf.top is fn for leaf in leaves):
        return ()  # entered from outside itself
    bad = tuple(caller for caller in callers if caller.bad)
    if not all(folder_of(caller.fn.path) == folder_of(fn.path) for caller in bad):
        return ()
    good = [caller for caller in callers if caller.good]
    covered = any(leaf.fate is Fate.COVERED for caller in good for leaf in caller.leaves)
    chosen = marker.kind is Kind.CALL and any(param.name == marker.value for param in fn.params if marker.value)
    return bad if covered or chosen or (good and fn.static) else ()


def _harmless(view: TreeView, fn: ir.Function, marker: Marker, ways: Ways) -> Silence | None:
    """What makes a stale mapping harmless whoever revokes."""
    if all(way.counted for way, _ in ways):
        way = ways[0][0]
        reason = f"only pages with references of their own are mapped ({way.inserter}): they stay valid"
        return Silence(NAME, fn.path, fn.name, marker.line, reason, way.steps)
    kept = marker.kind is Kind.STATE and "PURGE" not in marker.text  # what is purged is given back
    if kept and all(way.tracked and marked.paged(view, way) for way, _ in ways):
        reason = "only pages of the kernel's own are mapped, and the vm_ops hear of every VMA: they are kept as long"
        return Silence(NAME, fn.path, fn.name, marker.line, reason, ways[0][0].steps)
    if all(way.table == "bin_attribute" for way, _ in ways):
        return Silence(
            NAME,
            fn.path,
            fn.name,
            marker.line,
            "a sysfs file: kernfs ends its mappings when it is removed",
            ways[0][0].steps,
        )
    return None


def _unmapped(view: TreeView, fn: ir.Function, marker: Marker) -> Silence | None:
    """No way to the object's memory: worth telling where the marker is plain."""
    if marker.kind is not Kind.FIELD:
        return None
    reason, steps = marked.why_not_mapped(view, fn, marker)
    return Silence(NAME, fn.path, fn.name, marker.line, reason, (wording.marker(fn, marker), *steps))


def _finding(
    view: TreeView,
    fn: ir.Function,
    line: int,
    marker: Marker,
    ways: Ways,
    leaves: tuple[Leaf, ...],
    below: tuple[Step, ...],
    callers: tuple[Caller, ...] = (),
) -> Finding:
    way, gate = ways[0]
    near = folder_of(way.entry.path) == folder_of(fn.path)
    plain = gate is not None or marker.kind in (Kind.CALL, Kind.FREE, Kind.LEFT)
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=line,
        anchor=marker.anchor,
        message=wording.message(fn, marker, way),
        severity=Severity.ERROR if wording.is_device(way) else Severity.WARNING,
        confidence=(0.85 if way.entry.path == fn.path else 0.75 if near else 0.65) - (0.0 if plain else 0.1),
        steps=wording.steps(fn, line, marker, way, gate, leaves, below),
        need=Need.CALLS,
        concern=marker.anchor,
        facts=wording.facts(view, marker.kind, way, gate, callers),
        advice=wording.advice(marker, way),
        siblings=marked.siblings(view, fn, marker),
        evidence=(marker.kind.value, marker.anchor, way.table, way.op, way.inserter),
    )


RULE = Rule(NAME, run, since="0.1", stage=Stage.QUEUE, need=Need.CALLS, cause_rank=20)
