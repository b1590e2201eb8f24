"""Where a fault can slip in between a revoke and its unmap: what each path to a PTE does about it.

A `Hole` is a path that makes a PTE which a revoke under way, or over, does not see; a `Shut` says what keeps it shut.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from lorelint.rule import Step, TreeView, ir, regex
from lorelint.rule.analyses.folder import near
from lorelint.rule.analyses.lockset import DRM_DEV, LOCKING
from lorelint.rule.analyses.scope import Scope
from lorelint_rules.revoke import markers
from lorelint_rules.revoke.cover import Cover, Fate
from lorelint_rules.revoke.markers import Kind
from lorelint_rules.revoke.marks import MARKS, Mark, Zap, locks
from lorelint_rules.revoke.paths import Guarded, Path, Test

_SEARCH = regex(r"_find|xa_load|lookup|radix_tree|_search|_get_by_|for_each")


class How(StrEnum):
    OUTSIDE = "outside"  # tested where the lock of the revoke is not held
    DROPPED = "dropped"  # tested under it, and it is given back before the insert
    STALE = "stale"  # what is inserted was looked up under it, and it is given back before the insert
    NEVER = "never"  # not tested, though what revokes unmaps
    GONE = "gone"  # the owner is used without a look, and it may be NULL
    UNLOCKED = "unlocked"  # neither a test nor a lock


class Hole(Struct, frozen=True):
    how: How
    path: Path
    fn: ir.Function  # whose defect it is
    line: int
    lock: str  # its name, for a message
    steps: tuple[Step, ...]
    mark: Mark | None = None
    zap: Zap | None = None
    unmaps: bool = True  # the revoke takes mappings away

    @property
    def anchor(self) -> str:
        if self.mark is not None:
            return f"struct {self.mark.marker.tag}.{self.mark.marker.field}"
        return f"lock {self.lock}"


class Unsure(Struct, frozen=True):
    """A lock is held over test and insert; whether the revoke holds it was not seen."""

    path: Path
    fn: ir.Function
    anchor: str
    reason: str


class Shut(Struct, frozen=True):
    path: Path
    fn: ir.Function
    reason: str
    steps: tuple[Step, ...] = ()


class Judge:
    """One path against all that revokes in its folder."""

    def __init__(self, view: TreeView, folder: str, path: Path) -> None:
        self.marks = view.of(MARKS)
        self.held = self.marks.held
        self.folder = folder
        self.path = path
        self.guarded = Guarded(self.held, path)
        self.zaps = tuple(zap for zap in self.marks.zaps(folder) if zap.tags & path.way.tags)

    def verdict(self) -> Hole | Shut | Unsure:
        path = self.path
        tests = self.guarded.tests()
        pairs = [(test, mark) for test in tests for mark in self.marks.of(self.folder) if _same(mark, test)]
        kept = [(test, mark, held) for test, mark in pairs if (held := self.guarded.through(test) & mark.may)]
        if kept:
            known = {mark.fn.key for _, mark, _ in kept}
            return self._of_another(tests, [pair for pair in pairs if pair[1].fn.key not in known]) or _shut(
                path, *kept[0]
            )
        if not path.counted and (retested := self._retested(tests, pairs)) is not None:
            return retested
        for test, mark in pairs:
            if mark.must and (self._is_real(mark) or self._lets_go(test, mark)):
                return self._other_lock(test, mark) or self._late(test, mark, unmaps=self._is_real(mark))
        at_insert = self.guarded.at_insert
        if DRM_DEV in at_insert:
            return Shut(path, path.root, "inside drm_dev_enter(), whose end drm_dev_unplug() waits for")
        if not path.counted and (stale := self._stale(at_insert)) is not None:
            return stale
        untested = None if pairs else self._untested(tests)
        if untested is not None:
            return untested
        if not path.counted and (unlocked := self._unlocked(tests, at_insert)) is not None:
            return unlocked
        if pairs:
            return Shut(path, path.root, "no lock was found under which the marker is set", (pairs[0][1].step,))
        return Shut(path, path.root, "nothing was found that revokes this mapping")

    def _of_another(self, tests: tuple[Test, ...], pairs: list[tuple[Test, Mark]]) -> Hole | None:
        """One revoke is kept out; another of the very object, which unmaps too, is looked at too early or never."""
        if self.path.counted:
            return None
        asked = {(test.gate.tag, test.gate.field) for test in tests}
        for mark in self.marks.of(self.folder):
            beside = mark.fn.path == self.path.root.path  # of a device that lies elsewhere, it is for others to ask
            if mark.marker.field not in markers.STRONG or not beside or not self._is_own(mark):
                continue
            test = next((test for test, other in pairs if other == mark), None)
            if test is not None and mark.must and not self.guarded.through(test):
                return self._late(test, mark)
            if test is None and not asked & self.marks.written(mark.fn):
                return self._never(How.NEVER, mark, None)
        return None

    def _is_own(self, mark: Mark) -> bool:
        return mark.marker.tag in self.path.way.tags and any(self.marks.takes(mark, zap) for zap in self.zaps)

    def _other_lock(self, test: Test, mark: Mark) -> Unsure | None:
        kept = self.guarded.through(test)
        if not kept:
            return None
        reason = f"{locks(kept)} is held over the test and the insert; {mark.fn.name}() is not seen to hold it"
        anchor = f"struct {mark.marker.tag}.{mark.marker.field}"
        return Unsure(self.path, self.path.hops[test.level].fn, anchor, reason)

    def _is_real(self, mark: Mark) -> bool:
        """Whether a late PTE hurts: mappings go with the marker, or the handler follows the owner that goes."""
        if mark.marker.kind is Kind.OWNER and self._uses(mark) is not None:
            return True
        return not self.path.counted and (bool(self.zaps) or self.marks.unmap(mark) is not None)

    def _lets_go(self, test: Test, mark: Mark) -> bool:
        """Whether the handler gives back the very lock of a revoke that may come while the object is mapped.

        It need not unmap: a handler that takes its lock to look means to keep new PTEs out.
        """
        if self.path.counted or not test.held & mark.must or mark.marker.kind is Kind.OWNER:
            return False
        cover = Cover(self.marks.view, (self.path.way,), mark.marker)
        if cover.undoing(self.held.scope(mark.fn), mark.node):
            return False
        callers = cover.callers(mark.fn, mark.marker.value)
        return any(leaf.fate in (Fate.EXPOSED, Fate.UNKNOWN) for leaf in cover.fates(mark.fn, callers))

    def _retested(self, tests: tuple[Test, ...], pairs: list[tuple[Test, Mark]]) -> Shut | None:
        """Another field looked at under a lock of the revoke that is held to the end."""
        wanted = frozenset().union(*(mark.may for _, mark in pairs), *(zap.may for zap in self.zaps))
        told = {test.gate.step for test, _ in pairs}  # of these it is known under which lock they change
        for test in tests:
            kept = self.guarded.through(test) & wanted
            if kept and test.gate.step not in told and self.marks.changes(self.folder, test.gate.tag, test.gate.field):
                reason = f"{test.gate.text} is looked at and the PTE made under {locks(kept)}, as the revoke is"
                return Shut(self.path, self.path.hops[test.level].fn, reason, (test.gate.step, self.path.insert.step))
        return None

    def _late(self, test: Test, mark: Mark, *, unmaps: bool = True) -> Hole:
        hop = self.path.hops[test.level]
        common = test.held & mark.must
        how = How.DROPPED if common else How.OUTSIDE
        lock = locks(common or mark.must)
        tested = f"{test.gate.step.text}"
        tested += f", under {lock}" if common else f", without {lock}"
        line = self.held.program.cfg(hop.fn).nodes[hop.node].line
        end = Step(hop.fn.path, line, f"{lock} is not held from there to here, where {self._onward(test.level)}")
        steps = (mark.step, Step(test.gate.step.path, test.gate.step.line, tested), end, self.path.insert.step)
        return Hole(how, self.path, hop.fn, line, lock, tuple(dict.fromkeys(steps)), mark, unmaps=unmaps)

    def _onward(self, level: int) -> str:
        hops = self.path.hops
        return "the PTE is made" if level == len(hops) - 1 else f"{hops[level + 1].fn.name}() is called"

    # -- what is inserted was looked up under a lock that is gone

    def _stale(self, at_insert: frozenset[str]) -> Hole | None:
        for zap in self.zaps:
            if at_insert & zap.may:
                return None
        for level, hop in enumerate(self.path.hops):
            scope = self.held.scope(hop.fn)
            for call in ir.calls(scope.cfg.nodes[hop.node].expr):
                for arg in call.args:
                    found = self._from_section(scope, arg, level)
                    if found is not None:
                        return found
        return None

    def _from_section(self, scope: Scope, arg: ir.Expr, level: int) -> Hole | None:
        for name in sorted(_locals(scope, arg)):
            for value in scope.values(name):
                for call in ir.calls(value):
                    for callee in near(self.held.program, call.name, scope.fn.path):
                        found = self._inside(callee)
                        if found is not None:
                            zap, lock, place = found
                            return self._stale_hole(level, call, zap, lock, place)
        return None

    def _inside(self, callee: ir.Function) -> tuple[Zap, str, Step] | None:
        """An unmap's lock that this function takes and gives back, with the place."""
        kept = {lock.text for lock in self.held.effect(callee).takes}
        for node in self.held.program.cfg(callee).nodes:
            for name in sorted(self.held.names(callee, node.id, asserted=False) - kept):
                for zap in self.zaps:
                    if name in zap.must:
                        step = Step(callee.path, node.line, f"{callee.name}() looks it up under {name}")
                        return zap, name, step
        return None

    def _stale_hole(self, level: int, call: ir.Call, zap: Zap, lock: str, place: Step) -> Hole:
        hop = self.path.hops[level]
        line = self.held.program.cfg(hop.fn).nodes[hop.node].line
        steps = (
            Step(zap.step.path, zap.step.line, f"{zap.step.text}, under {lock}"),
            place,
            Step(hop.fn.path, call.line, f"{call.name}() has given {lock} back when it returns"),
            Step(hop.fn.path, line, f"{lock} is not held here, where {self._onward(level)}"),
        )
        return Hole(How.STALE, self.path, hop.fn, line, lock, steps, zap=zap)

    # -- nothing is tested

    def _untested(self, tests: tuple[Test, ...]) -> Hole | Shut | None:
        path = self.path
        asked = {(test.gate.tag, test.gate.field) for test in tests}
        for mark in self.marks.of(self.folder):
            if mark.marker.kind is Kind.OWNER and mark.must and not any(_same(mark, test) for test in tests):
                used = self._uses(mark)
                if used is not None:
                    return self._never(How.GONE, mark, used)
        if path.counted:
            return Shut(path, path.root, "the page that is mapped has a reference of its own")
        for mark in self.marks.of(self.folder):
            if self._is_own(mark):
                if asked & self.marks.written(mark.fn):
                    return Shut(path, path.root, "a field that the revoke changes is tested", (mark.step,))
                if (found := self._looked_up()) is not None:
                    return Shut(path, path.root, "what is mapped is looked up by the handler", (found,))
                return self._never(How.NEVER, mark, None)
        return None

    def _looked_up(self) -> Step | None:
        """A search on the path, by which an object that has been taken out is not found."""
        for hop in self.path.hops:
            for node in self.held.program.cfg(hop.fn).nodes:
                for call in ir.calls(node.expr):
                    if _SEARCH.search(call.name):
                        return Step(hop.fn.path, call.line, f"{call.name}() in {hop.fn.name}()")
        return None

    def _uses(self, mark: Mark) -> Step | None:
        """A place on the path where something behind the owner is read."""
        owner = (mark.marker.tag, mark.marker.field)
        for hop in self.path.hops:
            scope = self.held.scope(hop.fn)
            for node in scope.cfg.nodes:
                for each in ir.walk(node.expr) if node.expr is not None else ():
                    if isinstance(each, ir.Member) and isinstance(each.base, ir.Member):
                        base = each.base
                        if base.field == owner[1] and each.arrow and scope.tag_of(base.base) == owner[0]:
                            return Step(hop.fn.path, each.line, f"{hop.fn.name}() uses {ir.show(each)}")
        return None

    def _never(self, how: How, mark: Mark, used: Step | None) -> Hole:
        fn = self.path.root
        insert = self.path.insert
        middle = (used,) if used else (*self.path.calls, insert.step)
        last = Step(fn.path, fn.line, f"no test of {mark.marker.field} on the way through {fn.name}()")
        line = used.line if used and used.path == fn.path else self._line(fn)
        return Hole(how, self.path, fn, line, locks(mark.must), (mark.step, self.path.way.entry, *middle, last), mark)

    def _line(self, fn: ir.Function) -> int:
        hop = next(each for each in self.path.hops if each.fn.key == fn.key)
        return self.held.program.cfg(fn).nodes[hop.node].line

    def _unlocked(self, tests: tuple[Test, ...], at_insert: frozenset[str]) -> Hole | None:
        """No lock at all over the insert, and the mappings are taken away under one of an object in sight."""
        if at_insert or self._locks_somehow():
            return None
        for zap in self.zaps:
            mine = frozenset(name for name in zap.must if name.partition(".")[0] in self.path.way.tags)
            if mine and zap.whole:
                return self._no_lock(zap, mine, next((test for test in tests if test.held & mine), None))
        return None

    def _locks_somehow(self) -> bool:
        """Whether a function on the path calls one that is a lock by its name, and is none that was understood."""
        known = self.held.sections
        return any(
            LOCKING.search(call.name) and call.name not in known and call.name not in self.held.closers
            for hop in self.path.hops
            for node in self.held.program.cfg(hop.fn).nodes
            for call in ir.calls(node.expr)
        )

    def _no_lock(self, zap: Zap, names: frozenset[str], test: Test | None) -> Hole:
        fn = self.path.root if test is None else self.path.hops[test.level].fn
        lock = locks(names)
        given = f"{lock} is not held here, where the PTE is made"
        middle = (
            (Step(test.gate.step.path, test.gate.step.line, f"{test.gate.step.text}, under {lock}"),) if test else ()
        )
        steps = (
            Step(zap.step.path, zap.step.line, f"{zap.step.text}, under {lock}"),
            self.path.way.entry,
            *middle,
            *self.path.calls,
            Step(self.path.insert.fn.path, self.path.insert.line, given),
        )
        return Hole(How.UNLOCKED, self.path, fn, self._line(fn), lock, tuple(dict.fromkeys(steps)), zap=zap)


def _shut(path: Path, test: Test, mark: Mark, held: frozenset[str]) -> Shut:
    reason = f"{test.gate.text} is tested and the PTE made under {locks(held)}, as the revoke is"
    return Shut(path, path.hops[test.level].fn, reason, (test.gate.step, path.insert.step, mark.step))


def _same(mark: Mark, test: Test) -> bool:
    return markers.guards(mark.marker, test.gate)


def _locals(scope: Scope, expr: ir.Expr, depth: int = 3) -> frozenset[str]:
    """Locals an expression is reckoned from."""
    found: set[str] = set()
    todo = [(expr, depth)]
    while todo:
        here, left = todo.pop()
        for each in ir.walk(here):
            if isinstance(each, ir.Name) and scope.local(each.name) and each.name not in found:
                if each.name in scope.params:
                    continue
                found.add(each.name)
                if left:
                    todo.extend((value, left - 1) for value in scope.values(each.name))
    return frozenset(found)
