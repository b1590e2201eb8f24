"""dmabuf-resv-lock: the reservation lock of a dma-buf is not held where it must be, or held where it must not

What it sees
    An importer that pins, maps, unmaps or vmaps a dma-buf, or an exporter that tells its importers
    (dma_buf_move_notify(), dma_buf_invalidate_mappings()), on a way on which nobody holds the reservation lock: not
    the function, not its callers, up to where it is entered. A call that takes this lock itself, made under it. An
    op of an exporter or importer that is called with the lock and takes it again.

Why it hurts
    Without the lock a mapping races with the move or revoke of its buffer: DMA to memory that belongs to somebody
    else by then, or a list of attachments that is walked while it changes. With it taken twice the task waits for
    itself.

When it is silent
    - held here, by any form: dma_resv_lock(), a wrapper of it, TTM's or drm_exec's reserve
    - held by every caller; asserted, and no caller in sight is without it
    - called by TTM, DRM or the dma-buf core with it: .move, .map_dma_buf, .pin, .vmap ...
    - the _unlocked variants without the lock
    - kernels before 6.2, which had no such convention

Do this instead
    Call the _unlocked variant, or take dma_resv_lock(dmabuf->resv, NULL) over the call. A driver's own mutex
    keeps the exporter from nothing.

References
    drivers/dma-buf/dma-buf.c "DOC: locking convention"; include/linux/dma-buf.h struct dma_buf_ops
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
    ir,
)
from lorelint.rule.analyses.frees import canonical
from lorelint.rule.analyses.lockset import LOCKSETS
from lorelint.rule.analyses.preconditions import Fate, Way
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.dmabuf import resv

NAME = "dmabuf-resv-lock"
_NEED = (
    "dma_buf_pin dma_buf_unpin dma_buf_map_attachment dma_buf_unmap_attachment dma_buf_vmap dma_buf_vunmap "
    "dma_buf_move_notify dma_buf_invalidate_mappings"
).split()
_TAKES = ("dma_buf_attachment", "dma_resv_lock", "dma_buf_put", "dma_buf_detach", "dma_buf_mmap", "cpu_access")


def run(view: TreeView) -> Iterator[Verdict]:
    if not resv.convention(view):
        return
    need = view.know.names("dmabuf_need_resv_importer") | resv.TELLS
    for fn in view.functions:
        if fn.name not in need and any(word.encode() in fn.text for word in need):
            yield from _needs(view, fn, need)
        yield from _twice(view, fn)


# -- held where it must be


def _needs(view: TreeView, fn: ir.Function, need: frozenset[str]) -> Iterator[Verdict]:
    told: dict[str, Verdict] = {}
    question = resv.precondition(view)
    for node in view.program.cfg(fn).nodes:
        for call in ir.calls(node.expr):
            if call.name in need:
                verdict = _judge(view, fn, node.id, call, question.ways(fn, node.id))
                known = told.get(call.name)
                if known is None or isinstance(verdict, Finding) > isinstance(known, Finding):
                    told[call.name] = verdict
    yield from told.values()


def _judge(view: TreeView, fn: ir.Function, node: int, call: ir.Call, ways: tuple[Way, ...]) -> Verdict:
    bare = [way for way in ways if way.fate is Fate.OPEN]
    good = tuple(way for way in ways if way.fate is Fate.MET)
    if bare:
        way = min(bare, key=lambda each: (len(each.chain), each.step.path, each.step.line))
        if good and resv.if_imported(view, fn, node):
            first = way.chain[0] if way.chain else way.step
            reason = f"whether the buffer is an imported one was not seen: {first.text}"
            return Doubt(NAME, fn.path, fn.name, call.line, call.name, reason)
        return _finding(view, fn, call, way, good)
    unknown = next((way for way in ways if way.fate is Fate.UNKNOWN), None)
    if unknown is not None:
        return Doubt(
            NAME, fn.path, fn.name, call.line, call.name, f"who holds the lock was not seen: {unknown.step.text}"
        )
    steps = tuple(dict.fromkeys(way.step for way in ways))
    return Silence(NAME, fn.path, fn.name, call.line, f"{call.name}() is called with the reservation lock held", steps)


def _finding(view: TreeView, fn: ir.Function, call: ir.Call, way: Way, good: tuple[Way, ...]) -> Finding:
    exporter = call.name in resv.TELLS
    unlocked = f"{call.name}_unlocked"
    known = unlocked in view.know.names("dmabuf_must_not_hold_resv")
    advice = "take dma_resv_lock(dmabuf->resv, NULL) over the call"
    last = Step(fn.path, call.line, f"{fn.name}() calls {ir.show(call)} without the reservation lock")
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=call.line,
        anchor=call.name,
        message=f"{call.name}() is called without the reservation lock of the dma-buf",
        severity=Severity.ERROR if exporter else Severity.WARNING,
        confidence=max(0.85 - 0.05 * len(way.chain) - (0.1 if good else 0.0), 0.6),
        steps=(way.step, *way.chain, last),
        need=Need.CALLS if way.chain else Need.FILE,
        concern="reservation lock",
        facts=tuple(_facts(view, fn, call, good)),
        advice=f"call {unlocked}(), or {advice}" if known else advice,
        evidence=(call.name, way.step.text),
        ask=f"who holds the reservation lock when {fn.name}() calls {call.name}()?",
    )


def _facts(view: TreeView, fn: ir.Function, call: ir.Call, good: tuple[Way, ...]) -> Iterator[str]:
    yield f"{call.name}() asserts the lock: lockdep warns whenever this is run"
    cfg = view.program.cfg(fn)
    for node in cfg.nodes:
        if any(each is call for each in ir.calls(node.expr)):
            other = sorted(view.of(LOCKSETS).names(fn, node.id) | view.of(LOCKSETS).over(fn, every=True))
            if other:
                yield f"what is held there is {', '.join(other)}, which the exporter does not know of"
    for way in good[:2]:
        yield f"on another way {way.step.text} ({way.step.path}:{way.step.line})"


# -- held where it must not be


def _twice(view: TreeView, fn: ir.Function) -> Iterator[Verdict]:
    """A call that waits for a lock which is held already."""
    scope = Scope(view.program, fn)
    waits = [
        (node.id, call, lock)
        for node in scope.cfg.nodes
        for call in ir.calls(node.expr)
        if (lock := _waits_for(view, scope, call))
    ]
    if not waits:
        return
    taken = _taken(view, scope)
    entry = resv.ops_with_lock(view, fn) if _given(fn) else None
    for node, call, lock in waits:
        here = next((step for text, at, step in taken if text == lock and _under(view, fn, node, at)), None)
        before = entry if entry is not None and lock in _given(fn) else here
        if before is not None:
            yield _deadlock(fn, call, lock, before)
            return


def _waits_for(view: TreeView, scope: Scope, call: ir.Call) -> str:
    """The reservation lock that a call waits for, "" for none."""
    if not call.args:
        return ""
    what = canonical(scope, call.args[0])
    if call.name in ("dma_resv_lock", "dma_resv_lock_interruptible"):
        alone = len(call.args) > 1 and ir.show(call.args[1]) == "NULL"  # with a ticket: -EALREADY, no deadlock
        return what if alone else ""
    if what and call.name in view.know.names("dmabuf_must_not_hold_resv"):
        owner = scope.tag_of(call.args[0])
        if owner == "dma_buf_attachment":
            return f"{what}->dmabuf->resv"
        waits = call.name.endswith("_unlocked") or call.name in (
            "dma_buf_detach",
            "dma_buf_attach",
            "dma_buf_dynamic_attach",
        )
        return f"{what}->resv" if owner == "dma_buf" and waits else ""
    return ""


def _taken(view: TreeView, scope: Scope) -> tuple[tuple[str, int, Step], ...]:
    """Reservation locks that the function takes itself: (name, node, place)."""
    found = []
    for node in scope.cfg.nodes:
        for call in ir.calls(node.expr):
            known = view.know.sections.get(call.name)
            if (
                known is not None
                and known.kind == "dma_resv"
                and call.args
                and (what := canonical(scope, call.args[0]))
            ):
                found.append((what, node.id, Step(scope.fn.path, call.line, f"{ir.show(call)} takes the lock")))
    return tuple(found)


def _under(view: TreeView, fn: ir.Function, node: int, taken: int) -> bool:
    return node != taken and resv.RESV in view.of(LOCKSETS).names(fn, node, asserted=False)


def _given(fn: ir.Function) -> frozenset[str]:
    """The lock that an op is called with, in terms of its parameters."""
    found = set()
    for param in fn.params:
        if "struct dma_buf_attachment" in param.type:
            found.add(f"{param.name}->dmabuf->resv")
        elif "struct dma_buf " in param.type:
            found.add(f"{param.name}->resv")
    return frozenset(found)


def _deadlock(fn: ir.Function, call: ir.Call, lock: str, before: Step) -> Finding:
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=call.line,
        anchor=call.name,
        message=f"{call.name}() waits for {lock}, which is held already",
        severity=Severity.ERROR,
        confidence=0.85,
        steps=(before, Step(fn.path, call.line, f"{fn.name}() calls {ir.show(call)}")),
        need=Need.FILE,
        concern="reservation lock",
        facts=("a reservation lock is taken once: without a ticket the task waits for itself",),
        advice="call the variant that is for holders of the lock, or drop the lock before",
        evidence=("twice", call.name),
        ask=f"can {fn.name}() get {lock} a second time?",
    )


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=Tokens(((*_NEED, *_TAKES),)),
    need=Need.CALLS,
    requires=(LOCKSETS,),
    cause_rank=30,
)
