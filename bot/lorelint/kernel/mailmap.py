""".mailmap of a tree: which addresses are of one person, as gitmailmap(5) writes it. Pure.

Only addresses are looked at: that an address wrote a mail can be proven, a name in it cannot. Where the file gives an
address to several persons by their names, it is nobody's but its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from lorelint.kernel.whole import understood
from lorelint.model.regex import regex
from lorelint.model.tree import Tree

NAME = ".mailmap"
MAX_BYTES = 4 << 20
MAX_LINE = 1_000  # characters
MAX_LINES = 50_000
_ENTRY = regex(r"[^<>#]*<([^<>\s]+)>(?:[^<>]*<([^<>\s]+)>)?\s*(?:#.*)?")


class Mailmap:
    """The addresses of a file, each with the one its person goes by today."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = dict(known)

    def person(self, address: str) -> str:
        """The address that stands for whoever has this one, in lower case; itself where nothing is said of it."""
        plain = address.lower()
        return self._known.get(plain, plain)


def parse(text: str) -> Mailmap:
    """The entries of a .mailmap. Never raises: what is no entry is none."""
    found: dict[str, set[str]] = {}
    for line in text.split("\n", MAX_LINES)[:MAX_LINES]:
        entry = _ENTRY.fullmatch(line) if len(line) <= MAX_LINE else None
        if entry and entry[2]:
            found.setdefault(entry[2].lower(), set()).add(entry[1].lower())
    return Mailmap({address: next(iter(proper)) for address, proper in found.items() if len(proper) == 1})


def mailmap(tree: Tree) -> Mailmap:
    """That of a tree; an empty one where it has none. Read once for each content of the file."""
    return understood(tree, NAME, MAX_BYTES, parse)
