"""vma-use-after-unlock: a VMA is used after mmap_lock was given back

What it sees
    A pointer to a VMA comes from a look-up, a walk or a parameter; on a way from there to a use of what it points
    to, mmap_lock is given back (mmap_read_unlock(), the end of a guard, a helper of the file), or a callee is asked
    to and may have done it: fixup_user_fault(.., &unlocked), get_user_pages_remote(.., &locked),
    populate_vma_page_range(.., &locked), handle_mm_fault() with FAULT_FLAG_ALLOW_RETRY. No new look-up between.

Why it hurts
    Without the lock another thread may unmap, split or merge the VMA, and it is freed after an RCU grace period:
    use after free, reachable by munmap() in a second thread.

When it is silent
    The value is looked up again behind the lock; what the callee said of the lock (`unlocked`, `!locked`,
    VM_FAULT_RETRY) was tested and leads elsewhere; the callee is not asked to drop the lock (NULL); only the pointer
    itself is compared; the VMA's own lock is held (lock_vma_under_rcu() to vma_end_read()); another mm is unlocked.

Do this instead
    Copy what is needed (flags, file with a reference, page protection) before the lock goes, or look the VMA up
    again and check it once more after the lock is back.

References
    Documentation/mm/process_addrs.rst; kernel-doc of fixup_user_fault() in mm/gup.c;
    44e602b4e52f ("binder_alloc: add missing mmap_lock calls when using the VMA"); alloc_user_pages() of atomisp in 5.10
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

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
    summary,
)
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.vma import stale
from lorelint_rules.vma.stale import Event, Pointer

NAME = "vma-use-after-unlock"
_STALE, _MAYBE, _HELD, _GONE, _NULL = "stale", "maybe", "held", "gone", "null"


class Use(Struct, frozen=True):
    """A use of a pointer behind an event."""

    pointer: Pointer
    event: Event
    line: int
    text: str


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        scope = Scope(view.program, fn)
        events = tuple(stale.events(view, scope))
        if not events:
            yield from _not_asked(view, scope)
            continue
        alone = _alone(scope)
        if alone is not None:
            yield Silence(NAME, fn.path, fn.name, alone.line, "the address space has no user any more", (alone,))
            continue
        spaces = frozenset(each.mm for each in events if each.mm and not each.own_lock)
        uses: list[Use] = []
        looked: list[tuple[Pointer, Event]] = []
        cut = False
        for pointer in stale.pointers(view, scope):
            mine = tuple(each for each in events if stale.concerns(pointer, each, spaces))
            if pointer.node == 0:
                mine = tuple(each for each in mine if not each.by_result)
            if mine:
                found, whole = _follow(view, scope, pointer, mine)
                cut = cut or not whole
                uses += found
                looked.append((pointer, mine[0]))
        if uses:
            yield _finding(fn, min(uses, key=lambda each: (each.line, each.event.line)))
        elif looked and cut:
            yield Doubt(NAME, fn.path, fn.name, looked[0][0].line, "vma", "too many ways to follow each of them")
        elif looked:
            yield _silence(fn, *looked[0])
        else:
            line, api = events[0].line, events[0].api
            yield Silence(NAME, fn.path, fn.name, line, f"no pointer to a VMA is kept over {api}")


def _alone(scope: Scope) -> Step | None:
    """The end of an address space: nobody else is there who could unmap anything."""
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            if call.name in ("mmu_notifier_release", "tlb_gather_mmu_fullmm"):
                return Step(scope.fn.path, call.line, f"{call.name}() takes the address space down as a whole")
    return None


def _not_asked(view: TreeView, scope: Scope) -> Iterator[Silence]:
    """A callee that can drop the lock, and is not asked to."""
    fn = scope.fn
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            fact = view.know.calls.get(call.name)
            if fact is not None and fact.drops_mmap_lock:
                reason = f"{call.name}() is not asked to drop mmap_lock, and does not"
                yield Silence(NAME, fn.path, fn.name, call.line, reason)
                return


def _follow(view: TreeView, scope: Scope, pointer: Pointer, events: tuple[Event, ...]) -> tuple[list[Use], bool]:
    """Uses of a pointer behind one of these events, and whether all ways were followed."""
    by_node = {event.node: event for event in events}
    doubtful = tuple(event for event in events if event.told or event.by_result)

    def marker(node: ir.Node, edge: ir.Edge | None) -> Iterator[Hashable]:
        if edge is None:
            if (event := by_node.get(node.id)) is not None:
                yield (_MAYBE if event in doubtful else _STALE, event.node)
            return
        if stale.is_null(node, edge, pointer.name):
            yield _NULL
        for event in doubtful:
            told = stale.told_by(node, edge, event)
            if told is not None:
                yield (_GONE if told else _HELD, event.node)

    cfg = scope.cfg
    again = [node for node in cfg.nodes if any(name == pointer.name for name, _, _ in stale.sets(node))]
    goals = [(node.id, edge.to) for node in again if node.id != 0 for edge in node.out]
    explorer = summary.Summaries(view.program).explorer(scope.fn, more=marker, trail=0)
    starts = [edge.to for edge in cfg.nodes[pointer.node].out if edge.when is not False or pointer.node == 0]
    aliases = stale.aliases(scope, pointer.name)
    found: list[Use] = []
    whole = True
    for start in dict.fromkeys(starts):
        explored = explorer.run(start, goals)
        whole = whole and not explored.cut
        for node in cfg.nodes:
            use = stale.use_in(node, pointer.name, aliases)
            if use is None or node.id not in explored.at:
                continue
            for world in explored.at[node.id]:
                event = None if world.coarse or _NULL in world.marks else _stale(world.marks, by_node)
                if event is not None:
                    found.append(Use(pointer, event, *use))
                    break
    return found, whole


def _stale(marks: frozenset[Hashable], events: dict[int, Event]) -> Event | None:
    for id_, event in events.items():
        if (_STALE, id_) in marks:
            return event
        if (_MAYBE, id_) in marks and (_HELD, id_) not in marks and (not event.by_result or (_GONE, id_) in marks):
            return event
    return None


def _silence(fn: ir.Function, pointer: Pointer, event: Event) -> Silence:
    reason = "the VMA is not used behind the lock without a new look-up"
    if event.told:
        reason = f"what {event.api} says of the lock ({event.told}) is tested before the VMA is used"
    steps = (_got(fn, pointer), Step(fn.path, event.line, f"{event.api} gives the lock back, or may"))
    return Silence(NAME, fn.path, fn.name, event.line, reason, steps)


def _got(fn: ir.Function, pointer: Pointer) -> Step:
    return Step(fn.path, pointer.line, f"{pointer.name} comes from {pointer.source}")


def _finding(fn: ir.Function, use: Use) -> Finding:
    pointer, event = use.pointer, use.event
    lock = "its lock" if event.own_lock else "mmap_lock"
    if event.told:
        what = f"{event.api} may have dropped {lock}, and {event.told} is not tested before"
    elif event.by_result:
        what = f"{event.api} has dropped {lock} where it says VM_FAULT_RETRY"
    else:
        what = f"{event.api} has given {lock} back"
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=use.line,
        anchor="vma",
        message=f"{use.text} is used when the VMA may be gone: {what}",
        severity=Severity.ERROR,
        confidence=0.75 if pointer.node == 0 or event.by_result else 0.8 if event.told else 0.85,
        steps=(
            _got(fn, pointer),
            Step(fn.path, event.line, what),
            Step(fn.path, use.line, f"{use.text}, and {pointer.name} was not looked up again"),
        ),
        need=Need.FILE,
        concern="vma",
        facts=("a VMA may be freed as soon as nobody holds mmap_lock: munmap() in another thread is enough",),
        advice="copy what is needed before the lock goes, or look the VMA up again and check it when the lock is back",
        evidence=(pointer.source.split("->")[-1], event.api, use.text.split("->")[-1]),
        ask=f"what keeps the VMA that {fn.name}() uses after {event.api} from being freed?",
    )


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=Tokens(
        (
            ("vm_area_struct",),
            (
                "mmap_read_unlock",
                "mmap_write_unlock",
                "mmap_lock",
                "mmap_sem",
                "mmap_read_lock",
                "mmap_write_lock",
                "fixup_user_fault",
                "handle_mm_fault",
                "user_pages_remote",
                "populate_vma_page_range",
                "vma_end_read",
                "mmap_unlock",
            ),
        )
    ),
    need=Need.FILE,
    cause_rank=20,
)
