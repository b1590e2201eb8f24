"""The ports through which a base is looked for: an opened tree, its repository, and GNU patch.

`lorelint.edge` implements them; `lorelint.jobs.base` climbs on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from lorelint.model.tree import Tree
from lorelint.model.trouble import Trouble

if TYPE_CHECKING:
    from lorelint.model.mail import FileDiff


class Ref(Struct, frozen=True):
    """A tag or a branch and the commit it stands for."""

    name: str  # "v6.12.5", "linux-6.12.y", "origin/master"
    commit: str  # full id


class Held(Struct, frozen=True):
    """The commit that holds the most of the blobs that were asked for."""

    commit: str  # full id
    name: str  # as a person would say it
    count: int  # how many of the blobs


class Prerequisite(Struct, frozen=True):
    """What a commit found by its patch id does to each file; None stands for no file."""

    patch_id: str
    commit: str
    changes: Mapping[str, tuple[bytes | None, bytes | None]]  # path -> (before, after)


class Repository(Protocol):
    """The history behind a tree. Nothing of the user's is changed by any of this."""

    def resolve(self, revision: str) -> str | None:
        """The full id of the commit a revision names; None where it names none that is here."""

    def tree(self, commit: str, name: str = "") -> Tree:
        """The tree of a commit, by its full id."""

    def refs(self) -> Sequence[Ref]:
        """Tags and branches, newest commit first, one per commit, bounded in number."""

    def holding(self, wanted: Mapping[str, str], date: str) -> Held | None:
        """The commit whose tree has the most of these blobs at these paths; the newest of equals.

        wanted  path -> blob id, as abbreviated by the index line
        date    RFC 3339 date of the mail, "" when unknown: history long before it is not walked
        """

    def content(self, blob: str) -> bytes | None:
        """The content of a blob by its id, abbreviated or full; None where it is not here or not one alone."""

    def merge(self, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
        """A three-way merge of one file; None when it has conflicts."""

    def prerequisites(self, base: str, patch_ids: Sequence[str]) -> Sequence[Prerequisite]:
        """Those commits, not in `base`, whose stable patch id is among these, in the order of the ids."""

    def troubles(self) -> tuple[Trouble, ...]:
        """What could not be read so far (objects of a partial clone), sorted."""


class FuzzyHunk(Struct, frozen=True):
    """Where GNU patch put one hunk, in the file after."""

    hunk: int  # 1-based
    start: int  # first line, 1-based
    end: int  # last line
    fuzz: int  # context lines ignored at each end
    offset: int  # lines away from where the hunk's header says


class Fuzzy(Struct, frozen=True):
    """A file to which a diff was put with fuzz."""

    content: bytes
    hunks: tuple[FuzzyHunk, ...]


class Patcher(Protocol):
    """GNU patch, or what does the same."""

    def fuzz(self, diff: FileDiff, content: bytes) -> Fuzzy | None:
        """The file after, with at most two context lines ignored at each end; None where it does not apply."""


class OpenTree(Struct, frozen=True):
    """A tree as the user named it, with what lies behind it."""

    tree: Tree  # the directory, HEAD, or the commit that was named; overlays laid over
    repository: Repository | None  # None for a plain directory
    named: str  # the revision the user named, "" when none
    commit: str  # full id where the tree is a commit and nothing is laid over it, else ""
    version: tuple[int, int]  # (6, 12)
    release: str  # "6.12.117"

    @property
    def name(self) -> str:
        return self.tree.name
