"""What a call may do: the codes a function can return with the causes of each, and what it passes on the way.

A `Summary` is local: it depends on the function's own text. Causes that lie in callees are followed on
demand by `Summaries.causes`, to a depth counted from the function asked about, so an answer never
depends on who asked first; a chain that is cut or meets itself ends in a cause that says so.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator

from msgspec import Struct

from lorelint.code import ir
from lorelint.code.causes import Cause, How, told
from lorelint.code.codes import ANY, Codes, const
from lorelint.code.explore import Explorer, Marker
from lorelint.code.liveness import tells
from lorelint.code.marks import (
    SIGNAL,
    SIGNALLED,
    WAIT,
    YIELD,
    Marks,
    interrupted,
    settled,
    tell_of_signals,
    tested_call,
)
from lorelint.code.program import Program
from lorelint.code.races import (
    changed,
    dying,
    entry,
    expected,
    let_go,
    made_room,
    put_right,
    relocked,
    relocked_before,
    reread,
    stale,
)
from lorelint.code.terms import term_of
from lorelint.code.worlds import TRAIL, Fixed, Passed, Site, World
from lorelint.model.finding import Step
from lorelint.model.regex import regex

_SMALL = 600  # bytes of a function that is but a name for a question, or for a yield
_STOPPED = regex(r"_(should_stop|stopped|exiting|dying)$")  # somebody wants the task to end
_MAY_ASK = regex(r"signal|intr|kill|cancel|abort|stop|pending|exit|clos|terminat|relax", re.I)
_MAY_YIELD = regex(r"delay|sleep|wait|yield|resched|relax|pause|sched|terminat", re.I)
DEPTH = 3  # calls followed below the function asked about

ERRNO_TYPES = ("int", "long", "ssize_t")
Bound = tuple[tuple[str, str], ...]  # parameters with a constant argument: (name, symbol)


class Outcome(Struct, frozen=True):
    """One class of paths to a return."""

    line: int
    codes: Codes
    origin: Site | None  # the call whose result is returned; None for a constant or an unknown value
    constant: str  # the symbol returned, "" where it is none
    last: Passed | None
    trail: tuple[Passed, ...]
    marks: frozenset[str]


class Summary(Struct, frozen=True):
    function: ir.Function
    outcomes: tuple[Outcome, ...]
    cut: bool  # a budget was reached: outcomes are not all

    def must(self, *marks: str, codes: Codes = ANY) -> bool:
        """Every path that returns one of these codes has passed one of these marks."""
        those = self.meeting(codes)
        return bool(those) and not self.cut and all(each.marks & set(marks) for each in those)

    def meeting(self, codes: Codes) -> tuple[Outcome, ...]:
        return self.outcomes if codes == ANY else tuple(each for each in self.outcomes if each.codes.meets(codes))

    def returning(self, code: str) -> tuple[Outcome, ...]:
        return tuple(each for each in self.outcomes if each.codes.admits(code))


class Summaries:
    """Summaries and causes of one tree's functions, computed once each."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.marks = Marks(program)

    def of(self, fn: ir.Function, depth: int = 0, bound: Bound = ()) -> Summary:
        """The summary of a function.

        depth  marks that callees are sure to leave count down to so many calls below it
        bound  the parameters that a caller hands a constant (`bound_by`); paths these rule out are left out
        """
        key = ("summary", fn.path, fn.name, fn.text, depth, bound)
        return self.program.memo(key, lambda: self._summarise(fn, depth, bound))

    def bound_by(self, caller: ir.Function, site: Site, callee: ir.Function) -> Bound:
        """Constants (0, 1, NULL, true ..) that a call hands to parameters of its callee."""
        expr = self.program.cfg(caller).nodes[site.node].expr
        for call in ir.calls(expr):
            if call.name == callee.name:
                pairs = zip(callee.params, call.args, strict=False)
                return tuple((param.name, const(arg)) for param, arg in pairs if const(arg) in ("0", "1"))
        return ()

    def explorer(
        self,
        fn: ir.Function,
        depth: int = 0,
        inside: frozenset[int] | None = None,
        more: Marker | None = None,
        trail: int = TRAIL,
    ) -> Explorer:
        """An exploration of a function whose marks are those of this module, and `more`.

        One that stays inside a loop does not ask why a code is returned.
        """
        cfg = self.program.cfg(fn)

        def marker(node: ir.Node, edge: ir.Edge | None) -> Iterator[Hashable]:
            yield from self.marks.on(node, edge)
            if more is not None:
                yield from more(node, edge)
            if edge is None and node.id in tell_of_signals(cfg):
                yield SIGNAL
            if edge is not None and edge.when is not None and edge.when is interrupted(cfg, node):
                yield SIGNALLED
            if depth and edge is not None and isinstance(edge.when, bool):
                call = tested_call(node)
                if call is not None and self._asks_signals(call.name, fn.path):
                    yield SIGNALLED if edge.when else SIGNAL
            if depth and edge is None and node.expr is not None:
                for call in ir.calls(node.expr):
                    if not self.marks.speaks_of(call.name):
                        yield from self._sure(call.name, fn.path, ANY, depth)

        def learner(site: Site, codes: Codes) -> Iterator[Hashable]:
            yield from self.marks.learned(cfg, site, codes)
            if depth and not site.out and not self.marks.speaks_of(site.name):
                yield from self._sure(site.name, fn.path, codes, depth)

        return Explorer(
            cfg,
            marker,
            learner=learner,
            inside=inside,
            plain=plain(fn, cfg),
            errnos=self._errnos(fn.path),
            repairs=self.marks.repairs,
            trail=trail,
            reasons=inside is None,
        )

    def tells(self, fn: ir.Function, loop: ir.Loop) -> bool:
        """Whether a test in a loop may say something of a call in it; without one no failure is retried there."""
        cfg = self.program.cfg(fn)
        return tells(cfg, loop.body, plain(fn, cfg), self._errnos(fn.path))

    def _errnos(self, path: str) -> frozenset[str]:
        """Functions that return 0 or an error: those that are listed, those of a file by their type and words."""

        def look() -> frozenset[str]:
            return self.marks.errnos.union(fn.name for fn in self.program.functions(path) if _returns_errors(fn))

        return self.program.memo(("errnos", path), look)

    def _fails(self, name: str, near: str) -> bool:
        """A callee that returns 0 or an error."""
        found = self.program.define(name, near)
        return bool(found) and all(_returns_errors(fn) for fn in found)

    def _asks_signals(self, name: str, near: str) -> bool:
        """A function that only says whether a signal is pending, by another name: its body is that question."""
        if self.marks.speaks_of(name):
            return False
        if not _MAY_ASK.search(name):
            near_by = self.program.function(near, name)  # in the same file whatever it is called
            if near_by is None or b"signal_pending" not in near_by.text:
                return False
        if _STOPPED.search(name):
            return True
        return self.program.memo(("asks-signals", name, near), lambda: self._is_signal_check(name, near))

    def _is_signal_check(self, name: str, near: str) -> bool:
        found = self.program.define(name, near)
        return bool(found) and all(len(fn.text) < _SMALL and self._reports_signal(fn) for fn in found)

    def _reports_signal(self, fn: ir.Function) -> bool:
        """It returns what a signal check says, or another value than 0 where there is a signal; so may its callee."""
        for node in self.program.cfg(fn).nodes:
            for call in ir.calls(node.expr) if node.at in (ir.At.RETURN, ir.At.TEST) else ():
                if node.at is ir.At.RETURN and call.name in self.marks.checks:
                    return True
                if call.name != fn.name and self._asks_signals(call.name, fn.path):
                    return True
        return any(SIGNALLED in each.marks and not each.codes.admits("0") for each in self.of(fn).outcomes)

    def _sure(self, name: str, near: str, codes: Codes, depth: int) -> Iterator[str]:
        """Marks that every path of a callee in the same file to one of these codes has left."""
        callee = self.program.function(near, name) if depth > 1 else None
        if callee is None:
            if depth > 1 and _MAY_YIELD.search(name) and self._yields(name, near):
                yield YIELD
            return
        summary = self.of(callee, depth - 1)
        for mark in (YIELD, WAIT):
            if summary.must(mark, codes=codes):
                yield mark
        if "wait" in callee.name and (
            any({WAIT, YIELD} & each.marks for each in summary.outcomes) or self._calls_wait(callee)
        ):
            yield WAIT  # it looks whether there is anything to wait for, and waits
        # A signal exit need not be on every path of a callee to make it wrong to say that nobody looks; but it
        # counts only where the result is looked at, and where "killed" is not among the codes that go on.
        if codes == ANY or any(SIGNALLED in each.marks and each.codes.named & codes.named for each in summary.outcomes):
            return
        if self.listens(callee, depth - 1):
            yield SIGNAL

    def _calls_wait(self, fn: ir.Function) -> bool:
        nodes = self.program.cfg(fn).nodes
        return any(
            "wait" in call.name or call.name in self.marks.yields for node in nodes for call in ir.calls(node.expr)
        )

    def _yields(self, name: str, near: str) -> bool:
        """A function of another file that is but a name for a yield: ``delay()`` for schedule_timeout()."""

        def look() -> bool:
            found = self.program.define(name, near)
            return bool(found) and all(len(fn.text) < _SMALL and self.of(fn).must(YIELD) for fn in found)

        return self.program.memo(("yields", name, near), look)

    def listens(self, fn: ir.Function, depth: int) -> bool:
        """A function, or one it calls in its file, leaves with an error when a signal is pending."""
        return self.program.memo(("listens", fn.path, fn.name, fn.text, depth), lambda: self._listens(fn, depth))

    def _listens(self, fn: ir.Function, depth: int) -> bool:
        if any(SIGNALLED in each.marks and each.codes.fails for each in self.of(fn).outcomes):
            return True
        names = (
            {call.name for node in self.program.cfg(fn).nodes for call in ir.calls(node.expr)} if depth > 1 else set()
        )
        callees = (self.program.function(fn.path, name) for name in sorted(names - {fn.name, ""}))
        return any(self.listens(each, depth - 1) for each in callees if each is not None)

    def _summarise(self, fn: ir.Function, depth: int, bound: Bound) -> Summary:
        cfg = self.program.cfg(fn)
        explorer = self.explorer(fn, depth, trail=0 if depth else TRAIL)
        explored = explorer.run(0, world=World(env=frozenset(bound)))
        outcomes: dict[Outcome, None] = {}
        coarse = False
        for node in cfg.nodes:
            if node.at is not ir.At.RETURN and not any(edge.to == 1 for edge in node.out):
                continue
            for world in explored.at.get(node.id, ()):
                coarse = coarse or world.coarse
                # The returned call itself has effects (return f(x)): step over the node first.
                outcomes[_outcome(explorer, node, explorer.over(node, world))] = None
        return Summary(fn, tuple(outcomes), explored.cut or coarse)

    # -- causes -----------------------------------------------------------------------------------

    def causes(
        self, fn: ir.Function, code: str, depth: int = DEPTH, chain: tuple[str, ...] = (), bound: Bound = ()
    ) -> tuple[Cause, ...]:
        """Why `fn` can return `code`, each reason once."""
        if not chain:
            return self.program.memo(
                ("causes", fn.path, fn.name, fn.text, code, depth, bound),
                lambda: self._causes(fn, code, depth, (), bound),
            )
        return self._causes(fn, code, depth, chain, bound)

    def _causes(
        self, fn: ir.Function, code: str, depth: int, chain: tuple[str, ...], bound: Bound
    ) -> tuple[Cause, ...]:
        found: dict[Cause, None] = {}
        for outcome in self.of(fn, bound=bound).returning(code):
            for cause in self._because(fn, outcome, code, depth, (*chain, fn.name)):
                found.setdefault(cause)
        return tuple(found)

    def _because(
        self, fn: ir.Function, outcome: Outcome, code: str, depth: int, chain: tuple[str, ...]
    ) -> Iterator[Cause]:
        if outcome.constant:
            yield self._of_constant(fn, outcome, code)
        elif outcome.origin is not None:
            yield from self.handed_on(fn, outcome.origin, outcome.line, code, depth, chain, outcome.marks)
        elif outcome.codes == ANY:
            yield Cause(
                code,
                How.UNKNOWN,
                "",
                "",
                (fn.name,),
                outcome.marks,
                (Step(fn.path, outcome.line, f"{fn.name}() returns a value that could not be followed"),),
            )

    def _of_constant(self, fn: ir.Function, outcome: Outcome, code: str) -> Cause:
        how, api, test = self.reason(fn, outcome, code)
        cfg = self.program.cfg(fn)
        steps = []
        if outcome.last is not None:
            steps.append(Step(fn.path, cfg.nodes[outcome.last.node].line, told(how, api, test)))
        steps.append(Step(fn.path, outcome.line, f"{fn.name}() returns {code}"))
        return Cause(code, how, api, test, (fn.name,), outcome.marks, tuple(steps))

    def reason(self, fn: ir.Function, outcome: Outcome, code: str) -> tuple[How, str, str]:
        """Why a constant is returned: (how, callee, condition)."""
        how, api, test = self.classify(outcome.last, code, fn.path)
        cfg = self.program.cfg(fn)
        last = outcome.last
        if last is None or how not in (How.CONDITION, How.COLLAPSED):
            return how, api, test
        if relocked(cfg, last) or let_go(fn, cfg, last) or relocked_before(cfg, last):
            return How.RELOCKED, api, test
        expr = cfg.nodes[last.node].expr
        if expr is not None and reread(fn, cfg, expr, ir.show(expr) == last.text):
            return How.STALE, api, test
        if how is How.COLLAPSED:
            return How.MAPPED if expected(cfg, last) else how, api, test
        return self._passing(cfg, last) or how, api, test

    def _passing(self, cfg: ir.Cfg, last: Passed) -> How | None:
        """A plain condition that ends by itself."""
        expr = cfg.nodes[last.node].expr
        if expr is None:
            return None
        if any(self.marks.is_predicate(call.name) for call in ir.calls(expr)):
            return How.PREDICATE
        held = ir.show(expr) == last.text
        if stale(expr, held, close=True) or changed(expr, held) or entry(expr) or dying(expr, held):
            return How.STALE
        return How.SETTLED if put_right(cfg, last) or made_room(cfg, last) else None

    def handed_on(
        self,
        fn: ir.Function,
        site: Site,
        line: int,
        code: str,
        depth: int,
        chain: tuple[str, ...],
        marks: frozenset[str],
    ) -> Iterator[Cause]:
        """Causes of a code that is the result of a call in `fn`."""
        cfg = self.program.cfg(fn)
        here = Step(
            fn.path,
            cfg.nodes[site.node].line,
            f"{fn.name}() hands on what {site.name or 'an indirect call'}() returned",
        )
        opaque = Cause(code, How.HANDED_ON, site.name, "", (fn.name,), marks, (here,))
        if site.out or not site.name or depth <= 0:
            yield opaque
            return
        if self.marks.is_predicate(site.name):
            yield Cause(code, How.PREDICATE, site.name, "", (fn.name,), marks, (here,))
            return
        fact = self.marks.calls.get(site.name)
        if fact is not None and code.removeprefix("-") in fact.signal_codes:
            yield Cause(code, How.INTERRUPTED, site.name, "", (fn.name,), marks, (here,))
            return
        callees = self.program.define(site.name, fn.path)
        inner = [
            cause
            for each in callees
            if each.name not in chain
            for cause in self.causes(each, code, depth - 1, chain, self.bound_by(fn, site, each))
        ]
        if not callees or any(each.name in chain or self.of(each).cut for each in callees):
            yield opaque
        for cause in inner:
            yield Cause(
                code,
                cause.how,
                cause.api,
                cause.test,
                (fn.name, *cause.chain),
                marks | cause.marks,
                (here, *cause.steps),
            )

    def classify(self, last: Passed | None, code: str, near: str = "") -> tuple[How, str, str]:
        """What kind of reason the last test before a constant is: (how, callee, condition).

        near  the file the test is in: a callee that is tested in place is looked up from there
        """
        if last is None:
            return How.CONDITION, "", ""
        site, codes = last.site, last.codes
        if site is None or site.node < 0:
            return How.CONDITION, "", last.text
        if last.quiet and not site.out:
            reread = site.name in self.marks.rereads
            return (How.PREDICATE if reread else How.CONDITION), site.name if reread else "", last.text
        if site.out:
            dropped = site.name in self.marks.calls and self.marks.calls[site.name].drops_mmap_lock
            return (How.RESTART if dropped else How.CONDITION), site.name, last.text
        if self.marks.is_predicate(site.name):
            return How.PREDICATE, site.name, last.text
        if site.name in self.marks.checks:
            return How.INTERRUPTED, site.name, last.text
        if "trylock" in site.name:
            return How.TRYLOCK, site.name, last.text
        if codes.fails:
            if codes.only:
                return How.MAPPED if codes.only != code else How.HANDED_ON, site.name, last.text
            fact = self.marks.calls.get(site.name)
            if (
                fact is not None
                and fact.ends_on_signal
                and not fact.drops_mmap_lock
                and site.name not in self.marks.slow_gup
            ):
                return How.INTERRUPTED, site.name, last.text
            return How.COLLAPSED, site.name, last.text
        if (
            site.node == last.node and site.name not in self.marks.repairs
        ):  # asked in place: a predicate, unless the callee returns errors
            failed = bool(near) and not codes.zero and self._fails(site.name, near)
            return (How.COLLAPSED if failed else How.CONDITION), site.name if failed else "", last.text
        if codes.only == "0":
            return How.SUCCEEDED, site.name, last.text
        return (How.MAPPED if codes.only else How.CONDITION), site.name, last.text


def truth_of(passed: Passed, name: str) -> bool:
    """The test asked in place whether `name` returned anything but 0."""
    site = passed.site
    return site is not None and site.name == name and site.node == passed.node and not passed.codes.zero


def _returns_errors(fn: ir.Function) -> bool:
    return fn.returns in ERRNO_TYPES and b"return -E" in fn.text


def plain(fn: ir.Function, cfg: ir.Cfg) -> frozenset[str]:
    """Parameters and locals that are pointers or bools."""

    def compute() -> frozenset[str]:
        types = [(param.name, param.type) for param in fn.params]
        types += [(node.expr.name, node.expr.type) for node in cfg.nodes if isinstance(node.expr, ir.Declare)]
        return frozenset(name for name, type_ in types if type_.endswith("*") or type_ == "bool")

    return cfg.once("plain", compute)


def _outcome(explorer: Explorer, node: ir.Node, world: World) -> Outcome:
    marks = settled(world)
    expr = node.expr if node.at is ir.At.RETURN else None
    if expr is None:
        return Outcome(node.line, Codes(), None, "", world.last, world.trail, marks)
    term = term_of(expr, dict(world.env), node.id)
    if isinstance(term, Fixed):
        return Outcome(node.line, Codes(frozenset({term.symbol})), None, term.symbol, term.why, world.trail, marks)
    if isinstance(term, str):
        return Outcome(node.line, Codes(frozenset({term})), None, term, world.last, world.trail, marks)
    if isinstance(term, Site):
        return Outcome(node.line, world.codes(term) or ANY, term, "", world.last, world.trail, marks)
    return Outcome(node.line, ANY, None, "", world.last, world.trail, marks)


__all__ = ["DEPTH", "Bound", "Cause", "How", "Outcome", "Summaries", "Summary", "plain", "truth_of"]
