"""What a loop changes so that it ends: sizes that are halved, tests that come out otherwise ever after.

Beside plain counters, latches and clocks (`bounds`); from the graph of one function alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.code import ir
from lorelint.code.codes import const


def lvalues(expr: ir.Expr) -> frozenset[str]:
    """Texts of the variables and fields that an expression reads."""
    return frozenset(ir.show(e) for e in ir.walk(expr) if isinstance(e, (ir.Name, ir.Member, ir.Unary)))


def assignments(expr: ir.Expr) -> Iterator[tuple[str, ir.Expr]]:
    """Locals that a statement sets, and to what."""
    for each in ir.walk(expr):
        match each:
            case ir.Assign(op="=", target=ir.Name(name=name), value=value):
                yield name, value
            case ir.Declare(name=name, value=value) if value is not None:
                yield name, value


def verdicts(cfg: ir.Cfg, loop: ir.Loop) -> dict[str, frozenset[str]]:
    """Locals that hold what a comparison came to: ``again = size > MIN``; with what was compared."""
    found: dict[str, list[frozenset[str]]] = {}
    for id_ in loop.body:
        expr = cfg.nodes[id_].expr
        for name, value in assignments(expr) if expr is not None else ():
            compared = isinstance(value, ir.Binary) and value.op in ("<", "<=", ">", ">=", "==", "!=")
            found.setdefault(name, []).append(lvalues(value) if compared else frozenset())
    return {name: many[0] for name, many in found.items() if len(many) == 1}


def _assigned(cfg: ir.Cfg, loop: ir.Loop) -> dict[str, list[ir.Assign]]:
    found: dict[str, list[ir.Assign]] = {}
    for id_ in loop.body:
        expr = cfg.nodes[id_].expr
        for each in ir.walk(expr) if expr is not None else ():
            if isinstance(each, ir.Assign):
                found.setdefault(ir.show(each.target), []).append(each)
    return found


def shrunk(cfg: ir.Cfg, loop: ir.Loop) -> frozenset[str]:
    """What is halved on the way, whatever it is rounded to then: ``size /= 2; size = PAGE_ALIGN(size)``."""

    def halves(name: str, each: ir.Assign) -> bool:
        parts = (part for part in ir.walk(each.value) if isinstance(part, ir.Binary) and part.op in ("/", ">>"))
        return each.op in ("/=", ">>=") or any(ir.show(part.left) == name for part in parts)

    def rounds(name: str, each: ir.Assign) -> bool:
        return each.op == "=" and (bool(const(each.value)) or name in lvalues(each.value))

    return frozenset(
        name
        for name, many in _assigned(cfg, loop).items()
        if any(halves(name, each) for each in many) and all(halves(name, each) or rounds(name, each) for each in many)
    )


def settled(cfg: ir.Cfg, loop: ir.Loop) -> frozenset[str]:
    """What a test finds otherwise ever after: ``if (domain != all) { domain = all; goto retry; }``.

    Also bits that are added to what was compared for being without them: ``if (domain == VRAM) domain |= GTT``.
    """
    asked = {
        (node.expr.op, ir.show(node.expr.left)): ir.show(node.expr.right)
        for node in (cfg.nodes[id_] for id_ in loop.body)
        if node.at is ir.At.TEST and isinstance(node.expr, ir.Binary)
    }
    found: set[str] = set()
    for name, many in _assigned(cfg, loop).items():
        for each in many if len(many) == 1 else ():
            same = each.op == "=" and asked.get(("!=", name)) == ir.show(each.value)
            if same or (each.op == "|=" and ("==", name) in asked):
                found.add(name)
    return frozenset(found)
