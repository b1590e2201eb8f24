"""interrupted-wait-retried: a loop goes round on a code that says that a signal has interrupted its wait

What it sees
    A way back to the head of a loop is taken because a callee failed, and one reason for that failure is a wait or a
    lock that a signal has ended: wait_event_interruptible(), wait_for_completion_killable(), mutex_lock_interruptible()
    and the like. The callee may have given the failure another name, such as -EAGAIN. Nothing on the way round looks at
    the signal or clears it.

Why it hurts
    The signal is still pending, so the next interruptible wait ends at once: the task spins instead of sleeping, and
    nothing ends it, SIGKILL included.

When it is silent
    signal_pending() or the like is looked at on the way round; the loop's own wait is repeated and each pass sleeps;
    the pending signal is put aside and recalculated (TIF_SIGPENDING, flush_signals()); the arguments of this call make
    the wait an uninterruptible one; it runs in a work item or kernel thread, which is sent no signals; the loop is
    bounded; the error is handed on.

Do this instead
    Hand -ERESTARTSYS or -EINTR on, and retry only on the codes that mean something else; or wait uninterruptibly, if
    the work has to be done.

References
    drivers/staging/vc04_services vchiq_bulk_transmit() (6.12), which names its interrupted wait -EAGAIN;
    net/9p/client.c p9_client_rpc(), which puts the signal aside while it goes round
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Finding, Need, Rule, Severity, Silence, Stage, TreeView, Verdict, ir, marks, summary
from lorelint_rules.retry import wording
from lorelint_rules.retry.loops import RETRY_LOOPS, TOKENS, Pass, RetryLoop
from lorelint_rules.retry.shape import puts_aside

NAME = "interrupted-wait-retried"


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        look = view.of(RETRY_LOOPS).of(fn)
        yield from wording.unfound(NAME, fn, look)
        for loop in look.loops:
            yield _judge(view, fn, loop)


def _judge(view: TreeView, fn: ir.Function, loop: RetryLoop) -> Verdict:
    cfg = view.program.cfg(fn)

    def silent(line: int, reason: str) -> Silence:
        return Silence(NAME, fn.path, fn.name, line, reason)

    bad = [went for went in loop.endless if _interrupted(went)]
    if not bad:
        went = loop.passes[0]
        if went.bound is not None:
            return silent(cfg.nodes[went.test.node].line, wording.bounded(went.bound))
        return silent(loop.loop.line, "no reason to go round is known to be an interrupted wait")
    went = min(bad, key=lambda each: each.test.node)
    line = cfg.nodes[went.test.node].line
    if went.heeds:
        return silent(line, "signals are looked at on the way round")
    if marks.YIELD in went.marks and not any(cause.chain for cause in _interrupted(went)):
        return silent(line, "it waits again on purpose: each pass sleeps, so that it does not spin")
    if puts_aside(fn.text):
        return silent(line, "the pending signal is put aside or recalculated")
    if not wording.in_user_context(view, fn):
        return silent(line, "it runs where no signals are sent to")
    return _finding(view, fn, loop, went)


def _interrupted(went: Pass) -> tuple[summary.Cause, ...]:
    return tuple(cause for cause in went.causes if cause.how is summary.How.INTERRUPTED)


def _finding(view: TreeView, fn: ir.Function, loop: RetryLoop, went: Pass) -> Finding:
    cause = min(_interrupted(went), key=lambda each: (len(each.chain), each.api))
    through = f"{cause.chain[0]}() gives {cause.code} for " if cause.chain else ""
    facts = [f"the signal stays pending: the next {cause.api}() ends at once"]
    if marks.YIELD not in went.marks:
        facts.append("nothing on the way round is sure to give up the CPU")
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=view.program.cfg(fn).nodes[went.test.node].line,
        anchor=f"{loop.name}:{cause.api}",
        message=f"{wording.head(loop.loop)} in {fn.name}() goes round on {went.code} after an interrupted wait: "
        f"{through}{cause.api}() that a signal ended",
        ask=f"what ends {wording.head(loop.loop)} in {fn.name}() once a signal is pending?",
        severity=Severity.WARNING,
        confidence=0.85,
        steps=wording.steps_of(view, fn, loop, went, cause),
        need=Need.CALLS,
        concern=wording.concern(fn, loop),
        facts=tuple(facts),
        advice="hand the code of an interrupted wait on, and retry only on what means something else",
        evidence=(f"{cause.code}:{cause.how}:{cause.api}",),
    )


RULE = Rule(NAME, run, since="0.1", stage=Stage.QUEUE, tokens=TOKENS, requires=(RETRY_LOOPS,), cause_rank=15)
