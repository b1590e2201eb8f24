"""retry-no-fatal-signal: a task stays in a retry loop after SIGKILL

What it sees
    A retry loop that nothing bounds, on behalf of a user's task, with a path round on which no fatal
    signal would be noticed: no signal check that leaves, and no callee whose "interrupted" leaves.
    A loop that sleeps by set_current_state(TASK_INTERRUPTIBLE) and schedule() until a condition comes
    true, and looks at no signal: with one pending it spins.

Why it hurts
    The process cannot be killed: a hung exit, an oom victim that keeps its memory and its locks.

When it is silent
    Every path passes a signal check or a killable callee whose failure leaves the loop; work items,
    kthreads and interrupts, which get no signals; bounded loops; atomic context; what firmware or hardware
    has begun and has to finish (busy codes, a poll with a time of its own). A callee that turns
    "killed" into the very code that is retried is no exit. A sleep in whose loop anything is called
    that may look at signals or at a clock. Where a loop is killable only through a callee
    (fixup_user_fault() with a place for `unlocked` sets FAULT_FLAG_KILLABLE), a remark says so.

Do this instead
    if (fatal_signal_pending(current)) return -EINTR; on the way back.

References
    commit 49005a2a3d2a; mm/gup.c fixup_user_fault(), faultin_page()
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import (
    Finding,
    Kind,
    Need,
    Rule,
    Severity,
    Silence,
    Stage,
    Step,
    TreeView,
    Verdict,
    ir,
    marks,
)
from lorelint_rules.retry import wording
from lorelint_rules.retry.feeds import USER_LOOPS, Feed, UserLoop
from lorelint_rules.retry.loops import RETRY_LOOPS, SUMMARIES, TOKENS, Pass, RetryLoop
from lorelint_rules.retry.sleeps import Sleep, sleeps

NAME = "retry-no-fatal-signal"


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        look = view.of(RETRY_LOOPS).of(fn)
        yield from wording.unfound(NAME, fn, look)
        for loop in look.loops:
            yield from _judge(view, fn, loop)
        for fed in view.of(USER_LOOPS).of(fn):
            if fed.feed is Feed.RING:
                yield from _judge_fed(fn, fed)
        for sleep in sleeps(view, fn):
            yield _sleeps_on(fn, sleep)


def _judge(view: TreeView, fn: ir.Function, loop: RetryLoop) -> Iterator[Verdict]:
    cfg = view.program.cfg(fn)
    for went in loop.passes:
        if went.bound is not None:
            yield Silence(NAME, fn.path, fn.name, cfg.nodes[went.test.node].line, wording.bounded(went.bound))
    for went in loop.endless:
        if wording.waits(view, fn, went):
            reason = "each pass sleeps until a condition comes true"
            yield Silence(NAME, fn.path, fn.name, cfg.nodes[went.test.node].line, reason)
        if went.timed:
            reason = "each pass polls until a time of the callee's own has run out: it is to be bounded, not broken off"
            yield Silence(NAME, fn.path, fn.name, cfg.nodes[went.test.node].line, reason)
        if went.firmware:
            reason = "what firmware has begun has to be finished: it is to be bounded, not broken off"
            yield Silence(NAME, fn.path, fn.name, cfg.nodes[went.test.node].line, reason)
    deaf = [
        each
        for each in loop.endless
        if marks.SIGNAL not in each.marks and not each.firmware and not each.timed and not wording.waits(view, fn, each)
    ]
    killable = [each for each in loop.endless if marks.SIGNAL in each.marks]
    if not deaf:
        if killable:
            yield from _remark(view, fn, loop, killable[0])
        return
    held = wording.held(view, fn, loop)
    if held.atomic:
        yield Silence(
            NAME, fn.path, fn.name, loop.loop.line, f"runs with {held.words()} held: no place to leave on a signal"
        )
    elif not wording.in_user_context(view, fn):
        yield Silence(
            NAME,
            fn.path,
            fn.name,
            loop.loop.line,
            "entered only from work items, kthreads or interrupts: no signals there",
        )
    else:
        yield _finding(view, fn, loop, min(deaf, key=wording.weight), held)


def _judge_fed(fn: ir.Function, fed: UserLoop) -> Iterator[Verdict]:
    if marks.SIGNAL in fed.marks:
        yield Silence(NAME, fn.path, fn.name, fed.line, f"over {fed.feed}: every way round looks at signals")
        return
    yield Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=fed.loop.line,
        anchor=f"{fed.loop.kind}:{fed.what}",
        message=f"a fatal signal does not end the {fed.loop.kind} loop in {fn.name}() over {fed.feed}",
        severity=Severity.WARNING,
        confidence=0.6,
        steps=(
            Step(fn.path, fed.loop.line, f"{fn.name}(): the {fed.loop.kind} loop, reached from an ioctl"),
            Step(fn.path, fed.line, f"{fed.what}: an index that wraps, and no count that ends the loop"),
        ),
        need=Need.CALLS,
        concern=f"{fn.path}:{fn.name}:loop:{fed.name}",
        advice="if (fatal_signal_pending(current)) leave with -EINTR, once a pass",
    )


def _sleeps_on(fn: ir.Function, sleep: Sleep) -> Finding:
    loop, name = sleep.loop, sleep.loop.label or sleep.slept.name
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=loop.line,
        anchor=f"{name}:{sleep.state.name}",
        message=f"a fatal signal does not end {wording.head(loop)} in {fn.name}(): it sleeps interruptibly, and spins "
        "once a signal is pending",
        severity=Severity.WARNING,
        confidence=0.75,
        steps=(
            Step(fn.path, sleep.state.line, f"{ir.show(sleep.state)}: a signal wakes it, and keeps it awake"),
            Step(fn.path, sleep.slept.line, "schedule() returns at once while a signal is pending"),
            Step(fn.path, loop.line, "its condition alone ends the loop"),
        ),
        need=Need.FILE,
        concern=f"{fn.path}:{fn.name}:loop:{name}",
        advice="leave with -ERESTARTSYS on signal_pending(current), before schedule(); or sleep "
        "TASK_KILLABLE and leave on fatal signals",
        evidence=("interruptible sleep",),
    )


def _finding(view: TreeView, fn: ir.Function, loop: RetryLoop, went: Pass, held: wording.Held) -> Finding:
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=view.program.cfg(fn).nodes[went.test.node].line,
        anchor=f"{loop.name}:{went.site.name}",
        message=f"a fatal signal does not end {wording.head(loop.loop)} in {fn.name}(): "
        f"it retries {wording.call(went)} on {went.code}",
        severity=Severity.ERROR if held.mmap else Severity.WARNING,
        confidence=0.8 if went.resolved else 0.6,
        steps=(
            *wording.steps(view, fn, loop, went)[:8],
            Step(fn.path, loop.loop.line, "no signal check on this way round"),
        ),
        need=Need.CALLS,
        concern=wording.concern(fn, loop),
        facts=wording.facts(view, fn, [went], killable=False, held=held),
        advice="if (fatal_signal_pending(current)) leave with -EINTR, on the way back",
        evidence=tuple(f"{c.code}:{c.how}:{c.api}" for c in went.causes),
    )


def _remark(view: TreeView, fn: ir.Function, loop: RetryLoop, went: Pass) -> Iterator[Verdict]:
    """The loop is killable; where that is not to be seen in the loop itself, say through what."""
    steps = _killable(view, went)
    if not steps:
        yield Silence(NAME, fn.path, fn.name, loop.loop.line, "a signal check on every path round leaves the loop")
        return
    through = steps[0].text.split("(")[0]
    message = (
        f"{wording.head(loop.loop)} in {fn.name}() can be killed: {through}() looks at fatal signals on each pass "
        "and its -EINTR leaves"
    )
    yield Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=view.program.cfg(fn).nodes[went.test.node].line,
        anchor=f"{loop.name}:{went.site.name}",
        message=message,
        severity=Severity.NOTE,
        confidence=0.8,
        steps=steps,
        need=Need.CALLS,
        kind=Kind.REMARK,
        concern=wording.concern(fn, loop),
    )


def _killable(view: TreeView, went: Pass) -> tuple[Step, ...]:
    """The call that notices a fatal signal, in the callee that is retried."""
    facts = view.know.calls
    sums = view.of(SUMMARIES)
    for cause in went.causes:
        for name in cause.chain:
            for callee in view.program.define(name, cause.steps[0].path if cause.steps else ""):
                cfg = view.program.cfg(callee)
                for node in cfg.nodes:
                    for call in ir.calls(node.expr):
                        fact = facts.get(call.name)
                        if fact is not None and fact.ends_on_signal and sums.marks.asks_here(call):
                            codes = " or ".join(f"-{code}" for code in fact.signal_codes)
                            text = f"{call.name}(): looks at fatal signals and returns {codes} when one is pending"
                            leave = f"{codes} is none of what is retried ({went.code}): it leaves the loop"
                            return (Step(callee.path, node.line, text), Step(callee.path, node.line, leave))
    return ()


RULE = Rule(NAME, run, since="0.1", stage=Stage.QUEUE, tokens=TOKENS, requires=(RETRY_LOOPS,), cause_rank=40)
