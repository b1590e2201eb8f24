"""revoke-no-drain: importers of a dma-buf are told to stop, and nobody waits until they have

What it sees
    An exporter revokes a dma-buf: it sets its marker and calls dma_buf_move_notify() or
    dma_buf_invalidate_mappings(). Behind the call, on the way out of the function and in its callers, there
    is no dma_resv_wait_timeout() for DMA_RESV_USAGE_BOOKKEEP, or no wait for the importers' unmap (a
    completion, a wait queue).

Why it hurts
    The call only tells. Until the fences are retired importers may use the memory in full, and until they
    unmap they may still read it. The reset, the power-down or the free that follows pulls it away under
    running DMA: an IOMMU fault or machine check at best, else writes into memory of somebody else.

When it is silent
    - both waits stand behind the call, here, in a callee, or in every caller
    - a move of TTM, which waits for the fences itself when it moves the content
    - no marker is set: a move, or an end of the revoke, not a revoke
    - an importer, which unmaps by itself

Do this instead
    dma_resv_wait_timeout(resv, DMA_RESV_USAGE_BOOKKEEP, false, MAX_SCHEDULE_TIMEOUT) under the reservation
    lock, then drop it and wait until the last map is gone: a kref taken by .map_dma_buf, dropped by
    .unmap_dma_buf, with a completion at its end.

References
    kernel-doc of dma_buf_invalidate_mappings() (drivers/dma-buf/dma-buf.c, 7.2), which names both waits;
    commit 1a8a5227f229 (vfio-pci)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
    flow,
    ir,
)
from lorelint.rule.analyses import entry
from lorelint.rule.analyses.folder import near
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.revoke import markers
from lorelint_rules.revoke.markers import Kind, Marker

NAME = "revoke-no-drain"
_TELLS = frozenset({"dma_buf_move_notify", "dma_buf_invalidate_mappings"})
_WAITS = ("wait_for_completion", "wait_event", "__wait_event", "wait_var_event", "wait_on_")
_DEEP = 2  # calls down to a wait
_UP = 2  # callers climbed
_WIDE = 12


class Told(Struct, frozen=True):
    """One call that tells importers, and the waits behind it."""

    scope: Scope
    node: int
    call: ir.Call
    fences: Step | None
    unmaps: Step | None

    @property
    def step(self) -> Step:
        fn = self.scope.fn
        return Step(fn.path, self.call.line, f"{self.call.name}() in {fn.name}() tells importers, and returns")


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        scope = Scope(view.program, fn)
        for node in scope.cfg.nodes:
            for call in ir.calls(node.expr):
                if call.name in _TELLS:
                    yield _judge(view, scope, node.id, call)


def _judge(view: TreeView, scope: Scope, node: int, call: ir.Call) -> Verdict:
    fn = scope.fn

    def silent(reason: str, *steps: Step) -> Silence:
        return Silence(NAME, fn.path, fn.name, call.line, reason, steps)

    if _moves(view, scope):
        return silent("a move of TTM, which waits for the fences when it moves the content")
    marks = _marks(view, scope)
    if not marks:
        return silent("nothing is revoked here: no marker is set")
    told = Told(scope, node, call, _behind(view, scope, node, _fences), _behind(view, scope, node, _unmapped))
    found = told.fences, told.unmaps
    if None not in found:
        return silent("both waits stand behind the call", *(step for step in found if step))
    callers = _callers(view, fn)
    if callers and all(_waits(view, told, caller, at) for caller, at in callers):
        return silent(
            "every caller waits", *(Step(s.fn.path, s.cfg.nodes[at].line, f"{s.fn.name}()") for s, at in callers)
        )
    if scope.cfg.opaque:
        return Doubt(NAME, fn.path, fn.name, call.line, marks[0].anchor, f"{fn.name}() could not be read whole")
    return _finding(view, told, marks[0])


def _moves(view: TreeView, scope: Scope) -> bool:
    """Whether a function is TTM's: handed its objects, or entered by its table."""
    if any("struct ttm_" in param.type for param in scope.fn.params):
        return True
    level = [scope.fn]
    for _ in range(_UP):
        if any(each.kind is entry.Kind.MOVE for fn in level for each in entry.entries(view.program, fn)):
            return True
        level = [site.fn for fn in level for site in view.program.callers(fn)[:_WIDE]]
        if any("struct ttm_" in param.type for fn in level for param in fn.params):
            return True
    return False


def _marks(view: TreeView, scope: Scope) -> tuple[Marker, ...]:
    kinds = (Kind.FIELD, Kind.STATE, Kind.OWNER, Kind.BIT)
    found = (each for each in markers.find(view, scope) if each.kind in kinds)
    return tuple(sorted(found, key=lambda each: (kinds.index(each.kind), each.line)))


# -- the waits ----------------------------------------------------------------------------------


def _fences(call: ir.Call) -> bool:
    return call.name == "dma_resv_wait_timeout" and any("BOOKKEEP" in ir.show(arg) for arg in call.args)


def _unmapped(call: ir.Call) -> bool:
    return call.name.startswith(_WAITS)


def _behind(view: TreeView, scope: Scope, node: int, is_wait: Callable[[ir.Call], bool]) -> Step | None:
    """A wait that is come to behind a node: for the fences on every way out, for the unmap on one that revokes."""
    found: dict[int, Step] = {}
    for each in scope.cfg.nodes:
        for call in ir.calls(each.expr):
            step = _wait(view, scope.fn, call, is_wait, _DEEP)
            if step is not None and each.id != node and flow.reaches(scope.cfg, [node], {each.id}):
                found.setdefault(each.id, step)
    if not found:
        return None
    if is_wait is _fences and flow.reaches(scope.cfg, [node], {1}, avoid=frozenset(found)):
        return None
    return found[min(found)]


def _wait(
    view: TreeView, fn: ir.Function, call: ir.Call, is_wait: Callable[[ir.Call], bool], depth: int
) -> Step | None:
    if is_wait(call):
        return Step(fn.path, call.line, f"{call.name}() in {fn.name}()")
    for callee in near(view.program, call.name, fn.path) if depth and call.name else ():
        for node in view.program.cfg(callee).nodes:
            for below in ir.calls(node.expr):
                step = _wait(view, callee, below, is_wait, depth - 1)
                if step is not None:
                    return step
    return None


def _callers(view: TreeView, fn: ir.Function) -> tuple[tuple[Scope, int], ...]:
    found = []
    for site in view.program.callers(fn)[:_WIDE]:
        scope = Scope(view.program, site.fn)
        for node in scope.cfg.nodes:
            if any(call.name == fn.name and call.line == site.line for call in ir.calls(node.expr)):
                found.append((scope, node.id))
    return tuple(found)


def _waits(view: TreeView, told: Told, caller: Scope, at: int) -> bool:
    """Whether a caller does what the function itself leaves out."""
    fences = told.fences or _behind(view, caller, at, _fences)
    unmaps = told.unmaps or _behind(view, caller, at, _unmapped)
    return fences is not None and unmaps is not None


def _finding(view: TreeView, told: Told, marker: Marker) -> Finding:
    fn = told.scope.fn
    told_of = view.know.has("dma_buf_invalidate_mappings", "dmabuf_need_resv_exporter")
    missing = " and ".join(
        what
        for what, step in (("the fences (DMA_RESV_USAGE_BOOKKEEP)", told.fences), ("the importers' unmap", told.unmaps))
        if step is None
    )
    there = tuple(step for step in (told.fences, told.unmaps) if step is not None)
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=told.call.line,
        anchor=marker.anchor,
        message=f"{told.call.name}() only tells importers to stop, and {fn.name}() does not wait for {missing}",
        severity=Severity.ERROR if told_of else Severity.NOTE,
        confidence=0.8 if told_of else 0.6,
        steps=(
            Step(fn.path, marker.line, f"{marker.text} in {fn.name}()"),
            told.step,
            *there,
            Step(fn.path, told.call.line, f"no wait for {missing} on the way out of {fn.name}(), nor in its callers"),
        ),
        need=Need.TREE,
        concern=marker.anchor,
        facts=tuple(_facts(told_of)),
        advice="wait for DMA_RESV_USAGE_BOOKKEEP under the reservation lock, then for the last unmap",
        evidence=(told.call.name, marker.anchor, missing),
        ask=f"what keeps importers from DMA when {fn.name}() has returned?",
    )


def _facts(told_of: bool) -> Iterator[str]:
    yield "until the fences are retired an importer may access the memory in full, until it unmaps it may read it"
    if not told_of:
        yield "this kernel's dma_buf_move_notify() says nothing of the two waits; later ones do"


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.TRIAL,
    tokens=Tokens((tuple(sorted(_TELLS)),)),
    need=Need.TREE,
    cause_rank=25,
)
