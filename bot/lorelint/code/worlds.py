"""What holds on each way through a function: the path-sensitive half of every retry question.

A `World` is one equivalence class of paths up to a point: which call a variable's value came from,
what the tests on the way said about that call's result, and which marks (a yield, a bound, a signal
exit ..., chosen by the caller) the paths have passed. Worlds with equal content are one, dead variables
are dropped, so their number stays small; where it does not, they are folded into one *coarse* world,
which says of itself that it no longer tells paths apart.

The propagation is a worklist over (node, world) pairs. It ends: constants, calls, codes and marks are
drawn from finite sets of the function's own text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from lorelint.code import ir
from lorelint.code.codes import ANY, TRUTH, Codes, compare, const, negative
from lorelint.code.liveness import liveness

K = TypeVar("K")

MAX_WORLDS = 96  # per node, before they are folded
MAX_STEPS = 60_000  # (node, world) pairs per exploration
TRAIL = 4  # selecting tests remembered

_BETWEEN = 4  # statements between a test and the constant it is the reason of
_INT_NEG_PREDICATES = {"IS_ERR", "IS_ERR_VALUE"}


@dataclass(frozen=True, slots=True)
class Site:
    """A call in the graph, as the origin of a value: its result, or what it stored through ``&out``."""

    node: int
    name: str  # "" for an indirect call
    out: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A variable that holds the outcome of a test: ``again = ret == -EAGAIN``."""

    test: ir.Expr
    holds: bool  # value is the test, or its negation


@dataclass(frozen=True, slots=True)
class Passed:
    """One test on the way: what it was about and what came out."""

    node: int
    text: str  # C text of the condition as it held (negated where the False edge was taken)
    site: Site | None  # the call whose result was tested, None for any other condition
    codes: Codes  # what the result can still be after the test
    quiet: bool = False  # the plain truth of a pointer or flag: no sign of failure


@dataclass(frozen=True, slots=True)
class Fixed:
    """A constant set right behind a test: ``if (!pte) { err = -EAGAIN; goto out; }`` keeps its reason."""

    symbol: str
    why: Passed


Term = Site | str | Fixed | Verdict  # str: a constant's symbol


@dataclass(frozen=True, slots=True)
class World:
    env: frozenset[tuple[str, Term]] = frozenset()
    known: frozenset[tuple[Site, Codes]] = frozenset()
    trail: tuple[Passed, ...] = ()  # the last tests on call results (predicates aside), oldest first
    last: Passed | None = None  # the very last test of any kind
    marks: frozenset[Hashable] = frozenset()
    coarse: bool = False

    def term(self, name: str) -> Term | None:
        for key, term in self.env:
            if key == name:
                return term
        return None

    def codes(self, site: Site) -> Codes | None:
        for key, codes in self.known:
            if key == site:
                return codes
        return None


@dataclass(frozen=True, slots=True)
class Explored:
    """Worlds before each node, and those that took one of the edges asked about."""

    at: Mapping[int, tuple[World, ...]]
    arrived: Mapping[tuple[int, int], tuple[World, ...]]
    cut: bool  # the step budget was reached


Marker = Callable[[ir.Node, ir.Edge | None], Iterable[Hashable]]
Returns = Callable[[ir.Call], Codes]
Learner = Callable[[Site, Codes], Iterable[Hashable]]


def _no_marks(node: ir.Node, edge: ir.Edge | None) -> Iterable[Hashable]:
    return ()


def _anything(call: ir.Call) -> Codes:
    return ANY


def _no_lesson(site: Site, codes: Codes) -> Iterable[Hashable]:
    return ()


@dataclass(slots=True)
class Explorer:
    """One exploration of a graph.

    marker   marks to add when a node is executed (edge None) or an edge taken
    returns  what a call can return, where something better than "anything" is known
    learner  marks to add when a test says something about a call's result
    inside   stay within these nodes
    plain    variables (pointers, bools) of which plain truth is no sign of failure
    errnos   callees that return 0 or an error: their truth is a failure
    repairs  those of them whose success is worth to be remembered, also where it is only tested in place
    trail    how many tests a world remembers; with 0 it tells paths apart by values and marks alone
    """

    cfg: ir.Cfg
    marker: Marker = _no_marks
    returns: Returns = _anything
    learner: Learner = _no_lesson
    inside: frozenset[int] | None = None
    plain: frozenset[str] = frozenset()
    errnos: frozenset[str] = frozenset()
    repairs: frozenset[str] = frozenset()
    trail: int = TRAIL
    live: tuple[frozenset[str], ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        self.live = liveness(self.cfg)

    def run(self, start: int, goals: Iterable[tuple[int, int]] = (), world: World | None = None) -> Explored:
        """All worlds reachable from `start`; edges in `goals` are noted and not followed."""
        wanted = frozenset(goals)
        at: dict[int, set[World]] = {start: {world or World()}}
        arrived: dict[tuple[int, int], set[World]] = {edge: set() for edge in wanted}
        queue: deque[tuple[int, World]] = deque((start, each) for each in at[start])
        steps = 0
        while queue:
            node_id, here = queue.popleft()
            steps += 1
            if steps > MAX_STEPS:
                return Explored(_frozen(at), _frozen(arrived), True)
            if here not in at[node_id]:
                continue  # folded meanwhile
            for edge, after in self.step(node_id, here):
                if (node_id, edge.to) in wanted:
                    arrived[(node_id, edge.to)].add(after)
                elif self.inside is None or edge.to in self.inside:
                    self._arrive(at.setdefault(edge.to, set()), edge.to, after, queue)
        return Explored(_frozen(at), _frozen(arrived), False)

    def _arrive(self, known: set[World], to: int, world: World, queue: deque[tuple[int, World]]) -> None:
        if world in known:
            return
        if len(known) >= MAX_WORLDS:
            folded = fold([*known, world])
            if folded in known:
                return
            known.clear()
            world = folded
        known.add(world)
        queue.append((to, world))

    def step(self, node_id: int, world: World) -> list[tuple[ir.Edge, World]]:
        """What becomes of a world on each edge out of a node."""
        node = self.cfg.nodes[node_id]
        after = self.over(node, world)
        out: list[tuple[ir.Edge, World]] = []
        for edge in node.out:
            there = self._take(node, edge, after)
            if there is None:
                continue
            marks = tuple(self.marker(node, edge))
            if marks:
                there = replace(there, marks=there.marks | frozenset(marks))
            out.append((edge, self._pruned(edge.to, there)))
        return out

    def _pruned(self, to: int, world: World) -> World:
        live = self.live[to]
        env = frozenset(pair for pair in world.env if pair[0] in live)
        sites = {term for _, term in env if isinstance(term, Site)}
        sites.update(each.site for each in world.trail if each.site is not None)
        known = frozenset(pair for pair in world.known if pair[0] in sites)
        if env == world.env and known == world.known:
            return world
        return replace(world, env=env, known=known)

    # -- effects of a node -------------------------------------------------------------------------

    def over(self, node: ir.Node, world: World) -> World:
        """The world after a node was executed."""
        marks = tuple(self.marker(node, None))
        if marks:
            world = replace(world, marks=world.marks | frozenset(marks))
        if node.expr is None:
            return world
        env = dict(world.env)
        known = dict(world.known)
        for call in ir.calls(node.expr):
            site = Site(node.id, call.name)
            # A call whose bare truth is tested is a predicate, as far as is known: true is no failure.
            asked = node.at is ir.At.TEST and call is node.expr and call.name not in self.errnos
            known[site] = TRUTH if asked else self.returns(call)
            for argument in call.args:
                taken = address_of(argument)
                if taken:
                    out = Site(node.id, call.name, taken)
                    self._bind(env, taken, out)
                    known[out] = ANY
        self._assign(node, node.expr, env, self._reason(node, world))
        fresh = replace(world, env=frozenset(env.items()), known=frozenset(known.items()))
        return self._forget(node, fresh)

    def _forget(self, node: ir.Node, world: World) -> World:
        """A call made again says nothing about its earlier result."""
        if not any(each.site is not None and each.site.node == node.id for each in world.trail):
            return world
        return replace(world, trail=tuple(e for e in world.trail if e.site is None or e.site.node != node.id))

    def _reason(self, node: ir.Node, world: World) -> Passed | None:
        """The test that a node stands under: right before it, or with a few plain statements between."""
        last = world.last
        if last is None or self.trail < 2:
            return None
        here = node.id
        for _ in range(_BETWEEN):
            before = self.cfg.preds[here]
            if last.node in before:
                return last
            if len(before) != 1 or self.cfg.nodes[before[0]].at is not ir.At.DO:
                return None
            here = before[0]
        return None

    def _assign(self, node: ir.Node, expr: ir.Expr, env: dict[str, Term], reason: Passed | None) -> None:
        for each in ir.walk(expr):
            match each:
                case ir.Assign(op="=", target=ir.Name(name=name), value=value):
                    term = self.term(value, env, node.id)
                    fixed = reason is not None and isinstance(term, str) and negative(term)
                    self._bind(env, name, Fixed(str(term), reason) if fixed and reason else term)
                case ir.Assign(target=ir.Name(name=name)) | ir.Update(target=ir.Name(name=name)):
                    self._bind(env, name, None)
                case ir.Declare(name=name, value=value) if value is not None:
                    self._bind(env, name, self.term(value, env, node.id))
                case ir.Declare(name=name):
                    self._bind(env, name, None)

    @staticmethod
    def _bind(env: dict[str, Term], name: str, term: Term | None) -> None:
        # A flag speaks of what its variables were when it was set.
        for flag in [flag for flag, held in env.items() if isinstance(held, Verdict) and _reads(held, name)]:
            del env[flag]
        if term is None or (isinstance(term, Verdict) and _reads(term, name)):
            env.pop(name, None)
        else:
            env[name] = term

    def term(self, expr: ir.Expr, env: Mapping[str, Term], node: int) -> Term | None:
        """Where the value of an expression comes from; None where that is not one place."""
        symbol = const(expr)
        if symbol:
            return symbol
        match expr:
            case ir.Name(name=name):
                return env.get(name)
            case ir.Cast(value=inner):
                return self.term(inner, env, node)
            case ir.Member(base=ir.Name(name=name), arrow=False):
                held = env.get(name)  # a local struct that a callee filled in: what the call stored
                return held if isinstance(held, Site) and held.out else None
            case ir.Call(args=(inner,)) if expr.name in ("PTR_ERR", "ERR_PTR", "ERR_CAST", "PTR_ERR_OR_ZERO"):
                return self.term(inner, env, node)
            case ir.Call() if not expr.name.isupper():  # READ_ONCE() and the like are no calls that fail
                return Site(node, expr.name)
            case ir.Assign(op="=", value=value):
                return self.term(value, env, node)
            case ir.Binary(op="==" | "!=" | "<" | ">" | "<=" | ">="):
                return Verdict(expr, True)
            case ir.Unary(op="!", operand=inner):
                return Verdict(inner, False)
        return None

    # -- tests ------------------------------------------------------------------------------------

    def _take(self, node: ir.Node, edge: ir.Edge, world: World) -> World | None:
        if node.expr is None or edge.when is None:
            return world
        if node.at is ir.At.TEST and isinstance(edge.when, bool):
            return self._assume(node, node.expr, edge.when, world)
        if node.at is ir.At.SWITCH and isinstance(edge.when, tuple):
            return self._case(node, node.expr, edge.when, world)
        return world

    def _case(self, node: ir.Node, expr: ir.Expr, labels: tuple[ir.Expr, ...], world: World) -> World | None:
        term = symbol_of(self.term(expr, dict(world.env), node.id))
        if isinstance(term, str):
            symbols = [const(each) for each in labels]
            if labels:
                return world if term in symbols or "" in symbols else None
            others = {const(e) for other in node.out if isinstance(other.when, tuple) for e in other.when}
            return None if term in others else world
        if not isinstance(term, Site):
            return world
        codes = world.codes(term) or ANY
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
        return self._learned(node, world, term, narrowed, text)

    def _assume(self, node: ir.Node, expr: ir.Expr, truth: bool, world: World) -> World | None:
        """The world after a test came out as `truth`; None where it cannot."""
        env = dict(world.env)
        subject, op, symbol = self._question(expr, env, node.id)
        subject = symbol_of(subject)
        if isinstance(subject, Verdict):
            return self._assume(node, subject.test, truth is subject.holds, world)
        text = _told(expr, truth)
        if isinstance(subject, str):
            yes, no = compare(Codes(frozenset({subject})), op, symbol)
            return world if not (yes if truth else no).empty else None
        if isinstance(subject, Site):
            codes = world.codes(subject) or ANY
            yes, no = compare(codes, op, symbol)
            quiet = subject.node < 0 or _name(expr) in self.plain
            asked = isinstance(expr, ir.Call) and subject.node == node.id and expr.name not in self.repairs
            return self._learned(node, world, subject, yes if truth else no, text, quiet, asked)
        if isinstance(expr, ir.Name):  # an unknown variable: what is learnt of it holds until it is written
            subject = Site(-1, "", expr.name)
            there = replace(world, env=world.env | {(expr.name, subject)})
            return self._learned(node, there, subject, ANY.nonzero() if truth else ANY.only_zero(), text, True)
        return replace(world, last=Passed(node.id, text, None, ANY)) if self.trail else world

    def _learned(
        self, node: ir.Node, world: World, site: Site, codes: Codes, text: str, quiet: bool = False, asked: bool = False
    ) -> World | None:
        if codes.empty:
            return None
        known = dict(world.known)
        known[site] = codes
        passed = Passed(node.id, text, site, codes, quiet)
        trail = world.trail
        predicate = asked and not codes.neg and not any(map(negative, codes.named))
        if self.trail and not (quiet or predicate):
            trail = (*(each for each in trail if each.site != site), passed)[-self.trail :]
        marks = world.marks | frozenset(self.learner(site, codes))
        return replace(
            world, known=frozenset(known.items()), trail=trail, last=passed if self.trail else None, marks=marks
        )

    def _question(self, expr: ir.Expr, env: Mapping[str, Term], node: int) -> tuple[Term | None, str, str]:
        """A condition as (term, comparison, constant symbol)."""
        match expr:
            case ir.Binary(op="==" | "!=" | "<" | ">" | "<=" | ">=" as op, left=left, right=right):
                symbol = const(right)
                if symbol:
                    return self.term(left, env, node), op, symbol
                symbol = const(left)
                if symbol:
                    flipped = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(op, op)
                    return self.term(right, env, node), flipped, symbol
                return None, op, ""
            case ir.Binary(op="&", left=left, right=right) if const(right):
                return self.term(left, env, node), "==", const(right)
            case ir.Call(args=(inner,)) if expr.name in _INT_NEG_PREDICATES:
                return self.term(inner, env, node), "<", "0"
            case ir.Call(args=(inner,)) if expr.name == "IS_ERR_OR_NULL":
                return self.term(inner, env, node), "<=", "0"
        return self.term(expr, env, node), "!=", "0"


def _reads(verdict: Verdict, name: str) -> bool:
    return any(isinstance(each, ir.Name) and each.name == name for each in ir.walk(verdict.test))


def symbol_of(term: Term | None) -> Site | str | Verdict | None:
    """A term without the reason of a constant."""
    return term.symbol if isinstance(term, Fixed) else term


def _told(expr: ir.Expr, truth: bool) -> str:
    """The condition as it held, for a reader."""
    if truth:
        return ir.show(expr)
    match expr:
        case ir.Binary(op="==" | "!=" | "<" | ">" | "<=" | ">=" as op, left=left, right=right):
            opposite = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}[op]
            return f"{ir.show(left)} {opposite} {ir.show(right)}"
        case ir.Binary():
            return f"!({ir.show(expr)})"
    return f"!{ir.show(expr)}"


def fold(worlds: list[World]) -> World:
    """One coarse world for many: only what holds in all of them."""
    first = worlds[0]
    env, marks = set(first.env), set(first.marks)
    known = dict(first.known)
    for each in worlds[1:]:
        env &= each.env
        marks &= each.marks
        theirs = dict(each.known)
        known = {site: codes | theirs[site] for site, codes in known.items() if site in theirs}
    return World(frozenset(env), frozenset(known.items()), (), None, frozenset(marks), True)


def address_of(expr: ir.Expr) -> str:
    """The local variable whose address is handed over (``&x``, also through a cast), else ""."""
    while isinstance(expr, ir.Cast):
        expr = expr.value
    if isinstance(expr, ir.Unary) and expr.op == "&" and isinstance(expr.operand, ir.Name):
        return expr.operand.name
    return ""


def _name(expr: ir.Expr) -> str:
    """The variable whose plain truth a condition asks for, "" where it asks for more."""
    match expr:
        case ir.Name(name=name) | ir.Assign(target=ir.Name(name=name)):
            return name
    return ""


def _frozen(worlds: Mapping[K, set[World]]) -> dict[K, tuple[World, ...]]:
    return {key: tuple(sorted(each, key=_order)) for key, each in worlds.items()}


def _order(world: World) -> tuple[str, ...]:
    """A sort key that does not depend on hashing."""
    env = sorted(f"{name}={_term(term)}" for name, term in world.env)
    known = sorted(f"{_term(site)}:{_codes(codes)}" for site, codes in world.known)
    trail = [_passed(each) for each in world.trail]
    last = _passed(world.last) if world.last else ""
    return (str(env), str(known), str(trail), last, str(sorted(map(str, world.marks))), str(world.coarse))


def _term(term: Term) -> str:
    match term:
        case Site(node=node, name=name, out=out):
            return f"{node:06}{name}>{out}"
        case Verdict(test=test, holds=holds):
            return f"{holds}:{ir.show(test)}"
        case Fixed(symbol=symbol, why=why):
            return f"{symbol}@{_passed(why)}"
    return term


def _codes(codes: Codes) -> str:
    return f"{sorted(codes.named)}{codes.neg}{codes.pos}{sorted(codes.but)}"


def _passed(passed: Passed) -> str:
    site = _term(passed.site) if passed.site else ""
    return f"{passed.node:06}{passed.text}{site}{_codes(passed.codes)}{passed.quiet}"
