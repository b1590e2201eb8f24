"""unmap-wrong-mapping: the mappings are taken away from an address_space in which they are not linked

What it sees
    unmap_mapping_range() acts on the address_space of one inode that .open has put into an object which all
    files of a device share: the last one that was opened. Or a function that revokes a dma-buf unmaps in the
    address_space of the exporter's device, while the VMAs of a dma-buf are linked in dmabuf->file->f_mapping.

Why it hurts
    The call finds no VMA there, or not all of them, and says nothing. User space keeps its mappings of what
    was revoked.

When it is silent
    - the files are redirected to one address_space when they are opened (file->f_mapping = .., as vfio and
      DRM do)
    - the object is made for the file that is opened, or one file at a time can be open
    - the unmap acts on dmabuf->file->f_mapping, or on that of the file that was mapped

Do this instead
    Keep file->f_mapping with what belongs to one file and unmap each; or give the device an inode of its own
    and set file->f_mapping to it in .open. For a dma-buf, unmap in dmabuf->file->f_mapping.

References
    drivers/misc/uacce/uacce.c: one inode for the device in 5.10, one mapping for each queue in 6.12;
    drivers/vfio/device_cdev.c and drivers/gpu/drm/drm_file.c, which redirect f_mapping; fs/char_dev.c: two
    device nodes of one number are two inodes; 20260226202211.929005-4-mattev@meta.com and its thread
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Finding, Need, Rule, Severity, Silence, Stage, Step, Tokens, TreeView, Verdict, ir
from lorelint.rule.analyses import mapping
from lorelint.rule.analyses.folder import folder_of
from lorelint.rule.analyses.mapping import Way
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.revoke import homes, marked
from lorelint_rules.revoke.markers import Kind, Marker

NAME = "unmap-wrong-mapping"
_RANGES = ("unmap_mapping_range", "unmap_mapping_pages", "drm_vma_node_unmap")


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        scope = Scope(view.program, fn)
        told: dict[str, Verdict] = {}
        for node in scope.cfg.nodes:
            for call in ir.calls(node.expr):
                if call.name in _RANGES and call.args:
                    verdict = _judge(view, scope, call, call.args[1 if call.name.startswith("drm_") else 0])
                    key = verdict.anchor if isinstance(verdict, Finding) else verdict.reason
                    told.setdefault(key, verdict)
        yield from told.values()


def _judge(view: TreeView, scope: Scope, call: ir.Call, where: ir.Expr) -> Finding | Silence:
    fn = scope.fn

    def silent(reason: str, *steps: Step) -> Silence:
        return Silence(NAME, fn.path, fn.name, call.line, reason, steps)

    fields = homes.fields(scope, where)
    foreign = _of_a_dmabuf(view, scope, fields)
    if foreign is not None:
        return _in_another(scope, call, where, *foreign)
    redirect = homes.redirected(view, fn.path, fields)
    if redirect is not None:
        return silent("files are linked in this address_space when they are opened", redirect)
    kept = [each for each in homes.saved(view, folder_of(fn.path)) if (each.tag, each.field) in fields]
    if not kept:
        return silent("nothing was found by which the VMAs would be linked elsewhere")
    shared = [each for each in kept if each.shared]
    ways = [way for way in mapping.ways(view.program, fn.path) if way.table == "file_operations"]
    if not shared or not ways:
        return silent(f"it is that of the file that was opened: {kept[0].why or 'nothing maps'}", kept[0].step)
    return _last_opener(scope, call, where, shared[0], ways[0])


def _of_a_dmabuf(view: TreeView, scope: Scope, fields: frozenset[tuple[str, str]]) -> tuple[Marker, Way] | None:
    """A marker of an object that is mapped through its dma-buf alone, where the address_space is another."""
    names = {field for _, field in fields}
    if not names or names & {"dmabuf", "dma_buf", "file", "f_mapping", "anon_inode"}:
        return None
    for marker in marked.found(view, scope):
        if marker.kind in (Kind.FIELD, Kind.STATE, Kind.OWNER, Kind.BIT):
            ways = [way for way, _ in marked.ways(view, scope.fn, marker)]
            if ways and all(way.dmabuf for way in ways) and not _unmaps_right(scope):
                return marker, ways[0]
    return None


def _unmaps_right(scope: Scope) -> bool:
    """Whether another call of the function acts on the dma-buf's own address_space."""
    return any(
        call.name in _RANGES and "f_mapping" in {field for _, field in homes.fields(scope, arg)}
        for node in scope.cfg.nodes
        for call in ir.calls(node.expr)
        for arg in call.args[:2]
    )


def _in_another(scope: Scope, call: ir.Call, where: ir.Expr, marker: Marker, way: Way) -> Finding:
    fn = scope.fn
    steps = (
        Step(fn.path, marker.line, f"{marker.text} in {fn.name}()"),
        way.entry,
        way.insert,
        Step(fn.path, call.line, f"{call.name}() in {ir.show(where)}: no VMA of the dma-buf is linked there"),
    )
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=call.line,
        anchor=f"{call.name}() of struct {marker.tag}",
        message=f"{call.name}() acts on {ir.show(where)}, and VMAs of a dma-buf are linked in dmabuf->file->f_mapping",
        severity=Severity.WARNING,
        confidence=0.75,
        steps=steps,
        need=Need.TREE,
        concern=marker.anchor,
        facts=("dma_buf_mmap() and the mmap of the dma-buf's file link the VMA in the file of the dma-buf",),
        advice="unmap in dmabuf->file->f_mapping",
        evidence=("dmabuf", marker.tag, way.op),
        ask=f"does {ir.show(where)} hold the VMAs of the dma-buf?",
    )


def _last_opener(scope: Scope, call: ir.Call, where: ir.Expr, kept: homes.Saved, way: Way) -> Finding:
    fn = scope.fn
    place = f"{kept.tag}.{kept.field}"
    steps = (
        kept.step,
        way.entry,
        Step(fn.path, call.line, f"{call.name}() acts on {ir.show(where)}, the one that was kept last"),
    )
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=call.line,
        anchor=f"{call.name}() in {place}",
        message=f"{call.name}() reaches the mappings of one inode, and {place} is the one that was opened last",
        severity=Severity.WARNING,
        confidence=0.7,
        steps=steps,
        need=Need.TREE,
        concern=f"struct {place}",
        facts=(
            "a device can be opened through several inodes (another devtmpfs, a container, mknod), each with an "
            "address_space of its own",
        ),
        advice="keep file->f_mapping with what belongs to one open file and unmap each, "
        "or redirect file->f_mapping to one inode in .open",
        evidence=("saved", place, way.table),
        ask=f"what unmaps the files that were opened through another inode than {place}?",
    )


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.TRIAL,
    tokens=Tokens((_RANGES,)),
    need=Need.TREE,
    cause_rank=22,
)
