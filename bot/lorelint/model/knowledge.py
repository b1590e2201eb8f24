"""Kernel knowledge as analyses take it: named lists of API names, cut to one kernel version."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class When(Struct, frozen=True):
    """A condition on one argument of a call; without it (None in its place) the fact always holds.

    argument  1-based, as people count
    test      ``not-null`` (anything but NULL or 0) or ``flag`` (the expression mentions one of `flags`)
    flags     macro names, for ``flag`` alone
    """

    argument: int
    test: str
    flags: tuple[str, ...] = ()

    def place(self, count: int) -> int | None:
        """Index of that argument in a call with so many, None where it has too few.

        Kernels before 5.9 handed a task first (fixup_user_fault(), get_user_pages_remote(): 64019a2e467a); what tells
        of the lock was last then, and is.
        """
        if count < self.argument:
            return None
        return count - 1 if self.test == "not-null" else self.argument - 1


class CallFact(Struct, frozen=True):
    """What a call of one API means beyond list membership. A condition of None: it always holds.

    ends_on_signal    the callee looks at signals before or while it waits and returns an error when one is there:
                      "fatal" or "any"; "" when it does not look
    signal_when       the condition on an argument under which it looks
    signal_codes      the codes it then ends with, without sign: ("EINTR",)
    drops_mmap_lock   it may come back having dropped (and perhaps retaken) mmap_lock
    drops_when        the condition on an argument under which it may
    holds_on_return   with `drops_mmap_lock`: mmap_lock is held again whenever it returns
    told_by           with `drops_mmap_lock`: 1-based argument through which the caller learns of it, 0 = by result
    """

    name: str
    ends_on_signal: str = ""
    signal_when: When | None = None
    signal_codes: tuple[str, ...] = ()
    drops_mmap_lock: bool = False
    drops_when: When | None = None
    holds_on_return: bool = False
    told_by: int = 0


class Section(Struct, frozen=True):
    """A call that opens a section (takes a lock, disables preemption, ..) and the calls that end it.

    kind      class of lock: ``mutex``, ``rwsem``, ``mmap_lock``, ``spinlock``, ``rcu``, ``preempt``, ``irq``, ...
    mode      ``read``, ``write`` or ``""``
    atomic    nothing may sleep inside
    argument  1-based argument that names the lock, 0 where there is none
    opens     ``always``, ``on-zero`` (mutex_lock_killable), ``on-nonzero`` (trylock, pte_offset_map_lock)
    """

    opener: str
    closers: frozenset[str]
    kind: str
    mode: str
    atomic: bool
    argument: int
    opens: str


class Guard(Struct, frozen=True):
    """What ``guard(name)(&l)`` and its relatives take, and when."""

    name: str
    kind: str
    mode: str
    atomic: bool
    conditional: bool  # may fail to take it: only in scoped_cond_guard() and ACQUIRE()
    signal: str  # "fatal", "any" or "": what makes taking it fail


class Knowledge(Struct, frozen=True):
    """API lists for one kernel version.

    `lists` maps a list's name (``yield_unconditional``) to the names in it which that version has.
    `calls`, `sections` and `guards` hold what a call means beyond membership, by its name; the data
    and the meaning of every list are in the TOML files of `lorelint.kernel`.
    """

    version: tuple[int, int]  # (6, 12)
    lists: Mapping[str, frozenset[str]]
    calls: Mapping[str, CallFact] = field(default_factory=dict)
    sections: Mapping[str, Section] = field(default_factory=dict)
    guards: Mapping[str, Guard] = field(default_factory=dict)

    def names(self, *lists: str) -> frozenset[str]:
        """The union of some lists. Raises KeyError for a list that does not exist."""
        found: frozenset[str] = frozenset()
        for name in lists:
            found |= self.lists[name]
        return found

    def has(self, name: str, *lists: str) -> bool:
        return any(name in self.lists[each] for each in lists)
