"""Branches that `b4 review` (0.16) works on, and the files it takes other people's reviews from.

The tip of such a branch is an empty commit whose message holds what b4 tracks, as JSON. Files for it lie in
``.git/b4-review/<tip>/``; b4 reads them when the branch is opened next, and a tip that has moved leaves them unread.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from lorelint.edge.git import Git, text
from lorelint.model.errors import LorelintError
from lorelint.model.regex import regex

MARKER = "--- b4-review-tracking ---"
BRANCHES = "refs/heads/b4/review/"
_ID = regex(r"[0-9a-f]{40,64}")


class Tracked(Struct, frozen=True):
    """One branch.

    patches  (Message-ID, commit) of its patches, in the order b4 numbers them
    known    addresses whose reviews b4 has already, of any patch
    """

    branch: str
    tip: str
    patches: tuple[tuple[str, str], ...]
    known: frozenset[str]


class ReviewBranches:
    """The review branches of a checkout. Raises LorelintError where there is no repository that b4 reads files in."""

    def __init__(self, where: Path) -> None:
        self._git = Git(where)
        top = self._git.run("rev-parse", "--show-toplevel")
        if top.code:
            raise LorelintError("is no git checkout", where=str(where), remedy="run it where `b4 review` is run")
        self.folder = Path(text(top.out).strip()) / ".git" / "b4-review"
        if not self.folder.parent.is_dir():
            remedy = "run it in the main checkout: b4 reads no such files in a linked one"
            raise LorelintError("is a linked work tree", where=str(where), remedy=remedy)

    def all(self) -> tuple[Tracked, ...]:
        """Those whose tips hold what b4 tracks, by name."""
        listed = self._git.run("for-each-ref", "--format=%(objectname) %(refname)", BRANCHES)
        rows = [line.split(" ", 1) for line in text(listed.out).splitlines()]
        return tuple(found for tip, ref in rows if (found := self._tracked(tip, ref.removeprefix("refs/heads/"))))

    def _tracked(self, tip: str, branch: str) -> Tracked | None:
        message = text(self._git.run("log", "-1", "--format=%B", tip).out)
        _, marker, rest = message.partition(MARKER)
        try:
            tracking = json.loads("\n".join(line for line in rest.splitlines() if not line.startswith("#")))
            first = tracking["series"].get("first-patch-commit") or ""
            start = f"{first}~1" if first else tracking["series"]["base-commit"]
            patches = [each.get("header-info", {}).get("msgid", "") for each in tracking["patches"]]
            known = _known(tracking)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        if not marker or not _ID.match(start):
            return None
        commits = text(self._git.run("rev-list", "--reverse", f"{start}..{tip}~1").out).split()
        return Tracked(branch, tip, tuple(zip(map(str, patches), commits, strict=False)), known)

    def diff(self, commit: str) -> str:
        """What a commit changes, as b4 will look at it."""
        return text(self._git.run("diff", "--no-ext-diff", "--no-color", f"{commit}~1", commit).out)

    def write(self, branch: Tracked, files: Mapping[str, str]) -> Path:
        """The files for a branch, all or none. Raises LorelintError."""
        folder = self.folder / branch.tip
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # b4 reads nothing without the identity: it is written last.
            for name in sorted(files, key=lambda each: each == "identity.txt"):
                (folder / name).write_text(files[name], "utf-8", "surrogateescape")
        except OSError as error:
            raise LorelintError(
                f"cannot be written: {error.strerror}", where=str(folder), remedy="see to it"
            ) from error
        return folder


def _known(tracking: Mapping[str, Any]) -> frozenset[str]:
    every = [tracking["series"], *tracking["patches"]]
    return frozenset(address for each in every for address in each.get("reviews", {}))
