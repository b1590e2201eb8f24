"""From where a function is entered: user space, or only a work item, a kthread, an interrupt.

Entries are found upwards: direct callers, and the places where a function's name stands as a value
(an ops table, INIT_WORK(), request_irq()). Looked at to a bounded depth; what is not known counts as
reachable from user space, so a signal check is never waived by ignorance.
"""

from __future__ import annotations

from msgspec import Struct

from lorelint.code import ir
from lorelint.code.program import Program

_IOCTLS = ("unlocked_ioctl", "compat_ioctl", "ioctl")
_ATOMIC = "atomic context"
DEPTH = 4
WIDTH = 24


class Entry(Struct, frozen=True):
    """One way in: what kind, and the place that shows it."""

    kind: str  # "work item", "kthread", "interrupt", "atomic context" or "user" / "unknown"
    path: str
    line: int


class Entries:
    def __init__(self, program: Program) -> None:
        self.program = program
        know = program.know
        self._kinds = dict.fromkeys(know.names("runs_as_work"), "work item")
        self._kinds.update((name, "kthread") for name in know.names("runs_as_kthread"))
        self._kinds.update((name, "interrupt") for name in know.names("runs_as_interrupt"))
        self._kinds.update((name, _ATOMIC) for name in know.names("runs_in_atomic_context"))

    def of(self, fn: ir.Function) -> frozenset[Entry]:
        """All ways into a function that were found."""
        return self.program.memo(("entries", fn.path, fn.name), lambda: self._search(fn))

    def only_kernel(self, fn: ir.Function) -> bool:
        """Every way in is known, and none of them runs on behalf of a user's task."""
        found = self.of(fn)
        return bool(found) and all(entry.kind not in ("user", "unknown") for entry in found)

    def only_atomic(self, fn: ir.Function) -> bool:
        """Every way in is known, and on none of them anything may sleep."""
        found = self.of(fn)
        return bool(found) and all(entry.kind == _ATOMIC for entry in found)

    def from_ioctl(self, fn: ir.Function, depth: int = DEPTH) -> bool:
        """An ioctl handler reaches the function by direct calls."""
        return self.program.memo(("from ioctl", fn.path, fn.name, depth), lambda: self._from_ioctl(fn, depth))

    def _from_ioctl(self, fn: ir.Function, depth: int) -> bool:
        seen = {(fn.path, fn.name)}
        level = [fn]
        for _ in range(depth):
            above = []
            for each in level:
                if any(use.kind != "argument" and use.field in _IOCTLS for use in self.program.uses(each)):
                    return True
                for site in self.program.callers(each):
                    key = (site.fn.path, site.fn.name)
                    if key not in seen and len(seen) < WIDTH:
                        seen.add(key)
                        above.append(site.fn)
            level = above
        return False

    def _search(self, fn: ir.Function) -> frozenset[Entry]:
        entries: set[Entry] = set()
        seen = {(fn.path, fn.name)}
        level = [fn]
        for _ in range(DEPTH):
            above: list[ir.Function] = []
            for each in level:
                taken = self._taken(each)
                entries |= taken
                callers = [site.fn for site in self.program.callers(each)] if each.static else []
                if not callers and not taken:
                    entries.add(Entry("unknown", each.path, each.line))
                for caller in callers:
                    if (caller.path, caller.name) not in seen:
                        seen.add((caller.path, caller.name))
                        above.append(caller)
            if not above or len(seen) > WIDTH:
                break
            level = above
        else:
            entries.add(Entry("unknown", fn.path, fn.line))
        if len(seen) > WIDTH:
            entries.add(Entry("unknown", fn.path, fn.line))
        return frozenset(entries)

    def _taken(self, fn: ir.Function) -> set[Entry]:
        """Where the function's name stands as a value, in its own file."""
        found: set[Entry] = set()
        if not fn.static:
            return found  # anybody may hand it over
        for use in self.program.uses(fn):
            kind = self._kinds.get(use.type, "user") if use.kind == "argument" else "user"
            found.add(Entry(kind, use.path, use.line))
        return found
