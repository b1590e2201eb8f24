"""The kernels that series are reviewed against: clones and folders as they are, and one mirror of all remote ones.

The remote trees share one bare repository (``linux.git``), a ref for each: they have nearly all objects in common, and
a commit that a mail names as its base is found whichever of them it came with. History is cut by age, so that it stays
small; blobs are all fetched (a review that had to ask the network for each would be no longer the same offline).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct

from lorelint.config import TreeConfig
from lorelint.edge.mirror import FIRST, TIMEOUT, Mirror
from lorelint.edge.repository import GitRepository
from lorelint.edge.trees import open_tree
from lorelint.model.errors import LorelintError
from lorelint.model.source import OpenTree
from lorelint.model.tree import Tree

MIRROR = "linux.git"
AGAIN = timedelta(hours=1)  # after a fetch that failed


class Fetched(Struct, frozen=True):
    """What came of bringing one tree up to date."""

    name: str
    ok: bool
    text: str


class Remotes:
    """Trees by name, in the order of the settings.

    folder  of the mirror
    limit   bytes of it at which nothing more is fetched
    find    where a tree is that is named without a path
    beside  puts an index beside a tree, or nothing
    """

    def __init__(
        self,
        trees: Sequence[TreeConfig],
        folder: Path,
        limit: float,
        find: Callable[[str], str],
        beside: Callable[[Tree], Tree],
    ) -> None:
        self.trees = {each.name: each for each in trees}
        self.folder = folder
        self.limit = limit
        self._find = find
        self._beside = beside
        self._mirror = Mirror(folder / MIRROR)
        self._opened: dict[str, OpenTree] = {}

    def close(self) -> None:
        """Let go of what is open; what is opened next is as fresh as the last fetch."""
        for opened in self._opened.values():
            if isinstance(opened.repository, GitRepository):
                opened.repository.close()
        self._opened.clear()

    # -- fetching ---------------------------------------------------------------------------------------------

    def refresh(self, now: str) -> tuple[Fetched, ...]:
        """Fetch the remote trees whose time has come; an error is told and keeps none of the others."""
        done = [self._fetch(tree, now) for tree in self.trees.values() if tree.url and self._due(tree, now)]
        if done:
            self._mirror.tidy()
            self.close()
        return tuple(done)

    def _due(self, tree: TreeConfig, now: str) -> bool:
        try:
            last = json.loads(self._marker(tree).read_text())
            after = timedelta(hours=tree.fetch_hours) if last["ok"] else min(AGAIN, timedelta(hours=tree.fetch_hours))
            lost = last["ok"] and not self._mirror.resolve(_ref(tree))
            return bool(lost or _moment(now) - _moment(last["at"]) >= after)
        except (OSError, ValueError, KeyError, TypeError):
            return True

    def _fetch(self, tree: TreeConfig, now: str) -> Fetched:
        held = self._mirror.size()
        was = self._mirror.resolve(_ref(tree))
        try:
            if held >= self.limit:
                more = f"the mirror has {held / 1e9:.1f} GB, {self.limit / 1e9:.1f} are allowed"
                raise LorelintError(f"nothing more is fetched: {more}", remedy="raise listen.trees_gigabytes")
            self._bring(tree, now, FIRST if not was else TIMEOUT)
        except LorelintError as error:
            self._mark(tree, now, False)
            return Fetched(tree.name, False, str(error))
        self._mark(tree, now, True)
        tip = self._mirror.resolve(_ref(tree))
        return Fetched(tree.name, True, f"at {tip[:12]}" if tip == was else f"{was[:12] or 'new'}..{tip[:12]}")

    def _bring(self, tree: TreeConfig, now: str, timeout: int) -> None:
        """History is cut anew each time: else a branch that began long ago would bring all that is older."""
        source = f"refs/heads/{tree.branch}" if tree.branch else "HEAD"
        since = (_moment(now) - timedelta(days=tree.history_days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        refs = f"+{source}:{_ref(tree)}"
        try:
            self._mirror.fetch(tree.url, refs, options=(f"--shallow-since={since}",), timeout=timeout, tags=True)
        except LorelintError as error:
            if not re.search("no commits selected|shallow", error.what):
                raise
            # The tree rests, or its server cannot cut a history.
            self._mirror.fetch(tree.url, refs, options=("--depth=1",), timeout=timeout)

    def _marker(self, tree: TreeConfig) -> Path:
        return self.folder / f"{tree.name}.json"

    def _mark(self, tree: TreeConfig, now: str, ok: bool) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._marker(tree).write_text(json.dumps({"at": now, "ok": ok}))

    # -- choosing ---------------------------------------------------------------------------------------------

    def order(self, base: str, inboxes: Iterable[str], places: Iterable[str]) -> tuple[str, ...]:
        """All trees, the most promising first: one that has the base commit, the list's own, one that MAINTAINERS
        names (`places`, what T: says), then as the settings have them."""
        came, named = set(inboxes), {_place(each) for each in places}

        def rank(tree: TreeConfig) -> int:
            if base and self._holds(tree, base):
                return 0
            if came & set(tree.lists):
                return 1
            return 2 if {_place(tree.url or tree.path)} & named else 3

        return tuple(each.name for each in sorted(self.trees.values(), key=rank))

    def _holds(self, tree: TreeConfig, commit: str) -> bool:
        if not re.fullmatch(r"[0-9a-f]{7,64}", commit):
            return False
        if tree.url:
            return bool(self._mirror.resolve(commit)) and self._mirror.holds(commit, _ref(tree))
        try:
            repository = self.open(tree.name).repository
        except LorelintError:
            return False
        return repository is not None and repository.resolve(commit) is not None

    def open(self, name: str) -> OpenTree:
        """A tree by its name. Raises LorelintError where it is not there, or no kernel."""
        if name not in self._opened:
            tree = self.trees[name]
            if tree.url and not self._mirror.resolve(_ref(tree)):
                remedy = "lorelint status tells what its last fetch said"
                raise LorelintError("is not mirrored yet", where=f"tree.{name}", remedy=remedy)
            self._opened[name] = open_tree(self.spec(name), (), self._beside)
        return self._opened[name]

    def spec(self, name: str) -> str:
        """A tree as a user would name it. Raises LorelintError where there is none at its path."""
        tree = self.trees[name]
        if tree.url:
            return f"{self.folder / MIRROR}@{_short(tree)}"
        return self._find(tree.path) + (f"@{tree.branch}" if tree.branch else "")


def _short(tree: TreeConfig) -> str:
    """As a person would say it."""
    return f"{tree.name}/{tree.branch or 'head'}"


def _ref(tree: TreeConfig) -> str:
    return f"refs/remotes/{_short(tree)}"


def _place(url: str) -> str:
    """What the addresses of one tree have in common: ``tiwai/sound`` of git://..., https://... and a clone's folder."""
    found = re.search(
        r"([^/\s:]+/[^/\s]+?)(?:\.git)?/?(?:\s\S+)?\s*$", re.sub(r"^(?:git|hg|quilt)\s+", "", url.strip())
    )
    return found[1].lower() if found else url


def _moment(when: str) -> datetime:
    return datetime.fromisoformat(when)
