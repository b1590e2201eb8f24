"""errno-collapsed-to-retry: every failure of a callee becomes "try again"

What it sees
    A function that tests a callee's result for any failure, not for one code, and returns a retry code
    such as -EAGAIN in its place; the callee can fail in more than one way, and a caller goes round on
    that code.

Why it hurts
    Permanent errors look like a lost race: the caller loops for ever, the real errno is lost, and it
    breaks silently when the callee gains another error.

When it is silent
    The code is returned only under a condition that names its cause (the lock was dropped); one code is
    mapped to another and the rest handed on; a success means again; a trylock; nobody loops on it, or the caller takes
    the next of a few.

Do this instead
    Let the callee tell its failures apart, test for the one that means a race, hand on the others.

References
    20260317-retry-pin-on-reclaimed-pud-v1-1-1f0d0a23f78d@akamai.com and the replies to it
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import (
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
    measures,
    summary,
)
from lorelint_rules.retry import wording
from lorelint_rules.retry.loops import RETRY_LOOPS, SUMMARIES, Pass, RetryLoop

NAME = "errno-collapsed-to-retry"
_CODES = (
    "EAGAIN",
    "EBUSY",
    "EINTR",
    "EWOULDBLOCK",
    "ERESTARTSYS",
    "ERESTARTNOINTR",
    "ERESTARTNOHAND",
    "VM_FAULT_RETRY",
)


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        seen: set[tuple[str, str]] = set()
        for outcome in view.of(SUMMARIES).of(fn).outcomes:
            if outcome.constant in view.of(RETRY_LOOPS).retry and outcome.last is not None:
                key = (outcome.constant, outcome.last.text)
                if key not in seen:
                    seen.add(key)
                    yield from _judge(view, fn, outcome)


def _judge(view: TreeView, fn: ir.Function, outcome: summary.Outcome) -> Iterator[Verdict]:
    sums = view.of(SUMMARIES)
    how, api, test = sums.reason(fn, outcome, outcome.constant)
    if how is not summary.How.COLLAPSED:
        yield Silence(NAME, fn.path, fn.name, outcome.line, f"{outcome.constant} {_why_not(how, api, test)}")
        return
    failing = wording.failures(view, api, fn.path)
    if failing and all(len(lines) < 2 for _, lines in failing):
        yield Silence(NAME, fn.path, fn.name, outcome.line, f"{api}() fails in one way only")
        return
    looping = list(_loops_on(view, fn, outcome.constant))
    if not looping:
        yield Silence(NAME, fn.path, fn.name, outcome.line, f"no caller that was seen goes round on {outcome.constant}")
        return
    yield _finding(view, fn, outcome, api, test, looping)


def _why_not(how: summary.How, api: str, test: str) -> str:
    match how:
        case summary.How.RESTART:
            return f"names its cause: {api}() dropped the lock ({test})"
        case summary.How.MAPPED | summary.How.HANDED_ON:
            return f"stands for one result of {api}() ({test})"
        case summary.How.SUCCEEDED:
            return f"is given after {api}() succeeded: its errors stay"
        case summary.How.STALE:
            return f"is given where what was read has changed ({test})"
        case summary.How.RELOCKED:
            return f"is given after a lock was dropped and taken again ({test})"
        case summary.How.SETTLED:
            return f"is given once what it complains about ({test}) is put right"
        case summary.How.TRYLOCK:
            return f"is what a failed {api}() means"
        case summary.How.INTERRUPTED:
            return f"is what an interrupted {api}() gives"
    return f"is given under a condition of its own ({test})" if test else "is given unconditionally"


def _loops_on(view: TreeView, fn: ir.Function, code: str) -> Iterator[tuple[ir.Function, RetryLoop, int]]:
    """Callers with a loop that goes round when `fn` returns `code`, bounded or not, or callers of one that hands it on.

    One that counts through an array takes the next of a few, whatever the last one failed for.
    """
    for site in view.program.callers(fn):
        yield from _rounds(view, site.fn, fn.name, fn, code)
        for above in view.program.callers(site.fn) if site.fn.name != fn.name else ():
            yield from _rounds(view, above.fn, site.fn.name, fn, code)


def _rounds(
    view: TreeView, caller: ir.Function, asked: str, fn: ir.Function, code: str
) -> Iterator[tuple[ir.Function, RetryLoop, int]]:
    """The loops of `caller` that go round on `code` of `asked`, which is `fn` or hands on what `fn` says."""
    cfg = view.program.cfg(caller)
    for loop in view.of(RETRY_LOOPS).of(caller).loops:
        for went in loop.passes:
            said = went.site.name == asked and went.test.codes.admits(code) and not _next_of_few(cfg, loop, went)
            if said and (asked == fn.name or _hands_on(went, fn, code)):
                yield caller, loop, cfg.nodes[went.test.node].line


def _hands_on(went: Pass, fn: ir.Function, code: str) -> bool:
    """The call that is retried fails with this code where `fn` makes it of any failure."""
    collapsed = (each for each in went.causes if each.how is summary.How.COLLAPSED and each.code == code)
    return any(each.chain[-1:] == (fn.name,) for each in collapsed)


def _next_of_few(cfg: ir.Cfg, loop: RetryLoop, went: Pass) -> bool:
    if went.bound is None or went.bound.kind != "counter":
        return False
    exprs = (cfg.nodes[id_].expr for id_ in loop.loop.body)
    indexed = (each.index for expr in exprs if expr is not None for each in ir.walk(expr) if isinstance(each, ir.Index))
    return any(went.bound.what in measures.lvalues(index) for index in indexed)


def _finding(
    view: TreeView,
    fn: ir.Function,
    outcome: summary.Outcome,
    api: str,
    test: str,
    looping: list[tuple[ir.Function, RetryLoop, int]],
) -> Finding:
    cfg = view.program.cfg(fn)
    assert outcome.last is not None
    steps = [Step(fn.path, cfg.nodes[outcome.last.node].line, f"{api}() failed, whatever the error ({test})")]
    steps.append(Step(fn.path, outcome.line, f"{fn.name}() returns {outcome.constant}"))
    facts = []
    for callee, lines in wording.failures(view, api, fn.path):
        codes = sorted({code for code, _ in lines})
        steps += [Step(callee.path, line, f"{callee.name}() fails with {code}") for code, line in lines[:5]]
        if codes:
            facts.append(f"{callee.name}() fails in {len(lines)} places with {' and '.join(codes)}")
    caller, loop, line = looping[0]
    steps.append(
        Step(caller.path, line, f"{caller.name}() goes round on {outcome.constant} ({wording.head(loop.loop)})")
    )
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=outcome.line,
        anchor=f"{api}:{outcome.constant}",
        message=f"{fn.name}() turns every failure of {api}() into {outcome.constant}, "
        f"and {caller.name}() retries on that",
        ask=f"is {caller.name}() meant to retry on every failure of {api}()?",
        severity=Severity.WARNING,
        confidence=0.9,
        steps=tuple(steps),
        need=Need.CALLS,
        concern=wording.concern(caller, loop),
        facts=tuple(facts),
        advice=f"test for the one result of {api}() that means a lost race, or have it return a code of its own "
        "for that, and hand on the rest",
        evidence=(f"{outcome.constant}:{summary.How.COLLAPSED}:{api}:{test}",),
    )


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.QUEUE,
    tokens=Tokens((_CODES,)),
    requires=(RETRY_LOOPS, SUMMARIES),
    cause_rank=10,
)
