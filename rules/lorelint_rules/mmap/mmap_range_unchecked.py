"""mmap-range-unchecked: user space says where a mapping begins and how long it is, and nothing bounds both together

What it sees
    A function with a VMA hands a page frame that was reckoned from vma->vm_pgoff, or the length of the VMA, to
    remap_pfn_range(), io_remap_pfn_range(), vmf_insert_pfn() or dma_mmap_coherent(), and a way leads there on which
    nothing compared offset and length together with the size of the object. Or a fault handler reckons an address of
    the object from vmf->pgoff, and neither it nor the mmap handler that installs it compares that with anything.

Why it hurts
    Whoever may open the device maps memory behind the object: registers of others, or the kernel's own memory.

When it is silent
    The sum is compared (offset + size > len, size > len - offset, vma_pages() beside vm_pgoff, check_add_overflow()),
    by the function, by one it asks, by its caller, or by the core that calls the operation (dma-buf, PCM, GEM,
    videobuf2); it is mapped piece by piece, and the offset of each piece is compared; the offset is one of a few known
    values, or selects an object, and the length is compared; the mapper itself compares (vm_iomap_memory(),
    dma_mmap_coherent() with the object's size); only a privileged task gets there.

Do this instead
    if (vma->vm_pgoff + vma_pages(vma) > object_pages) return -EINVAL, which cannot wrap for an offset of mmap(2); or
    vm_iomap_memory(), which does it.

References
    CVE-2025-38088 and cd097df4596f (memtrace: one by one), CVE-2018-8781 (udl); mm/memory.c vm_iomap_memory();
    mm/mmap.c file_mmap_ok(), which is why a bare shift of vm_pgoff is no finding
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import Doubt, Finding, Need, Rule, Severity, Silence, Stage, Step, Tokens, TreeView, Verdict, ir
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.mmap import faults
from lorelint_rules.mmap.arrivals import Arrival, arrivals
from lorelint_rules.mmap.extent import CAREFUL, EXACT, MAPPERS, OFFSET, PRIVILEGE, SIZE, SUM, Extent, State, calls, vmas
from lorelint_rules.mmap.faults import Reached

NAME = "mmap-range-unchecked"


class Spot(Struct, frozen=True):
    """One call of a mapper, entered in one way."""

    call: ir.Call
    node: int
    arrival: Arrival
    state: State
    extent: Extent
    offset: bool  # the user's offset is in what is mapped
    size: bool  # the length is the user's
    pieces: bool  # mapped piece by piece, and where each piece lies is compared

    @property
    def missing(self) -> str:
        """What would have to be proven and is not: ``sum``, ``offset``, ``size``; "" for nothing."""
        proven = self.state.proven
        if SUM in proven or PRIVILEGE in proven or self.pieces:
            return ""
        offset, size = self.offset and EXACT not in proven, self.size
        if offset and size:
            return SUM
        if offset:
            return "" if OFFSET in proven else OFFSET
        return SIZE if size and SIZE not in proven else ""


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        scope = Scope(view.program, fn)
        if vmas(scope) & frozenset(scope.params) and fn.name not in MAPPERS and fn.name not in CAREFUL:
            goals = tuple(calls(scope, lambda call: call.name in MAPPERS or call.name in CAREFUL))
            if goals:
                yield from _judge(view, scope, goals)
        if (reached := faults.unbounded(view, fn)) is not None:
            yield _faulted(fn, reached)


def _judge(view: TreeView, scope: Scope, goals: tuple[tuple[int, ir.Call], ...]) -> Iterator[Verdict]:
    fn = scope.fn
    ways = arrivals(view, fn)
    if not ways:
        reason = "nobody is seen to hand it a VMA of user space"
        yield Silence(NAME, fn.path, fn.name, goals[0][1].line, reason)
    spots: dict[str, list[Spot]] = {}
    for way in ways:
        extent = Extent(view, scope, way.state, frozenset(node for node, _ in goals))
        for node, call in goals:
            state = extent.at(node)
            if state is not None:
                spots.setdefault(call.name, []).append(_spot(view, extent, node, call, way, state))
    for name, found in spots.items():
        bad = [spot for spot in found if spot.missing]
        sure = [spot for spot in bad if spot.arrival.known and not spot.extent.unseen_before(spot.node)]
        if sure:
            yield _finding(scope, max(sure, key=lambda spot: (spot.missing == SUM, spot.offset, -spot.node)))
        elif bad:
            unseen = bad[0].extent.unseen_before(bad[0].node)
            reason = f"{unseen}() is handed the VMA and is not in sight" if unseen else "who calls it is not in sight"
            yield Doubt(NAME, fn.path, fn.name, bad[0].call.line, name, reason)
        else:
            yield Silence(NAME, fn.path, fn.name, found[0].call.line, _why(found[0]), found[0].arrival.steps)


def _spot(view: TreeView, extent: Extent, node: int, call: ir.Call, way: Arrival, state: State) -> Spot:
    if call.name in CAREFUL:
        at = CAREFUL[call.name]
        size = len(call.args) > at and SIZE in _parts(extent, call.args[at], state)
        return Spot(call, node, way, state, extent, False, size, False)
    frame, length = MAPPERS[call.name]
    offset = len(call.args) > frame and OFFSET in _parts(extent, call.args[frame], state)
    size = 0 <= length < len(call.args) and SIZE in _parts(extent, call.args[length], state)
    around = [loop for loop in view.program.loops(extent.scope.fn) if node in loop.body]
    size = size or any(_ends_with_vma(extent, loop) for loop in around)
    return Spot(call, node, way, state, extent, offset, size, any(_compares(extent, loop) for loop in around))


def _parts(extent: Extent, expr: ir.Expr, state: State) -> set[str]:
    return {name for name, sign in extent.terms(expr, state) if sign}


def _ends_with_vma(extent: Extent, loop: ir.Loop) -> bool:
    """Whether a loop goes on for the length of the VMA."""
    for id in sorted({id for id, _ in loop.leave}):
        test, state = extent.scope.cfg.nodes[id], extent.at(id)
        sides = (test.expr.left, test.expr.right) if isinstance(test.expr, ir.Binary) else ()
        if test.at is ir.At.TEST and state is not None and any(SIZE in _parts(extent, each, state) for each in sides):
            return True
    return False


def _compares(extent: Extent, loop: ir.Loop) -> bool:
    """Whether a loop compares the offset of each piece."""
    return any(OFFSET in extent.tests.get(extent.scope.cfg.nodes[id].line, ()) for id in loop.body)


def _why(spot: Spot) -> str:
    proven = spot.state.proven
    if not spot.offset and not spot.size:
        return "what is mapped does not hang on the offset, and how much does not hang on the length of the VMA"
    if PRIVILEGE in proven:
        return "only a privileged task gets there"
    if spot.pieces:
        return "it is mapped piece by piece, and the offset of each piece is compared"
    if SUM in proven:
        return "offset and length are bounded together before"
    if spot.offset and EXACT in proven:
        return "the offset is one of a few known values" + (", and the length is compared" if spot.size else "")
    return f"the {'offset' if spot.offset else 'length'} is compared before"


def _finding(scope: Scope, spot: Spot) -> Finding:
    fn, call = scope.fn, spot.call
    tests = {line: facts for line, facts in sorted(spot.extent.tests.items()) if line <= call.line}
    apart = spot.missing == SUM and any(tests.values())
    steps = [*spot.arrival.steps]
    for line, facts in tests.items():
        told = [name for fact, name in ((OFFSET, "offset"), (SIZE, "length")) if fact in facts]
        if told:
            each = "compared here, each alone" if len(told) > 1 else "alone is compared here"
            steps.append(Step(fn.path, line, f"{' and '.join(told)} {each}"))
    steps.append(Step(fn.path, call.line, f"{call.name}() is handed {_handed(spot)}"))
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=call.line,
        anchor=call.name,
        message=_message(fn, spot, apart),
        ask=f"what keeps a mapping of {fn.name}() inside the object?",
        severity=Severity.ERROR,
        confidence=0.85 if spot.missing == SUM else 0.7,
        steps=tuple(dict.fromkeys(steps)),
        need=Need.CALLS,
        concern=f"range of {call.name}",
        advice="refuse vma->vm_pgoff + vma_pages(vma) > the pages of the object, or let vm_iomap_memory() do it"
        if spot.offset
        else "refuse a VMA that is longer than the object",
        evidence=(call.name, spot.missing),
    )


def _faulted(fn: ir.Function, reached: Reached) -> Finding:
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=reached.line,
        anchor="pgoff",
        message=f"{fn.name}() reckons {reached.what} from the offset of the fault, and neither it nor the mmap handler "
        "bounds that",
        ask=f"what keeps the pages of {fn.name}() inside the object?",
        severity=Severity.ERROR,
        confidence=0.8,
        steps=(*reached.steps, Step(fn.path, reached.line, reached.what)),
        need=Need.FILE,
        concern="range of the faults",
        advice="VM_FAULT_SIGBUS where vmf->pgoff is not below the pages of the object",
        evidence=("pgoff",),
    )


def _handed(spot: Spot) -> str:
    parts = (["a place reckoned from vm_pgoff"] if spot.offset else []) + (
        ["the length of the VMA"] if spot.size else []
    )
    return " and ".join(parts)


def _message(fn: ir.Function, spot: Spot, apart: bool) -> str:
    name = f"{spot.call.name}() in {fn.name}()"
    if spot.missing == SUM and apart:
        return f"{name} maps what user space asks for: offset and length are compared one by one, their sum is not"
    if spot.missing == SUM:
        return f"{name} maps what user space asks for: nothing bounds vm_pgoff and the length of the VMA"
    if spot.missing == OFFSET:
        return f"{name} maps a place reckoned from vm_pgoff, and nothing bounds it"
    return f"{name} maps the length of the VMA, and nothing compares it with the size of the object"


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=Tokens(
        (
            (*MAPPERS, *CAREFUL, "->pgoff"),
            ("vm_pgoff", "vm_end", "vma_pages", "vm_area_struct", "vm_area_desc", "vm_fault"),
        )
    ),
    need=Need.CALLS,
    cause_rank=30,
)
