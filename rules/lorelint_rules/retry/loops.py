"""Retry loops: which back edges are taken because a call failed, what ends them, what they pass on the way.

The four rules of this family ask the same questions of a loop, so they are answered once, here.
A `Pass` is one class of paths from the head of a loop back to it on which the last call that was tested
had failed; a loop without one is no retry loop, and `Look.silences` says why.
"""

from __future__ import annotations

import re

from msgspec import Struct, structs

from lorelint.rule import (
    Analysis,
    Silence,
    Step,
    Tokens,
    TreeView,
    bounds,
    codes,
    flow,
    ir,
    marks,
    races,
    regex,
    summary,
    worlds,
)
from lorelint_rules.retry.shape import ERRNO_TYPES, Turn, header, is_errno, may_retry, puts_aside, turns, winds_clock

#: Words of which a function with a retry loop has at least one of each group.
TOKENS = Tokens((("goto", "while", "for", "until"),))

_BENIGN = {
    summary.How.RESTART: "the callee dropped the lock and everything is looked up again: a restart, not a retry",
    summary.How.SUCCEEDED: "the last call that was tested before it goes round had succeeded: no failure is retried",
    summary.How.PREDICATE: "a sequence check: the other side moved, and its begin is read again",
    summary.How.STALE: "what was read before has changed: it is read again",
    summary.How.RELOCKED: "it dropped a lock meanwhile and everything is looked up again: a restart, not a retry",
    summary.How.SETTLED: "it puts right what it complains about before it says so",
}
HOSTED = ("arch/um/", "tools/", "samples/", "usr/")  # programs of user space, and a kernel that is one
_CONVERSION = regex(r"_to_cpup?$|^cpu_to_|^(ntoh|hton)[sl]$")  # no call that could fail
#: Causes that only say that we do not know; beside one that is known they say nothing.
_VAGUE = (summary.How.HANDED_ON, summary.How.UNKNOWN)
_TAKES = regex(r"dequeue|(^|_)(pop|reap|drain|get_next)(_|$)")  # what it is asked about is gone afterwards
_CALL = regex(r"!?(\w+)\(")
_NOT_TO_WAIT = regex(r"(^|[^!\w])\w*(->|\.)?(no_?wait|non_?block)", re.I)
_NO_LIMIT = regex(r"NO_?LIMIT|UNLIMITED|FOREVER|INFINITE")
_SAID = regex(r"(\w+) == (-?[A-Z]\w+)$")
_CALLEES = 2  # calls followed for a sure yield or signal exit


class Pass(Struct, frozen=True):
    """Paths round a loop that come out the same."""

    site: worlds.Site  # the call that failed
    test: worlds.Passed  # and the test that saw it
    code: str  # the code it is retried on, "any error" where the test does not say
    causes: tuple[summary.Cause, ...]  # why the callee gives it, those that are no reason to go round for ever
    marks: frozenset[str]  # YIELD, WAIT, WEAK, SIGNAL: what every such path has passed
    bound: bounds.Bound | None
    resolved: bool  # the callee's body was seen
    heeds: bool = False  # the loop itself looks at signals on the way round, and leaves
    owed: bool = False  # its users bound it, whatever the callee waits for
    firmware: bool = False  # what it retries is firmware that says it is busy: that has to be finished
    hasty: bool = False  # each wait on the way round ends at once while a signal is pending, unseen

    @property
    def patient(self) -> bool:
        """Accepted without a bound: it gives up the CPU and ends on a signal, or is retried for a plain condition."""
        collapsed = any(cause.how is summary.How.COLLAPSED for cause in self.causes)
        return {marks.YIELD, marks.SIGNAL} <= self.marks or (self.heeds and not collapsed)

    @property
    def timed(self) -> bool:
        """A pass lasts until the callee's own time has run out."""
        return bool(self.causes) and all(marks.CLOCK in cause.marks for cause in self.causes)

    @property
    def waits(self) -> bool:
        """Each pass sleeps until a condition comes true, the one that is retried as far as can be told."""
        interrupted = any(cause.how is summary.How.INTERRUPTED for cause in self.causes)
        return marks.WAIT in self.marks and not (self.owed or interrupted)


class RetryLoop(Struct, frozen=True):
    function: ir.Function
    loop: ir.Loop
    passes: tuple[Pass, ...]

    @property
    def endless(self) -> tuple[Pass, ...]:
        """Passes that nothing bounds."""
        return tuple(each for each in self.passes if each.bound is None)

    @property
    def name(self) -> str:
        """The loop's name in identities: its label, or the call it retries."""
        return self.loop.label or self.passes[0].site.name or self.loop.kind


class Look(Struct, frozen=True):
    """What was found in one function."""

    loops: tuple[RetryLoop, ...]
    silences: tuple[Silence, ...]
    doubts: tuple[tuple[int, str], ...] = ()  # (line, reason)


class RetryLoops:
    """The retry loops of each function of one tree."""

    def __init__(self, view: TreeView) -> None:
        self.view = view
        self.program = view.program
        self.know = view.know
        self.sums = view.of(SUMMARIES)
        errnos = self.know.names("retry_errno_user", "retry_errno_kernel") - {"EPROBE_DEFER", "ERESTART_RESTARTBLOCK"}
        self.retry = frozenset(f"-{each}" for each in errnos) | {"VM_FAULT_RETRY", "RET_PF_RETRY"}
        self.firmware = self.know.names("retry_code_firmware")
        self.retry |= self.firmware
        self.rereads = self.know.names("optimistic_reads")
        self.to_bound = self.know.names("retry_to_be_bounded")
        self.delays = self.know.names("yield_unconditional")

    def of(self, fn: ir.Function) -> Look:
        if not may_retry(fn.text):
            return Look((), ())
        return self.program.memo(("retry-loops", fn.path, fn.name, fn.text), lambda: self._look(fn))

    def _look(self, fn: ir.Function) -> Look:
        loops: list[RetryLoop] = []
        silences: list[Silence] = []
        doubts: list[tuple[int, str]] = []
        for loop in self.program.loops(fn):
            match self._judge(fn, loop):
                case RetryLoop() as found:
                    loops.append(found)
                case (line, reason, steps):
                    silences.append(Silence("", fn.path, fn.name, line, reason, steps))
                case str() as reason:
                    doubts.append((loop.line, reason))
        return Look(tuple(loops), tuple(silences), tuple(doubts))

    def _judge(self, fn: ir.Function, loop: ir.Loop) -> RetryLoop | tuple[int, str, tuple[Step, ...]] | str | None:
        if loop.kind is ir.LoopKind.EACH:
            return None
        if fn.path.startswith(HOSTED):
            return loop.line, "it runs as a process of a host: what interrupts it there has been dealt with", ()
        if loop.tangled:
            return loop.line, "it is entered beside its head: no jump back to where a pass begins", ()
        if loop.kind is ir.LoopKind.RETRY:
            return loop.line, "the macro goes round until it has all locks; wait/wound guarantees progress", ()
        if not self.sums.tells(fn, loop):
            return None
        cfg = self.program.cfg(fn)
        known = bounds.Bounds(cfg, loop, self.know)
        passes: dict[Pass, None] = {}
        reasons: list[tuple[int, str, tuple[Step, ...]]] = []
        coarse = False
        for turn in turns(cfg, loop):
            explored = self.sums.explorer(fn, inside=loop.body, more=known.marks).run(turn.start, turn.back)
            if explored.cut:
                return "too many paths through the loop to tell them apart"
            arrived = {back: tuple(map(self._awake, explored.arrived[back])) for back in turn.back}
            everywhere = tuple(world for back in turn.back for world in arrived[back])
            coarse = coarse or any(each.coarse for each in everywhere)
            for back in turn.back:
                went = arrived[back]
                for world in went:
                    if turn.asks(world) is False:
                        continue
                    # On one named code the same way back counts; on any error the whole loop does.
                    named = bool(world.trail) and not world.trail[-1].codes.neg
                    verdict = self._why(fn, loop, turn, world, went if named else everywhere, everywhere, known)
                    if isinstance(verdict, Pass):
                        passes[verdict] = None
                    elif verdict is not None:
                        reasons.append(verdict)
        if passes:
            return RetryLoop(fn, loop, tuple(passes))
        if coarse and not reasons:
            return "too many paths through the loop to tell them apart"
        return max(reasons, key=lambda each: each[:2], default=None)  # of several, the last in the text

    def _awake(self, world: worlds.World) -> worlds.World:
        """Without the last tests that only asked how long it has slept: those are about no work."""
        trail = world.trail
        while trail and (site := trail[-1].site) is not None and site.name in self.delays and not site.out:
            trail = trail[:-1]
        return world if trail is world.trail else structs.replace(world, trail=trail)

    def _why(
        self,
        fn: ir.Function,
        loop: ir.Loop,
        turn: Turn,
        world: worlds.World,
        went: tuple[worlds.World, ...],
        everywhere: tuple[worlds.World, ...],
        known: bounds.Bounds,
    ) -> Pass | tuple[int, str, tuple[Step, ...]] | None:
        """Whether this class of paths goes round because a call failed."""
        if not world.trail:
            return None
        test = world.trail[-1]
        site = test.site
        if site is not None and _CONVERSION.search(site.name):
            return None
        if site is None or not self._failed(test.codes) or (site.out and not test.codes.named & self.retry):
            return self._not_failed(test, known.cfg)
        if turn.asked >= 0 and not site.name and test.codes.neg:
            return None  # asked again until something is there: what a call through a pointer answers is not known
        if (
            self._goes_on_anyway(site, went)
            or self._work(fn, loop, test)
            or self._ends_inner(fn, loop, test)
            or self._stays_inside(fn, loop, test)
        ):
            return None
        line = known.cfg.nodes[test.node].line
        if self.sums.marks.is_predicate(site.name):
            return line, f"{site.name}(): {_BENIGN[summary.How.PREDICATE]}", ()
        other = header(fn, known.cfg, loop, test)
        if other:
            return line, f"the loop goes on by another condition, {other}", ()
        set_anew = known.goes_on(world, test.node) if test.codes.neg else ""
        if set_anew:
            return line, f"the loop goes on by its condition, for which {set_anew} was set anew", ()
        if _TAKES.search(site.name):
            return line, f"{site.name}() takes another item on each pass", ()
        moved = known.moved(world, known.cfg.nodes[site.node], site.name)
        if moved:
            return line, f"{site.name}() is asked about another {moved} on each pass", ()
        if test.codes.named & self.firmware and fn.path.endswith(".h"):
            return line, f"a wrapper of {site.name}() for callers of any context, to go on while that is busy", ()
        same = [
            each
            for each in everywhere
            if each.trail
            and (each.trail[-1].site, each.trail[-1].codes) == (site, test.codes)
            and (marks.CUT in each.marks) is (marks.CUT in world.marks)
        ]
        return self._pass(fn, known, turn, world, test, site, line, known.shared(same))

    def _not_failed(self, test: worlds.Passed, cfg: ir.Cfg) -> tuple[int, str, tuple[Step, ...]] | None:
        site = test.site
        if site is None:
            return None
        how, api, text = self.sums.classify(test, "")
        if how in _BENIGN and api:
            line = cfg.nodes[test.node].line
            return line, f"{api}() ({text}): {_BENIGN[how]}", ()
        return None

    def _failed(self, left: codes.Codes) -> bool:
        return left.fails or left.only in self.retry  # VM_FAULT_RETRY is a positive number

    def _goes_on_anyway(self, site: worlds.Site, went: tuple[worlds.World, ...]) -> bool:
        """The same edge is taken after the call succeeded, with all that it answers: a loop of work, not a retry."""
        return any(
            passed.site == site and not any(map(self._refused, [passed, *_stored(site, world.trail[at + 1 :])]))
            for world in went
            for at, passed in enumerate(world.trail)
        )

    def _refused(self, test: worlds.Passed) -> bool:
        """It failed, or another machine said so with the sign left off: ``status == EAGAIN``."""
        return self._failed(test.codes) or f"-{test.codes.only}" in self.retry

    def _work(self, fn: ir.Function, loop: ir.Loop, test: worlds.Passed) -> bool:
        """Where any failure only skips the rest of a pass, success comes round too: a loop of work."""
        cfg = self.program.cfg(fn)
        node = cfg.nodes[test.node]
        if not test.codes.neg or node.at is not ir.At.TEST or node.expr is None:
            return False
        held = ir.show(node.expr) == test.text
        other = [(node.id, edge.to) for edge in node.out if edge.when is not held]
        inside = loop.body | {loop.head}
        return flow.reaches(cfg, other, [loop.head], avoid=(node.id,), inside=inside) is not None

    def _ends_inner(self, fn: ir.Function, loop: ir.Loop, test: worlds.Passed) -> bool:
        """Any failure ends a loop inside this one: work is taken until there is none, then the next item comes."""
        if not test.codes.neg:
            return False
        inner = [each for each in self.program.loops(fn) if each.body < loop.body and test.node in each.body]
        return any(test.node == source for each in inner for source, _ in each.leave)

    def _stays_inside(self, fn: ir.Function, loop: ir.Loop, test: worlds.Passed) -> bool:
        """The failure only takes a loop inside this one to its next pass."""
        node = self.program.cfg(fn).nodes[test.node]
        if node.expr is None or node.at is not ir.At.TEST:
            return False
        held = ir.show(node.expr) == test.text
        taken = {edge.to for edge in node.out if edge.when is held}
        inner = [each for each in self.program.loops(fn) if each.body < loop.body and test.node in each.body]
        return any(taken <= each.body for each in inner)

    def _pass(
        self,
        fn: ir.Function,
        known: bounds.Bounds,
        turn: Turn,
        world: worlds.World,
        test: worlds.Passed,
        site: worlds.Site,
        line: int,
        shared: frozenset[str],
    ) -> Pass | tuple[int, str, tuple[Step, ...]] | None:
        asked = test.codes
        if asked.neg and not is_errno(fn, known.cfg, test):
            return None
        bound = known.bound(world, shared)
        if bound is not None:  # it ends whatever the callee says: no need to look at that
            code = " or ".join(sorted(asked.named & self.retry)) or "any error"
            return Pass(site, test, code, (), marks.settled(world), bound, False)
        callees = self.program.define(site.name, fn.path) if site.name and not site.out else ()
        callees = tuple(each for each in callees if each.name != fn.name)
        ended = self._ended(fn, site, asked)
        wanted = (ended.code,) if ended else self._retried(asked, callees, test, fn.path)
        if not wanted:
            return None
        causes = [
            cause
            for callee in callees
            for code in wanted
            for cause in self.sums.causes(callee, code, bound=self.sums.bound_by(fn, site, callee))
        ]
        if ended is not None:
            causes = [ended]
        if not causes and not callees:
            causes = [summary.Cause(wanted[0], summary.How.HANDED_ON, site.name, "", (fn.name,), frozenset(), ())]
        if not causes:
            return line, f"{site.name}() cannot return {' or '.join(wanted)}", ()
        told = [each for each in causes if each.how not in _VAGUE]
        if not told and any(self.sums.of(each, bound=self.sums.bound_by(fn, site, each)).cut for each in callees):
            return line, f"undecided: {site.name}() has too many paths to tell why it fails", ()
        eager = any(
            races.named_not_to_wait(name) is (value == "1")
            for callee in callees
            for name, value in self.sums.bound_by(fn, site, callee)
        )
        if site.out and not told and self.program.macro(site.name, fn.path):
            return line, f"undecided: what the macro {site.name}() does to {site.out} is not known here", ()
        if not told and marks.SIGNAL in world.marks:
            return line, f"a signal ends it, and why {site.name}() fails is not known here", ()
        bad = tuple(each for each in told or causes if not self._benign(each, eager))
        if not bad:
            first = (told or causes)[0]
            return line, f"{site.name}() gives {first.code} only where {self._benign(first, eager)}", first.steps
        passed = self._marks(world, bad)
        if not {marks.YIELD, marks.SIGNAL} <= passed:
            passed |= self._deeper(fn, known, turn, test, bad)
        owed = any(self.to_bound & {*cause.chain, site.name} for cause in bad)
        code = " or ".join(wanted) if asked.named and not asked.neg else "any error"
        hasty = marks.HASTY in world.marks and marks.SOUND not in world.marks
        on_the_way = (marks.SIGNAL in world.marks, owed, bool(asked.named & self.firmware), hasty)
        return Pass(site, test, code, bad, passed, None, bool(callees), *on_the_way)

    def _of_a_signal(self, site: worlds.Site | None) -> tuple[str, ...]:
        """The codes of a call that is a wait or a lock which a signal ends; () for any other."""
        fact = self.know.calls.get(site.name) if site is not None and not site.out else None
        if fact is None or not fact.ends_on_signal or fact.drops_mmap_lock or fact.name in self.sums.marks.slow_gup:
            return ()
        return tuple(f"-{code}" for code in fact.signal_codes)

    def _ended(self, fn: ir.Function, site: worlds.Site, asked: codes.Codes) -> summary.Cause | None:
        """Why the call fails where it is itself a wait that a signal ends."""
        given = [code for code in self._of_a_signal(site) if asked.admits(code)]
        if not given or puts_aside(fn.text):
            return None
        step = Step(fn.path, self.program.cfg(fn).nodes[site.node].line, f"{site.name}() ends when a signal is pending")
        return summary.Cause(given[0], summary.How.INTERRUPTED, site.name, "", (), frozenset(), (step,))

    def _benign(self, cause: summary.Cause, eager: bool) -> str:
        """Why going round on this cause is right, "" where it is not.

        eager  the call asks the callee not to wait
        """
        if cause.how is summary.How.INTERRUPTED or self.to_bound & set(cause.chain):
            return ""
        if cause.how in _BENIGN:
            return _BENIGN[cause.how]
        if _NO_LIMIT.search(cause.test):
            return "its user asked for no limit"
        if (marks.CLOCK in cause.marks and not self._winds_clock(cause)) or self._asks_clock(cause):
            return "it looks at a clock before it says so"
        if marks.RACED in cause.marks:
            return _BENIGN[summary.How.STALE]
        if marks.STEPPED in cause.marks:
            return "it has done a part of the work"
        if (marks.NOWAIT in cause.marks or _NOT_TO_WAIT.search(cause.test)) and not eager:
            return "it was asked not to wait"
        if self.sums.marks.is_predicate(cause.api) or cause.api in self.rereads:
            return _BENIGN[summary.How.PREDICATE]
        if marks.WAIT in cause.marks:
            return "it slept on what it complains about before it said so"
        if marks.slept_on_contended(cause.marks):
            return "it slept on the contended lock before it said so"
        return ""

    def _winds_clock(self, cause: summary.Cause) -> bool:
        """The time is counted from when the callee began: it runs out for each pass anew."""
        near = cause.steps[-1].path if cause.steps else ""
        chain = [fn for name in cause.chain for fn in self.program.define(name, near)]
        return any(winds_clock(self.program.cfg(fn), self.know.names("bound_idioms")) for fn in chain)

    def _asks_clock(self, cause: summary.Cause) -> bool:
        """The condition is what a callee says by a clock: ``!ct_deadlocked(ct)``."""
        asked = _CALL.match(cause.test) if cause.how is summary.How.CONDITION and cause.steps else None
        if asked is None:
            return False
        clocks = [name.encode() for name in sorted(self.know.names("bound_idioms"))]
        found = self.program.define(asked[1], cause.steps[-1].path)
        return bool(found) and all(any(clock in fn.text for clock in clocks) for fn in found)

    def _marks(self, world: worlds.World, causes: tuple[summary.Cause, ...]) -> frozenset[str]:
        """What every path passes: in the loop itself, or in the callee on the way to each of these causes."""
        passed = set(marks.settled(world))
        shared = frozenset.intersection(*(each.marks for each in causes)) if causes else frozenset()
        interrupted = any(each.how is summary.How.INTERRUPTED or marks.SIGNALLED in each.marks for each in causes)
        for mark in (marks.YIELD, marks.WAIT, marks.SIGNAL, marks.WEAK):
            if mark in shared and not (mark == marks.SIGNAL and interrupted):
                passed.add(mark)
        return frozenset(passed & {marks.YIELD, marks.WAIT, marks.SIGNAL, marks.WEAK})

    def _deeper(
        self,
        fn: ir.Function,
        known: bounds.Bounds,
        turn: Turn,
        test: worlds.Passed,
        causes: tuple[summary.Cause, ...],
    ) -> frozenset[str]:
        """Marks that callees in the loop are sure to leave on the way round, a few calls down."""

        def again() -> frozenset[str]:
            explorer = self.sums.explorer(fn, _CALLEES + 1, trail=2, inside=known.loop.body, more=known.marks)
            explored = explorer.run(turn.start, turn.back, world=_left_by(test))
            same = [
                each
                for back in turn.back
                for each in map(self._awake, explored.arrived[back])
                if each.trail and each.trail[-1].site == test.site and each.trail[-1].codes == test.codes
            ]
            sure = [marks.settled(each) for each in same]
            return frozenset.intersection(*sure) if sure and not explored.cut else frozenset()

        key = ("round", fn.path, fn.name, fn.text, turn.start, test.node, test.site, test.text)
        interrupted = any(cause.how is summary.How.INTERRUPTED for cause in causes)
        wanted = {marks.YIELD, marks.WAIT} if interrupted else {marks.YIELD, marks.WAIT, marks.SIGNAL}
        return self.program.memo(key, again) & wanted  # the signal that interrupts is what goes round

    def _retried(
        self, asked: codes.Codes, callees: tuple[ir.Function, ...], test: worlds.Passed, near: str
    ) -> tuple[str, ...]:
        """The codes on which the loop goes round, if they are a retry; () if this is something else."""
        if asked.named and not asked.neg:
            return tuple(sorted(asked.named & self.retry))
        below = "< 0" in test.text or "IS_ERR" in test.text
        if not callees:
            if not below and test.site is not None and self.program.macro(test.site.name, near):
                return ()  # a macro may well return a count
            return ("any error",) if below or bounds.RESULT.match(test.text.lstrip("!").split(" ")[0]) else ()
        returned = {
            symbol
            for callee in callees
            if callee.returns in ERRNO_TYPES
            for outcome in self.sums.of(callee).outcomes
            for symbol in (*outcome.codes.named, *self._of_a_signal(outcome.origin))
            if codes.negative(symbol) and symbol[1:].startswith("E") and asked.admits(symbol)
        }
        return tuple(sorted(returned))


def _stored(site: worlds.Site, later: worlds.Trail) -> list[worlds.Passed]:
    """Later tests of what the same call stored beside its result."""
    return [each for each in later if each.site is not None and each.site.out and each.site.node == site.node]


def _left_by(test: worlds.Passed) -> worlds.World:
    """What a pass finds that comes after one which ended with this test: ``do { if (rc) msleep(1); rc = f(); }``."""
    said = _SAID.match(test.text)
    return worlds.World(env=frozenset({(said[1], said[2])} if said else ()))


def _summaries(view: TreeView) -> summary.Summaries:
    return summary.Summaries(view.program)


SUMMARIES: Analysis[summary.Summaries] = Analysis("summaries", _summaries)
RETRY_LOOPS: Analysis[RetryLoops] = Analysis("retry-loops", RetryLoops)
