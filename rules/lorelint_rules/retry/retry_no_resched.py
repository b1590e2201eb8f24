"""retry-no-resched: a retry loop has a way round that never gives up the CPU

What it sees
    A retry loop, or a loop over a user's pages, in process context, with a feasible path from its head
    back to its head on which no call must yield. A callee counts only if every path through it to the
    code that is retried yields. A walk of an XArray that frees what it finds with the array's lock held
    all the way.

Why it hurts
    Soft lockup and RCU stall reports, and latency for everybody else, on kernels that do not preempt.

When it is silent
    A cond_resched(), schedule(), msleep() or a wait stands on every path; atomic context (a spinlock, or
    only interrupts and softirqs lead there), where a yield would be the defect; bounded loops; sequence
    checks; slow GUP, which reschedules for each page it got; walks that are paused now and then.

Do this instead
    cond_resched() on the way back, outside of any spinlock; better, sleep on what the callee waits for.
    A walk is paused by xas_pause() every XA_CHECK_SCHED entries, and its lock dropped.

References
    commits b1779e4f209c, 928da37a229f, 2ed6edd33a21, 1333c35c4eea, 8795359e35bc; kernel/Kconfig.preempt
    (7.2: with PREEMPT_LAZY cond_resched() does nothing); mm/gup.c __get_user_pages();
    include/linux/xarray.h XA_CHECK_SCHED
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Finding, Fix, Need, Rule, Severity, Silence, Stage, Step, TreeView, Verdict, ir, marks
from lorelint.rule.analyses import fixes
from lorelint_rules.retry import wording
from lorelint_rules.retry.feeds import USER_LOOPS, UserLoop
from lorelint_rules.retry.loops import RETRY_LOOPS, TOKENS, Pass, RetryLoop
from lorelint_rules.retry.walks import Walk, walks

NAME = "retry-no-resched"
LAZY = (7, 0)  # PREEMPT_LAZY is the default of the large architectures from here on


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        look = view.of(RETRY_LOOPS).of(fn)
        yield from wording.unfound(NAME, fn, look)
        for loop in look.loops:
            yield from _judge(view, fn, loop)
        for fed in view.of(USER_LOOPS).of(fn):
            yield from _judge_fed(view, fn, fed)
        for walk in walks(view, fn):
            yield _judge_walk(view, fn, walk)


def _judge(view: TreeView, fn: ir.Function, loop: RetryLoop) -> Iterator[Verdict]:
    cfg = view.program.cfg(fn)
    spins: list[Pass] = []
    for went in loop.endless:
        line = cfg.nodes[went.test.node].line
        if went.marks & {marks.YIELD, marks.WAIT}:
            yield Silence(NAME, fn.path, fn.name, line, "every path round gives up the CPU")
        elif went.timed:
            yield Silence(NAME, fn.path, fn.name, line, "undecided: whether the callee sleeps out its own time")
        else:
            spins.append(went)
    for went in loop.passes:
        if went.bound is not None:
            yield Silence(NAME, fn.path, fn.name, cfg.nodes[went.test.node].line, wording.bounded(went.bound))
    if not spins:
        return
    held = wording.held(view, fn, loop, spinning=True)
    if wording.saves_irqs(fn, cfg) and not wording.may_sleep(view, fn, loop.loop.head):
        reason = "takes a lock with interrupts saved: its callers may run with interrupts off"
        yield Silence(NAME, fn.path, fn.name, loop.loop.line, reason)
        return
    if wording.in_atomic_context(view, fn):
        reason = "entered only from interrupts and softirqs, where nothing may sleep: a yield would be the defect"
        yield Silence(NAME, fn.path, fn.name, loop.loop.line, reason)
        return
    if held.atomic:
        reason = f"runs with {held.words()} held, where nothing may sleep: a yield would be the defect"
        yield Silence(NAME, fn.path, fn.name, loop.loop.line, reason)
        return
    yield _finding(view, fn, loop, spins, held)


def _finding(view: TreeView, fn: ir.Function, loop: RetryLoop, spins: list[Pass], held: wording.Held) -> Finding:
    went = min(spins, key=wording.weight)
    cfg = view.program.cfg(fn)
    weak = all(marks.WEAK in each.marks for each in spins)
    lazy = view.know.version >= LAZY
    facts = [f"the calls in it are {', '.join(_calls(cfg, loop)) or 'none'}"]
    if weak:
        facts.append("they yield at most where a lock is contended or memory is short")
    if lazy:
        facts.append(
            "with PREEMPT_LAZY, the default since 7.0 on the large architectures, "
            "cond_resched() does nothing; it matters for stable kernels"
        )
    if held.mmap:
        facts.append("mmap_lock is held over every pass")
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=cfg.nodes[went.test.node].line,
        anchor=f"{loop.name}:{went.site.name}",
        message=f"{wording.head(loop.loop)} in {fn.name}() has a way round on {went.code} that never gives up the CPU",
        severity=Severity.NOTE if lazy else Severity.WARNING,
        confidence=0.5 if weak or not went.resolved else 0.8,
        steps=(
            *wording.steps(view, fn, loop, went)[:8],
            Step(fn.path, loop.loop.line, "no call on this way round must yield"),
        ),
        need=Need.CALLS,
        concern=wording.concern(fn, loop),
        facts=tuple(facts),
        advice="cond_resched() on the way back, or sleep on what the callee waits for",
        evidence=tuple(sorted(_calls(cfg, loop))),
        fix=_fix(fn, loop, cfg.nodes[went.test.node].line),
    )


def _fix(fn: ir.Function, loop: RetryLoop, test: int) -> Fix | None:
    """A yield on the way back, where that is a goto of its own line right behind the test."""
    if not loop.loop.label:
        return None
    jump = f"goto {loop.loop.label};"
    at = next((at for at in range(test, test + 4) if (fixes.line_of(fn, at) or "").strip() == jump), 0)
    edits = fixes.before(fn, at, "cond_resched();") if at else ()
    return Fix(fn.path, edits, "give up the CPU on the way back; it does not bound the loop") if edits else None


def _judge_fed(view: TreeView, fn: ir.Function, fed: UserLoop) -> Iterator[Verdict]:
    if fed.marks & {marks.YIELD, marks.WAIT}:
        yield Silence(NAME, fn.path, fn.name, fed.line, f"over {fed.feed}: every way round gives up the CPU")
        return
    cfg = view.program.cfg(fn)
    over = view.of(wording.LOCKS).at(fn, fed.loop.head)
    atomic = any(lock.atomic for lock in over) or wording.in_atomic_context(view, fn)
    if atomic or wording.saves_irqs(fn, cfg):
        yield Silence(NAME, fn.path, fn.name, fed.line, "runs where nothing may sleep: a yield would be the defect")
        return
    lazy = view.know.version >= LAZY
    weak = marks.WEAK in fed.marks
    yield Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=fed.loop.line,
        anchor=f"{fed.loop.kind}:{fed.what}",
        message=f"the {fed.loop.kind} loop in {fn.name}() goes over {fed.feed} "
        "with a way round that never gives up the CPU",
        severity=Severity.NOTE if lazy else Severity.WARNING,
        confidence=0.5 if weak else 0.7,
        steps=(
            Step(fn.path, fed.loop.line, f"{fn.name}(): the {fed.loop.kind} loop, as long as the user's request"),
            Step(fn.path, fed.line, f"{fed.what}: a pass comes by here and need not yield in it"),
        ),
        need=Need.CALLS,
        concern=f"{fn.path}:{fn.name}:loop:{fed.name}",
        facts=(
            "pin_user_pages() and the like reschedule for each page they got, "
            "not where they fail or in their fast path",
        ),
        advice="cond_resched() once a pass",
    )


def _judge_walk(view: TreeView, fn: ir.Function, walk: Walk) -> Verdict:
    line = walk.loop.line
    if walk.yields:
        return Silence(NAME, fn.path, fn.name, line, f"the walk is paused, or its lock dropped, in line {walk.yields}")
    if wording.in_atomic_context(view, fn) or wording.saves_irqs(fn, view.program.cfg(fn)):
        return Silence(NAME, fn.path, fn.name, line, "runs where nothing may sleep: a yield would be the defect")
    what = f"{walk.freed.name}({walk.entry})"
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=line,
        anchor=f"{walk.loop.kind}:{walk.freed.name}",
        message=f"the walk of an XArray in {fn.name}() frees every entry with the array's lock held all the way",
        severity=Severity.WARNING,
        confidence=0.7,
        steps=(
            Step(fn.path, line, f"{fn.name}() goes over all entries, and holds the lock"),
            Step(fn.path, walk.freed.line, f"{what}: each of them costs something, and nothing drops the lock"),
        ),
        concern=f"{fn.path}:{fn.name}:walk:{walk.entry}",
        facts=(
            "it takes as long as there are entries, and no kind of preemption helps while a spinlock is held",
            "include/linux/xarray.h asks for the lock to be dropped every XA_CHECK_SCHED entries",
        ),
        advice="xas_pause(), drop the lock and cond_resched() every XA_CHECK_SCHED entries",
    )


def _calls(cfg: ir.Cfg, loop: RetryLoop) -> list[str]:
    names = {c.name for id_ in loop.loop.body for c in ir.calls(cfg.nodes[id_].expr) if c.name}
    return [f"{name}()" for name in sorted(names)][:6]


RULE = Rule(NAME, run, since="0.1", stage=Stage.QUEUE, tokens=TOKENS, requires=(RETRY_LOOPS,), cause_rank=30)
