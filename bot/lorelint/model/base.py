"""How the tree under a series was found, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from lorelint.model.mail import Patch
from lorelint.model.tree import Tree
from lorelint.model.trouble import Trouble


class Grade(StrEnum):
    """How sure we are that a file is the one the author had, best first."""

    EXACT = "exact"  # the blob the index line names, or all of the base commit
    CLEAN = "clean"  # another blob, but every hunk applies at its place or moved, with full context
    MERGED = "merged"  # three-way by blobs
    APPROXIMATE = "approximate"  # fuzz was needed
    FRAGMENTS = "fragments"  # the hunks alone

    @property
    def rank(self) -> int:
        return list(Grade).index(self)


class BaseStep(Struct, frozen=True):
    """One rung of the base ladder: what was tried and what came of it."""

    rung: str  # "base-commit", "blobs", "named", "tags", "three-way", "fuzzy", "fragments"
    tried: str  # commit, tag, tree name
    taken: bool
    text: str  # the reason, lower case, no full stop


class FileBase(Struct, frozen=True):
    """One file of a patch on the base that was found."""

    path: str
    grade: Grade
    text: str  # "blob 5167bec14 as named by the patch", "hunk 2 moved by -28 lines", ...
    fuzzed: tuple[tuple[int, int], ...] = ()  # line ranges of the file after that were placed with fuzz


class Base(Struct, frozen=True):
    """Where the series was put, with every rung that was tried."""

    tree: str  # name of the tree, "" for fragments
    commit: str  # full id where the tree is a commit, else ""
    grade: Grade  # the worst of its C files (of all files where there is no C)
    steps: tuple[BaseStep, ...]

    @property
    def tried(self) -> bool:
        """Whether there was any tree to try."""
        return any(step.tried and step.rung != "base-commit" for step in self.steps)


class Snapshot(Struct, frozen=True):
    """The source before and after one patch; patch 3's *before* holds patches 1 and 2."""

    patch: Patch
    before: Tree
    after: Tree
    files: Mapping[str, FileBase]  # by path after
    troubles: tuple[Trouble, ...] = ()


class Applied(Struct, frozen=True):
    """A whole series on its base."""

    base: Base
    snapshots: tuple[Snapshot, ...]
    troubles: tuple[Trouble, ...] = ()
