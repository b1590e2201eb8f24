"""fault-revoked-check: a fault or mmap handler can map what a revoke has just taken away

What it sees
    A function revokes an object: it sets a marker (revoked, a state such as CLOSED, the owner to NULL) under
    a lock, or takes the user mappings away under one. A handler that maps the object's memory makes the PTE
    without looking at the marker, or looks at it where that lock is not held, or gives the lock back between
    the look and the insert; or it looks up under the lock what it inserts, and inserts it without.

Why it hurts
    unmap_mapping_range() waits for no fault. One that has passed the test before the marker was set makes
    its PTE after the unmap, and nothing takes that one away again: user space keeps a window on a device
    that is off, or on memory that belongs to somebody else. A handler that follows an owner that has become
    NULL brings the kernel down.

When it is silent
    - the test and the insert lie in one stretch under the lock of the revoke, taken by the handler, by a
      caller of it, or asserted; a reservation lock or drm_dev_enter() around both
    - the page is handed over with a reference of its own (vmf->page, vm_insert_page()): it stays valid
    - another field that the revoke changes is looked at under that lock
    - no lock was found under which the marker is set, or nothing was found that revokes the mapping

Do this instead
    Take the lock that the revoke holds, look at the marker, insert, then give the lock back. With
    scoped_guard() the insert belongs inside the block.

References
    CVE-2020-12888 and commit abafbc551fdd (vfio-pci); 57c5f4df0a5a (uio: the owner is gone at the fault);
    20260226202211.929005-4-mattev@meta.com and its thread; Documentation/gpu/drm-mm.rst;
    mm/memory.c unmap_mapping_range()
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Doubt, Finding, Need, Rule, Severity, Silence, Stage, Tokens, TreeView, Verdict
from lorelint.rule.analyses import mapping
from lorelint.rule.analyses.folder import folder_of
from lorelint_rules.revoke.holes import Hole, How, Judge, Shut, Unsure
from lorelint_rules.revoke.marks import MARKS
from lorelint_rules.revoke.paths import paths

NAME = "fault-revoked-check"
_SURE = {
    How.OUTSIDE: 0.8,
    How.DROPPED: 0.85,
    How.STALE: 0.75,
    How.NEVER: 0.75,
    How.GONE: 0.8,
    How.UNLOCKED: 0.7,
}


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        mine = [each for each in _looked_at(view, folder_of(fn.path)) if each.fn.key == fn.key]
        loud = {each.anchor: each for each in reversed(mine) if not isinstance(each, Shut)}
        for each in loud.values():
            yield _verdict(view, each) if isinstance(each, Hole) else _doubt(each)
        if not loud:
            quiet = {each.reason: each for each in reversed(mine) if isinstance(each, Shut)}
            yield from (_silence(each) for each in quiet.values())


def _looked_at(view: TreeView, folder: str) -> tuple[Hole | Shut | Unsure, ...]:
    """What each path to a PTE does about the revokes of its folder."""
    marks = view.of(MARKS)
    if not marks.matter(folder) or not (marks.zaps(folder) or marks.of(folder)):
        return ()  # nothing revokes: the ways to the PTEs, which cost more to find, do not matter

    def compute() -> tuple[Hole | Shut | Unsure, ...]:
        return tuple(
            Judge(view, folder, path).verdict()
            for way in mapping.ways(view.program, f"{folder}/")
            if way.table != "bin_attribute"
            for path in paths(way)
        )

    return view.program.memo(("fault paths", folder), compute)


def _silence(shut: Shut) -> Silence:
    fn, insert = shut.fn, shut.path.insert
    return Silence(NAME, fn.path, fn.name, insert.line if insert.fn == fn else fn.line, shut.reason, shut.steps)


def _doubt(each: Unsure) -> Doubt:
    return Doubt(NAME, each.fn.path, each.fn.name, each.fn.line, each.anchor, each.reason)


def _verdict(view: TreeView, hole: Hole) -> Verdict:
    unseen = [each for each in hole.path.hops if view.program.cfg(each.fn).opaque]
    if unseen:
        names = ", ".join(f"{each.fn.name}()" for each in unseen)
        return Doubt(NAME, hole.fn.path, hole.fn.name, hole.line, hole.anchor, f"{names} could not be read whole")
    way = hole.path.way
    inserts = hole.path.insert.api
    near = hole.mark is None or hole.mark.fn.path == hole.fn.path
    return Finding(
        rule=NAME,
        path=hole.fn.path,
        function=hole.fn.name,
        line=hole.line,
        anchor=hole.anchor,
        message=_message(hole),
        severity=Severity.ERROR,
        confidence=_SURE[hole.how] - (0.0 if near else 0.05),
        steps=hole.steps,
        need=Need.FILE if near else Need.TREE,
        concern=hole.anchor,
        facts=tuple(_facts(hole)),
        advice=_advice(hole),
        evidence=(hole.how.value, hole.anchor, way.table, way.op, inserts),
        ask=_ask(hole),
    )


def _message(hole: Hole) -> str:
    fn, lock = hole.fn.name, hole.lock
    what = f"{hole.path.insert.api}() of {hole.path.insert.fn.name}()" if "(" not in hole.path.insert.api else ""
    what = what if hole.path.insert.api != mapping.HANDED else f"the page of {fn}()"
    field = hole.mark.marker.field if hole.mark else ""
    match hole.how:
        case How.OUTSIDE:
            return f"{field} is tested without {lock}, under which it is set, before {what}"
        case How.DROPPED:
            return f"{field} is tested under {lock}, which is not held any more at {what}"
        case How.STALE:
            return f"what {what} maps is looked up under {lock}, which is not held any more when it is mapped"
        case How.NEVER:
            return f"{fn}() maps the object without a test of {field}, and so after it was revoked"
        case How.GONE:
            return f"{fn}() follows {field} without a test, and it becomes NULL under {lock}"
    return f"{fn}() maps without {lock}, under which the mappings are taken away"


def _facts(hole: Hole) -> Iterator[str]:
    if not hole.unmaps:
        yield "a fault that runs beside the revoke makes its PTE all the same"
    elif hole.how is not How.GONE:
        yield "a fault that runs beside the revoke makes its PTE after the unmap, and nothing takes that one away"
    if hole.mark is not None and hole.mark.must:
        place = f"{hole.mark.fn.path}:{hole.mark.marker.line}"
        yield f"{hole.mark.fn.name}() sets the marker under {hole.lock} ({place})"


def _advice(hole: Hole) -> str:
    if hole.how is How.GONE:
        return f"take {hole.lock} and look whether {hole.mark.marker.field if hole.mark else 'it'} is there"
    lock = hole.lock or "the lock under which it is set"
    return f"hold {lock} over the test and the insert"


def _ask(hole: Hole) -> str:
    fn = hole.fn.name
    if hole.how is How.GONE and hole.mark is not None:
        return f"what keeps {hole.mark.marker.field} from becoming NULL while {fn}() runs?"
    return f"can {fn}() make a PTE after {'the mappings were taken away' if hole.unmaps else 'it was refused'}?"


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=Tokens((("vm_fault", "vm_area_struct", "vmf_insert_", "remap_pfn_range"),)),
    need=Need.FILE,
    requires=(MARKS,),
    cause_rank=15,
)
