"""Where the kernel is entered, and which APIs belong together: what a call graph is labelled with."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class Entrances(Struct, frozen=True):
    """Kinds of entries (``ioctl``, ``work``) by where a function stands.

    slots     ``file_operations.mmap``, or ``proto_ops.*`` for all fields of a structure -> kind
    handed    what takes a function to call it later (``INIT_WORK``) -> kind
    user      kinds that run for a task of user space
    silent    what is handed a function and never calls it; `silent_prefixes`: names that begin so are, too
    """

    slots: Mapping[str, str] = field(default_factory=dict)
    handed: Mapping[str, str] = field(default_factory=dict)
    user: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    silent_prefixes: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds, in the order of the data; a system call has no slot."""
        return tuple(dict.fromkeys(("syscall", *self.slots.values(), *self.handed.values())))

    def of_slot(self, tag: str, name: str) -> str:
        """The kind of entry that a field of a structure is, "" for none."""
        return self.slots.get(f"{tag}.{name}") or self.slots.get(f"{tag}.*", "")

    def ignores(self, taker: str) -> bool:
        """Whether a function that is handed to this name is only named by it."""
        return taker in self.silent or taker.startswith(self.silent_prefixes)


class Family(Struct, frozen=True):
    """APIs that belong together."""

    name: str
    about: str
    functions: frozenset[str]
