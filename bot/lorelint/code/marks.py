"""What calls and tests mean on a path: yields, waits, signals, pins, by the kernel's names."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator

from lorelint.code import ir
from lorelint.code.codes import Codes, const
from lorelint.code.measures import lvalues
from lorelint.code.program import Program
from lorelint.code.races import dying, not_to_wait, stale
from lorelint.code.worlds import Site, World
from lorelint.model.knowledge import When
from lorelint.model.regex import regex

_CONSUMES = regex(r"(^|_)(consume|advance|skip)(_|$)")  # the next call sees the next item
_SPEAKS_OF_SIGNALS = regex(r"sig_?pend|signal(?!l?ed)|eintr|interrupted|killed", re.I)
_INTERRUPTED = frozenset({"-EINTR", "-ERESTARTSYS", "-ERESTARTNOINTR", "-ERESTARTNOHAND"})

YIELD = "yield"  # the CPU was given up, whatever the state of the system
WAIT = "wait"  # slept until a condition came true
NAP = "nap"  # a sleep that does not begin while a signal is pending ...
CUT = "cut-short"  # ... and a sleep that is known to have been ended by one
HASTY = "hasty-wait"  # such a wait ends at once while a signal is pending, and nobody looked at what it said
SOUND = "sound-wait"  # such a wait that was none of those
WEAK = "weak-yield"  # yields only if contended or under some preemption models
SIGNAL = "signal"  # a pending fatal signal would have left by another way
SIGNALLED = "signalled"  # this is that other way
CONTENDED = "contended"  # a trylock failed before
PINNED = "pinned"  # slow GUP was called, which yields for each page it gets ...
UNPINNED = "unpinned"  # ... and is known to have got none
NOWAIT = "nowait"  # a test has said that the caller asked not to wait
RACED = "raced"  # a test has said that something reads otherwise than before
CLOCK = "clock"  # a clock was looked at
STEPPED = "stepped"  # what a pointer of the caller points to was counted on: some of the work was done


class Marks:
    """What calls and tests mean for yields, waits and signals, by the kernel's names."""

    def __init__(self, program: Program) -> None:
        know = program.know
        self.yields = know.names("yield_unconditional")
        self.naps = know.names("yield_unless_signal_pending")
        self.delays = know.names("delay_ended_by_signal")
        self.waits = know.names("yield_while_condition_pending")
        self.weak = know.names("yield_only_if_contended")
        self.slow_gup = know.names("yield_slow_path_only")
        self.checks = know.names("signal_check")
        self.clocks = know.names("bound_idioms") - {"HMM_RANGE_DEFAULT_TIMEOUT"}
        self.calls = know.calls
        self.errnos = frozenset(name for name, fact in know.calls.items() if fact.ends_on_signal)
        self.repairs = know.names("user_access")
        self.errnos |= self.repairs
        self.listed = (
            self.yields
            | self.waits
            | self.weak
            | self.slow_gup
            | self.checks
            | know.names("yield_not")
            | frozenset(know.calls)
        )
        self.predicates = know.names("seq_retry_predicates")
        self.rereads = know.names("optimistic_reads")

    def on(self, node: ir.Node, edge: ir.Edge | None) -> Iterable[Hashable]:
        """Marks of executing a node, or of taking an edge out of a test."""
        if node.expr is None:
            return ()
        if edge is None:
            return self._executed(node.expr)
        if node.at is ir.At.TEST and any(call.name in self.clocks for call in ir.calls(node.expr)):
            return (CLOCK,)
        if isinstance(edge.when, bool) and node.at is ir.At.TEST:
            if not_to_wait(node.expr) is edge.when:
                return (NOWAIT,)
            if stale(node.expr, edge.when) or dying(node.expr, edge.when):
                return (RACED,)
        call = tested_call(node)
        if call is None:
            return ()
        if call.name in self.checks:
            return (SIGNALLED,) if edge.when is True else (SIGNAL,)
        return (CONTENDED, _about(CONTENDED, call)) if "trylock" in call.name and edge.when is False else ()

    def speaks_of(self, name: str) -> bool:
        """Whether the knowledge lists say all there is to say about a call."""
        return not name or name in self.listed

    def is_predicate(self, name: str) -> bool:
        """A sequence check, or a compare-and-exchange, by whatever function it is made."""
        return name in self.predicates or "cmpxchg" in name

    def _executed(self, expr: ir.Expr) -> Iterator[str]:
        if _steps_on(expr) or any(_CONSUMES.search(call.name) for call in ir.calls(expr)):
            yield STEPPED
        for call in ir.calls(expr):
            if call.name in self.naps:
                yield NAP
            elif call.name in self.yields:
                yield YIELD
            elif call.name in self.waits:
                yield WAIT
                yield HASTY if call is expr and call.name in self.errnos else SOUND
            elif call.name in self.weak:
                yield WEAK
                yield _about(WEAK, call)
            elif call.name in self.slow_gup and not call.name.endswith("_fast"):
                yield PINNED

    def learned(self, cfg: ir.Cfg, site: Site, codes: Codes) -> Iterable[str]:
        """Marks of knowing a call's result."""
        if site.name in self.slow_gup and not site.out and codes.neg and not codes.pos:
            yield UNPINNED
        if site.name in self.delays and not site.out and (codes.only == "0" or not codes.zero):
            yield from (SIGNAL,) if codes.zero else (CUT, SIGNALLED)
        if self.asks(cfg, site):
            failed = not site.out and codes.fails
            yield SIGNALLED if failed else SIGNAL

    def asks(self, cfg: ir.Cfg, site: Site) -> bool:
        """Whether this very call looks at signals: some do only if an argument asks for it.

        fixup_user_fault() sets FAULT_FLAG_KILLABLE only if `unlocked` is not NULL (mm/gup.c, 6.12).
        """
        expr = cfg.nodes[site.node].expr
        return any(call.name == site.name and self.asks_here(call) for call in ir.calls(expr))

    def asks_here(self, call: ir.Call) -> bool:
        fact = self.calls.get(call.name)
        return fact is not None and bool(fact.ends_on_signal) and holds(fact.signal_when, call)


def holds(when: When | None, call: ir.Call) -> bool:
    """Whether a condition of the knowledge on one argument holds for a call."""
    if when is None:
        return True
    place = when.place(len(call.args))
    if place is None:
        return False
    argument = call.args[place]
    if when.test == "flag":
        return any(isinstance(each, ir.Name) and each.name in when.flags for each in ir.walk(argument))
    return const(argument) != "0"


def _about(mark: str, call: ir.Call) -> str:
    """A mark of one lock: to try it and to sleep on it are told together by `slept_on_contended`."""
    return f"{mark}: {ir.show(call.args[0])}" if call.args else mark


def slept_on_contended(marks: frozenset[str]) -> bool:
    """A lock was tried in vain, and then slept on."""
    start = f"{CONTENDED}: "
    return any(f"{WEAK}: {each[len(start) :]}" in marks for each in marks if each.startswith(start))


def interrupted(cfg: ir.Cfg, node: ir.Node) -> bool | None:
    """The outcome of a test that returns "interrupted" for what a callee has said of a signal; None where none does.

    ``if (is_sigpending_pfn(pfn)) return -EINTR;``: the callee looked at signals, and here is what it saw.
    """
    if node.at is not ir.At.TEST or node.expr is None:
        return None
    for edge in node.out:
        there = cfg.nodes[edge.to]
        returns = there.at is ir.At.RETURN and there.expr is not None and const(there.expr) in _INTERRUPTED
        if returns and isinstance(edge.when, bool) and _SPEAKS_OF_SIGNALS.search(ir.show(node.expr)):
            return edge.when
    return None


def tell_of_signals(cfg: ir.Cfg) -> frozenset[int]:
    """The nodes whose call answers with a value that is then asked for a pending signal: they look at signals."""

    def compute() -> frozenset[int]:
        asked = [node.expr for node in cfg.nodes if node.expr is not None and interrupted(cfg, node) is not None]
        values = frozenset().union(*map(lvalues, asked))
        return frozenset(node.id for node in cfg.nodes if values and node.expr and _answers(node.expr) & values)

    return cfg.once("tell-of-signals", compute)


def _answers(expr: ir.Expr) -> frozenset[str]:
    """What is set to the result of a call."""
    sets = [each for each in ir.walk(expr) if isinstance(each, ir.Assign) and isinstance(each.value, ir.Call)]
    return frozenset(ir.show(each.target) for each in sets)


def tested_call(node: ir.Node) -> ir.Call | None:
    if node.at is not ir.At.TEST:
        return None
    expr = node.expr
    return expr if isinstance(expr, ir.Call) else None


def _steps_on(expr: ir.Expr) -> bool:
    """``*done += n``, ``(*pos)++``."""
    match expr:
        case ir.Update(target=ir.Unary(op="*", operand=ir.Name())):
            return True
        case ir.Assign(op=op, target=ir.Unary(op="*", operand=ir.Name())):
            return op in ("+=", "-=")
    return False


def settled(world: World) -> frozenset[str]:
    """The marks of this module that a world has; slow GUP yielded unless it is known to have got nothing, and an
    interruptible sleep unless it is known that a signal cut it short."""
    marks = frozenset(each for each in world.marks if isinstance(each, str))
    yielded = (PINNED in marks and UNPINNED not in marks) or (NAP in marks and CUT not in marks)
    return marks | {YIELD} if yielded else marks
