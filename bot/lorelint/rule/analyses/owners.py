"""What a function does with what it is handed: releases it, puts it away, or only looks at it.

A summary speaks of *parts*: (parameter, fields behind it). ``put_all(umem)`` that walks ``umem->pgs`` releases the part
(0, ("pgs",)). Summaries say *may*: a release on some path of the callee is one. They follow calls to functions near at
hand; where a body is not in sight nothing is said, and `Owners.seen` tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from lorelint.code import ir
from lorelint.code.program import Program
from lorelint.model.regex import regex
from lorelint.rule.analyses.folder import resolve
from lorelint.rule.analyses.places import FIELDS, Place, place, places
from lorelint.rule.analyses.scope import Scope

Part = tuple[int, tuple[str, ...]]

DEPTH = 4  # calls followed
_ROUNDS = 6
_WIDE = 64  # parts of one local
AWAY = -1  # in `Fate.kept`: out of the function's hands altogether (a global, the result)

#: Calls that put their first thing into the other: (argument that goes, argument that it goes into).
LINKS = {
    "list_add": (0, 1),
    "list_add_tail": (0, 1),
    "list_add_rcu": (0, 1),
    "list_add_tail_rcu": (0, 1),
    "hlist_add_head": (0, 1),
    "rb_link_node": (0, 2),
    "xa_store": (2, 0),
    "radix_tree_insert": (2, 0),
    "idr_alloc": (1, 0),
    "rcu_assign_pointer": (1, 0),
    "WRITE_ONCE": (1, 0),
    "smp_store_release": (1, 0),
}
_COUNTS = regex(
    r"^(?:(?:const|static|unsigned|signed) )*(?:int|long|short|char|bool|ssize_t|size_t|vm_fault_t|s\d+|void)$"
)


RESULT = -1  # in `Take.thing`: the value of the call

_LAST_REFERENCE = frozenset({"kref_put", "kref_put_mutex", "kref_put_lock"})


class Take(Struct, frozen=True):
    """How a call acquires.

    thing    argument (from 0) that names what is had afterwards, RESULT for the call's value
    success  what the call's value says then: "positive" (a count), "zero" (an errno), "pointer" (neither NULL nor an
             ERR_PTR), "always"; of a function that leaves things behind when it fails: "error" (an errno), "nothing"
             (NULL or an ERR_PTR)
    count    argument that says how many are asked for, None for one
    """

    thing: int
    success: str
    count: int | None = None


class Resource(Struct, frozen=True):
    """What can be had and given back, by the kernel's names.

    name    a word, also the key of what is remembered
    takes   acquiring call -> how
    gives   release -> arguments (from 0) any of which names what is released
    looks   calls that are handed it and leave it as it is
    others  those of them whose result is a thing of its own, which does not keep this one
    numbered  a number (a PFN, an address) can stand for it
    passes  call -> arguments (from 0) any of which names what it takes over, unless it fails
    """

    name: str
    takes: Mapping[str, Take]
    gives: Mapping[str, tuple[int, ...]]
    looks: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()
    numbered: bool = True
    passes: Mapping[str, tuple[int, ...]] = {}


class Fate(Struct, frozen=True):
    """What a function may do with its parameters' parts. `kept`: (part, parameter it goes into or AWAY)."""

    released: frozenset[Part] = frozenset()
    kept: frozenset[tuple[Part, int]] = frozenset()
    blind: tuple[str, ...] = ()  # callees not in sight that are handed something
    makes: bool = False  # it gives a pointer, which may be an error


class Owners:
    """Fates of the functions of one tree, for one resource."""

    def __init__(self, program: Program, resource: Resource) -> None:
        self.program = program
        self.resource = resource

    def fates(self, name: str, near: str, *, wide: bool = False, depth: int = DEPTH) -> tuple[Fate, ...]:
        """The fates of all functions a call can mean; () where none is in sight.

        Named functions of other folders are looked for with `wide` alone: that may search the whole tree.
        """
        found = resolve(self.program, name, near, wide=wide) if name and depth else ()
        return tuple(self.of(fn, depth) for fn in found)

    def of(self, fn: ir.Function, depth: int = DEPTH) -> Fate:
        """What a function may do with its parameters."""
        key = ("fate", self.resource.name, fn.path, fn.name, fn.line, depth)
        return self.program.memo(key, lambda: _Reader(self, fn, depth).read())


class _Reader:
    """One function read for its fate, without regard to the order of its statements."""

    def __init__(self, owners: Owners, fn: ir.Function, depth: int) -> None:
        self.owners, self.fn, self.depth = owners, fn, depth
        self.scope = Scope(owners.program, fn)
        self.parts: dict[str, set[Part]] = {param.name: {(at, ())} for at, param in enumerate(fn.params) if param.name}
        self.params = {name: at for at, name in enumerate(self.scope.params) if name}
        self.released: set[Part] = set()
        self.kept: set[tuple[Part, int]] = set()
        self.blind: dict[str, None] = {}

    def read(self) -> Fate:
        nodes = [node for node in self.scope.cfg.nodes if node.expr is not None]
        for _ in range(_ROUNDS):
            before = sum(map(len, self.parts.values())) + len(self.released) + len(self.kept)
            for node in nodes:
                self._node(node)
            if sum(map(len, self.parts.values())) + len(self.released) + len(self.kept) == before:
                break
        return Fate(frozenset(self.released), frozenset(self.kept), tuple(self.blind), "*" in self.fn.returns)

    def of(self, expr: ir.Expr) -> set[Part]:
        """Parts of the parameters an expression speaks of."""
        found: set[Part] = set()
        for each in places(expr):
            for at, fields in self.parts.get(each[0], ()):
                found.add((at, (*fields, *each[1:])[:FIELDS]))
        return found

    def _node(self, node: ir.Node) -> None:
        assert node.expr is not None
        if node.at is ir.At.EACH and isinstance(node.expr, ir.Call):
            self._each(node.expr)
        for each in ir.walk(node.expr):
            match each:
                case ir.Assign(op="=", target=target, value=value):
                    self._store(target, value)
                case ir.Declare(name=name, value=ir.Expr() as value):
                    self._store(ir.Name(each.line, name), value)
                case ir.Call():
                    self._call(each)
                case ir.Guard(kind=kind, args=(held, *_), leave=True):
                    if kind.removeprefix("free:") in self.owners.resource.gives:
                        self.released |= self.of(held)
        if node.at is ir.At.RETURN and "*" in self.fn.returns:
            self.kept |= {(part, AWAY) for part in self.of(node.expr)}

    def _each(self, call: ir.Call) -> None:
        """The variable of an iterator runs over what the other arguments are."""
        taken = set().union(*(self.of(arg) for arg in call.args)) if call.args else set()
        for arg in call.args:
            if isinstance(arg, ir.Name) and arg.name not in self.params and self.scope.local(arg.name):
                self._learn(arg.name, taken)

    def _learn(self, name: str, parts: set[Part]) -> None:
        known = self.parts.setdefault(name, set())
        if len(known) < _WIDE:
            known |= parts

    def _store(self, target: ir.Expr, value: ir.Expr) -> None:
        moved = self.of(value)
        if not moved:
            return
        if isinstance(target, ir.Name):
            if target.name in self.params:
                return
            if self.scope.local(target.name):
                if not (isinstance(value, ir.Call) and counts(self.scope.types.get(target.name, ""))):
                    self._learn(target.name, moved)
            else:
                self.kept |= {(part, AWAY) for part in moved}
            return
        self._into(target, {part for part in moved if not self._counted(value)})

    def _counted(self, value: ir.Expr) -> bool:
        """Whether what is stored is a number, by its type: counts are not the thing counted."""
        return counts(self.scope.type_of(value))

    def _into(self, target: ir.Expr, moved: set[Part]) -> None:
        """Something is put into an object."""
        root = place(target)[:1]
        if not root or not moved:
            return
        owners = self.of(ir.Name(0, root[0]))
        for at, _ in owners:
            if "*" in self.fn.params[at].type:
                self.kept |= {(part, at) for part in moved if part[0] != at}
        if root[0] in self.params:
            return
        if self.scope.local(root[0]):
            self._learn(root[0], moved)
        else:
            self.kept |= {(part, AWAY) for part in moved}

    def _call(self, call: ir.Call) -> None:
        call = unwrapped(call)
        handed = [self.of(arg) for arg in call.args]
        gives = self.owners.resource.gives.get(call.name)
        if gives is not None:
            for at in gives:
                if at < len(handed):
                    self.released |= handed[at]
            return
        if call.name in LINKS:
            goes, into = LINKS[call.name]
            if max(goes, into) < len(call.args):
                self._into(call.args[into], handed[goes])
            return
        if not any(handed) or call.name in self.owners.resource.looks:
            return
        fates = self.owners.fates(call.name, self.fn.path, depth=self.depth - 1)
        if not fates:
            self.blind[call.name or ir.show(call.callee)] = None
        for fate in fates:
            for at, fields in fate.released:
                if at < len(handed):
                    self.released |= {(one, (*more, *fields)[:FIELDS]) for one, more in handed[at]}
            for (at, fields), into in fate.kept:
                if at >= len(handed):
                    continue
                moved = {(one, (*more, *fields)[:FIELDS]) for one, more in handed[at]}
                if into == AWAY:
                    self.kept |= {(part, AWAY) for part in moved}
                elif into < len(call.args):
                    self._into(call.args[into], moved)


def unwrapped(call: ir.Call) -> ir.Call:
    """``kref_put(&object->ref, release)`` as ``release(object)``: the release finds its object by container_of()."""
    match call:
        case ir.Call(args=(ir.Unary(op="&", operand=ir.Member(base=owner)), ir.Name() as release, *_)):
            if call.name in _LAST_REFERENCE:
                return ir.Call(call.line, release, (owner,))
    return call


def counts(type_: str) -> bool:
    """Whether a type is a plain number: an errno, a count, a truth."""
    return _COUNTS.match(type_.strip()) is not None


def handed(call: ir.Call) -> Iterator[tuple[int, Place]]:
    """(argument, place) of a call's arguments that are about a place."""
    for at, arg in enumerate(call.args):
        if where := place(arg):
            yield at, where
