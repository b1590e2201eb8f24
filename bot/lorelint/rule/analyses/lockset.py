"""Which locks are held where, by the field of the structure they lie in: two functions speak of the same lock.

``vdev->memory_lock`` of one function and ``priv->vdev->memory_lock`` of another are both the lock
``vfio_pci_core_device.memory_lock``; whose object it is, of several of one type, is not told apart. A function that
takes, gives back or asserts a lock for its caller (``msm_gem_lock()``) is that lock. A reservation lock is
``resv`` whatever object it is had from: a GEM object, its TTM object and its dma-buf share one.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from lorelint.code import flow, ir
from lorelint.code.locks import Held as Locked
from lorelint.code.locks import Lock, Locks
from lorelint.code.program import Program
from lorelint.model.regex import regex
from lorelint.rule.analyses.folder import resolve
from lorelint.rule.analyses.scope import Scope, peel
from lorelint.rule.door import Analysis

_DEEP = 3  # wrappers of wrappers
_LONG = 6000  # bytes of a function that is still looked at as a wrapper
_SPEAKS = regex(rb"lock|guard|down_|\bup_|enter|exit|reserve|assert_held")
#: Asked in a statement of its own, WARN_ON(!mutex_is_locked(..)), this says that the caller holds it.
_ASSERTING = frozenset({"lockdep_is_held", "dma_resv_held", "dma_resv_is_locked", "mutex_is_locked", "rwsem_is_locked"})
_NAMED = regex(
    r"lock|down|up_|enter|exit|reserve|assert|mutex|zap|begin|end|prepare|open|close|get|put|acquire|release|wait"
)
#: Said to be a lock by its name alone: looked for in other folders, and never thought to be nothing.
# Not what orders memory, nor what is about the lock of a page.
LOCKING = regex(r"^(?!smp_|\w+_dirty_lock)(?:\w*_)?(?:un|try)?(?:lock|reserve|acquire)(?:_|$)")
#: Kinds that keep no other task out, or belong to an address space and not to an object.
_NOT_OF_OBJECTS = frozenset(
    "rcu irq preempt bh kmap migrate local_lock pte_lock mmap_lock vma_lock page_lock seqlock".split()
)
#: Name of the section of drm_dev_enter(): drm_dev_unplug() waits for its end.
DRM_DEV = "drm_dev_enter"
_WIDE = 24  # callers looked at


class Effect(Struct, frozen=True):
    """What a call of a function does to its caller's locks."""

    takes: Locked = frozenset()
    opens: str = "always"  # as of a section: "always", "on-zero", "on-nonzero"
    drops: frozenset[str] = frozenset()  # names


class HeldLocks(Locks):
    """Lock states by names that hold across functions."""

    def __init__(self, program: Program, depth: int = _DEEP) -> None:
        super().__init__(program)
        self.depth = depth
        self._below = HeldLocks(program, depth - 1) if depth else None

    def scope(self, fn: ir.Function) -> Scope:
        return self.program.memo(("scope", fn.path, fn.name, fn.line), lambda: Scope(self.program, fn))

    def names(self, fn: ir.Function, node: int, *, asserted: bool = True) -> frozenset[str]:
        """Names of the locks held whenever a node is about to run, by the function itself or as it asserts."""
        return frozenset(
            DRM_DEV if lock.kind == "drm_dev" else lock.text
            for lock in self.at(fn, node)
            if lock.text and lock.kind not in _NOT_OF_OBJECTS and (asserted or lock.kind != "asserted")
        )

    def behind(self, fn: ir.Function, node: int) -> frozenset[str]:
        """Names held behind a node, on every edge that leaves it."""
        after = [self.names(fn, edge.to) for edge in self.program.cfg(fn).nodes[node].out]
        return frozenset.intersection(*after) if after else frozenset()

    def owed(self, fn: ir.Function, node: int) -> frozenset[str]:
        """Names of locks that every way out of the function gives back behind a node, without taking them again.

        They are held there, though under a condition that is tested more than once they may seem not to be.
        """
        cfg = self.program.cfg(fn)
        return frozenset(
            name
            for name in self._given(fn)
            if flow.reaches(cfg, [node], {1} | self._taken(fn, name), avoid=self.releases(fn, name)) is None
        )

    def _given(self, fn: ir.Function) -> frozenset[str]:
        return frozenset(
            self.name(fn, call.args[0])
            for node in self.program.cfg(fn).nodes
            for call in ir.calls(node.expr)
            if call.name in self.closers and call.name != "downgrade_write" and call.args
            if self.closers[call.name].isdisjoint(_NOT_OF_OBJECTS)
        )

    def _taken(self, fn: ir.Function, name: str) -> frozenset[int]:
        """Nodes at which a lock is taken: not held before, and held behind."""
        nodes = self.program.cfg(fn).nodes
        return frozenset(
            node.id for node in nodes if name not in self.names(fn, node.id) and name in self.behind(fn, node.id)
        )

    def releases(self, fn: ir.Function, name: str) -> frozenset[int]:
        """Nodes at which a lock of this name is given back, by an unlock or a function that is one."""
        key = ("lock given back", fn.path, fn.name, fn.line, name, self.depth)
        return self.program.memo(key, lambda: frozenset(self._releases(fn, name)))

    def _releases(self, fn: ir.Function, name: str) -> Iterator[int]:
        for node in self.program.cfg(fn).nodes:
            for each in ir.walk(node.expr) if node.expr is not None else ():
                match each:
                    case ir.Guard(leave=True, args=(lock, *_)) if self.name(fn, lock) == name:
                        yield node.id
                    case ir.Call(args=(lock, *_)) if each.name in self.closers:
                        if each.name != "downgrade_write" and self.name(fn, lock) == name:
                            yield node.id
                    case ir.Call() if each.name and name in self._dropped(fn, each):
                        yield node.id

    def _dropped(self, fn: ir.Function, call: ir.Call) -> frozenset[str]:
        if self._below is None or not _NAMED.search(call.name):
            return frozenset()
        found = resolve(self.program, call.name, fn.path, wide=bool(LOCKING.search(call.name)))[:2]
        return frozenset().union(*(self._below.effect(callee).drops for callee in found))

    def over(self, fn: ir.Function, *, every: bool, depth: int = 2) -> frozenset[str]:
        """Names held by callers over the call: by `every` caller there is, else by any."""
        if depth == 0:
            return frozenset()
        return self.program.memo(
            ("held over", fn.path, fn.name, fn.line, every, depth), lambda: self._over(fn, every, depth)
        )

    def _over(self, fn: ir.Function, every: bool, depth: int) -> frozenset[str]:
        sites = self.program.callers(fn)
        if not sites or (every and (len(sites) > _WIDE or self.program.uses(fn))):
            return frozenset()
        found: list[frozenset[str]] = []
        for site in sites[:_WIDE]:
            around = self.over(site.fn, every=every, depth=depth - 1) if site.fn.key != fn.key else frozenset()
            for node in self.program.cfg(site.fn).nodes:
                if any(call.name == fn.name and call.line == site.line for call in ir.calls(node.expr)):
                    found.append(self.names(site.fn, node.id) | around)
        if not found:
            return frozenset()
        return frozenset.intersection(*found) if every else frozenset().union(*found)

    # -- how the states are made

    def at(self, fn: ir.Function, node: int) -> Locked:
        states = self.program.memo(("held", fn.path, fn.name, fn.line, self.depth), lambda: self._solve(fn))
        return frozenset(lock for lock in states.get(node, frozenset()) if not lock.result)

    def name(self, fn: ir.Function, expr: ir.Expr) -> str:
        scope = self.scope(fn)
        for _ in range(6):
            expr = scope.resolve(peel(expr))
            if not isinstance(expr, ir.Unary) or expr.op not in ("&", "*"):
                break
            expr = expr.operand
        if any(isinstance(each, ir.Member) and each.field == "resv" for each in ir.walk(expr)):
            return "resv"
        match expr:
            case ir.Member(base=base, field=field):
                owner = scope.tag_of(base)
                return f"{owner}.{field}" if owner else ir.show(expr)
        return ir.show(expr)

    def other(self, fn: ir.Function, call: ir.Call, node: ir.Node, edge: ir.Edge, held: Locked) -> Locked:
        if self._below is None or not self._may_lock(fn, call.name):
            return held
        for callee in resolve(self.program, call.name, fn.path, wide=bool(LOCKING.search(call.name)))[:2]:
            effect = self._below.effect(callee)
            held = frozenset(lock for lock in held if lock.text not in effect.drops)
            if effect.takes and self._opened(effect.opens, node, edge, call):
                held |= effect.takes
        return held

    def _may_lock(self, fn: ir.Function, name: str) -> bool:
        """A callee by its name; one of the same file by its text, whatever it is called."""
        if _NAMED.search(name):
            return True
        near = self.program.function(fn.path, name) if name else None
        return near is not None and len(near.text) <= _LONG and _SPEAKS.search(near.text) is not None

    def effect(self, fn: ir.Function) -> Effect:
        """What a call of this function does, as far as it is a lock, an unlock or an assertion of its caller's."""
        if len(fn.text) > _LONG or not _SPEAKS.search(fn.text):
            self.program.note(("function", fn.path, fn.name))
            return Effect()
        key = ("lock effect", fn.path, fn.name, fn.line, self.depth)
        return self.program.memo(key, lambda: self._effect(fn))

    def _effect(self, fn: ir.Function) -> Effect:
        states = self.program.memo(("held", fn.path, fn.name, fn.line, self.depth), lambda: self._solve(fn))
        cfg = self.program.cfg(fn)
        drops = self._drops(fn, states)
        kept = frozenset(lock for lock in states.get(1, frozenset()) if not lock.result)
        if kept:
            return Effect(kept, "always", drops)
        pending = frozenset(lock for lock in states.get(1, frozenset()) if lock.result)
        if pending:
            return Effect(frozenset(Lock(e.kind, e.mode, e.atomic, e.text) for e in pending), "on-zero", drops)
        return self._by_value(fn, cfg, drops)

    def _by_value(self, fn: ir.Function, cfg: ir.Cfg, drops: frozenset[str]) -> Effect:
        """A lock that is held when the function returns success alone."""
        with_lock: list[tuple[ir.Expr | None, Locked]] = []
        for node in cfg.nodes:
            if node.at is ir.At.RETURN:
                held = frozenset.intersection(*(self._after(fn, node, edge) for edge in node.out))
                if held:
                    with_lock.append((node.expr, held))
        if not with_lock:
            return Effect(drops=drops)
        takes = frozenset.intersection(*(held for _, held in with_lock))
        values = [peel(expr) for expr, _ in with_lock if expr is not None]
        if values and all(isinstance(each, ir.Number) and each.value == 0 for each in values):
            return Effect(takes, "on-zero", drops)
        if values and all(
            (isinstance(each, ir.Name) and each.name == "true") or (isinstance(each, ir.Number) and each.value)
            for each in values
        ):
            return Effect(takes, "on-nonzero", drops)
        return Effect(drops=drops)

    def _after(self, fn: ir.Function, node: ir.Node, edge: ir.Edge) -> Locked:
        held = self._transfer(fn, node, edge, self.at(fn, node.id)) or frozenset()
        return frozenset(lock for lock in held if not lock.result)

    def _drops(self, fn: ir.Function, states: dict[int, Locked]) -> frozenset[str]:
        """Locks that were the caller's and are given back on every path."""
        cfg = self.program.cfg(fn)
        where: dict[str, set[int]] = {}
        for node in cfg.nodes:
            for call in ir.calls(node.expr):
                if call.name in self.closers and call.name != "downgrade_write" and call.args:
                    name = self.name(fn, call.args[0])
                    if all(lock.text != name for lock in states.get(node.id, frozenset())):
                        where.setdefault(name, set()).add(node.id)
                elif self._below is not None and self._may_lock(fn, call.name):
                    for callee in resolve(self.program, call.name, fn.path, wide=False)[:2]:
                        for name in self._below.effect(callee).drops:
                            if all(lock.text != name for lock in states.get(node.id, frozenset())):
                                where.setdefault(name, set()).add(node.id)
        return frozenset(
            name for name, nodes in where.items() if flow.reaches(cfg, [0], {1}, avoid=frozenset(nodes)) is None
        )

    def _call(self, fn: ir.Function, call: ir.Call, node: ir.Node, edge: ir.Edge, held: Locked, result: str) -> Locked:
        if call.name == "downgrade_write":
            return held  # still there, for readers
        if call.name in _ASSERTING and node.at is ir.At.DO and call.args:
            return held | {Lock("asserted", "", False, self.name(fn, call.args[0]))}
        return super()._call(fn, call, node, edge, held, result)


LOCKSETS: Analysis[HeldLocks] = Analysis("locks held, by field", lambda view: HeldLocks(view.program))
