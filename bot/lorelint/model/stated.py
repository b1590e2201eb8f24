"""Concerns that people raised in threads, labelled; and what lorelint made of each."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Stated(Struct, frozen=True):
    """One labelled concern: what somebody said, and of what.

    needs  how far one has to look (P, F, T, C), "-" where no static rule could tell, "" where nobody judged it
    rules  those that are to find it
    siblings  functions that the finding is to name as siblings: the concern is about those
    tells  what the finding is to say in so many words: the concern is about that
    """

    id: str
    thread: str  # name of its mailbox
    patch: str  # message-id
    path: str  # "" for the patch as a whole
    function: str
    line: str  # of the diff, with its mark; "" for none
    concern: str
    kind: str
    msgid: str  # of the mail that raised it
    name: str
    needs: str = ""
    rules: tuple[str, ...] = ()
    siblings: tuple[str, ...] = ()
    tells: tuple[str, ...] = ()
    note: str = ""

    @property
    def visible(self) -> bool:
        return self.needs in ("P", "F", "T", "C")


class Near(StrEnum):
    """How near the place a comment was given is to the place its label names, best first."""

    LINE = "line"  # the very line; the patch as a whole, where the label names no line
    HUNK = "hunk"  # another line of the hunk
    FILE = "file"
    PATCH = "patch"  # another place of the right patch's mail
    OTHER = "other"  # another mail
    UNREAD = "unread"  # no comment was read from the mail that raised it


class Put(Struct, frozen=True):
    """The base of one thread: the tree that was nearest, and its grade; "" where none was given."""

    thread: str
    tree: str
    grade: str
    findings: int


class Heard(Struct, frozen=True):
    """What became of one concern.

    found  by which finding: ``rule in function() (status)``, "" for none
    why    the reason, where it was not found
    near   where the comment was put
    role   who wrote the comment that was taken for it: reviewers alone raise findings; "" where none was read
    raised the rules of findings that the comment was linked to; "?" behind one where that is not sure
    """

    stated: Stated
    patch: int
    found: str
    why: str
    near: Near
    role: str
    raised: tuple[str, ...]


class Hearing(Struct, frozen=True):
    """A whole measurement."""

    bases: tuple[Put, ...]
    heard: tuple[Heard, ...]
