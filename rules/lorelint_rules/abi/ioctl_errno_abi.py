"""ioctl-errno-abi: an ioctl that exists answers another errno than before

What it sees
    A patch that changes what a function on the way of an ioctl answers: the same test or the same failing call gives
    another code than before; the code of a callee, handed on so far, is replaced by one of its own; a new test gives
    -EOPNOTSUPP, -EBUSY or -EAGAIN before the input comes to where it was judged so far; or a code that is for the
    kernel alone (-EPROBE_DEFER, -ENOTSUPP ...) goes up to user space.

Why it hurts
    User space decides by the errno: whether to try again, to do without a feature, to give up. A VMM of last year knows
    the codes of last year, and a new -EBUSY is a failure to it.

When it is silent
    The function is new, or the command is (of codes for the kernel alone it speaks there, too); a code is handed on
    from the callee instead of one of its own; a new test refuses malformed input (-EINVAL, -EFAULT, -EPERM ...); the
    test was only written otherwise; callers do not hand the code on; no ioctl is seen above.

Do this instead
    Keep the code, or let it come from where the reason is known (for a range that cannot be pinned: from
    pin_user_pages()), or give the new behaviour a flag or a command of its own, and write it into the documentation.

References
    20260226202211.929005-4-mattev@meta.com; the replies to
    20260317-retry-pin-on-reclaimed-pud-v1-1-1f0d0a23f78d@akamai.com on a new -EBUSY;
    Documentation/userspace-api/iommufd.rst
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from lorelint.rule import ChangeView, Finding, Need, Rule, Severity, Silence, Stage, Step, Tokens, TreeView, Verdict, ir
from lorelint_rules.abi.answers import Answer, answers, entrance

NAME = "ioctl-errno-abi"
#: By these user space decides what it does next; other codes say that the input is bad, or that memory is short.
_DECISIVE = frozenset({"-EOPNOTSUPP", "-EBUSY", "-EAGAIN", "-EWOULDBLOCK"})
#: Codes for the kernel alone.
_INTERNAL = frozenset({"-EPROBE_DEFER", "-ENOTSUPP", "-ENOPARAM", "-EIOCBQUEUED", "-ENOGRACE", "-ERESTARTNOINTR"})
_RETURNS = ("int", "long", "ssize_t")


class Turn(Struct, frozen=True):
    """What user space sees otherwise."""

    now: Answer
    was: str  # the code before, in words
    said: str


def run(view: ChangeView) -> Iterator[Verdict]:
    for fn in view.functions:
        was = view.was(fn)
        if fn.returns.split()[-1:] and fn.returns.split()[-1] in _RETURNS:
            yield from _judge(view, was, fn)


def _judge(view: ChangeView, was: ir.Function | None, fn: ir.Function) -> Iterator[Verdict]:
    def silent(reason: str, steps: tuple[Step, ...] = ()) -> Silence:
        return Silence(NAME, fn.path, fn.name, fn.line, reason, steps)

    turns = tuple(_internal(view, fn) if was is None else _turns(view, was, fn))
    if not turns:
        yield silent("the function is new" if was is None else "what it answers is what it answered before")
        return
    way = entrance(view, fn)
    if not way or not (was is None or entrance(view.before, was)):
        yield silent("no ioctl is seen that hands its codes to user space" + ("" if not way else ", before"), way)
        return
    told: set[tuple[str, str]] = set()
    for turn in turns:
        if (turn.now.code, turn.was) in told:
            continue
        told.add((turn.now.code, turn.was))
        if _translated(view, fn, way, turn.now.code):
            yield silent(f"a caller on the way up makes another code of {turn.now.code}", way)
        else:
            yield _finding(fn, turn, way, new=was is None)


def _translated(view: ChangeView, fn: ir.Function, way: tuple[Step, ...], code: str) -> bool:
    """Whether a caller on the way up speaks of a code for the kernel alone: it makes another one of it."""
    word = code.lstrip("-").encode()
    return code in _INTERNAL and any(
        word in each.text
        for step in way
        for each in view.program.functions(step.path)
        if each.key != fn.key and (each.first_line <= step.line <= each.end_line or f"= {each.name}" in step.text)
    )


def _internal(view: ChangeView, fn: ir.Function) -> Iterator[Turn]:
    """What a new function gives that no user space knows."""
    for now in answers(view, fn):
        if now.code in _INTERNAL:
            yield _escaped(now)


def _escaped(now: Answer) -> Turn:
    return Turn(now, "", f"{now.code} is a code for the kernel alone, and goes up to user space")


def _turns(view: ChangeView, was: ir.Function, fn: ir.Function) -> Iterator[Turn]:
    old, new = answers(view.before, was), answers(view, fn)
    came = [each for each in new if each not in old]
    gone = [each for each in old if each not in new]
    lost = Counter(each.code for each in gone)
    commands = _cases(view, fn) - _cases(view.before, was)
    for now in came:
        then = next((each for each in gone if each.cause == now.cause and each.code != now.code), None)
        if not now.code:
            continue  # the callee knows best
        if now.code in _INTERNAL and all(each.code != now.code for each in old):
            yield _escaped(now)
        elif then is not None and then.code:
            yield Turn(now, then.code, f"{_where(now)} gives {now.code}, and gave {then.code} before")
        elif then is not None:
            code = f"the code of {now.api}()"
            yield Turn(now, code, f"{now.code} takes the place of {code}, which was handed on")
        elif now.code in _DECISIVE and not commands:
            if lost[now.code]:
                lost[now.code] -= 1  # the same test, written otherwise
                continue
            yield Turn(now, "another answer", f"{_where(now)} gives {now.code} to what was not refused here before")


def _where(answer: Answer) -> str:
    return f"a failed {answer.api}()" if answer.api else f"the test {answer.test}" if answer.test else "it"


def _cases(view: TreeView, fn: ir.Function) -> frozenset[str]:
    """The labels of a function's switches: the commands of an ioctl."""
    edges = (edge for node in view.program.cfg(fn).nodes if node.at is ir.At.SWITCH for edge in node.out)
    return frozenset(ir.show(each) for edge in edges if isinstance(edge.when, tuple) for each in edge.when)


def _finding(fn: ir.Function, turn: Turn, way: tuple[Step, ...], *, new: bool) -> Finding:
    what = "an ioctl answers what user space cannot know" if new else "an ioctl that exists answers otherwise"
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=turn.now.line,
        anchor=f"{turn.now.code}:{turn.now.api or turn.now.test}",
        message=f"{what}: in {fn.name}() {turn.said}",
        ask=f"is user space prepared for {turn.now.code} from {fn.name}()?",
        severity=Severity.NOTE,
        confidence=0.6,
        steps=(*way, Step(fn.path, turn.now.line, turn.said)),
        need=Need.CALLS,
        concern=f"answers of {fn.name}",
        advice="give a code of uapi/asm-generic/errno.h, -EOPNOTSUPP for one"
        if new
        else "keep the code, let it come from where the reason is known, or give the new behaviour a flag of its own",
        evidence=(turn.now.code, turn.was, turn.now.api),
    )


RULE = Rule(
    NAME,
    run,
    since="0.1",
    stage=Stage.TRIAL,
    sees=ChangeView,
    tokens=Tokens((("return", "goto"),)),
    need=Need.CALLS,
    cause_rank=60,
)
