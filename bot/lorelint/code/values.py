"""Conditions and values as control flow: every branch tests one thing, every statement does one thing.

Everything here is a task on one explicit stack; nothing recurses. A task is a bound method and its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lorelint.code import ir
from lorelint.code.draft import Draft, End
from lorelint.code.expressions import Statements
from lorelint.code.hoist import can_wait, certain, hangs, is_pure, rebuilt, stirs
from lorelint.code.idioms import NORETURN, constant, reported
from lorelint.code.ir import At

Sink = Callable[[ir.Expr], None]  # what becomes of a value: stored, returned
Use = Callable[[ir.Expr, bool], None]  # what becomes of an expression, and whether it is plain
_LOGICAL = ("&&", "||")


class Values(Draft):
    """What lowering needs to know about expressions. `plain` tells that there is nothing to take out of one."""

    def __init__(self) -> None:
        super().__init__()
        self.todo: list[tuple[Any, ...]] = []
        self._names = 0

    def inline(self, block: Statements, use: Use) -> None:
        """Run the statements of a statement expression; `use` its value. By the statement layer."""
        raise NotImplementedError

    def called(self, call: ir.Call) -> bool:
        """A call for its effect that is more than a call; True when it was dealt with. By the statement layer."""
        raise NotImplementedError

    def fresh(self, line: int) -> ir.Name:
        """A name for a value that has none; no identifier of C begins with ``#``."""
        self._names += 1
        return ir.Name(line, f"#{self._names}")

    def set_ends(self, ends: list[End]) -> None:
        self.ends = ends

    def turn(self, kept: list[End], ends: list[End]) -> None:
        """Put the loose ends by and go on from others."""
        kept.extend(self.ends)
        self.ends = ends

    def add_ends(self, kept: list[End]) -> None:
        if len(kept) > len(self.ends):  # the shorter is copied: deep nests stay linear
            kept.extend(self.ends)
            self.ends = kept
        else:
            self.ends.extend(kept)

    # -- conditions

    def condition(self, expr: ir.Expr, yes: list[End], no: list[End], plain: bool) -> None:
        """Branch on an expression: the ends where it holds go to `yes`, the others to `no`."""
        todo = self.todo
        match expr:
            case ir.Unary(op="!", operand=operand):
                todo.append((self.condition, operand, no, yes, plain))
            case ir.Binary(op="&&", left=left, right=right):
                self._both(left, right, yes, no, plain)
            case ir.Binary(op="||", left=left, right=right) | ir.Ternary(cond=left, then=None, other=right):
                truth = constant(left)
                middle: list[End] = []
                if truth is not True:
                    todo.append((self.condition, right, yes, no, plain))
                    todo.append((self.set_ends, middle))
                todo.append((self.condition, left, yes, middle, plain))
            case ir.Ternary(cond=cond, then=ir.Expr() as then, other=other):
                self._either(cond, then, other, yes, no, plain)
            case ir.Call(args=args) if args and (held := reported(expr)) is not None:
                todo.append((self.condition, held, yes, no, plain))
            case _ if plain:
                self.test(expr, yes, no)
            case ir.Comma(items=items):
                todo.append((self.condition, items[-1], yes, no, False))
                self.effects(items[:-1])
            case Statements():
                self.inline(expr, lambda value, plain: self.condition(value, yes, no, plain))
            case _:
                before, rest = self.take_out(expr)
                if before:
                    todo.append((self.condition, rest, yes, no, True))
                    self.effects(before)
                else:
                    self.test(rest, yes, no)

    def _both(self, left: ir.Expr, right: ir.Expr, yes: list[End], no: list[End], plain: bool) -> None:
        middle: list[End] = []
        if constant(left) is not False:
            self.todo.append((self.condition, right, yes, no, plain))
            self.todo.append((self.set_ends, middle))
        self.todo.append((self.condition, left, middle, no, plain))

    def _either(self, cond: ir.Expr, then: ir.Expr, other: ir.Expr, yes: list[End], no: list[End], plain: bool) -> None:
        truth = constant(cond)
        first: list[End] = []
        second: list[End] = []
        if truth is not True:
            self.todo.append((self.condition, other, yes, no, plain))
            self.todo.append((self.set_ends, second))
        if truth is not False:
            self.todo.append((self.condition, then, yes, no, plain))
            self.todo.append((self.set_ends, first))
        self.todo.append((self.condition, cond, first, second, plain))

    def test(self, expr: ir.Expr, yes: list[End], no: list[End]) -> None:
        truth = constant(expr)
        if truth is not None:
            (yes if truth else no).extend(self.ends)
            self.ends = []
            return
        number = self.branch(At.TEST, expr.line, expr)
        yes.append((number, True))
        no.append((number, False))

    # -- values

    def value(self, expr: ir.Expr, sink: Sink, plain: bool) -> None:
        """Hand a value to `sink`, once on every path that yields it."""
        todo = self.todo
        match expr:
            case ir.Ternary(cond=cond, then=then, other=other):
                if then is None:
                    if not is_pure(cond):
                        name = self.fresh(expr.line)
                        todo.append((self.value, replace(expr, cond=name), sink, plain))
                        todo.append((self.effect, ir.Assign(expr.line, "=", name, cond), plain))
                        return
                    then = cond
                yes: list[End] = []
                no: list[End] = []
                first: list[End] = []
                todo += (
                    (self.add_ends, first),
                    (self.value, other, sink, plain),
                    (self.turn, first, no),
                    (self.value, then, sink, plain),
                    (self.set_ends, yes),
                    (self.condition, cond, yes, no, plain),
                )
            case _ if plain:
                sink(expr)
            case ir.Comma(items=items):
                todo.append((self.value, items[-1], sink, False))
                self.effects(items[:-1])
            case Statements():
                self.inline(expr, lambda value, plain: self.value(value, sink, plain))
            case ir.Binary(op=op, right=right) if op in _LOGICAL and stirs(right):
                one, zero = ir.Number(expr.line, "1", 1), ir.Number(expr.line, "0", 0)
                self.value(ir.Ternary(expr.line, expr, one, zero), sink, False)
            case _:
                before, rest = self.take_out(expr)
                todo.append((sink, rest))
                self.effects(before)

    # -- effects

    def effects(self, exprs: tuple[ir.Expr, ...] | list[ir.Expr]) -> None:
        self.todo.extend([(self.effect, expr, False) for expr in reversed(exprs)])

    def effect(self, expr: ir.Expr, plain: bool) -> None:
        """Evaluate an expression for what it does."""
        match expr:
            case ir.Assign():
                self._assign(expr, plain)
            case ir.Call():
                self._call(expr, plain)
            case ir.Binary(op=op, left=left, right=right) if op in _LOGICAL:
                yes: list[End] = []
                no: list[End] = []
                run, past = (yes, no) if op == "&&" else (no, yes)
                self.todo += (
                    (self.add_ends, past),
                    (self.effect, right, plain),
                    (self.set_ends, run),
                    (self.condition, left, yes, no, plain),
                )
            case ir.Ternary():
                self._choice(expr, plain)
            case ir.Comma(items=items):
                self.effects(items)
            case Statements():
                self.inline(expr, self.effect)
            case ir.Cast(type="void", value=value):
                self.todo.append((self.effect, value, plain))
            case ir.Name() | ir.Number():
                pass  # `fallthrough;`, `(void)x;`
            case _:
                self._rest(expr, plain)

    def _rest(self, expr: ir.Expr, plain: bool) -> None:
        if plain:
            self.emit(At.DO, expr.line, expr)
            return
        before, rest = self.take_out(expr)
        self.todo.append((self.act, rest))
        self.effects(before)

    def act(self, expr: ir.Expr) -> None:
        self.emit(At.DO, expr.line, expr)

    def _choice(self, expr: ir.Ternary, plain: bool) -> None:
        yes: list[End] = []
        no: list[End] = []
        first: list[End] = []
        self.todo.append((self.add_ends, first))
        self.todo.append((self.effect, expr.other, plain))
        self.todo.append((self.turn, first, no))
        if expr.then is not None:
            self.todo.append((self.effect, expr.then, plain))
        self.todo.append((self.set_ends, yes))
        self.todo.append((self.condition, expr.cond, yes, no, plain))

    def _assign(self, expr: ir.Assign, plain: bool) -> None:
        target, value = expr.target, expr.value
        if plain and not isinstance(value, ir.Ternary):
            self.emit(At.DO, expr.line, expr)
            return
        if not plain and stirs(target):
            before, target = self.take_out(target)
            self.todo.append((self._assign, replace(expr, target=target), False))
            self.effects(before)
            return
        if isinstance(value, ir.Ternary) and value.then is None and can_wait(expr, value.other):
            self._otherwise(target, value.other, plain)
            self.todo.append((self.effect, replace(expr, value=value.cond), plain))
            return

        def store(result: ir.Expr) -> None:
            if result != target or expr.op != "=":
                self.emit(At.DO, expr.line, ir.Assign(expr.line, expr.op, target, result))

        self.value(value, store, plain)

    def _otherwise(self, target: ir.Expr, other: ir.Expr, plain: bool) -> None:
        """``if (!target) target = other``, still to be done."""
        yes: list[End] = []
        no: list[End] = []
        self.todo += (
            (self.add_ends, yes),
            (self.effect, ir.Assign(other.line, "=", target, other), plain),
            (self.set_ends, no),
            (self.test, target, yes, no),
        )

    def declare(self, expr: ir.Declare, plain: bool) -> None:
        """A declaration with its first value; one on each branch of ``int a = c ? x : y``."""
        value = expr.value
        if value is None or (plain and not isinstance(value, ir.Ternary)):
            self.emit(At.DO, expr.line, expr)
            return
        if isinstance(value, ir.Ternary) and value.then is None:
            self._otherwise(ir.Name(expr.line, expr.name), value.other, plain)
            self.todo.append((self.declare, replace(expr, value=value.cond), plain))
            return
        self.value(value, lambda result: self.act(replace(expr, value=result)), plain)

    def _call(self, call: ir.Call, plain: bool) -> None:
        if not plain:
            before, rest = self.take_out(call)
            self.todo.append((self._call, rest, True))
            self.effects(before)
            return
        name = call.name
        if name == "BUG_ON" and call.args:
            yes: list[End] = []
            no: list[End] = []
            self.todo += (
                (self.set_ends, no),
                (self.act, ir.Call(call.line, ir.Name(call.line, "BUG"), ())),
                (self.set_ends, yes),
                (self.condition, call.args[0], yes, no, True),
            )
        elif not self.called(call):
            self.emit(At.DO, call.line, call)
            if name in NORETURN:
                self.ends = []

    # -- taking statements out of expressions

    def take_out(self, expr: ir.Expr) -> tuple[list[ir.Expr], ir.Expr]:
        """(what is to be done before, the expression that is left).

        Assignments, commas and statement expressions which are evaluated in any case go before. One
        that hangs on a condition inside the expression takes that condition with it, under a new name.
        """
        order: list[tuple[ir.Expr, int]] = []
        todo = [expr]
        while todo:
            here = todo.pop()
            below = certain(here)
            order.append((here, len(below)))
            todo.extend(below)
        before: list[ir.Expr] = []
        values: list[ir.Expr] = []
        for here, count in reversed(order):
            below_read = values[len(values) - count :]
            del values[len(values) - count :]
            values.append(self._replacement(here, below_read, before, here is expr))
        return before, values[0]

    def _replacement(self, here: ir.Expr, below: list[ir.Expr], before: list[ir.Expr], root: bool) -> ir.Expr:
        match here:
            case ir.Assign(line=line, op=op):
                value, target = below
                if is_pure(target):
                    before.append(ir.Assign(line, op, target, value))
                    return target
                name = self.fresh(line)
                if op == "=":
                    before.append(ir.Assign(line, "=", name, value))
                    before.append(ir.Assign(line, "=", target, name))
                else:
                    before.append(ir.Assign(line, op, target, value))
                    before.append(ir.Assign(line, "=", name, target))
                return name
            case ir.Comma():
                before.extend(below[:-1])
                return below[-1]
            case Statements() | ir.Ternary() | ir.Binary(op="&&" | "||") if not root and hangs(here):
                name = self.fresh(here.line)
                before.append(ir.Assign(here.line, "=", name, here))
                return name
        return rebuilt(here, below)
