"""Places: what an expression is about, as a path of names from a variable on.

``&umem->pgs[0]``, ``umem->pgs + n`` and ``*umem->pgs`` are all about the place ``umem.pgs``: an element of an array is
the array, the address of a thing is the thing. That is how code speaks about what it holds: taken as an array, released
page by page.
"""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.code import ir
from lorelint.rule.analyses.scope import peel

Place = tuple[str, ...]  # (variable, field, field ...)

FIELDS = 4  # fields remembered behind the variable


def place(expr: ir.Expr) -> Place:
    """The place an expression is about; () for one that is about none (a number, a call's result, a sum of two)."""
    fields: list[str] = []
    while True:
        expr = peel(expr)
        match expr:
            case ir.Name(name=name):
                return () if name.isupper() else (name, *reversed(fields[-FIELDS:]))
            case ir.Member(base=base, field=field):
                fields.append(field)
                expr = base
            case ir.Index(base=inner) | ir.Unary(op="&" | "*", operand=inner) | ir.Update(target=inner):
                expr = inner
            case ir.Binary(op="+" | "-", left=left):
                expr = left
            case _:
                return ()


def places(expr: ir.Expr) -> Iterator[Place]:
    """All places an expression speaks of, the longest of each chain; those in indices and arguments of calls too."""
    todo = [expr]
    while todo:
        here = todo.pop()
        if isinstance(here, ir.Name):
            if not here.name.isupper():
                yield (here.name,)
        elif isinstance(here, ir.Member) and (whole := place(here)):
            yield whole
            todo.extend(_indices(here))
        elif isinstance(here, ir.Call):
            todo.extend(here.args)
            todo.extend(() if here.name else (here.callee,))
        else:
            todo.extend(ir.children(here))


def _indices(expr: ir.Expr) -> Iterator[ir.Expr]:
    """The indices inside a chain of fields: they speak of other places."""
    while True:
        match expr:
            case ir.Member(base=base):
                expr = base
            case ir.Index(base=base, index=index):
                yield index
                expr = base
            case ir.Unary(operand=inner) | ir.Cast(value=inner):
                expr = inner
            case _:
                return


def within(inner: Place, outer: Place) -> bool:
    """Whether the first place is the second or a part of it."""
    return bool(outer) and inner[: len(outer)] == outer


def touch(one: Place, other: Place) -> bool:
    """Whether one of two places is part of the other."""
    return within(one, other) or within(other, one)
