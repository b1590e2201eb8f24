"""What has to be done before an expression, because it stands inside it: assignments, commas, statements."""

from __future__ import annotations

from dataclasses import replace

from lorelint.code import ir
from lorelint.code.expressions import Statements


def stirs(expr: ir.Expr) -> bool:
    """Whether there is something in it to take out."""
    return any(isinstance(each, (ir.Assign, ir.Comma, Statements)) for each in ir.walk(expr))


def can_wait(expr: ir.Assign, other: ir.Expr) -> bool:
    """Whether ``v = f() ?: g()`` may be read as ``v = f(); if (!v) v = g();``."""
    return expr.op == "=" and isinstance(expr.target, ir.Name) and expr.target not in ir.walk(other)


def is_pure(expr: ir.Expr) -> bool:
    """Whether it may be evaluated twice."""
    return not any(isinstance(each, (ir.Call, ir.Update, ir.Assign, ir.Opaque)) for each in ir.walk(expr))


def hangs(expr: ir.Expr) -> bool:
    """Whether something to take out of it is done only under a condition inside it."""
    match expr:
        case Statements():
            return True
        case ir.Binary(right=right):
            return stirs(right)
        case ir.Ternary(then=then, other=other):
            return stirs(other) or (then is not None and stirs(then))
    return False


def certain(expr: ir.Expr) -> tuple[ir.Expr, ...]:
    """The operands that are evaluated whenever the expression is, where taking out may go on."""
    match expr:
        case ir.Binary(op="&&" | "||", left=left):
            return () if hangs(expr) else (left,)
        case ir.Ternary(cond=cond):
            return () if hangs(expr) else (cond,)
        case ir.Unary(op="sizeof" | "_Alignof" | "__alignof__"):
            return ()
        case Statements():
            return ()
    return ir.children(expr)


def rebuilt(expr: ir.Expr, below: list[ir.Expr]) -> ir.Expr:
    """The same with other operands (those of `certain`)."""
    if not below or all(new is old for new, old in zip(below, certain(expr), strict=True)):
        return expr
    match expr:
        case ir.Call(line=line):
            return ir.Call(line, below[0], tuple(below[1:]))
        case ir.Member():
            return replace(expr, base=below[0])
        case ir.Index(line=line):
            return ir.Index(line, below[0], below[1])
        case ir.Unary():
            return replace(expr, operand=below[0])
        case ir.Update():
            return replace(expr, target=below[0])
        case ir.Binary(op="&&" | "||"):
            return replace(expr, left=below[0])
        case ir.Binary():
            return replace(expr, left=below[0], right=below[1])
        case ir.Assign():
            return replace(expr, value=below[0], target=below[1])
        case ir.Ternary():
            return replace(expr, cond=below[0])
        case ir.Cast() | ir.Declare():
            return replace(expr, value=below[0])
        case ir.Init(line=line, items=items):
            return ir.Init(line, tuple((key, new) for (key, _), new in zip(items, below, strict=True)))
        case ir.Guard():
            return replace(expr, args=tuple(below))
        case ir.Opaque():
            return replace(expr, parts=tuple(below))
    return expr
