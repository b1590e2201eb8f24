"""copy-unchecked: a copy to or from user space whose failure nobody looks at

What it sees
    A call of copy_to_user(), copy_from_user(), put_user() or get_user() that stands by itself: what it returns is
    neither kept nor looked at.

Why it hurts
    The copy may be short: user space is told that all went well and reads what was there before, or the kernel
    goes on with memory that was never filled.

When it is silent
    What the call returns is kept, compared, returned or handed on. A cast to void is no excuse.

Do this instead
    if (copy_to_user(...)) return -EFAULT;

References
    include/linux/uaccess.h: copy_to_user() is __must_check; Documentation/kernel-hacking/hacking.rst
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.rule import Finding, Need, Rule, Severity, Silence, Step, Tokens, TreeView, Verdict, ir

NAME = "copy-unchecked"
COPIES = ("copy_to_user", "copy_from_user", "put_user", "get_user")


def run(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        for node in view.program.cfg(fn).nodes:
            for call in ir.calls(node.expr):
                if call.name in COPIES:
                    yield _judge(fn, node, call)


def _judge(fn: ir.Function, node: ir.Node, call: ir.Call) -> Verdict:
    if node.at is not ir.At.DO or node.expr is not call:  # a condition, a value, or part of something larger
        return Silence(NAME, fn.path, fn.name, call.line, f"what {call.name}() returns is looked at or kept")
    message = f"{fn.name}() does not look whether {call.name}() failed"
    return Finding(
        rule=NAME,
        path=fn.path,
        function=fn.name,
        line=call.line,
        anchor=call.name,
        message=message,
        severity=Severity.WARNING,
        confidence=0.9,
        steps=(Step(fn.path, call.line, f"{call.name}() may copy less than it was asked for"),),
        need=Need.FILE,
        advice="return -EFAULT where it fails",
    )


RULE = Rule(NAME, run=run, since="0.1", need=Need.FILE, tokens=Tokens((COPIES,)))
