"""Typestate of acquired things: what is still held where a function ends, and on which path.

For each call that acquires (a pin of pages, an attachment, a page-table walk) every path of the function is followed
with the values that decide it: what the call answered, constants in error codes and flags, counts put into fields,
tests that stand twice. On each path the thing is

    held      had, and nobody else knows of it
    kept      put where it outlives the function, handed to something that is not in sight, or left to a release
              that stands under a test which was not followed (`why` says which); not where the call that was to make
              its keeper is known to have failed
    released  given back: by a release of the resource, a callee that does (see `owners`), the end of a ``__free()``
    lost      held when the memory that names it was freed, or kept in that memory alone

A failed acquisition drops the thing. One that was only compared with how many were asked for may have got some. A loop
whose body releases (or puts away) does so for all pieces, whatever the count. Pieces of an array taken in an earlier
round stay held when a later round fails.

`Holding.stories(fn)` gives one `Story` (see `stories`) for each acquiring call, `Story.ends` what holds at each
return. What a failing function leaves in an object of its caller's (`Story.outlives`) may be released there: that is
for `cleaning` to tell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from msgspec.structs import replace

from lorelint.code import ir
from lorelint.code.codes import ANY, Codes, compare, const, negative
from lorelint.code.liveness import liveness
from lorelint.code.program import Program
from lorelint.code.terms import address_of, assign, bind, errors, is_error, question, read_by, term_of, told
from lorelint.code.work import spend
from lorelint.code.worlds import Site, Term, Verdict
from lorelint.model.regex import regex
from lorelint.rule.analyses.handed import goes_about
from lorelint.rule.analyses.owners import Owners, Resource, Take
from lorelint.rule.analyses.places import Place, place, within
from lorelint.rule.analyses.scope import Scope
from lorelint.rule.analyses.stories import HELD, KEPT, LOST, NONE, RELEASED, End, Given, Story, had
from lorelint.rule.analyses.telling import Telling, named, pure
from lorelint.rule.analyses.thing import STORED, Acquired, Effect, Thing, acquired

MAX_STATES = 20_000  # of one story
_STEP = 8  # what a state of one costs: so many of the steps that a world takes
_ERROR = regex(r"(?:^|_)ERR(?:OR)?(?:_|$)|(?:^|_)FAIL(?:ED|URE)?(?:_|$)")  # a driver's own codes of failure


class Holding:
    """The stories of one resource in one tree."""

    def __init__(self, program: Program, resource: Resource) -> None:
        self.program = program
        self.resource = resource
        self.owners = Owners(program, resource)

    def stories(self, fn: ir.Function) -> tuple[Story, ...]:
        """One story for each call of the function that acquires."""
        key = ("holding", self.resource.name, fn.path, fn.name, fn.line)
        return self.program.memo(key, lambda: self._stories(fn))

    def things(self, fn: ir.Function) -> tuple[Thing, ...]:
        """What its calls acquire, with the names that goes by; what becomes of it is not asked."""
        key = ("held by name", self.resource.name, fn.path, fn.name, fn.line)
        return self.program.memo(key, lambda: self._things(fn))

    def _things(self, fn: ir.Function) -> tuple[Thing, ...]:
        scope = Scope(self.program, fn)
        return tuple(Thing(self.owners, scope, each, None) for each in acquired(scope, self.resource))

    def _stories(self, fn: ir.Function) -> tuple[Story, ...]:
        scope = Scope(self.program, fn)
        return tuple(self.story(scope, each) for each in acquired(scope, self.resource))

    def story(self, scope: Scope, acquired: Acquired, only: frozenset[int] | None = None) -> Story:
        """What becomes of a thing that a call of the caller's choice acquires; releases count in `only` these nodes."""
        return _Walk(Thing(self.owners, scope, acquired, only)).story()


class _State(NamedTuple):
    env: frozenset[tuple[str, Term]]
    known: frozenset[tuple[Site, Codes]]
    facts: frozenset[tuple[str, bool]]  # pure tests that stand twice, and how they came out
    hold: str
    sure: bool  # held whatever the last acquiring call gave
    why: str
    holders: frozenset[str]
    got: str = ""  # "some" once the call was made, "all" where that is known
    recounted: bool = False
    counted: bool = False  # the counter behind which the pieces were put has moved since
    maker: Site | None = None  # "kept" by this call, unless it failed
    at: Place = ()  # "kept" here and nowhere else


class _Walk:
    """All paths of a function, for one thing."""

    def __init__(self, thing: Thing) -> None:
        self.thing, self.scope, self.cfg = thing, thing.scope, thing.scope.cfg
        self.site = Site(thing.acquired.node, thing.acquired.call.name)
        self.exprs = {node.id: named(node.expr) for node in self.cfg.nodes if node.expr is not None}
        self.telling = Telling(thing)
        self.live = liveness(self.cfg, range(len(self.cfg.nodes)), ())
        self.loops = {
            loop.head: loop
            for loop in self.scope.program.loops(self.scope.fn)
            if loop.kind not in (ir.LoopKind.GOTO, ir.LoopKind.DO) and thing.acquired.node not in loop.body
        }
        self.came: dict[tuple[int, _State], tuple[int, _State] | None] = {}
        self.again: dict[tuple[int, str], None] = {}
        self.given: dict[Given, None] = {}
        self.asked = thing.acquired.asked
        self.offset = thing.acquired.offset
        self.success = thing.acquired.take.success
        self.passes = thing.resource.passes
        self.goes_about = cache(lambda id_, at: goes_about(thing, self.cfg.nodes[id_], at))
        self.ends: list[tuple[int, _State]] = []

    def story(self) -> Story:
        first = _State(frozenset(), frozenset(), frozenset(), NONE, False, "", frozenset())
        queue = deque([(0, first)])
        self.came[0, first] = None
        while queue and len(self.came) < MAX_STATES:
            here, state = queue.popleft()
            spend(_STEP)
            node = self.cfg.nodes[here]
            if node.at is ir.At.RETURN:
                self.ends.append((here, state))
            for edge in node.out:
                after = self._step(node, edge, state)
                if after is not None and (edge.to, after) not in self.came:
                    self.came[edge.to, after] = (here, state)
                    queue.append((edge.to, after))
        ends = tuple(end for id, state in self.ends for end in self._ends(id, state))
        thing = self.thing
        alive = frozenset(id for id, state in self.came if state.hold in (HELD, KEPT))
        return Story(
            thing.acquired,
            thing.outlives,
            tuple(dict.fromkeys(ends)),
            tuple(self.again),
            bool(queue),
            thing,
            tuple(self.given),
            alive,
        )

    # -- steps ---------------------------------------------------------------------------------

    def _step(self, node: ir.Node, edge: ir.Edge, state: _State) -> _State | None:
        env, known = dict(state.env), dict(state.known)
        if node.expr is not None:
            self._execute(node, env, known)
            state = self._held(node, state)
        if node.at is ir.At.TEST and isinstance(edge.when, bool):
            tested = self._test(node, edge, state, env, known)
            if tested is None:
                return None
            state = tested
        elif node.at is ir.At.SWITCH and isinstance(edge.when, tuple):
            if not self._case(node, edge, env, known):
                return None
            switched = self._switched(node, edge, state)
            if switched is None:
                return None
            state = switched
        if (loop := self.loops.get(node.id)) is not None and edge.to not in loop.body:
            state = self._looped(loop, state)
        state = self._settled(state, known)
        live = self.live[edge.to]
        if flags := [term for name, term in env.items() if isinstance(term, Verdict) and name in live]:
            live = live.union(*map(read_by, flags))
        kept = {name: term for name, term in env.items() if name in live or "->" in name or "." in name}
        asked = {term for term in kept.values() if isinstance(term, Site)}
        if state.hold != NONE:
            asked.add(self.site)
        facts = state.facts if state.facts else frozenset[tuple[str, bool]]()
        return state._replace(
            env=frozenset(kept.items()),
            known=frozenset((site, codes) for site, codes in known.items() if site in asked),
            facts=facts,
        )

    def _execute(self, node: ir.Node, env: dict[str, Term], known: dict[Site, Codes]) -> None:
        expr = self.exprs[node.id]
        writes = tuple(each for each in ir.walk(expr) if isinstance(each, (ir.Assign, ir.Update, ir.Declare)))
        for call in ir.calls(expr):
            known[Site(node.id, call.name)] = self._answers() if self._is_acquiring(node, call) else ANY
            for arg in call.args:
                if out := address_of(arg):
                    bind(env, out, None)
                bare = place(arg)
                if len(bare) == 1 and not call.name.isupper():
                    self._forget(env, bare[0])
        for each in writes:
            target = each.name if isinstance(each, ir.Declare) else ir.show(each.target)
            self._forget(env, target)
        assign(env, writes, node.id, None)
        errors(env, writes)

    def _is_acquiring(self, node: ir.Node, call: ir.Call) -> bool:
        return node.id == self.site.node and call.name == self.site.name

    def _is_acquisition(self, expr: ir.Expr) -> bool:
        """Whether this is the acquiring call, in a test that was made where its answer was stored."""
        call = self.thing.acquired.call
        return isinstance(expr, ir.Call) and (expr.name, expr.line, expr.args) == (call.name, call.line, call.args)

    def _answers(self) -> Codes:
        """What the acquiring call can answer."""
        taken = self.thing.acquired
        if taken.take.success == "zero":
            return Codes(frozenset({"0"}), True, False)
        return Codes(frozenset({"0", "1"}), True, False) if taken.one else ANY

    @staticmethod
    def _forget(env: dict[str, Term], name: str) -> None:
        """An object was written or handed out: its fields may be anything."""
        for each in [key for key in env if key.startswith((f"{name}->", f"{name}."))]:
            del env[each]

    def _held(self, node: ir.Node, state: _State) -> _State:
        """The state behind what the node does to the thing."""
        if state.facts:
            written = self.telling.written(node)
            state = state._replace(facts=frozenset(f for f in state.facts if not (self.telling.reads(f[0]) & written)))
        for effect in self.thing.on(node, self._holders(state)) if state.hold != NONE or state.got else ():
            state = self._affected(state, effect, node.id)
        if state.hold == KEPT and state.at and self.goes_about(node.id, state.at):
            state = state._replace(at=())
        if state.got and self.asked and not state.recounted and self._recounts(node):
            state = state._replace(recounted=True)
        if state.hold == HELD and not state.counted and self.offset and self._moves(node, self.offset):
            state = state._replace(counted=True)
        if node.id == self.thing.acquired.node:
            sure = state.hold == HELD and self.thing.acquired.pieces
            state = state._replace(
                hold=HELD,
                sure=sure,
                why="",
                holders=frozenset(),
                got="some",
                recounted=self._recounts(node),
                counted=False,
            )
        return state

    @staticmethod
    def _holders(state: _State) -> frozenset[str]:
        return state.holders if state.hold == HELD else state.holders | {STORED}

    def _recounts(self, node: ir.Node) -> bool:
        return self._writes(node, self.asked)

    def _moves(self, node: ir.Node, name: str) -> bool:
        handed = (address_of(arg) for call in ir.calls(node.expr) for arg in call.args)
        return self._writes(node, (name,)) or name in handed

    @staticmethod
    def _writes(node: ir.Node, where: Place) -> bool:
        for each in ir.walk(node.expr) if node.expr is not None else ():
            if isinstance(each, (ir.Assign, ir.Update)) and place(each.target) == where:
                return True
        return False

    def _misses_last(self, state: _State, effect: Effect) -> bool:
        """Whether a release leaves out what the last call gave: the counter has not been moved over it yet."""
        codes = dict(state.known).get(self.site, ANY)
        return effect.before and state.hold == HELD and not state.counted and had(self.success, codes)

    def _affected(self, state: _State, effect: Effect, node: int) -> _State:
        if effect.kind == "released" and self._misses_last(state, effect):
            return state
        if effect.kind == "released" and state.hold in (NONE, HELD) and state.got:
            failed = state.hold == NONE
            self.given[Given(node, effect.line, failed, state.got == "all", state.recounted)] = None
            if failed:
                return state
        match effect.kind:
            case "released":
                if state.hold == RELEASED and state.why != str(effect.line):
                    self.again[effect.line, effect.text] = None
                return state._replace(hold=RELEASED, why=str(effect.line))
            case "kept" if state.hold == HELD:
                maker = Site(node, effect.maker) if effect.maker else None
                return state._replace(hold=KEPT, why=effect.text, maker=maker, at=effect.at)
            case "kept" | "holds" if state.hold == KEPT and state.at != effect.at:
                return state._replace(at=())  # somewhere else, too
            case "holds" if state.hold == HELD:
                return state._replace(holders=state.holders | {effect.holder})
            case "lost" if state.hold == HELD and self.thing.outlives and not state.holders:
                return state._replace(hold=LOST, why=effect.text)
            case "lost" if state.hold == KEPT and len(state.at) > len(effect.at) and within(state.at, effect.at):
                return state._replace(hold=LOST, why=effect.text)
        return state

    def _looped(self, loop: ir.Loop, state: _State) -> _State:
        """Behind a loop that does something to the thing, all pieces were done."""
        if state.hold not in (HELD, KEPT) and not state.got:
            return state
        holders = self._holders(state)
        effects = [each for id in sorted(loop.body) for each in self.thing.on(self.cfg.nodes[id], holders)]
        for kind in ("released", "kept", "holds"):
            for effect in effects:
                if effect.kind == kind:
                    state = self._affected(state, effect, loop.head)
                    if kind != "holds":
                        return state
        return state

    def _settled(self, state: _State, known: dict[Site, Codes]) -> _State:
        """Drops the thing where the call is known to have failed; has it back from one that failed to take it."""
        if state.hold == KEPT and state.maker is not None and (given := known.get(state.maker)) is not None:
            failed = given.above_zero().empty and not given.below_zero().empty  # NULL alone may say that it was taken
            return state._replace(hold=HELD, why="", maker=None) if failed else state
        codes = known.get(self.site) if state.hold == HELD and not state.sure else None
        if codes is None or had(self.thing.acquired.take.success, codes):
            return state
        return state._replace(hold=NONE, why="", holders=frozenset())

    # -- tests ---------------------------------------------------------------------------------

    def _test(
        self, node: ir.Node, edge: ir.Edge, state: _State, env: dict[str, Term], known: dict[Site, Codes]
    ) -> _State | None:
        expr = self.exprs[node.id]
        truth = bool(edge.when)
        decided = self._decided(expr, truth, node.id, env, known)
        if decided is False:
            return None
        if state.got == "some" and self._asked_for(expr, truth, node.id, env):
            state = state._replace(got="all")
        if decided is None and state.hold in (HELD, LOST) and self._names_it(node, truth):
            return None  # what was just acquired is not NULL
        if decided is None and pure(expr):
            text = ir.show(expr)
            if (text, not truth) in state.facts:
                return None
            if text in self.telling.twice:
                state = state._replace(facts=state.facts | {(text, truth)})
            if state.hold == HELD and (excuse := self.telling.excuse(node, edge)):
                return state._replace(hold=KEPT, why=excuse)
        return state

    def _names_it(self, node: ir.Node, truth: bool) -> bool:
        """Whether this edge says that the thing's own pointer is NULL, or an error."""
        match node.expr:
            case None:
                return False
            case ir.Call(args=(arg,)) if node.expr.name in ("IS_ERR", "IS_ERR_OR_NULL"):
                where = place(arg) if truth and self.thing.acquired.take.success == "pointer" else ()
            case _:
                where = () if truth else place(node.expr)
        return bool(where) and where == self.thing.acquired.place

    def _decided(
        self, expr: ir.Expr, truth: bool, node: int, env: dict[str, Term], known: dict[Site, Codes]
    ) -> bool | None:
        """Whether a test can come out so: False if not, None where nothing is known. Learns from what is known."""
        subject, op, symbol = question(expr, env, node)
        flag = ""
        for _ in range(4):
            if not isinstance(subject, Verdict):
                break
            truth = (truth is subject.holds) is not ((op, symbol) == ("==", "0"))
            flag = next((name for name, term in env.items() if term == subject and is_error(subject)), flag)
            expr = subject.test
            subject, op, symbol = question(expr, env, node)
            if any(self._is_acquisition(each) for each in ir.walk(expr)):
                subject = self.site  # ``had = pin(..) == n``: the call was made where that was set
        if isinstance(subject, str):
            yes, no = compare(Codes(frozenset({subject})), op, symbol)
            if not (yes if truth else no).empty:
                return True
            return None if symbol.isidentifier() or subject.isidentifier() else False
        if isinstance(subject, Site):
            yes, no = compare(known.get(subject, ANY), op, symbol)
            codes = yes if truth else no
            known[subject] = codes
            if flag:  # what PTR_ERR_OR_ZERO() gave is an error, or it is 0
                env[flag] = unknown = Site(-1, "", flag)
                known[unknown] = ANY.below_zero() if truth else ANY.only_zero()
            return False if codes.empty else True if subject.node >= 0 else None
        if (full := self._asked_for(expr, truth, node, env)) is not None:
            codes = known.get(self.site, ANY)
            known[self.site] = codes.above_zero() if full else codes
            return not known[self.site].empty
        if isinstance(expr, ir.Name):
            unknown = Site(-1, "", expr.name)
            env[expr.name] = unknown
            known[unknown] = ANY.nonzero() if truth else ANY.only_zero()
        return None

    def _asked_for(self, expr: ir.Expr, truth: bool, node: int, env: dict[str, Term]) -> bool | None:
        """The answer compared with how many were asked for: whether all were got; None for another question."""
        match expr:
            case ir.Binary(op="==" | "!=" | "<" | ">" | "<=" | ">=", left=left, right=right):
                op: str = expr.op
                if const(left) or const(right):
                    return None
                if term_of(left, env, node) == self.site:
                    pass
                elif term_of(right, env, node) == self.site:
                    op = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}.get(op, op)
                else:
                    return None
                return op in ("==", ">=", ">") if truth else op in ("!=", "<", "<=")
        return None

    def _case(self, node: ir.Node, edge: ir.Edge, env: dict[str, Term], known: dict[Site, Codes]) -> bool:
        assert isinstance(edge.when, tuple)
        term = term_of(self.exprs[node.id], env, node.id)
        if not isinstance(term, Site) or not edge.when:
            return True
        symbols = [const(each) for each in edge.when]
        if "" in symbols:
            return True
        codes = known.get(term, ANY)
        narrowed = Codes()
        for symbol in symbols:
            narrowed = narrowed | codes.equal(symbol)
        known[term] = narrowed
        return not narrowed.empty

    def _switched(self, node: ir.Node, edge: ir.Edge, state: _State) -> _State | None:
        """A switch that every round comes to takes the same way each time, as long as nobody writes what it asks."""
        expr = self.exprs[node.id]
        if not pure(expr) or not any(node.id in loop for loop in self.telling.around):
            return state
        asked = f"{ir.show(expr)} @{node.id}:"
        way = (f"{asked}{edge.to}", True)
        if any(text.startswith(asked) and text != way[0] for text, _ in state.facts):
            return None
        return state._replace(facts=state.facts | {way})

    # -- ends ----------------------------------------------------------------------------------

    def _ends(self, id: int, state: _State) -> Iterator[End]:
        end = self._end(id, state)
        expr = self.cfg.nodes[id].expr
        if state.hold == HELD and end.hold == KEPT and isinstance(expr, ir.Call) and expr.name in self.passes:
            yield replace(end, hold=HELD, why="", fails=True)  # ``return dma_buf_fd(buf, 0);`` that fails
        yield end

    def _end(self, id: int, state: _State) -> End:
        node = self.cfg.nodes[id]
        final, after = self._held(node, state), node
        while len(after.out) == 1 and after.at is not ir.At.EXIT:  # what ends with the scopes that are left
            after = self.cfg.nodes[after.out[0].to]
            final = self._held(after, final)
        fails, path, full = self._fails(node, state), self._path(id, state), final.got == "all"
        answers = node.expr is not None and term_of(self.exprs[node.id], dict(state.env), node.id) == self.site
        zero = final.hold == NONE and answers and dict(state.known).get(self.site, ANY).zero
        return End(id, node.line, final.hold, final.why, fails, path, full, final.recounted, zero, answers)

    def _fails(self, node: ir.Node, state: _State) -> bool | None:
        if node.expr is None:
            return None
        env, known = dict(state.env), dict(state.known)
        term = term_of(self.exprs[node.id], env, node.id)
        if isinstance(term, str):
            if negative(term) or _ERROR.search(term):
                return True
            if "*" in self.scope.fn.returns or self.scope.fn.returns.split()[-1:] == ["bool"]:
                return term == "0"
            return False if term.isdigit() else None
        if isinstance(term, Site):
            codes = known.get(term, ANY)
            pointer = "*" in self.scope.fn.returns and not isinstance(node.expr, ir.Call)  # no ERR_PTR(ret)
            if pointer and term != self.site and codes.pos:
                return None  # a pointer, which may be a good one
            if codes.fails or (term == self.site and self.thing.acquired.take.success in ("error", "nothing")):
                return True  # what is left behind by a failure is had only where it failed
            return False if term == self.site or not (codes.neg or any(map(negative, codes.named))) else None
        return None

    def _path(self, id: int, state: _State) -> tuple[tuple[int, str], ...]:
        """The decisions between the acquisition and the return."""
        found: list[tuple[int, str]] = []
        at: tuple[int, _State] | None = (id, state)
        after = -1
        while at is not None:
            here, _ = at
            spend(1)
            node = self.cfg.nodes[here]
            if after >= 0 and node.at is ir.At.TEST and node.expr is not None:
                edge = next(edge for edge in node.out if edge.to == after)
                found.append((node.line, told(node.expr, edge.when is True)))
            if here == self.site.node and after >= 0:
                break
            after = here
            at = self.came[at]
        return tuple(reversed(found))


__all__ = ["HELD", "KEPT", "LOST", "NONE", "RELEASED", "End", "Holding", "Resource", "Story", "Take"]
