"""What ends a loop by itself: counters, clocks, latches, deadlines handed to a callee.

A *measure* is something that a pass changes and that a test, one of whose outcomes cannot come back to
the loop's head, looks at. A path round the loop is bounded if it passes both. `Bounds` finds the
measures of one loop and marks the nodes and edges where they are changed and tested.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from msgspec import Struct

from lorelint.code import ir
from lorelint.code.codes import const
from lorelint.code.measures import assignments, lvalues, settled, shrunk, verdicts
from lorelint.code.terms import address_of
from lorelint.code.worlds import World
from lorelint.model.knowledge import Knowledge
from lorelint.model.regex import regex

_FETCHES = regex(r"dequeue|pop|shift|(^|_)(next|first|take|fetch)(_|$)|^list_entry$")  # gives another item on each call
_TIME = regex(r"tim(e|eo|eout)(_left)?$|^left$|remain")
_TRIES = regex(r"(^|_|>|\.)(retr(y|ies)|tries|attempts?)(_|$)")  # counted for one reason only
_TALK = regex(r"^(?:pr_|dev_|netdev_|drm_|trace_|printk|DRM_)|(?:^|_)(?:warn|err|info|dbg|debug|notice|print)(?:_|$)")
#: What a variable is called that holds the result of a call.
RESULT = regex(r"^(ret|rc|rv|r|err|error|status|res|result|retval|rval|ret_?val)\d*$")
_CLOCK_NAMES = frozenset({"jiffies", "jiffies_64"})


class Changed(Struct, frozen=True):
    """Mark: the pass has changed this measure."""

    measure: str


class Stepped(Struct, frozen=True):
    """Mark: the pass has moved this on from its own value."""

    name: str


class HandedOut(Struct, frozen=True):
    """Mark: a call on the pass may have set this variable."""

    name: str


class Set(Struct, frozen=True):
    """Mark: the pass has set this variable of the loop's condition to something that is no constant."""

    name: str


class Tested(Struct, frozen=True):
    """Mark: the pass has come through a test of this measure that could have ended the loop."""

    measure: str


class Bound(Struct, frozen=True):
    """What bounds a path: a counter (`kind` "counter", "latch") or a clock ("clock", "deadline", "tried")."""

    kind: str
    what: str


class Bounds:
    """The measures of one loop of one function."""

    def __init__(self, cfg: ir.Cfg, loop: ir.Loop, know: Knowledge) -> None:
        self.cfg, self.loop = cfg, loop
        self.clocks = know.names("bound_idioms")
        self.checks = know.names("signal_check", "seq_retry_predicates")
        self.interruptible = frozenset(name for name, fact in know.calls.items() if fact.ends_on_signal)
        self.verdicts = verdicts(cfg, loop)
        self.latches, self.counters = self._measures()
        self.locking = _locking(cfg, loop, self.latches)
        self.cursors = _cursors(cfg, loop)
        self.raised = _raised(cfg, loop)
        self.items = _items(cfg, loop)
        self.left = _left(cfg, loop)
        self.asked = self._asked()
        self.tested = frozenset().union(
            *(
                lvalues(node.expr)
                for node in (cfg.nodes[id_] for id_ in loop.body)
                if node.at is ir.At.TEST and node.expr and not _only_tells(cfg, node)
            )
        )
        self.flags = _false_flags(cfg, loop)
        self.deadlines = self._deadlines()
        # compared with a deadline, it ends the loop
        self.now = frozenset(name for id_, name in self._timed() if id_ in loop.body)

    def marks(self, node: ir.Node, edge: ir.Edge | None) -> Iterable[Hashable]:
        if node.id not in self.loop.body or node.expr is None:
            return
        if edge is None:
            yield from self._changes(node.expr)
            return
        if node.at not in (ir.At.TEST, ir.At.SWITCH) or not self._can_end(node, edge):
            return
        for name in self._looked_at(node.expr):
            if name in self.latches or name in self.counters or name in self.left:
                yield Tested(name)
            if name in self.cursors:
                yield Tested(self.cursors[name])
            if "->" in name and _TRIES.search(name):
                yield Bound("counter", name)  # kept in an object: whoever counts it may be a callee
        asked = node.expr.name if isinstance(node.expr, ir.Call) and not _only_result(node.expr) else ""
        if asked and edge.when is True and self._goes_on(asked):
            yield Bound("progress", asked)
        for call in ir.calls(node.expr):
            if call.name in self.clocks:
                yield Bound("clock", call.name)
            for argument in call.args:
                flag = address_of(argument)
                if flag in self.flags:
                    yield Bound("latch", flag)
        if _CLOCK_NAMES & set(lvalues(node.expr)):
            yield Bound("clock", "jiffies")
        yield from (Bound("clock", name) for name in sorted(self.now & lvalues(node.expr)))

    def _looked_at(self, expr: ir.Expr) -> frozenset[str]:
        """What a test looks at, itself or through a local that holds what a comparison came to."""
        return lvalues(expr).union(*(self.verdicts.get(name, ()) for name in lvalues(expr)))

    def _goes_on(self, name: str) -> bool:
        """A callee that says whether there is more to do: no signal check, no lock, no wait that fails when a signal
        ends it, no test of an error pointer."""
        asks = name in self.checks or name in self.interruptible or "trylock" in name
        return not asks and not name.startswith("IS_ERR")

    def _changes(self, expr: ir.Expr) -> Iterable[Hashable]:
        for name in changed(expr):
            if name in self.latches or name in self.counters:
                yield Changed(name)
        for name, value in assignments(expr):
            if name in self.asked and not const(value):
                yield Set(name)
            if name in self.locking:
                yield Bound("latch", name)
        for name in stepped(expr):
            yield Stepped(name)
        for name in _handed_out(expr):
            yield HandedOut(name)
            if name in self.left:
                yield Changed(name)
        for each in ir.walk(expr) if self.raised else ():
            if isinstance(each, ir.Assign) and (ir.show(each.target), ir.show(each.value)) in self.raised:
                yield Stepped(ir.show(each.target))
        for name, value in assignments(expr):
            if name in self.cursors and _steps(value):
                yield Changed(self.cursors[name])
        for each in ir.walk(expr):
            if isinstance(each, ir.Name) and each.name == "FAULT_FLAG_TRIED":
                yield Bound("tried", each.name)
            if self.deadlines and isinstance(each, ir.Call) and any(_mentions(a, self.deadlines) for a in each.args):
                yield Bound("deadline", each.name)

    def _can_end(self, node: ir.Node, taken: ir.Edge) -> bool:
        """Another outcome of this test does not come back to the head, or by this test alone."""
        return any(other != taken and not self._comes_back(other.to, node.id) for other in node.out)

    def _comes_back(self, start: int, test: int) -> bool:
        """Whether the head can be come to from there without this test being asked again."""
        todo, seen = [start], {test}
        while todo:
            here = todo.pop()
            if here == self.loop.head:
                return True
            if here in self.loop.body and here not in seen:
                seen.add(here)
                todo.extend(edge.to for edge in self.cfg.nodes[here].out)
        return False

    def bound(self, world: World, shared: frozenset[str] = frozenset()) -> Bound | None:
        """What bounds the paths of a world that went round; `shared` are measures of the same retry on other paths."""
        found = [mark for mark in world.marks if isinstance(mark, Bound)]
        tested = {mark.measure for mark in world.marks if isinstance(mark, Tested)}
        for mark in world.marks:
            if isinstance(mark, Changed | Tested) and mark.measure in (tested if isinstance(mark, Changed) else shared):
                kind = "latch" if mark.measure in self.latches else "counter"
                found.append(Bound(kind, mark.measure))
        for mark in world.marks:
            if isinstance(mark, Stepped) and _TRIES.search(mark.name) and mark.name in self.tested:
                found.append(Bound("counter", mark.name))
        return min(found, key=lambda each: (each.kind, each.what), default=None)

    def shared(self, went: Iterable[World]) -> frozenset[str]:
        """Measures that bound some of these worlds: one that only tests them is held by what the others count."""
        found: set[str] = set()
        for world in went:
            tested = {mark.measure for mark in world.marks if isinstance(mark, Tested)}
            found |= {mark.measure for mark in world.marks if isinstance(mark, Changed) and mark.measure in tested}
        return frozenset(found)

    def moved(self, world: World, node: ir.Node, name: str) -> str:
        """An argument of a call that the passes of a world move on, so that it is another question each time."""
        names = {mark.name for mark in world.marks if isinstance(mark, Stepped)} | self.items
        out = {mark.name for mark in world.marks if isinstance(mark, HandedOut)}
        for call in ir.calls(node.expr) if (names or out) and node.expr is not None else ():
            if call.name == name:
                by_value = [argument for argument in call.args if not address_of(argument)]
                whole = {argument.name for argument in by_value if isinstance(argument, ir.Name)}
                found = (names & frozenset().union(*map(lvalues, by_value))) | (whole & out)
                found -= _handed_out(call)
                if found:
                    return min(found)
        return ""

    def goes_on(self, world: World, test: int) -> str:
        """A variable of the condition in the loop's head that the passes of a world set anew, "" for none.

        test  the node that tested the failure: what it asks is no other condition
        """
        expr = self.cfg.nodes[test].expr
        asked = self.asked - (lvalues(expr) if expr is not None else frozenset())
        return min(asked & {mark.name for mark in world.marks if isinstance(mark, Stepped | Set)}, default="")

    def _asked(self) -> frozenset[str]:
        """What the condition of a while or for loop reads."""
        asked: set[str] = set()
        for id_ in self.loop.body if self.loop.kind in (ir.LoopKind.WHILE, ir.LoopKind.FOR) else ():
            node = self.cfg.nodes[id_]
            ends = node.at is ir.At.TEST and any(edge.to not in self.loop.body for edge in node.out)
            if ends and node.line == self.loop.line and node.expr is not None:
                asked |= lvalues(node.expr)
        return frozenset(asked)

    def _measures(self) -> tuple[frozenset[str], frozenset[str]]:
        stepped: set[str] = set()
        reset: set[str] = set()
        latched: dict[str, set[str]] = {}
        down: set[str] = set()
        up: set[str] = set()
        for id_ in self.loop.body:
            expr = self.cfg.nodes[id_].expr
            for each in ir.walk(expr) if expr is not None else ():
                if isinstance(each, ir.Update | ir.Assign):
                    way = _direction(each)
                    (down if way < 0 else up if way > 0 else set()).add(ir.show(each.target))
                match each:
                    case ir.Update(target=target):
                        stepped.add(ir.show(target))
                    case ir.Assign(op="=", target=target, value=value):
                        name = ir.show(target)
                        if _steps_itself(name, value):
                            stepped.add(name)
                        elif const(value):
                            latched.setdefault(name, set()).add(const(value))
                        else:
                            reset.add(name)
                    case ir.Assign(op=op, target=target):  # a bit that is set again and again counts nothing
                        (reset if op in ("|=", "&=", "^=") else stepped).add(ir.show(target))
                    case ir.Declare(name=name):
                        reset.add(name)
        # counted down, and at last set to 0
        ended = {name for name, values in latched.items() if values == {"0"} and name in down and name not in up}
        counters = (
            frozenset(stepped - reset - (set(latched) - ended))
            | shrunk(self.cfg, self.loop)
            | settled(self.cfg, self.loop)
        )
        latches = frozenset(n for n, values in latched.items() if len(values) == 1 and n not in stepped | reset)
        return latches, counters

    def _deadlines(self) -> frozenset[str]:
        """Variables that hold a point in time, set before the loop."""
        outside = {name for id_, name in self._timed() if id_ not in self.loop.body}
        if not outside:
            return frozenset()
        exprs = (self.cfg.nodes[id_].expr for id_ in self.loop.body)
        every = (each for expr in exprs if expr is not None for each in ir.walk(expr))
        inside = {ir.show(each.target) for each in every if isinstance(each, ir.Assign) and each.op == "="}
        return frozenset(outside - inside)

    def _timed(self) -> tuple[tuple[int, str], ...]:
        """Nodes that set a variable by a clock, with its text; once for the graph."""

        def compute() -> tuple[tuple[int, str], ...]:
            nodes = self.cfg.nodes
            sets = [(node.id, *each) for node in nodes if node.expr is not None for each in _values(node.expr)]
            return tuple([(id_, ir.show(target)) for id_, target, value in sets if self._is_timed(value)])

        return self.cfg.once(("timed", self.clocks), compute)

    def _is_timed(self, value: ir.Expr) -> bool:
        return any(
            isinstance(each, ir.Name) and (each.name in _CLOCK_NAMES or each.name in self.clocks)
            for each in ir.walk(value)
        )


def _only_result(call: ir.Call) -> bool:
    """A question about an error code alone (``is_retryable(ret)``): the same code has the same answer for ever."""
    return bool(call.args) and all(isinstance(each, ir.Name) and RESULT.match(each.name) for each in call.args)


def _only_tells(cfg: ir.Cfg, test: ir.Node) -> bool:
    """Whether a test decides about nothing but what is printed: ``if (!(++tries % 1024)) dev_warn(..)``."""
    if len(test.out) != 2:
        return False
    for edge, other in (test.out, test.out[::-1]):
        here = cfg.nodes[edge.to]
        while here.id != other.to and isinstance(here.expr, ir.Call) and _TALK.match(here.expr.name):
            if len(here.out) != 1:
                break
            here = cfg.nodes[here.out[0].to]
        if here.id == other.to and edge.to != other.to:
            return True
    return False


def _values(expr: ir.Expr) -> Iterable[tuple[ir.Expr, ir.Expr]]:
    """What is set to which value."""
    for each in ir.walk(expr):
        match each:
            case ir.Assign(op="=", target=target, value=value):
                yield target, value
            case ir.Declare(line=line, name=name, value=value) if value is not None:
                yield ir.Name(line, name), value


def _steps(value: ir.Expr) -> bool:
    return any(isinstance(each, ir.Binary) and each.op in ("+", "-", "<<", ">>") for each in ir.walk(value))


def _cursors(cfg: ir.Cfg, loop: ir.Loop) -> dict[str, str]:
    """Variables that step on by way of each other: ``no = find_next(map, start); start = no + count``.

    Each is mapped to the first name of its ring, which stands for the measure.
    """
    needs: dict[str, set[str]] = {}
    steps: set[str] = set()
    for id_ in loop.body:
        expr = cfg.nodes[id_].expr
        for name, value in assignments(expr) if expr is not None else ():
            needs.setdefault(name, set()).update(e.name for e in ir.walk(value) if isinstance(e, ir.Name))
            if _steps(value):
                steps.add(name)
    reach = {name: _closure(name, needs) for name in needs}
    rings = {}
    for name in sorted(needs):
        ring = {other for other in reach[name] if name in reach.get(other, ())}
        if len(ring) > 1 and ring & steps:
            rings[name] = min(ring)
    return rings


def _handed_out(expr: ir.Expr) -> frozenset[str]:
    """Variables that a call may set: ``next_buffers(stream, &buf)``."""
    return frozenset(name for call in ir.calls(expr) for arg in call.args if (name := address_of(arg)))


def _left(cfg: ir.Cfg, loop: ir.Loop) -> frozenset[str]:
    """Variables that a wait counts down: ``sk_wait_more(sk, &timeo)``."""
    found: set[str] = set()
    for id_ in loop.body:
        for call in ir.calls(cfg.nodes[id_].expr):
            if "wait" in call.name:
                found |= {name for arg in call.args if (name := address_of(arg)) and _TIME.search(name)}
    return frozenset(found)


def _items(cfg: ir.Cfg, loop: ir.Loop) -> frozenset[str]:
    """Variables that each pass takes anew from a queue, by way of others too."""
    found: set[str] = set()
    sets = [pair for id_ in loop.body if (expr := cfg.nodes[id_].expr) is not None for pair in assignments(expr)]
    grown = True
    while grown:
        grown = False
        for name, value in sets:
            names = {each.name for each in ir.walk(value) if isinstance(each, ir.Name)}
            calls = any(_FETCHES.search(call.name) for call in ir.calls(value))
            if name not in found and (calls or names & found):
                found.add(name)
                grown = True
    return frozenset(found)


def _raised(cfg: ir.Cfg, loop: ir.Loop) -> frozenset[tuple[str, str]]:
    """Pairs (a, b) that the loop compares by ``a < b``: behind it ``a = b`` goes on, one way or the other."""
    found = set()
    for id_ in loop.body:
        match cfg.nodes[id_].expr:
            case ir.Binary(op="<" | "<=", left=left, right=right) | ir.Binary(op=">" | ">=", left=right, right=left):
                found |= {(ir.show(left), ir.show(right)), (ir.show(right), ir.show(left))}
    return frozenset(found)


def _closure(name: str, needs: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    stack = [name]
    while stack:
        for each in needs.get(stack.pop(), ()):
            if each in needs and each not in found:
                found.add(each)
                stack.append(each)
    return found


def changed(expr: ir.Expr) -> frozenset[str]:
    """Texts of the variables and fields that a statement changes."""
    return frozenset(ir.show(e.target) for e in ir.walk(expr) if isinstance(e, (ir.Update, ir.Assign)))


def stepped(expr: ir.Expr) -> frozenset[str]:
    """Texts of what a statement moves on: ``n++``, ``at += size``, ``p = p->next``."""
    found = set()
    for each in ir.walk(expr):
        match each:
            case ir.Update(target=target):
                found.add(ir.show(target))
            case ir.Assign(op="+=" | "-=", target=target):
                found.add(ir.show(target))
            case ir.Assign(op="=", target=target, value=value) if _steps_itself(ir.show(target), value):
                found.add(ir.show(target))
    return frozenset(found)


def _mentions(expr: ir.Expr, names: frozenset[str]) -> bool:
    return any(ir.show(each) in names for each in ir.walk(expr) if isinstance(each, (ir.Name, ir.Member)))


def _direction(step: ir.Update | ir.Assign) -> int:
    """-1 for what counts down, 1 for what counts otherwise, 0 for what sets anew."""
    name = ir.show(step.target)
    match step:
        case ir.Update(op=op):
            return -1 if op == "--" else 1
        case ir.Assign(op="=", value=ir.Binary(op="-", left=left)) if ir.show(left) == name:
            return -1
        case ir.Assign(op="=", value=value):
            return 1 if _steps_itself(name, value) else 0
    return -1 if step.op == "-=" else 1


def _steps_itself(name: str, value: ir.Expr) -> bool:
    """``n = n - k``, ``left = wait_timeout(.., left)``, ``at = find_next_bit(.., at)``: changed from its own value."""
    match value:
        case ir.Binary(op="+" | "-" | ">>" | "<<" | "*" | "/", left=left, right=right):
            return name in (ir.show(left), ir.show(right))
        case ir.Member(base=base):
            return ir.show(base) == name and "next" in value.field
        case ir.Call(args=args):
            on = any(word in value.name for word in ("timeout", "find_next", "next_", "wait", "schedule"))
            return on and name in {ir.show(each) for each in args}
    return False


def _locking(cfg: ir.Cfg, loop: ir.Loop, latches: frozenset[str]) -> frozenset[str]:
    """Latches for whose sake a lock is taken in the loop: once one is set, each pass keeps others out."""
    found: set[str] = set()
    for node in (cfg.nodes[id_] for id_ in loop.body):
        names = lvalues(node.expr) & latches if node.at is ir.At.TEST and node.expr is not None else frozenset()
        for edge in node.out if names else ():
            here, steps = cfg.nodes[edge.to], 0
            while steps < 3 and here.id in loop.body and here.at is not ir.At.TEST:
                if any(call.name.endswith("_lock") for call in ir.calls(here.expr)):
                    found |= names
                if len(here.out) != 1:
                    break
                here, steps = cfg.nodes[here.out[0].to], steps + 1
    return frozenset(found)


def _false_flags(cfg: ir.Cfg, loop: ir.Loop) -> frozenset[str]:
    """Local bools that start false before the loop and are not assigned in it: a latch set by a callee."""
    started = {
        node.expr.name
        for node in cfg.nodes
        if isinstance(node.expr, ir.Declare)
        and node.expr.type == "bool"
        and node.expr.value is not None
        and const(node.expr.value) == "0"
        and node.id not in loop.body
    }
    touched = {name for id_ in loop.body for name in changed(cfg.nodes[id_].expr or ir.Text(0, ""))}
    return frozenset(started - touched)
