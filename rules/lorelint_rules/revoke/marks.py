"""Who revokes under which locks: the markers of a folder and its unmaps, each with the locks held there."""

from __future__ import annotations

import re
from dataclasses import field

from lorelint.rule import Analysis, Step, TreeView, ir, placed, regex
from lorelint.rule.analyses import mapping
from lorelint.rule.analyses.folder import functions
from lorelint.rule.analyses.lockset import LOCKSETS, HeldLocks
from lorelint.rule.analyses.scope import Scope
from lorelint.rule.analyses.scope import tag as tag_of
from lorelint.rule.analyses.unmaps import Unmap, terminals, unmaps
from lorelint_rules.revoke import marked, markers
from lorelint_rules.revoke.markers import Kind, Marker

_CORE = "mm"  # takes PTEs away for itself, under locks of its own: no object is revoked there
_WORD = regex(rb"[A-Za-z_]\w*+")
_ENTRY = regex(rb"\.[ \t]*+(\w++)\s*+=\s*+&?+\s*+([A-Za-z_]\w*+)")  # of a table: ``.unmap = card_unmap``
_STATES = (Kind.FIELD, Kind.STATE, Kind.OWNER, Kind.BIT)


@placed
class Spot:
    """A place in a function. Which locks are held there is only worked out for the few it matters of."""

    fn: ir.Function
    node: int
    held: HeldLocks = field(compare=False)

    @property
    def must(self) -> frozenset[str]:
        """Names of locks held there whoever calls: a caller's only where every caller holds it."""
        return self._own | self.held.over(self.fn, every=True)

    @property
    def may(self) -> frozenset[str]:
        """The same with those that some caller holds."""
        return self._own | self.held.over(self.fn, every=False)

    @property
    def _own(self) -> frozenset[str]:
        return self.held.names(self.fn, self.node) | self.held.owed(self.fn, self.node)


@placed
class Mark(Spot):
    """One marker that a function sets."""

    marker: Marker

    @property
    def step(self) -> Step:
        under = f", under {locks(self.must)}" if self.must else ""
        return Step(self.fn.path, self.marker.line, f"{self.marker.text} in {self.fn.name}(){under}")


@placed
class Zap(Spot):
    """One call that takes user mappings away; `tags` are the structs it has its address_space or VMA from."""

    step: Step
    tags: frozenset[str]
    whole: bool  # all there is of the object: neither a VMA in hand (mmap_lock is held) nor a range that a caller names


def locks(names: frozenset[str]) -> str:
    """Names of locks for a message."""
    return " and ".join("the reservation lock" if name == "resv" else name for name in sorted(names))


class Marks:
    """The markers and unmaps of one tree, by folder."""

    def __init__(self, view: TreeView) -> None:
        self.view = view
        self.program = view.program
        self.held: HeldLocks = view.of(LOCKSETS)

    def matter(self, folder: str) -> bool:
        """Whether any file of a folder takes mappings away or forgets an owner; else there is nothing to race with."""
        if folder.partition("/")[0] == _CORE:
            return False
        words = tuple(name.encode() for name in sorted(terminals(self.program)))

        def look() -> bool:
            return any(
                markers.forgets(raw) or any(word in raw for word in words)
                for _, raw in mapping.files(self.program, folder)
            )

        return self.program.memo(("taken away in", folder), look)

    def of(self, folder: str) -> tuple[Mark, ...]:
        """All markers of a folder's functions."""

        def compute() -> tuple[Mark, ...]:
            return tuple(
                Mark(fn, marker.node, self.held, marker)
                for name, path in sorted(marked.names(self.view, folder).items())
                for fn in self.program.functions(path)
                if fn.name == name
                for marker in markers.find(self.view, self.held.scope(fn))
                if marker.kind in _STATES
            )

        return self.program.memo(("marks", folder), compute)

    def zaps(self, folder: str) -> tuple[Zap, ...]:
        """All direct calls of a folder that take mappings away."""

        def compute() -> tuple[Zap, ...]:
            words = terminals(self.program)
            found = []
            for path, raw in mapping.files(self.program, folder):
                if any(word.encode() in raw for word in words):
                    for fn in self.program.functions(path):
                        if any(word.encode() in fn.text for word in words):
                            found.extend(self._zaps(fn, words))
            return tuple(found)

        return self.program.memo(("zaps", folder), compute)

    def takers(self, folder: str) -> frozenset[str]:
        """Names of a folder's functions that hold such a call, or that name a function that does or the field of a
        table in which it stands. Of what is followed to such a call within a folder all is among them."""

        def compute() -> frozenset[str]:
            found, todo = set[str](), {zap.fn.name for zap in self.zaps(folder)}
            if not todo:
                return frozenset()
            there = functions(self.program, folder)
            entries = [
                (entry[1].decode(), entry[2].decode())
                for _, raw in mapping.files(self.program, folder)
                for entry in _ENTRY.finditer(raw)
                if entry[2].decode() in there
            ]
            wanted = there.keys() | {field for field, _ in entries}
            naming: dict[str, set[str]] = {}
            for name, many in there.items():
                for word in {word.decode() for fn in many for word in _WORD.findall(fn.text)} & wanted:
                    naming.setdefault(word, set()).add(name)
            fields = {name: set[str]() for _, name in entries}
            for field_, name in entries:
                fields[name] |= naming.get(field_, set())
            for name, users in fields.items():
                naming.setdefault(name, set()).update(users)
            while todo:
                found |= todo
                todo = set().union(*(naming.get(name, ()) for name in todo)) - found
            return frozenset(found)

        return self.program.memo(("takers", folder), compute)

    def _zaps(self, fn: ir.Function, words: frozenset[str]) -> list[Zap]:
        scope = self.held.scope(fn)
        found = []
        for node in scope.cfg.nodes:
            for call in ir.calls(node.expr):
                if call.name in words and call.args:
                    step = Step(fn.path, call.line, f"{call.name}() in {fn.name}()")
                    tags = {owner for owner, _ in scope.members(call.args[0])}
                    tags |= {tag_of(scope.types.get(each.name, "")) for each in _names(call)}
                    found.append(
                        Zap(
                            fn,
                            node.id,
                            self.held,
                            step,
                            frozenset(tags) - mapping.GENERIC - {""},
                            not call.name.startswith("zap_") and not _named_range(scope, call),
                        )
                    )
        return found

    def takes(self, mark: Mark, zap: Zap) -> bool:
        """Whether an unmap goes with a marker: in one function, or where one of the two leads to the other."""
        if mark.marker.tag not in zap.tags:
            return False
        return zap.fn.key in self._around(mark.fn) or mark.fn.key in self._around(zap.fn)

    def _around(self, fn: ir.Function) -> frozenset[tuple[str, str]]:
        """A function and its callers, two levels of them."""

        def compute() -> frozenset[tuple[str, str]]:
            found, level = {fn.key}, [fn]
            for _ in range(2):
                level = [site.fn for each in level for site in self.program.callers(each) if site.fn.key not in found]
                found |= {each.key for each in level}
            return frozenset(found)

        return self.program.memo(("called from", fn.path, fn.name, fn.line), compute)

    def unmap(self, mark: Mark) -> Unmap | None:
        """A call in the marker's function that leads to an unmap."""
        found = unmaps(self.program, self.held.scope(mark.fn))
        return found[0] if found else None

    def changes(self, folder: str, owner: str, field: str) -> bool:
        """Whether a field is state: a function of the folder stores to it in an object that it has not just made."""
        store = re.compile(rb"(?:->|\.)" + re.escape(field.encode()) + rb"\s*(?:[|&+-]?=(?!=)|\+\+|--|[,)])")

        def look() -> bool:
            for path, raw in mapping.files(self.program, folder):
                if store.search(raw):
                    for fn in self.program.functions(path):
                        if store.search(fn.text) and (owner, field) in _stores(self.held.scope(fn)):
                            return True
            return False

        return owner not in mapping.GENERIC and self.program.memo(("changes", folder, owner, field), look)

    def written(self, fn: ir.Function) -> frozenset[tuple[str, str]]:
        """(struct, field) of all that a function stores to, and the functions of its file that it calls."""

        def compute() -> frozenset[tuple[str, str]]:
            called = {call.name for node in self.program.cfg(fn).nodes for call in ir.calls(node.expr)}
            near = [each for each in self.program.functions(fn.path) if each.name in called]
            return frozenset(pair for each in (fn, *near) for pair in _stores(self.held.scope(each)))

        return self.program.memo(("written", fn.path, fn.name, fn.line), compute)


def _named_range(scope: Scope, call: ir.Call) -> bool:
    """Whether the range is reckoned from a plain parameter."""
    atoms = frozenset().union(*(scope.atoms(arg) for arg in call.args[1:3]))
    return any(param.name in atoms and "struct" not in param.type for param in scope.fn.params)


def _names(call: ir.Call) -> list[ir.Name]:
    return [each for each in ir.walk(call.args[0]) if isinstance(each, ir.Name)]


def _stores(scope: Scope) -> list[tuple[str, str]]:
    found = []
    for node in scope.cfg.nodes:
        for each in ir.walk(node.expr) if node.expr is not None else ():
            match each:
                case (
                    ir.Assign(target=ir.Member(base=base, field=field))
                    | ir.Update(target=ir.Member(base=base, field=field))
                ):
                    if not markers.fresh(scope, base):
                        found.append((scope.tag_of(base), field))
                case ir.Call() if each.name in ("WRITE_ONCE", "smp_store_release", "atomic_set") and each.args:
                    target = each.args[0].operand if isinstance(each.args[0], ir.Unary) else each.args[0]
                    if isinstance(target, ir.Member):
                        found.append((scope.tag_of(target.base), target.field))
    return [pair for pair in found if pair[0]]


MARKS: Analysis[Marks] = Analysis("revoke markers with their locks", Marks, (LOCKSETS,))
