"""Worlds followed through a graph, from node to node.

The propagation is a worklist over (node, world) pairs. It ends: constants, calls, codes and marks are
drawn from finite sets of the function's own text.

Inside, a world is a `State`: a tuple of small numbers, one for each of its parts, and a bit for each mark. Most
worlds of a function share most of their parts, so equality costs next to nothing, and what a node does to the values
is worked out once for each combination of values that gets there, not once for each world.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Generic, NamedTuple, TypeVar

from lorelint.code import ir
from lorelint.code.codes import ANY, TRUTH, Codes, compare, const, negative
from lorelint.code.liveness import liveness
from lorelint.code.terms import address_of, asked_plainly, assign, bind, question, term_of, told
from lorelint.code.worlds import (
    TRAIL,
    Env,
    Explored,
    Known,
    Passed,
    Site,
    Term,
    Trail,
    Verdict,
    World,
    env_text,
    known_text,
    marks_text,
    met,
    passed_text,
    symbol_of,
    trail_text,
)

K = TypeVar("K")
T = TypeVar("T", bound=Hashable)

MAX_WORLDS = 96  # per node, before they are folded
MAX_STEPS = 60_000  # (node, world) pairs per exploration

_BETWEEN = 4  # statements between a test and the constant it is the reason of

Marker = Callable[[ir.Node, ir.Edge | None], Iterable[Hashable]]
Learner = Callable[[Site, Codes], Iterable[Hashable]]
State = tuple[int, int, int, int, int, bool]  # numbers of env, known, trail and last; bits of the marks; coarse


def _no_marks(node: ir.Node, edge: ir.Edge | None) -> Iterable[Hashable]:
    return ()


def _no_lesson(site: Site, codes: Codes) -> Iterable[Hashable]:
    return ()


class _Pool(Generic[T]):
    """Values of one kind under numbers, equal ones under the same; `text` is what they are sorted by."""

    def __init__(self, first: T, text: Callable[[T], str]) -> None:
        self.values = [first]
        self._numbers = {first: 0}
        self._text = text
        self._texts: dict[int, str] = {}

    def number(self, value: T) -> int:
        found = self._numbers.get(value)
        if found is None:
            found = self._numbers[value] = len(self.values)
            self.values.append(value)
        return found

    def text(self, number: int) -> str:
        found = self._texts.get(number)
        if found is None:
            found = self._texts[number] = self._text(self.values[number])
        return found


class _Turn(NamedTuple):
    """What becomes of certain values behind a node, on one edge out of it."""

    to: int
    env: int
    known: int
    last: int  # the test that was passed, -1 for none
    told: bool  # whether the trail remembers it
    marks: int


@dataclass(slots=True)
class _Came:
    """Values behind a test that came out one way."""

    env: dict[str, Term]
    known: dict[Site, Codes]
    passed: Passed | None = None
    told: bool = False
    marks: int = 0


@dataclass(slots=True)
class _Plan:
    """What a node does, whatever the world, and what it was seen to do.

    calls   in its expression, with the variables whose address each is handed
    writes  assignments, updates and declarations in it
    under   the tests that are the reason of a constant that is set here
    """

    node: ir.Node
    marks: int
    calls: tuple[tuple[Site, Codes, tuple[Site, ...]], ...]
    writes: tuple[ir.Expr, ...]
    under: frozenset[int]
    turns: dict[tuple[int, int, int], tuple[_Turn, ...]] = field(default_factory=dict)
    trails: dict[int, int] = field(default_factory=dict)


class Explorer:
    """Explorations of one graph.

    marker   marks to add when a node is executed (edge None) or an edge taken; the same whenever it is asked
    learner  marks to add when a test says something about a call's result; likewise
    inside   stay within these nodes
    plain    variables (pointers, bools) of which plain truth is no sign of failure
    errnos   callees that return 0 or an error: their truth is a failure
    repairs  those of them whose success is worth to be remembered, also where it is only tested in place
    trail    how many tests a world remembers; with 0 it tells paths apart by values and marks alone
    """

    def __init__(
        self,
        cfg: ir.Cfg,
        marker: Marker = _no_marks,
        *,
        learner: Learner = _no_lesson,
        inside: frozenset[int] | None = None,
        plain: frozenset[str] = frozenset(),
        errnos: frozenset[str] = frozenset(),
        repairs: frozenset[str] = frozenset(),
        trail: int = TRAIL,
    ) -> None:
        self.cfg, self.inside, self.plain, self.trail = cfg, inside, plain, trail
        self.errnos, self.repairs = errnos, repairs
        self._marker, self._learner = marker, learner
        self._live = liveness(cfg)
        self._plans: dict[int, _Plan] = {}
        self._lessons: dict[tuple[Site, Codes], int] = {}
        # the parts of worlds, by number; 0 is the empty one
        self._envs: _Pool[Env] = _Pool(frozenset(), env_text)
        self._knowns: _Pool[Known] = _Pool(frozenset(), known_text)
        self._trails: _Pool[Trail] = _Pool((), trail_text)
        self._tests: _Pool[Passed | None] = _Pool(None, lambda each: passed_text(each) if each else "")
        self._marks: dict[Hashable, int] = {}  # a bit for each
        self._longer: dict[tuple[int, int], int] = {}  # trail and test -> trail
        self._kept: dict[tuple[int, int, int], int] = {}  # known, env and trail -> known

    def run(self, start: int, goals: Iterable[tuple[int, int]] = (), world: World | None = None) -> Explored:
        """All worlds reachable from `start`; edges in `goals` are noted and not followed."""
        arrived: dict[tuple[int, int], set[State]] = {edge: set() for edge in goals}
        first = self._state(world or World())
        at: dict[int, set[State]] = {start: {first}}
        folded: dict[int, State] = {}
        queue: deque[tuple[int, State]] = deque(((start, first),))
        inside, steps, cut = self.inside, 0, False
        while queue:
            here, state = queue.popleft()
            steps += 1
            if steps > MAX_STEPS:
                cut = True
                break
            if state not in at[here]:
                continue  # folded meanwhile
            for to, after in self._step(here, state):
                if (here, to) in arrived:
                    arrived[here, to].add(after)
                elif inside is None or to in inside:
                    there = at.get(to)
                    if there is None:
                        there = at[to] = set()
                    if after not in there:
                        self._arrive(there, to, after, queue, folded)
        return Explored(_Worlds(self, at), _Worlds(self, arrived), cut)

    def _arrive(
        self,
        there: set[State],
        to: int,
        state: State,
        queue: deque[tuple[int, State]],
        folded: dict[int, State],
    ) -> None:
        """A new state at a node. `folded` keeps what those of a node fold to, while they stay the same."""
        if len(there) >= MAX_WORLDS:
            known = folded.get(to)
            state = self._fold([*there, state] if known is None else [known, state])
            if state in there:
                folded[to] = state
                return
            there.clear()
        folded.pop(to, None)
        there.add(state)
        queue.append((to, state))

    def _fold(self, states: list[State]) -> State:
        """See `worlds.fold`."""
        envs, knowns = {state[0] for state in states}, {state[1] for state in states}
        env = frozenset.intersection(*(self._envs.values[each] for each in envs))
        known = reduce(met, (self._knowns.values[each] for each in knowns))
        marks = reduce(int.__and__, (state[4] for state in states))
        return (self._envs.number(env), self._knowns.number(known), 0, 0, marks, True)

    def _step(self, here: int, state: State) -> Iterator[tuple[int, State]]:
        """What becomes of a world on each edge out of a node."""
        env, known, trail, last, marks, coarse = state
        plan = self._plans.get(here) or self._plan(here)
        reason = self._reason(plan, last)
        turns = plan.turns.get((env, known, reason))
        if turns is None:
            turns = plan.turns[env, known, reason] = tuple(self._turns(plan, env, known, reason))
        marks |= plan.marks
        if trail and plan.calls:
            trail = self._without(plan, trail)
        for to, env, known, test, telling, more in turns:
            passed = trail
            if telling:
                longer = self._longer.get((trail, test))
                passed = self._remember(trail, test) if longer is None else longer
            kept = self._kept.get((known, env, passed))
            if kept is None:
                kept = self._keep(known, env, passed)
            yield to, (env, kept, passed, last if test < 0 else test, marks | more, coarse)

    def over(self, node: ir.Node, world: World) -> World:
        """The world after a node was executed."""
        env, known, trail, last, marks, coarse = self._state(world)
        plan = self._plans.get(node.id) or self._plan(node.id)
        values, codes = self._executed(plan, env, known, self._reason(plan, last))
        env, known = self._envs.number(frozenset(values.items())), self._knowns.number(frozenset(codes.items()))
        return self.world((env, known, self._without(plan, trail), last, marks | plan.marks, coarse))

    # -- worlds as numbers

    def _state(self, world: World) -> State:
        return (
            self._envs.number(world.env),
            self._knowns.number(world.known),
            self._trails.number(world.trail),
            self._tests.number(world.last),
            self._bits(world.marks),
            world.coarse,
        )

    def world(self, state: State) -> World:
        env, known, trail, last, marks, coarse = state
        return World(
            self._envs.values[env],
            self._knowns.values[known],
            self._trails.values[trail],
            self._tests.values[last],
            self._of_bits(marks),
            coarse,
        )

    def order(self, state: State) -> tuple[str, ...]:
        """What worlds are sorted by."""
        env, known, trail, last, marks, coarse = state
        parts = (self._envs.text(env), self._knowns.text(known), self._trails.text(trail), self._tests.text(last))
        return (*parts, marks_text(self._of_bits(marks)), str(coarse))

    def _bits(self, marks: Iterable[Hashable]) -> int:
        bits = 0
        for mark in marks:
            bits |= self._marks.setdefault(mark, 1 << len(self._marks))
        return bits

    def _of_bits(self, bits: int) -> frozenset[Hashable]:
        return frozenset(mark for mark, bit in self._marks.items() if bits & bit)

    # -- tests on the way

    def _remember(self, trail: int, test: int) -> int:
        """The trail with one more test: the last one of each call, as many as are remembered."""
        passed = self._tests.values[test]
        assert passed is not None
        longer = (*(each for each in self._trails.values[trail] if each.site != passed.site), passed)[-self.trail :]
        self._longer[trail, test] = number = self._trails.number(longer)
        return number

    def _without(self, plan: _Plan, trail: int) -> int:
        """A call made again says nothing about its earlier result."""
        found = plan.trails.get(trail)
        if found is None:
            here = plan.node.id
            kept = tuple(e for e in self._trails.values[trail] if e.site is None or e.site.node != here)
            found = plan.trails[trail] = self._trails.number(kept)
        return found

    def _keep(self, known: int, env: int, trail: int) -> int:
        """What is known of calls that a variable or the trail still speaks of."""
        sites = {term for _, term in self._envs.values[env] if isinstance(term, Site)}
        sites.update(each.site for each in self._trails.values[trail] if each.site is not None)
        kept = frozenset(pair for pair in self._knowns.values[known] if pair[0] in sites)
        self._kept[known, env, trail] = number = self._knowns.number(kept)
        return number

    def _reason(self, plan: _Plan, last: int) -> int:
        """The test that a node stands under: right before it, or with a few plain statements between; 0 for none."""
        if not last or not plan.under:
            return 0
        passed = self._tests.values[last]
        return last if passed is not None and passed.node in plan.under else 0

    # -- effects of a node

    def _plan(self, here: int) -> _Plan:
        node = self.cfg.nodes[here]
        calls: list[tuple[Site, Codes, tuple[Site, ...]]] = []
        writes: list[ir.Expr] = []
        for each in ir.walk(node.expr) if node.expr is not None else ():
            if isinstance(each, ir.Call):
                # A call whose bare truth is tested is a predicate, as far as is known: true is no failure.
                asked = node.at is ir.At.TEST and each is node.expr and each.name not in self.errnos
                taken = tuple(Site(here, each.name, name) for arg in each.args if (name := address_of(arg)))
                calls.append((Site(here, each.name), TRUTH if asked else ANY, taken))
            elif isinstance(each, (ir.Assign, ir.Update, ir.Declare)):
                writes.append(each)
        under = frozenset(self._above(here)) if writes and self.trail > 1 else frozenset()
        marks = self._bits(self._marker(node, None))
        plan = self._plans[here] = _Plan(node, marks, tuple(calls), tuple(writes), under)
        return plan

    def _above(self, here: int) -> Iterator[int]:
        for _ in range(_BETWEEN):
            before = self.cfg.preds[here]
            yield from before
            if len(before) != 1 or self.cfg.nodes[before[0]].at is not ir.At.DO:
                return
            here = before[0]

    def _executed(self, plan: _Plan, env: int, known: int, reason: int) -> tuple[dict[str, Term], dict[Site, Codes]]:
        """The values after a node was executed."""
        values, codes = dict(self._envs.values[env]), dict(self._knowns.values[known])
        for site, returned, taken in plan.calls:
            codes[site] = returned
            for out in taken:
                bind(values, out.out, out)
                codes[out] = ANY
        assign(values, plan.writes, plan.node.id, self._tests.values[reason])
        return values, codes

    def _turns(self, plan: _Plan, env: int, known: int, reason: int) -> Iterator[_Turn]:
        node = plan.node
        values, codes = self._executed(plan, env, known, reason)
        for edge in node.out:
            came = self._take(node, edge, values, codes)
            if came is None:
                continue
            live = self._live[edge.to]
            yield _Turn(
                edge.to,
                self._envs.number(frozenset(pair for pair in came.env.items() if pair[0] in live)),
                self._knowns.number(frozenset(came.known.items())),
                -1 if came.passed is None else self._tests.number(came.passed),
                came.told,
                came.marks | self._bits(self._marker(node, edge)),
            )

    # -- tests

    def _take(self, node: ir.Node, edge: ir.Edge, env: dict[str, Term], known: dict[Site, Codes]) -> _Came | None:
        if node.expr is not None:
            if node.at is ir.At.TEST and isinstance(edge.when, bool):
                return self._assume(node, node.expr, edge.when, env, known)
            if node.at is ir.At.SWITCH and isinstance(edge.when, tuple):
                return self._case(node, node.expr, edge.when, env, known)
        return _Came(env, known)

    def _case(
        self, node: ir.Node, expr: ir.Expr, labels: tuple[ir.Expr, ...], env: dict[str, Term], known: dict[Site, Codes]
    ) -> _Came | None:
        term = symbol_of(term_of(expr, env, node.id))
        if isinstance(term, str):
            symbols = [const(each) for each in labels]
            if labels:
                return _Came(env, known) if term in symbols or "" in symbols else None
            others = {const(e) for other in node.out if isinstance(other.when, tuple) for e in other.when}
            return None if term in others else _Came(env, known)
        if not isinstance(term, Site):
            return _Came(env, known)
        codes = known.get(term) or ANY
        if labels:
            narrowed = Codes()
            for each in labels:
                symbol = const(each)
                narrowed = narrowed | (codes.equal(symbol) if symbol else codes)
            text = f"{ir.show(expr)} is {' or '.join(ir.show(each) for each in labels)}"
        else:
            narrowed = codes
            for other in node.out:
                for each in other.when if isinstance(other.when, tuple) else ():
                    symbol = const(each)
                    narrowed = narrowed.other_than(symbol) if symbol else narrowed
            text = f"{ir.show(expr)} is none of the cases"
        return self._learned(Passed(node.id, text, term, narrowed), term, env, known)

    def _assume(
        self, node: ir.Node, expr: ir.Expr, truth: bool, env: dict[str, Term], known: dict[Site, Codes]
    ) -> _Came | None:
        """The values after a test came out as `truth`; None where it cannot."""
        subject, op, symbol = question(expr, env, node.id)
        subject = symbol_of(subject)
        if isinstance(subject, Verdict):
            return self._assume(node, subject.test, truth is subject.holds, env, known)
        if isinstance(subject, str):
            yes, no = compare(Codes(frozenset({subject})), op, symbol)
            return _Came(env, known) if not (yes if truth else no).empty else None
        text = told(expr, truth)
        if isinstance(subject, Site):
            yes, no = compare(known.get(subject) or ANY, op, symbol)
            codes = yes if truth else no
            quiet = subject.node < 0 or asked_plainly(expr) in self.plain
            asked = isinstance(expr, ir.Call) and subject.node == node.id and expr.name not in self.repairs
            return self._learned(Passed(node.id, text, subject, codes, quiet), subject, env, known, asked)
        if isinstance(expr, ir.Name):  # an unknown variable: what is learnt of it holds until it is written
            unknown = Site(-1, "", expr.name)
            codes = ANY.nonzero() if truth else ANY.only_zero()
            passed = Passed(node.id, text, unknown, codes, True)
            return self._learned(passed, unknown, {**env, expr.name: unknown}, known)
        return _Came(env, known, Passed(node.id, text, None, ANY) if self.trail else None)

    def _learned(
        self, passed: Passed, site: Site, env: dict[str, Term], known: dict[Site, Codes], asked: bool = False
    ) -> _Came | None:
        codes = passed.codes
        if codes.empty:
            return None
        predicate = asked and not codes.neg and not any(map(negative, codes.named))
        return _Came(
            env,
            {**known, site: codes},
            passed if self.trail else None,
            bool(self.trail) and not (passed.quiet or predicate),
            self._lesson(site, codes),
        )

    def _lesson(self, site: Site, codes: Codes) -> int:
        found = self._lessons.get((site, codes))
        if found is None:
            found = self._lessons[site, codes] = self._bits(self._learner(site, codes))
        return found


class _Worlds(Mapping[K, tuple[World, ...]]):
    """The worlds at each place, made and sorted when they are asked for."""

    def __init__(self, explorer: Explorer, states: dict[K, set[State]]) -> None:
        self._explorer, self._states = explorer, states
        self._made: dict[K, tuple[World, ...]] = {}

    def __getitem__(self, place: K) -> tuple[World, ...]:
        if place not in self._made:
            explorer = self._explorer
            ordered = sorted(self._states[place], key=explorer.order)
            self._made[place] = tuple(explorer.world(state) for state in ordered)
        return self._made[place]

    def __iter__(self) -> Iterator[K]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)
