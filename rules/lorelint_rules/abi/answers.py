"""The answers of a function: each constant code it returns, and the test that decides on it; who hands it to an ioctl.

Answers hold no line numbers in what they are compared by, so those of a function before and after a patch can be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field

from lorelint.rule import Analysis, Step, TreeView, ir, placed, regex, summary

SUMMARIES: Analysis[summary.Summaries] = Analysis("summaries", lambda view: summary.Summaries(view.program))

_FIELDS = frozenset(
    "unlocked_ioctl compat_ioctl ioctl ioctl_ops ndo_do_ioctl ndo_eth_ioctl ndo_siocdevprivate ndo_siocwandev".split()
)
_TABLE = regex(r"ioctl", re.I)
_MACRO = regex(r"IOCTL")
_DEEP = 3
_WIDE = 12


@placed
class Answer:
    """One way to answer: the code, and what decides on it.

    code  a constant such as ``-EINVAL``; "" for the callee's own code
    api   the callee that failed, "" for a test of the function's own
    test  as C text
    """

    code: str
    api: str
    test: str
    line: int = field(compare=False)

    @property
    def cause(self) -> tuple[str, str]:
        """The callee whose failure it is, else the test."""
        return (self.api, "") if self.api else ("", self.test)


def answers(view: TreeView, fn: ir.Function) -> tuple[Answer, ...]:
    """All that a function can answer, each once; none where there were too many ways to tell."""
    sums = view.of(SUMMARIES)
    whole = sums.of(fn)
    found: dict[Answer, None] = {}
    for outcome in () if whole.cut else whole.outcomes:
        if outcome.constant.startswith("-E"):
            how, api, test = sums.reason(fn, outcome, outcome.constant)
            line = outcome.line
            if outcome.last is not None:
                line = view.program.cfg(fn).nodes[outcome.last.node].line
            failed = api if how in (summary.How.COLLAPSED, summary.How.INTERRUPTED, summary.How.TRYLOCK) else ""
            found[Answer(outcome.constant, failed, test, line)] = None
        elif outcome.origin is not None and outcome.codes.fails:
            found[Answer("", outcome.origin.name, "", outcome.line)] = None
    return tuple(found)


def entrance(view: TreeView, fn: ir.Function) -> tuple[Step, ...]:
    """The way from an ioctl down to a function whose codes are handed up to it, () where there is none."""
    return view.program.memo(("ioctl answers", fn.path, fn.name), lambda: _entrance(view, fn))


def _entrance(view: TreeView, fn: ir.Function) -> tuple[Step, ...]:
    seen = {fn.key}
    level: list[tuple[ir.Function, tuple[Step, ...]]] = [(fn, ())]
    for _ in range(_DEEP + 1):
        above: list[tuple[ir.Function, tuple[Step, ...]]] = []
        for each, steps in level:
            here = next(_ioctls(view, each), None)
            if here is not None:
                return (here, *steps)
            for site in view.program.callers(each)[:_WIDE]:
                if site.fn.key not in seen and _hands_on(view, site.fn, each.name):
                    seen.add(site.fn.key)
                    step = Step(site.fn.path, site.line, f"{site.fn.name}() hands on what {each.name}() returns")
                    above.append((site.fn, (step, *steps)))
        level = above
    return ()


def _ioctls(view: TreeView, fn: ir.Function) -> Iterator[Step]:
    for use in view.program.uses(fn):
        name = use.field.rpartition(".")[2]
        table = use.kind == "table" and (name in _FIELDS or _TABLE.search(use.type) is not None)
        if table or (use.kind == "field" and name in _FIELDS):
            yield Step(use.path, use.line, f".{name} = {fn.name}")
        elif use.kind == "argument" and _MACRO.search(use.type):
            yield Step(use.path, use.line, f"{use.type}(.. {fn.name} ..)")


def _hands_on(view: TreeView, caller: ir.Function, name: str) -> bool:
    return any(
        outcome.origin is not None and outcome.origin.name == name for outcome in view.of(SUMMARIES).of(caller).outcomes
    )
