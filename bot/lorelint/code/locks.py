"""Which locks are held where: within one function, and what its callers hold around it.

Data only: openers, closers, guards and assertions come from the kernel's lists. A lock is held at a
node if it is held on every path that leads there.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from lorelint.code import ir
from lorelint.code.codes import const
from lorelint.code.flow import solve
from lorelint.code.program import Program

CALLERS = 2  # levels of callers looked at


class Lock(Struct, frozen=True):
    """One lock taken.

    kind    class of lock (``mutex``, ``mmap_lock``, ``spinlock``, ``rcu``, ``irq``, ...)
    text    its argument as C text, "" where it has none
    result  the variable that says whether it was taken (0: it was), as long as that was not tested
    """

    kind: str
    mode: str
    atomic: bool
    text: str
    result: str = ""


Held = frozenset[Lock]


class Locks:
    """Lock states of one tree's functions."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.sections = program.know.sections
        self.guards = program.know.guards
        self.closers: dict[str, set[str]] = {}  # kinds of locks that a call releases; spin_unlock() has several
        for section in self.sections.values():
            for closer in section.closers:
                self.closers.setdefault(closer, set()).add(section.kind)
        self.asserts = program.know.names("lock_asserts")
        self._states: dict[tuple[str, str, bytes], dict[int, Held]] = {}

    def name(self, fn: ir.Function, expr: ir.Expr) -> str:
        """What a lock is called: by it a lock and its unlock find each other."""
        return ir.show(expr)

    def other(self, fn: ir.Function, call: ir.Call, node: ir.Node, edge: ir.Edge, held: Held) -> Held:
        """Locks behind a call of a function that the lists do not know."""
        return held

    def at(self, fn: ir.Function, node: int) -> Held:
        """Locks held whenever `node` is about to run, by `fn` itself."""
        key = (fn.path, fn.name, fn.text)
        if key not in self._states:
            self._states[key] = self._solve(fn)
        held = self._states[key].get(node, frozenset())
        return frozenset(lock for lock in held if not lock.result)

    def around(self, fn: ir.Function, depth: int = CALLERS) -> Held:
        """Locks that some caller of a static function holds over the call (any caller: it is enough)."""
        held: set[Lock] = set()
        if not fn.static or depth == 0:
            return frozenset()
        for site in self.program.callers(fn):
            if site.fn.path != fn.path or site.fn.name == fn.name:
                continue
            cfg = self.program.cfg(site.fn)
            for node in cfg.nodes:
                if node.line <= site.line and any(call.name == fn.name for call in ir.calls(node.expr)):
                    held |= self.at(site.fn, node.id)
            held |= self.around(site.fn, depth - 1)
        return frozenset(held)

    def _solve(self, fn: ir.Function) -> dict[int, Held]:
        cfg = self.program.cfg(fn)
        start: Held = frozenset()
        solved = solve(cfg, start, partial(self._transfer, fn), lambda one, other: one & other)
        return {id: held for id, held in enumerate(solved.before) if held is not None}

    def _transfer(self, fn: ir.Function, node: ir.Node, edge: ir.Edge, held: Held) -> Held | None:
        if node.expr is None:
            return held
        results = {id(value): name for name, value in _stored(node.expr)}
        for each in ir.walk(node.expr):
            if isinstance(each, ir.Guard):
                held = self._guard(fn, each, held)
            elif isinstance(each, ir.Call) and each.name:
                held = self._call(fn, each, node, edge, held, results.get(id(each), ""))
        return _settled(node, edge, held) if held else held

    def _guard(self, fn: ir.Function, guard: ir.Guard, held: Held) -> Held:
        known = self.guards.get(guard.kind)
        if known is None:
            return held
        text = self.name(fn, guard.args[0]) if guard.args else ""
        lock = Lock(known.kind, known.mode, known.atomic, text)
        return held - {lock} if guard.leave else held | {lock}

    def _call(self, fn: ir.Function, call: ir.Call, node: ir.Node, edge: ir.Edge, held: Held, result: str) -> Held:
        section = self.sections.get(call.name)
        if section is not None:
            if not self._opened(section.opens, node, edge, call):
                return held
            text = self.name(fn, call.args[section.argument - 1]) if 0 < section.argument <= len(call.args) else ""
            untested = result if section.opens == "on-zero" and node.at is not ir.At.TEST else ""
            return held | {Lock(section.kind, section.mode, section.atomic, text, untested)}
        if call.name in self.closers:
            same = {lock for lock in held if lock.kind in self.closers[call.name]}
            texts = {self.name(fn, argument) for argument in call.args}
            named = {lock for lock in held if lock.text in texts and (lock in same or lock.kind == "asserted")}
            return held - (named or same)
        if call.name in self.asserts and call.args:
            kind = "mmap_lock" if call.name.startswith("mmap_") else "asserted"
            return held | {Lock(kind, "", False, self.name(fn, call.args[0]))}
        return self.other(fn, call, node, edge, held)

    @staticmethod
    def _opened(opens: str, node: ir.Node, edge: ir.Edge, call: ir.Call) -> bool:
        """Whether the lock was got on this edge; off a test of the call itself the edge tells."""
        if opens == "always" or node.at is not ir.At.TEST or not isinstance(edge.when, bool):
            return opens != "on-nonzero" or node.at is ir.At.TEST
        expr = node.expr
        truth = edge.when
        if isinstance(expr, ir.Binary) and expr.op in ("==", "!=") and const(expr.right) == "0":
            truth = truth is (expr.op == "!=")
        return truth is (opens == "on-nonzero")


def _stored(expr: ir.Expr) -> Iterator[tuple[str, ir.Call]]:
    """Calls whose result goes into a variable, with that variable."""
    for each in ir.walk(expr):
        match each:
            case ir.Assign(op="=", target=ir.Name(name=name), value=ir.Call() as call):
                yield name, call
            case ir.Declare(name=name, value=ir.Call() as call):
                yield name, call


def _settled(node: ir.Node, edge: ir.Edge, held: Held) -> Held:
    """Locks after a test of the variable that says whether they were taken: only where it is 0."""
    if node.at is not ir.At.TEST or not isinstance(edge.when, bool) or not any(lock.result for lock in held):
        return held
    name, failed = _failed(node.expr, edge.when)
    if not name:
        return held
    kept = (lock for lock in held if lock.result != name or not failed)
    return frozenset(replace(lock, result="") if lock.result == name else lock for lock in kept)


def _failed(expr: ir.Expr | None, truth: bool) -> tuple[str, bool]:
    """The variable a test is about, and whether it is not 0 where the test came out so; "" for another test."""
    match expr:
        case ir.Name(name=name):
            return name, truth
        case ir.Unary(op="!", operand=inner):
            return _failed(inner, not truth)
        case ir.Binary(op="!=" | "<", left=ir.Name(name=name)) if const(expr.right) == "0":
            return name, truth
        case ir.Binary(op="==", left=ir.Name(name=name)) if const(expr.right) == "0":
            return name, not truth
    return "", False
