"""Worlds followed through a graph, from node to node.

The propagation is a worklist over (node, world) pairs. It ends: constants, calls, codes and marks are
drawn from finite sets of the function's own text. What a node does to the values is worked out once for each
combination of values that gets there, not once for each world (see `states`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct, field

from lorelint.code import ir
from lorelint.code.codes import ANY, TRUTH, Codes, compare, const, negative
from lorelint.code.liveness import liveness
from lorelint.code.states import State, States, Worlds
from lorelint.code.terms import address_of, asked_plainly, assign, bind, question, term_of, told
from lorelint.code.work import spend
from lorelint.code.worlds import TRAIL, Explored, Passed, Site, Term, Verdict, World, symbol_of

MAX_WORLDS = 96  # per node, before they are folded
MAX_STEPS = 60_000  # (node, world) pairs per exploration

_COUNTED = 256  # steps that are told together
_BETWEEN = 4  # statements between a test and the constant it is the reason of

Marker = Callable[[ir.Node, ir.Edge | None], Iterable[Hashable]]
Learner = Callable[[Site, Codes], Iterable[Hashable]]
Learnt = tuple[tuple[Site, Codes], ...]


def _no_marks(node: ir.Node, edge: ir.Edge | None) -> Iterable[Hashable]:
    return ()


def _no_lesson(site: Site, codes: Codes) -> Iterable[Hashable]:
    return ()


class _Came(Struct):
    """Values behind a node that was left by one edge, and what that says."""

    env: dict[str, Term]
    learnt: Learnt = ()
    passed: Passed | None = None  # the test
    tells: bool = False  # the trail remembers it
    marks: int = 0


class _Turn(NamedTuple):
    """The same in numbers."""

    to: int
    env: int
    test: int  # 0 for none
    tells: bool
    marks: int
    learnt: dict[int, int]


class _Ways(Struct):
    """How a node is left with certain values in the variables: by what was known of the call it asks about."""

    env: dict[str, Term]  # when it was executed
    subject: int  # the earlier call that it asks about, 0 for none
    turns: dict[int, tuple[_Turn, ...]]


class _Plan(Struct):
    """What a node does, whatever the world, and what it was seen to do.

    marks   of executing it, and of each edge that was taken
    calls   in its expression, and what they store in variables whose address they are handed
    writes  assignments, updates and declarations in it
    under   the tests that are the reason of a constant that is set here
    ways    by number of the variables' values and of that test
    trails  without the calls that are made again, by number
    """

    node: ir.Node
    marks: int
    calls: Learnt
    writes: tuple[ir.Expr, ...]
    under: frozenset[int]
    edges: dict[int, int] = field(default_factory=dict)
    ways: dict[tuple[int, int], _Ways] = field(default_factory=dict)
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
    reasons  remember the very last test too, and under which one a constant was set: why a code is returned
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
        reasons: bool = True,
    ) -> None:
        self.cfg, self.inside, self.plain, self.trail = cfg, inside, plain, trail
        self.errnos, self.repairs = errnos, repairs
        self._reasons = reasons and trail > 0
        self._marker, self._learner = marker, learner
        self._states = States(trail)
        self._plans: dict[int, _Plan] = {}
        self._lessons: dict[tuple[Site, Codes], int] = {}
        self._live: Mapping[int, frozenset[str]] = {}
        self._goals: Collection[tuple[int, int]] = ()

    def run(self, start: int, goals: Iterable[tuple[int, int]] = (), world: World | None = None) -> Explored:
        """All worlds reachable from `start`; edges in `goals` are noted and not followed."""
        arrived: dict[tuple[int, int], set[State]] = {edge: set() for edge in goals}
        self._goals = arrived.keys()
        self._live = liveness(self.cfg, self.inside or range(len(self.cfg.nodes)), self._goals)
        first = self._states.state(world or World())
        at: dict[int, set[State]] = {start: {first}}
        folded: dict[int, State] = {}
        queue: deque[tuple[int, State]] = deque(((start, first),))
        steps, cut = 0, False
        while queue:
            here, state = queue.popleft()
            steps += 1
            if steps > MAX_STEPS:
                cut = True
                break
            if not steps % _COUNTED:
                spend(_COUNTED)
            if state not in at[here]:
                continue  # folded meanwhile
            for to, after in self._step(here, state):
                if (here, to) in arrived:
                    arrived[here, to].add(after)
                    continue
                there = at.get(to)
                if there is None:
                    there = at[to] = set()
                if after not in there:
                    self._arrive(there, to, after, queue, folded)
        spend(steps % _COUNTED)
        return Explored(Worlds(self._states, at), Worlds(self._states, arrived), cut)

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
            state = self._states.fold([*there, state] if known is None else [known, state])
            if state in there:
                folded[to] = state
                return
            there.clear()
        folded.pop(to, None)
        there.add(state)
        queue.append((to, state))

    def _step(self, here: int, state: State) -> list[tuple[int, State]]:
        """What becomes of a world on each edge out of a node; edges that lead outside are left out."""
        env, known, trail, last, marks, coarse = state
        plan = self._plans.get(here) or self._plan(here)
        key = (env, self._reason(plan, last) if plan.under else 0)
        ways = plan.ways.get(key) or self._ways(plan, key)
        states = self._states
        codes = states.known(known).get(ways.subject, 0) if ways.subject else 0
        turns = ways.turns.get(codes)
        if turns is None:
            turns = ways.turns[codes] = tuple(self._turns(plan, ways, codes))
        marks |= plan.marks
        if trail and plan.calls:
            trail = self._without(plan, trail)
        made = []
        for to, there, test, tells, more, learnt in turns:
            passed = states.longer(trail, test) if tells else trail
            left = states.relevant(known, learnt, there, passed)
            made.append((to, (there, left, passed, test if test and self._reasons else last, marks | more, coarse)))
        return made

    def over(self, node: ir.Node, world: World) -> World:
        """The world after a node was executed."""
        env, _, trail, last, marks, _ = self._states.state(world)
        plan = self._plans.get(node.id) or self._plan(node.id)
        values = self._executed(plan, (env, self._reason(plan, last)))
        return World(
            frozenset(values.items()),
            frozenset({**dict(world.known), **dict(plan.calls)}.items()),
            self._states.trails.values[self._without(plan, trail)],
            world.last,
            self._states.marks(marks | plan.marks),
            world.coarse,
        )

    # -- effects of a node

    def _plan(self, here: int) -> _Plan:
        node = self.cfg.nodes[here]
        calls: list[tuple[Site, Codes]] = []
        writes: list[ir.Expr] = []
        for each in ir.walk(node.expr) if node.expr is not None else ():
            if isinstance(each, ir.Call):
                # A call whose bare truth is tested is a predicate, as far as is known: true is no failure.
                asked = node.at is ir.At.TEST and each is node.expr and each.name not in self.errnos
                calls.append((Site(here, each.name), TRUTH if asked else ANY))
                calls += [(Site(here, each.name, name), ANY) for arg in each.args if (name := address_of(arg))]
            elif isinstance(each, (ir.Assign, ir.Update, ir.Declare)):
                writes.append(each)
        under = frozenset(self._above(here)) if writes and self._reasons and self.trail > 1 else frozenset()
        marks = self._states.bits(self._marker(node, None))
        plan = self._plans[here] = _Plan(node, marks, tuple(calls), tuple(writes), under)
        return plan

    def _above(self, here: int) -> Iterator[int]:
        """The nodes right before one, also those with a few plain statements between."""
        for _ in range(_BETWEEN):
            before = self.cfg.preds[here]
            yield from before
            if len(before) != 1 or self.cfg.nodes[before[0]].at is not ir.At.DO:
                return
            here = before[0]

    def _reason(self, plan: _Plan, last: int) -> int:
        """The test that a node stands under; 0 for none."""
        passed = self._states.tests.values[last]
        return last if passed is not None and passed.node in plan.under else 0

    def _without(self, plan: _Plan, trail: int) -> int:
        """A call made again says nothing about its earlier result."""
        found = plan.trails.get(trail)
        if found is None:
            trails, here = self._states.trails, plan.node.id
            kept = tuple([each for each in trails.values[trail] if each.site is None or each.site.node != here])
            found = plan.trails[trail] = trails.number(kept)
        return found

    def _executed(self, plan: _Plan, key: tuple[int, int]) -> dict[str, Term]:
        """The values of the variables after a node was executed."""
        env, reason = key
        values = dict(self._states.envs.values[env])
        for site, _ in plan.calls:
            if site.out:
                bind(values, site.out, site)
        assign(values, plan.writes, plan.node.id, self._states.tests.values[reason])
        return values

    def _ways(self, plan: _Plan, key: tuple[int, int]) -> _Ways:
        values = self._executed(plan, key)
        subject = _subject(plan.node, values)
        earlier = subject is not None and all(subject != site for site, _ in plan.calls)
        number = self._states.sites.number(subject) if subject is not None and earlier else 0
        ways = plan.ways[key] = _Ways(values, number, {})
        return ways

    def _turns(self, plan: _Plan, ways: _Ways, codes: int) -> Iterator[_Turn]:
        node, states = plan.node, self._states
        known = dict(plan.calls)
        if codes:
            known[states.sites.values[ways.subject]] = states.codes.values[codes]
        for number, edge in enumerate(node.out):
            goal = (node.id, edge.to) in self._goals
            if not goal and edge.to not in self._live:
                continue  # it leads outside
            came = self._take(node, edge, ways.env, known)
            if came is None:
                continue
            live = () if goal else self._live[edge.to]
            if number not in plan.edges:
                plan.edges[number] = states.bits(self._marker(node, edge))
            yield _Turn(
                edge.to,
                states.envs.number(frozenset([pair for pair in came.env.items() if pair[0] in live])),
                states.tests.number(came.passed),
                came.tells,
                came.marks | plan.edges[number],
                {states.sites.number(site): states.codes.number(codes) for site, codes in plan.calls + came.learnt},
            )

    # -- tests

    def _take(self, node: ir.Node, edge: ir.Edge, env: dict[str, Term], known: dict[Site, Codes]) -> _Came | None:
        if node.expr is not None:
            if node.at is ir.At.TEST and isinstance(edge.when, bool):
                return self._assume(node, node.expr, edge.when, env, known)
            if node.at is ir.At.SWITCH and isinstance(edge.when, tuple):
                return self._case(node, node.expr, edge.when, env, known)
        return _Came(env)

    def _case(
        self, node: ir.Node, expr: ir.Expr, labels: tuple[ir.Expr, ...], env: dict[str, Term], known: dict[Site, Codes]
    ) -> _Came | None:
        term = symbol_of(term_of(expr, env, node.id))
        if isinstance(term, str):
            symbols = [const(each) for each in labels]
            if labels:
                return _Came(env) if term in symbols or "" in symbols else None
            others = {const(e) for other in node.out if isinstance(other.when, tuple) for e in other.when}
            return None if term in others else _Came(env)
        if not isinstance(term, Site):
            return _Came(env)
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
        return self._learned(Passed(node.id, text, term, narrowed), term, env)

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
            return None if (yes if truth else no).empty else _Came(env)
        text = told(expr, truth)
        if isinstance(subject, Site):
            yes, no = compare(known.get(subject) or ANY, op, symbol)
            codes = yes if truth else no
            quiet = subject.node < 0 or asked_plainly(expr) in self.plain
            asked = isinstance(expr, ir.Call) and subject.node == node.id and expr.name not in self.repairs
            return self._learned(Passed(node.id, text, subject, codes, quiet), subject, env, asked)
        if isinstance(expr, ir.Name):  # an unknown variable: what is learnt of it holds until it is written
            unknown = Site(-1, "", expr.name)
            codes = ANY.nonzero() if truth else ANY.only_zero()
            passed = Passed(node.id, text, unknown, codes, True)
            return self._learned(passed, unknown, {**env, expr.name: unknown})
        return _Came(env, passed=Passed(node.id, text, None, ANY) if self._reasons else None)

    def _learned(self, passed: Passed, site: Site, env: dict[str, Term], asked: bool = False) -> _Came | None:
        codes = passed.codes
        if codes.empty:
            return None
        predicate = asked and not codes.neg and not any(map(negative, codes.named))
        tells = self.trail > 0 and not (passed.quiet or predicate)
        keeps = passed if tells or self._reasons else None
        return _Came(env, ((site, codes),), keeps, tells, self._lesson(site, codes))

    def _lesson(self, site: Site, codes: Codes) -> int:
        found = self._lessons.get((site, codes))
        if found is None:
            found = self._lessons[site, codes] = self._states.bits(self._learner(site, codes))
        return found


def _subject(node: ir.Node, env: Mapping[str, Term]) -> Site | None:
    """The call that a test or switch asks about."""
    term: Term | None = None
    if node.expr is not None and node.at is ir.At.SWITCH:
        term = term_of(node.expr, env, node.id)
    elif node.expr is not None and node.at is ir.At.TEST:
        term = symbol_of(question(node.expr, env, node.id)[0])
        while isinstance(term, Verdict):
            term = symbol_of(question(term.test, env, node.id)[0])
    return term if isinstance(term, Site) else None
