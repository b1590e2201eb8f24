"""What can be told of a loop without following paths: whether it may be a retry at all, and what else it waits for."""

from __future__ import annotations

import re

from msgspec import Struct

from lorelint.rule import ir, measures, regex, worlds

#: Types of variables and results that can hold an errno.
ERRNO_TYPES = frozenset({"int", "long", "ssize_t", "signed long", "s32", "s64"})

_GOTO = regex(rb"\bgoto\s+(\w+)\s*;")
_LABEL = regex(rb"^[ \t]*(\w+)[ \t]*:", re.M)
_WHILE = regex(rb"\bwhile\b|\bfor\s*\([^;{}]*;[^;{}]*;\s*(?:\)|[\w.>\[\]-]+\s*=[^=;])|_until_\w+\s*\(")

_ASIDE = regex(rb"\b(?:TIF_SIGPENDING|recalc_sigpending|flush_signals|sigprocmask|dequeue_signal|try_to_freeze)\b")


def puts_aside(text: bytes) -> bool:
    """Whether a function puts the pending signal aside, or deals with it."""
    return _ASIDE.search(text) is not None


def may_retry(text: bytes) -> bool:
    """A cheap look at the text: a loop that could be a retry is possible at all."""
    if _WHILE.search(text):
        return True
    if b"goto" not in text:
        return False
    labels = {match[1]: match.start() for match in reversed(list(_LABEL.finditer(text)))}
    return any(labels.get(match[1], len(text)) < match.start() for match in _GOTO.finditer(text))


class Turn(Struct, frozen=True):
    """Once round a loop: from a node to the edges on which that is behind it.

    asked  the test in the loop's head that sees what the pass before left; -1 where a pass begins at the head
    """

    start: int
    back: tuple[tuple[int, int], ...]
    asked: int = -1

    def asks(self, world: worlds.World) -> bool:
        """A turn that begins behind the head's test is only for what this test says."""
        return self.asked < 0 or (bool(world.trail) and world.trail[-1].node == self.asked)


def turns(cfg: ir.Cfg, loop: ir.Loop) -> tuple[Turn, ...]:
    """A pass from the head to the head; and, for ``while (ret == -EAGAIN) { ret = f(); }``, from behind the condition
    round to where it is asked again: only there the result of the call is looked at."""
    whole = Turn(loop.head, loop.back)
    head = cfg.nodes[loop.head]
    if loop.kind not in (ir.LoopKind.WHILE, ir.LoopKind.FOR) or head.at is not ir.At.TEST or head.expr is None:
        return (whole,)
    asked = measures.lvalues(head.expr)
    called = {
        name
        for id_ in loop.body
        if (expr := cfg.nodes[id_].expr) is not None
        for name, value in measures.assignments(expr)
        if isinstance(value, ir.Call)
    }
    if not asked & called:
        return (whole,)
    again = tuple((head.id, edge.to) for edge in head.out if edge.to in loop.body)
    return (whole, *(Turn(to, again, head.id) for _, to in again))


def header(fn: ir.Function, cfg: ir.Cfg, loop: ir.Loop, test: worlds.Passed) -> str:
    """The condition by which a while/for loop really goes on, where it is not the test itself.

    ``while (more && (item = next(list)))``: each pass is about another item, whatever was said about the last one.
    """
    if loop.kind not in (ir.LoopKind.WHILE, ir.LoopKind.FOR):
        return ""
    last = _last_line(fn, loop.line)
    own = {test.node} | ({test.site.node} if test.site else set())
    for id_ in sorted(loop.body - own):
        node = cfg.nodes[id_]
        if not loop.line <= node.line <= last or node.expr is None or not any(True for _ in ir.calls(node.expr)):
            continue
        ends = any(edge.to not in loop.body for edge in node.out)
        then = cfg.nodes[node.out[0].to] if len(node.out) == 1 else node  # an assignment in the condition stands before
        ends = ends or (then.at is ir.At.TEST and any(edge.to not in loop.body for edge in then.out))
        if ends and then.id not in own:
            return ir.show(node.expr)
    return ""


def _last_line(fn: ir.Function, line: int) -> int:
    """The line on which the parentheses behind a while or for on this line are closed."""
    lines = fn.text.split(b"\n")[line - fn.line :]
    depth = 0
    for at, text in enumerate(lines[:20]):
        start = 0
        if at == 0:
            found = re.search(rb"\b(while|for)\s*\(|\w*_until_\w+\s*\(", text)
            start = found.start() if found else len(text)
        depth += text.count(b"(", start) - text.count(b")", start)
        if depth <= 0:
            return line + at
    return line


def is_errno(fn: ir.Function, cfg: ir.Cfg, test: worlds.Passed) -> bool:
    """What was tested for any error is a variable that can hold an errno, not a pointer or a count."""
    name = test.text.lstrip("!").split(" ")[0]
    types = [param.type for param in fn.params if param.name == name]
    types += [n.expr.type for n in cfg.nodes if isinstance(n.expr, ir.Declare) and n.expr.name == name]
    if types:
        return types[-1] in ERRNO_TYPES
    return "(" not in name or name.split("(")[0] == (test.site.name if test.site else "")


def winds_clock(cfg: ir.Cfg, clocks: frozenset[str]) -> bool:
    """A local of the function is set by a clock: ``timeout = jiffies + HZ``, counted from when it was called."""
    values = [value for node in cfg.nodes if node.expr is not None for _, value in measures.assignments(node.expr)]
    names = {each.name for value in values for each in ir.walk(value) if isinstance(each, (ir.Name, ir.Call))}
    return bool(names & ({"jiffies", "jiffies_64"} | clocks))
