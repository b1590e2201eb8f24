"""Which view an index has of a tree: of a commit, of a folder that may have changed since.

The look for changes in a folder (`sweep`) is begun before anything else is loaded, and asked for its answer when the
first question comes: the two take about as long. `early` does not wait even then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from time import time
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from lorelint.edge.directory import DirectoryTree
from lorelint.edge.index import Gone, IndexFile, Manifest
from lorelint.edge.indexed import IndexedTree, View
from lorelint.edge.sweep import Sweep, Swept, walk
from lorelint.model.errors import LorelintError
from lorelint.model.index import Share
from lorelint.model.tree import Tree, blob_id

if TYPE_CHECKING:
    from lorelint.edge.repository import GitTree

FRESH = 400  # blobs read into the index at once when a tree is opened: seconds at most
LOOSE = 2000  # files that are looked through one by one because the index lacks them

T = TypeVar("T")


def key_of(tree: Tree) -> str:
    """By which key an index remembers a tree; "" for one that it does not."""
    if isinstance(tree, DirectoryTree):
        # SQLite takes text for UTF-8; a path may be any bytes
        return "folder:" + tree.root.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    commit = _of_commit(tree)
    return "" if commit is None else f"commit:{commit.commit}"


def _of_commit(tree: Tree) -> GitTree | None:
    from lorelint.edge.repository import GitTree

    return tree if isinstance(tree, GitTree) else None


def beside(tree: Tree, index: IndexFile) -> Tree:
    """The tree with the index beside it; as it was where the index has nothing to do with it."""
    if isinstance(tree, DirectoryTree):
        found = _Folder(tree, index)
        return tree if found.sweep is None else IndexedTree(tree, index, found.view, found.last)
    commit = _of_commit(tree)
    return tree if commit is None else IndexedTree(commit, index, lambda: _commit(commit, index))


def early(tree: Tree, job: Callable[[Tree], T]) -> T:
    """What a job makes of a tree. While a folder is being looked through for changes it is done on what lay there the
    last time, and done again where something changed: the look and the job together take little more than either.
    """
    if not isinstance(tree, IndexedTree) or (before := tree.before()) is None:
        return job(tree)
    try:
        answer = job(before)
    except Exception:  # one of any kind may come of files that are other ones by now
        if tree.still(before):
            raise
        return job(tree)
    return answer if tree.still(before) else job(tree)


def _commit(tree: GitTree, index: IndexFile) -> View | None:
    """A commit never changes: what lies where is remembered once, blobs that are new are read."""
    manifest = index.recall(key_of(tree))
    if manifest is not None:
        view = View(manifest.paths, manifest.numbers)
        if len(view.loose) <= LOOSE:
            return view
    if not index.filled():
        return None
    ids = tree.ids()
    numbers = index.numbers(ids.values())
    lost = tree.repository.missing(tree.commit)
    wanting = [(path, name) for path, name in sorted(ids.items()) if name not in numbers and name not in lost]
    if len(wanting) > FRESH:
        return None
    _read(tree, index, wanting)
    index.remember(key_of(tree), ids)
    manifest = index.recall(key_of(tree))
    return None if manifest is None else View(manifest.paths, manifest.numbers)


def _read(tree: Tree, index: IndexFile, wanting: Sequence[tuple[str, str]]) -> None:
    """Read a few files into the index. Raises LorelintError where it cannot be written."""
    if wanting:
        from lorelint.edge.harvester import batch

        index.add(batch(tree, Share(tuple(wanting)), frozenset()))


class _Folder:
    """A folder may change under us: find(1) says what did, and that is read anew."""

    def __init__(self, tree: DirectoryTree, index: IndexFile) -> None:
        self.tree = tree
        self.index = index
        self.key = key_of(tree)
        self.sweep: Sweep | None = None
        self._before: tuple[Manifest | None, View | None] | None = None
        try:
            made = index.made(self.key)
        except Gone:
            made = None
        if made is not None:
            self.made, self.started = made, time()
            self.sweep = Sweep(tree.root, made)

    def last(self) -> View | None:
        """What lay where when the index last looked."""
        return self._recalled()[1]

    def _recalled(self) -> tuple[Manifest | None, View | None]:
        if self._before is None:
            found = self.index.recall(self.key)
            view = None if found is None else View(found.paths, found.numbers, f"{self.key}:{self.made}")
            self._before = found, view
        return self._before

    def view(self) -> View | None:
        """What lies where now: what `last` gave where nothing changed. Files that changed are read into the index where
        they are not too many.
        """
        assert self.sweep is not None
        manifest, before = self._recalled()
        try:
            folders: dict[str, int] = json.loads(manifest.extra) if manifest is not None else {}
        except ValueError:
            folders = {}
        swept = self.sweep.result(manifest.paths if manifest is not None else (), folders)
        if manifest is None or swept is None or folders.get("") != next(walk(self.tree.root))[1]:
            return None  # another folder of that name, or nobody can tell
        if manifest.numbers.count(0) > LOOSE:
            return None  # the index was made anew while the folder was read into it
        if not swept.changed and not swept.gone and swept.folders == folders:
            return before
        return self._renewed(manifest, swept) if len(swept.changed) <= LOOSE else None

    def _renewed(self, manifest: Manifest, swept: Swept) -> View | None:
        texts = {path: raw for path in swept.changed if (raw := self.tree.read(path)) is not None}
        ids = {path: blob_id(raw) for path, raw in texts.items()}
        numbers = self.index.numbers(ids.values())
        wanting = [(path, name) for path, name in sorted(ids.items()) if name not in numbers]
        if len(wanting) > FRESH:
            return None
        lie = dict(zip(manifest.paths, manifest.numbers, strict=True))
        for path in (*swept.gone, *(path for path in swept.changed if path not in texts)):
            lie.pop(path, None)
        state = ""
        try:
            _read(self.tree, self.index, wanting)
            numbers = self.index.numbers(ids.values())
            lie.update((path, numbers.get(name, 0)) for path, name in ids.items())
            paths = sorted(lie)
            extra = json.dumps(dict(swept.folders))
            self.index.keep(self.key, paths, [lie[path] for path in paths], self.started, extra)
            state = f"{self.key}:{self.started}"
        except LorelintError:  # it cannot be written: what changed is looked through each time
            lie.update((path, numbers.get(name, 0)) for path, name in ids.items())
            paths = sorted(lie)
        return View(paths, [lie[path] for path in paths], state)


class Listed(Struct, frozen=True):
    """A tree as it is read into an index.

    opener  by which another process opens the same tree
    files   (path, blob id, "" where it is not known before the file is read)
    made    the moment before they were listed, seconds since the epoch
    extra   the inodes of a folder's folders
    """

    key: str
    opener: str
    files: tuple[tuple[str, str], ...]
    made: float
    extra: str = ""


def listed(tree: Tree) -> Listed:
    """Everything of a tree that is to be indexed. Raises LorelintError for a kind of tree that is not."""
    made = time()
    commit = _of_commit(tree)
    if commit is not None:
        lost = commit.repository.missing(commit.commit)
        files = tuple((path, name) for path, name in sorted(commit.ids().items()) if name not in lost)
        return Listed(key_of(commit), f"{commit.repository.path}@{commit.commit}", files, made)
    if isinstance(tree, DirectoryTree):
        extra = json.dumps(dict(walk(tree.root)))
        return Listed(key_of(tree), tree.root, tuple((path, "") for path in tree.files()), made, extra)
    raise LorelintError("not a tree that can be indexed", where=tree.name, remedy="name a folder or a git repository")
