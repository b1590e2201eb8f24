"""unbounded-retry: a loop goes round on "try again" and nothing ends it

What it sees
    A loop (while, do, for(;;), or a goto to a label above) whose way back is taken because a callee
    failed: with a retry code such as -EAGAIN or -EBUSY, or with any error. On at least one path round,
    no counter, clock, latch or deadline is both changed and tested, and among the reasons for which the
    callee gives that code is one that may persist. And a loop that counts, anew in each pass, for how
    many things a callee failed, and goes round while there was one, whatever else it looks at.

Why it hurts
    If the reason persists the task never leaves the kernel. With a lock held, mmap_lock above all, the
    rest of the process stalls behind it: ps, munmap, the oom killer. Without a signal check nothing
    short of a reboot ends it.

When it is silent
    Every path is bounded; every reason is a restart after the callee dropped the lock, the success of a
    repair, a sequence check whose begin is read again, or a wait for the very condition (one that a signal ends
    only where its result is looked at, or where there are no signals: in a kthread, say); ww_mutex back-off
    and xenbus transactions; iterator macros; a pass that takes an item, or looks at anything else that
    could end it; work that goes on (another item, a part done, a state put right); a
    caller that asked not to wait; a loop that gives up the CPU and ends on a fatal signal, or looks at signals itself.

Do this instead
    Retry only on the one code that means "lost a race" and hand every other error on; bound the loop by a
    count or a deadline, and return an error at the bound, never success. Where the callee knows what it
    waits for, sleep on that. A new errno of an existing ioctl is a change of its interface.

References
    mm/gup.c __get_user_pages(); HMM_RANGE_DEFAULT_TIMEOUT in include/linux/hmm.h; commits 1aaf8c122918
    (left such a loop with success) and 517f496e1e61 (its revert); b570f37a2ce4 (sleep on the page lock
    instead of spinning on -EBUSY); 20260317-retry-pin-on-reclaimed-pud-v1-1-1f0d0a23f78d@akamai.com
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Finding, Need, Rule, Severity, Silence, Stage, Step, TreeView, Verdict, ir, marks, summary
from lorelint_rules.retry import wording
from lorelint_rules.retry.loops import RETRY_LOOPS, TOKENS, Pass, RetryLoop
from lorelint_rules.retry.tallies import Tally, tallies

NAME = "unbounded-retry"


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        look = view.of(RETRY_LOOPS).of(fn)
        yield from wording.unfound(NAME, fn, look)
        for loop in look.loops:
            yield from _judge(view, fn, loop)
        for tally in tallies(view, fn):
            yield _judge_tally(view, fn, tally)


def _judge(view: TreeView, fn: ir.Function, loop: RetryLoop) -> Iterator[Verdict]:
    cfg = view.program.cfg(fn)
    for went in loop.passes:
        if went.bound is not None:
            yield Silence(NAME, fn.path, fn.name, cfg.nodes[went.test.node].line, wording.bounded(went.bound))
    endless = loop.endless
    patient = [each for each in endless if each.patient]
    for went in patient:
        yields = "gives up the CPU and " if marks.YIELD in went.marks else ""
        reason = f"each pass {yields}looks at signals, which end it: an accepted unbounded loop"
        yield Silence(NAME, fn.path, fn.name, cfg.nodes[went.test.node].line, reason)
    waits = [each for each in endless if wording.waits(view, fn, each)]
    for went in waits:
        reason = "each pass sleeps until a condition comes true"
        yield Silence(NAME, fn.path, fn.name, cfg.nodes[went.test.node].line, reason)
    polls = [each for each in endless if each.firmware and marks.YIELD in each.marks]
    for went in polls:
        reason = "firmware is busy, and each pass gives up the CPU: it has to be finished"
        yield Silence(NAME, fn.path, fn.name, cfg.nodes[went.test.node].line, reason)
    bad = [each for each in endless if each not in (*patient, *waits, *polls)]
    if bad:
        yield _finding(view, fn, loop, bad)


def _finding(view: TreeView, fn: ir.Function, loop: RetryLoop, bad: list[Pass]) -> Finding:
    went = min(bad, key=wording.weight)
    held = wording.held(view, fn, loop)
    killable = all(marks.SIGNAL in each.marks for each in bad)
    sleeps = all(marks.YIELD in each.marks for each in bad)
    user = wording.in_user_context(view, fn)
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=view.program.cfg(fn).nodes[went.test.node].line,
        anchor=f"{loop.name}:{went.site.name}",
        message=wording.endless(fn, loop, went),
        ask=f"can {wording.head(loop.loop)} in {fn.name}() end while {wording.culprit(went)} keeps failing?",
        severity=Severity.NOTE if went.owed else _severity(killable, sleeps, held, user),
        confidence=0.85
        if went.resolved and all(c.how not in (summary.How.HANDED_ON, summary.How.UNKNOWN) for c in went.causes)
        else 0.6,
        steps=wording.steps(view, fn, loop, went),
        need=Need.CALLS if went.resolved else Need.FILE,
        concern=wording.concern(fn, loop),
        facts=wording.facts(view, fn, bad, killable=killable, held=held),
        advice=wording.advice(went, held),
        siblings=wording.siblings(view, fn, went),
        evidence=tuple(f"{c.code}:{c.how}:{c.api}:{c.test}" for c in went.causes),
    )


def _severity(killable: bool, sleeps: bool, held: wording.Held, user: bool) -> Severity:
    if held.atomic and not killable:
        return Severity.ERROR
    if sleeps and (killable or not user):
        return Severity.NOTE
    return Severity.WARNING


def _judge_tally(view: TreeView, fn: ir.Function, tally: Tally) -> Verdict:
    line = view.program.cfg(fn).nodes[tally.test].line
    if marks.WAIT in tally.marks or {marks.YIELD, marks.SIGNAL} <= tally.marks:
        return Silence(NAME, fn.path, fn.name, line, "each pass waits, or looks at signals and gives up the CPU")
    head = wording.head(tally.loop)
    callee = f"{tally.failing.name}()"
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=line,
        anchor=f"{tally.loop.label or tally.loop.kind}:{tally.counter}",
        message=f"{head} in {fn.name}() goes round as long as {callee} fails for something, and nothing bounds it",
        ask=f"can {head} in {fn.name}() end while {callee} keeps failing?",
        severity=Severity.WARNING,
        confidence=0.7,
        steps=(
            Step(fn.path, tally.failing.line, f"{callee} fails, which {tally.counter} tells"),
            Step(fn.path, line, f"{tally.counter} is not 0: another pass, which sets it to 0 and asks again"),
        ),
        need=Need.CALLS,
        concern=f"{fn.path}:{fn.name}:loop:{tally.loop.label or tally.failing.name}",
        facts=("what fails for good is tried again for ever",),
        advice=f"return the error of {callee} after a few passes",
    )


RULE = Rule(NAME, run, since="0.1", stage=Stage.QUEUE, tokens=TOKENS, requires=(RETRY_LOOPS,), cause_rank=20)
