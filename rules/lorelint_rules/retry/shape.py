"""What can be told of a loop without following paths: whether it may be a retry at all, and what else it waits for."""

from __future__ import annotations

import re

from lorelint.rule import ir, worlds

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
