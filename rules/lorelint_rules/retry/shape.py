"""What can be told of a loop without following paths: whether it may be a retry at all, and what else it waits for."""

from __future__ import annotations

import re

from lorelint.rule import ir, worlds

#: Types of variables and results that can hold an errno.
ERRNO_TYPES = frozenset({"int", "long", "ssize_t", "signed long", "s32", "s64"})

_GOTO = re.compile(rb"\bgoto\s+(\w+)\s*;")
_WHILE = re.compile(rb"\bwhile\b|\bfor\s*\(\s*;[^;]*;\s*\)|_until_\w+\s*\(")


def may_retry(text: bytes) -> bool:
    """A cheap look at the text: a loop that could be a retry is possible at all."""
    if _WHILE.search(text):
        return True
    for match in _GOTO.finditer(text):
        label = re.compile(rb"^[ \t]*" + match[1] + rb"[ \t]*:", re.M)
        found = label.search(text)
        if found and found.start() < match.start():
            return True
    return False


def header(cfg: ir.Cfg, loop: ir.Loop, test: worlds.Passed, world: worlds.World) -> str:
    """The condition by which a while/for loop really goes on, where it is not the test itself."""
    if loop.kind not in (ir.LoopKind.WHILE, ir.LoopKind.FOR):
        return ""
    for id_ in sorted(loop.body):
        node = cfg.nodes[id_]
        leaves = [edge for edge in node.out if edge.to not in loop.body]
        if node.at is not ir.At.TEST or not leaves or id_ == test.node or node.line != loop.line:
            continue
        expr = node.expr
        if expr is not None and any(True for _ in ir.calls(expr)):
            return ir.show(expr)
    return ""


def is_errno(fn: ir.Function, cfg: ir.Cfg, test: worlds.Passed) -> bool:
    """What was tested for any error is a variable that can hold an errno, not a pointer or a count."""
    name = test.text.lstrip("!").split(" ")[0]
    types = [param.type for param in fn.params if param.name == name]
    types += [n.expr.type for n in cfg.nodes if isinstance(n.expr, ir.Declare) and n.expr.name == name]
    if types:
        return types[-1] in ERRNO_TYPES
    return "(" not in name or name.split("(")[0] == (test.site.name if test.site else "")
