"""pfn-lifetime-escape: a PFN read from page tables is used after the page-table lock is gone

What it sees
    A PFN is read out of the page tables of a user mapping (follow_pfnmap_start(), follow_pte(), follow_pfn(),
    follow_phys()), the page-table lock is dropped, and the PFN goes on: a device, an IOMMU or a guest gets it, the
    kernel maps and touches it, or it is kept in an object after mmap_lock is given back. Helpers of the file that
    hand it out and callers that get it are followed. The function told is the one that drops the last lock.

Why it hurts
    No reference holds such memory. Its owner may zap the mapping at any time (unmap_mapping_range() when a
    driver is unbound, a BAR is disabled or a region is freed) and nothing tells the user of the PFN: a device
    goes on with memory or MMIO that belongs to somebody else.

When it is silent
    The use lies between follow_pfnmap_start() and follow_pfnmap_end(); the PFN is looked up again and compared
    before it is used, under the second look-up; the driver or its folder has an MMU notifier, which is told when
    the mapping dies; the PFN stays in bookkeeping under the mmap_lock of the callers and nothing is accessed.

Do this instead
    Import the memory as a dma-buf with a revoke callback, or register an MMU notifier and drop the mapping in
    it; for an access by the kernel, do it between follow_pfnmap_start() and follow_pfnmap_end(), or look up again
    and compare as generic_access_phys() does.

References
    kernel-doc of follow_pfnmap_start() in mm/memory.c: "otherwise it can create a security bug";
    96667f8a4382 ("mm: Close race in generic_access_phys"); a67a88b0b8de; the threads of
    20201116210516.GH917484@ziepe.ca on the type 1 fault path
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

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
    ir,
    regex,
)
from lorelint.rule.analyses import entry
from lorelint.rule.analyses.folder import beside, folder_of
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.pfn import uses as _uses
from lorelint_rules.pfn.lookups import END, OUT, Carriers, Values, dropped
from lorelint_rules.pfn.uses import Above, How, Use

NAME = "pfn-lifetime-escape"
_NOTIFIED = regex(
    rb"\b(?:__)?mmu_notifier_(?:register|get|seq)\b|\bmmu_interval_(?:notifier_insert|read_begin)\w*|\bmmu_invalidate_\w+"
)
_CORE = ("mm/", "kernel/", "fs/")
_DEEP = 3


class Look(Struct, frozen=True):
    """One function that has a PFN from a look-up, its own or a callee's."""

    found: Values
    node: int
    call: ir.Call
    drop: int  # line where mmap_lock is given back behind it, 0 for nowhere

    @property
    def fn(self) -> ir.Function:
        return self.found.scope.fn

    @property
    def step(self) -> Step:
        return Step(self.fn.path, self.call.line, f"{self.call.name}() gives a PFN of a user mapping")

    @property
    def loose(self) -> tuple[Step, ...]:
        """Where mmap_lock is given back."""
        text = "mmap_lock is given back: from here on the mapping may be zapped"
        return (Step(self.fn.path, self.drop, text),) if self.drop else ()

    def silence(self, reason: str, *steps: Step) -> Silence:
        return Silence(NAME, self.fn.path, self.fn.name, self.call.line, reason, (self.step, *steps))


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        apis = view.know.names("pfn_lookup")
        if fn.name in apis:
            continue  # the API itself
        carriers = _uses.carriers(view, fn)
        if carriers or any(name.encode() in fn.text for name in apis):
            yield from _judge(view, fn, carriers)


def _judge(view: TreeView, fn: ir.Function, carriers: Carriers) -> Iterator[Verdict]:
    found = _uses.values(view, Scope(view.program, fn), carriers)
    looks = [Look(found, node, call, dropped(found.scope, node)) for node, call in found.sources()]
    if not looks:
        return
    look = next((each for each in looks if each.drop), looks[0])
    notified = _notified(view, fn)
    if notified is not None:
        yield look.silence("whoever holds the PFN is told when the mapping dies: an MMU notifier", notified)
        return
    own = [each for each in _uses.uses(view, found) if look.drop or each.how is not How.KEPT]
    used = _uses.worst(tuple(own))
    if look.call.name in carriers and used is not None and not look.drop and not _drops(view, fn, look.call.name):
        used = None if _told_below(view, fn, look.call.name) else used
    if used is not None:
        yield _finding(view, look, used, 0.85, _own_concern(fn, used))
        return
    hands = found.handed()
    if not hands.any:
        yield look.silence(_why(look, carriers))
        return
    if not look.drop:
        yield look.silence("the PFN is handed to the callers, which hold mmap_lock or not: it is for them to say")
        return
    yield _above(view, look, _uses.above(view, fn, hands))


def _above(view: TreeView, look: Look, above: Above) -> Verdict:
    fn = look.fn
    if above.use is None:
        told = None if above.seen else _told_outside(view, fn)
        if told is not None:
            return look.silence("user space is told the number, and can do nothing with it", told)
        if not above.seen:
            reason = "the PFN is handed out after the locks, and no caller is in sight"
            return Doubt(NAME, fn.path, fn.name, look.call.line, "callers", reason)
        return look.silence("no caller keeps the PFN or goes to that memory", *above.seen)
    notified = _notified(view, above.use.fn)
    if notified is not None:
        return look.silence("whoever holds the PFN is told when the mapping dies: an MMU notifier", notified)
    concern = _own_concern(above.direct, above.use) if above.direct is not None else above.use.what
    return _finding(view, look, above.use, 0.85 if above.use.how is How.DEVICE else 0.75, concern)


def _told_outside(view: TreeView, fn: ir.Function) -> Step | None:
    """The table by which user space comes in, where it is the only one to come."""
    ways = entry.entries(view.program, fn)
    return ways[0].step if ways and all(way.kind is entry.Kind.USER for way in ways) else None


def _own_concern(fn: ir.Function, use: Use) -> str:
    return f"{fn.path}:{fn.name}:{use.what}"


def _drops(view: TreeView, fn: ir.Function, name: str) -> bool:
    """Whether a callee of the file gives mmap_lock back itself, so that what it hands out is loose."""
    callee = view.program.function(fn.path, name)
    if callee is None:
        return False
    found = _uses.values(view, Scope(view.program, callee), _uses.carriers(view, callee))
    return any(dropped(found.scope, node) for node, _ in found.sources())


def _told_below(view: TreeView, fn: ir.Function, name: str) -> bool:
    """Whether a callee further down has given the lock back: the defect is told there."""
    todo, seen = [name], {fn.name}
    while todo:
        callee = view.program.function(fn.path, todo.pop())
        if callee is None or callee.name in seen:
            continue
        seen.add(callee.name)
        for below in _uses.carriers(view, callee):
            if _drops(view, callee, below):
                return True
            todo.append(below)
    return False


def _why(look: Look, carriers: Carriers) -> str:
    if any(each.fresh for node in look.found.scope.cfg.nodes for each in look.found.at(node.id)):
        return "every use lies under the page-table lock, or behind a second look-up that was compared with it"
    if look.call.name in carriers:
        return "the PFN comes from below, and is told there: where mmap_lock is given back"
    return "the PFN is looked at, and neither kept nor gone to"


def _notified(view: TreeView, fn: ir.Function) -> Step | None:
    """A sign that an MMU notifier is there for this code: in the file, for a driver also beside it."""

    def look() -> Step | None:
        paths = (fn.path,) if fn.path.startswith(_CORE) else (fn.path, *beside(view.program, folder_of(fn.path)))
        for path in paths:
            raw = view.program.raw(path) or b""
            match = _NOTIFIED.search(raw)
            if match is not None:
                return Step(path, raw.count(b"\n", 0, match.start()) + 1, match.group().decode())
        return None

    return view.program.memo(("notified", fn.path), look)


def _lookup(view: TreeView, look: Look) -> Iterator[Step]:
    """The look-up itself, where a callee makes it, and where the page-table lock is dropped."""
    fn, name = look.fn, look.call.name
    apis = view.know.names("pfn_lookup")
    for _ in range(_DEEP):
        if name in apis:
            break
        callee = view.program.function(fn.path, name)
        if callee is None:
            return
        found = _uses.values(view, Scope(view.program, callee), _uses.carriers(view, callee))
        call = next((call for _, call in found.sources()), None)
        if call is None:
            return
        yield Step(callee.path, call.line, f"{callee.name}() reads it by {call.name}()")
        fn, name = callee, call.name
    for node in view.program.cfg(fn).nodes:
        for call in ir.calls(node.expr):
            if call.name in (END, "pte_unmap_unlock") or call.name in OUT:
                yield Step(
                    fn.path,
                    call.line,
                    f"{call.name}() {'has dropped' if call.name in OUT else 'drops'} the page-table lock",
                )
                return


def _finding(view: TreeView, look: Look, use: Use, confidence: float, concern: str) -> Finding:
    fn = look.fn
    where = f" in {use.fn.name}()" if use.fn.key != fn.key else ""
    message = f"a PFN of a user mapping outlives the locks it was read under: {use.text}{where}, and no notifier "
    message += "tells when the mapping dies"
    after = "mmap_lock" if look.drop else "the page-table lock"
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=look.call.line,
        anchor=use.what,
        message=message,
        severity=Severity.ERROR if use.how is not How.KEPT else Severity.WARNING,
        confidence=confidence - (0.1 if use.how is How.KEPT else 0.0),
        steps=(look.step, *_lookup(view, look), *look.loose, *use.steps),
        need=Need.CALLS if use.fn.key != fn.key else Need.FILE,
        concern=concern,
        facts=(
            f"nothing holds the memory after {after} is gone: the exporter zaps by unmap_mapping_range() when it is "
            "unbound, reset or closed, and the PFN stays in use",
            "kernel-doc of follow_pfnmap_start() asks for such synchronisation: without it there is a security bug",
        ),
        advice="import the memory as a dma-buf that can be revoked, or register an MMU notifier and undo the use in "
        "it; an access by the kernel belongs before follow_pfnmap_end()",
        evidence=(use.how.name.lower(), use.what),
        ask=f"what ends the use of the PFN that {fn.name}() reads once the mapping is zapped?",
    )


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    # a function that gets the PFN from a callee names no look-up: it drops mmap_lock, or makes the use
    tokens=Tokens(
        (
            (
                "follow_p",
                "mmap_read_unlock",
                "mmap_write_unlock",
                "mmap_lock",
                "iommu_map",
                "dma_map_resource",
                "memcpy_toio",
                "memcpy_fromio",
            ),
        )
    ),
    need=Need.CALLS,
    cause_rank=40,
)
