"""The shape in which a function is used: what a caller does when it fails, under which locks, how often.

Told by what the rules are built on (worlds, summaries, locks, bounds), for any function, not only where a rule speaks.
"""

from __future__ import annotations

from enum import StrEnum

from lorelint.code import ir
from lorelint.code.bounds import Bounds
from lorelint.code.locks import Locks
from lorelint.code.marks import SIGNAL, YIELD, settled
from lorelint.code.program import Program
from lorelint.code.summary import Outcome, Summaries, truth_of
from lorelint.code.worlds import Passed, World


class Use(StrEnum):
    """What is done with a failure; the first that holds, in this order, names the shape."""

    LOOPS = "goes round again when it fails"
    BOUNDED = "goes round again when it fails, a bounded number of times"
    AGAIN = "mends what it can and calls it again"
    ASKS = "mends what it can and has its caller try again"
    TURNS = "turns its error into another"
    HANDS_ON = "hands its error on"
    GOES_ON = "goes on after it failed"
    IGNORES = "does not look at its result"
    UNTOLD = "what becomes of its result could not be told"


class Shapes:
    """Uses of functions in one tree."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.sums = Summaries(program)
        self.locks = Locks(program)
        errnos = program.know.names("retry_errno_user", "retry_errno_kernel")
        self.retry = frozenset(f"-{each}" for each in errnos)

    def of(self, fn: ir.Function, name: str) -> tuple[Use, tuple[str, ...]]:
        """How `fn` uses `name`, and what else is worth knowing of the place."""
        calls = [node for node in self.program.cfg(fn).nodes if any(each.name == name for each in ir.calls(node.expr))]
        if not calls:
            return Use.UNTOLD, ()
        use, told = self._use(fn, name, calls)
        return use, (*told, *self._around(fn, calls))

    def _use(self, fn: ir.Function, name: str, calls: list[ir.Node]) -> tuple[Use, tuple[str, ...]]:
        loop = self._loops(fn, name, calls)
        if loop is not None:
            return loop
        if all(isinstance(node.expr, ir.Call) and node.at is ir.At.DO for node in calls):
            return Use.IGNORES, ()
        outcomes = self.sums.of(fn).outcomes
        lasting = tuple(each for each in outcomes if _again(each, name))
        again = bool(lasting)
        found: dict[Use, dict[str, None]] = {}
        for outcome in lasting or outcomes:
            use, code = self._outcome(outcome, name, fn.returns)
            if use is not None:
                found.setdefault(use, {}).update({code: None} if code else {})
        told = [use for use in (Use.ASKS, Use.TURNS, Use.HANDS_ON, Use.GOES_ON) if use in found]
        given = {*found.get(Use.TURNS, ()), *found.get(Use.ASKS, ())}
        codes = " or ".join(sorted(given))
        if again:
            last = f"at last turns it into {codes}" if codes else f"at last {told[0].value}" if told else ""
            sooner = {self._outcome(each, name, fn.returns)[1] for each in outcomes} & self.retry - given
            asks = f"or has its caller try again by {' or '.join(sorted(sooner))}" if sooner else ""
            return Use.AGAIN, tuple(filter(None, (asks, last)))
        if not told:
            return Use.UNTOLD, ()
        return told[0], (f"by {codes}" if told[0] is Use.ASKS else f"into {codes}",) if codes else ()

    def _outcome(self, outcome: Outcome, name: str, returns: str) -> tuple[Use | None, str]:
        """What one class of paths makes of a failure, and the code it gives instead."""
        if outcome.origin is not None and outcome.origin.name == name:
            return Use.HANDS_ON, ""
        tests = _tests(outcome, name)
        failed = bool(tests) and tests[-1].codes.fails
        last = outcome.last
        if not failed and not (last is not None and truth_of(last, name)):
            return None, ""
        if returns == "void" or outcome.origin is not None or outcome.constant in ("", "0"):
            return Use.GOES_ON, ""
        mended = failed and outcome.trail[-1] != tests[-1]
        return Use.ASKS if mended and outcome.constant in self.retry else Use.TURNS, outcome.constant

    def _loops(self, fn: ir.Function, name: str, calls: list[ir.Node]) -> tuple[Use, tuple[str, ...]] | None:
        """A loop that is gone round because the last call that was tested, this one, had failed."""
        nodes = {node.id for node in calls}
        for loop in self.program.loops(fn):
            if loop.kind is ir.LoopKind.EACH or not nodes & loop.body:
                continue
            known = Bounds(self.program.cfg(fn), loop, self.program.know)
            explored = self.sums.explorer(fn, inside=loop.body, more=known.marks).run(loop.head, loop.back)
            went = [world for back in loop.back for world in explored.arrived[back]]
            failed = [world for world in went if _failed(world, name)]
            if not failed or any(_succeeded(world, name) for world in went):
                continue
            bounded = all(known.bound(world) is not None for world in failed)
            told = []
            if all(YIELD in settled(world) for world in failed):
                told.append("each pass sleeps or reschedules")
            if all(SIGNAL in settled(world) for world in failed):
                told.append("a signal ends it")
            return Use.BOUNDED if bounded else Use.LOOPS, tuple(told)
        return None

    def _around(self, fn: ir.Function, calls: list[ir.Node]) -> tuple[str, ...]:
        held = frozenset.intersection(*(self.locks.at(fn, node.id) for node in calls))
        own = sorted({lock.kind for lock in held})
        callers = sorted({lock.kind for lock in self.locks.around(fn)} - set(own))
        told = [f"{kind} held" for kind in own if kind != "asserted"]
        return (*told, *(f"{kind} held by a caller" for kind in callers if kind != "asserted"))


def _failed(world: World, name: str) -> bool:
    tests = _tests(world, name)
    return bool(tests) and tests[-1] is world.trail[-1] and tests[-1].codes.fails


def _succeeded(world: World, name: str) -> bool:
    """The same way back is taken after success: a loop over work."""
    return any(not each.codes.fails for each in _tests(world, name))


def _tests(paths: Outcome | World, name: str) -> list[Passed]:
    """The tests of its result; what it stored elsewhere (``args.writable``) says nothing of a failure."""
    return [each for each in paths.trail if each.site is not None and each.site.name == name and not each.site.out]


def _again(outcome: Outcome, name: str) -> bool:
    """It failed at one place, and was called at another afterwards."""
    tests = _tests(outcome, name)
    sites = {each.site.node for each in tests if each.site is not None}
    origin = outcome.origin
    if origin is not None and origin.name == name:
        sites.add(origin.node)
    return len(sites) > 1 and any(each.codes.fails for each in tests)
