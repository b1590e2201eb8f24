"""A tree that an index knows: words are looked up instead of searched for, facts are read instead of made.

The tree beneath stays what is read. Where the index cannot answer (none was made, it is too old, it is gone) the tree
beneath answers as if there were none; either way the answers are the same.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import time

from lorelint.edge import pages
from lorelint.edge.directory import DirectoryTree
from lorelint.edge.git import is_word
from lorelint.edge.harvester import batch
from lorelint.edge.index import Gone, IndexFile
from lorelint.edge.repository import GitTree
from lorelint.edge.sweep import Sweep, walk
from lorelint.model.errors import LorelintError
from lorelint.model.index import Share
from lorelint.model.tree import Tree, blob_id, inside

FRESH = 400  # blobs read into the index at once when a tree is opened: seconds at most
LOOSE = 2000  # files that are looked through one by one because the index lacks them


@dataclass(slots=True)
class View:
    """What an index knows of one tree.

    paths    of its source files, sorted
    numbers  of the blob at each, 0 where the index has none
    state    see `Tree.state`
    """

    paths: Sequence[str]
    numbers: Sequence[int]
    state: str = ""
    _at: dict[int, list[int]] | None = field(default=None, repr=False)

    def number(self, path: str) -> int | None:
        """The number of the blob at a path; None for no such file."""
        at = bisect_left(self.paths, path)
        return self.numbers[at] if at < len(self.paths) and self.paths[at] == path else None

    def at(self, numbers: Iterable[int]) -> list[str]:
        """The paths at which some blobs lie, sorted."""
        if self._at is None:
            self._at = {}
            for place, number in enumerate(self.numbers):
                self._at.setdefault(number, []).append(place)
        places = sorted(place for number in numbers for place in self._at.get(number, ()))
        return [self.paths[place] for place in places]

    @property
    def loose(self) -> tuple[str, ...]:
        """Files the index has nothing of."""
        return tuple(path for path, number in zip(self.paths, self.numbers, strict=True) if not number)


class IndexedTree:
    """A tree with an index beside it."""

    def __init__(self, under: Tree, index: IndexFile, view: Callable[[], View | None]) -> None:
        """`view` is asked when the first question comes; None from it means that the index does not know the tree."""
        self.under = under
        self._index = index
        self._find = view
        self._known: View | None = None
        self._asked = False
        self._words: dict[str, dict[str, int]] = {}
        self._loose: dict[str, set[bytes]] | None = None

    @property
    def name(self) -> str:
        return self.under.name

    @property
    def state(self) -> str:
        view = self._view() if not self.under.state else None
        return self.under.state if view is None else view.state

    def read(self, path: str) -> bytes | None:
        return self.under.read(path)

    def blob(self, path: str) -> str | None:
        return self.under.blob(path)

    def _view(self) -> View | None:
        if not self._asked:
            self._asked = True
            try:
                self._known = self._find()
            except (Gone, LorelintError):
                self._known = None
        return self._known

    def _lost(self) -> None:
        """The index went away between two questions; a new one would know the files by other numbers."""
        self._known = None
        self._words = {}

    def files(self, prefix: str = "") -> tuple[str, ...]:
        view = self._view()
        folder = prefix.rstrip("/")
        if view is None or (folder and not inside(folder)):
            return self.under.files(prefix)
        if not folder:
            return tuple(view.paths)
        if view.number(folder) is not None:
            return (folder,)
        low, high = bisect_left(view.paths, folder + "/"), bisect_left(view.paths, folder + "0")  # "0" follows "/"
        return tuple(view.paths[low:high])

    def kept(self, path: str) -> bytes | None:
        view = self._view()
        number = view.number(path) if view is not None else None
        if not number:
            return None
        try:
            return self._index.facts(number)
        except Gone:
            self._lost()
            return None

    def mentions(self, words: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        wanted = tuple(dict.fromkeys(words))
        if all(self._look_up(word) for word in wanted if is_word(word)):
            return {word: tuple(self._words.get(word, ())) for word in wanted}
        return self.under.mentions(wanted)

    def holding(self, word: str, role: int) -> tuple[str, ...]:
        if not is_word(word):
            return ()
        if not self._look_up(word):
            return self.under.holding(word, role)
        return tuple(path for path, roles in self._words[word].items() if roles & role)

    def _look_up(self, word: str) -> bool:
        """Find the files of a word, sorted, with its roles in them; False where the index cannot say."""
        view = self._view()
        if view is None:
            return False
        if word not in self._words:
            try:
                found = self._index.find(word)
            except Gone:
                self._lost()
                return False
            roles = {path: found[view.numbers[bisect_left(view.paths, path)]] for path in view.at(found)}
            raw = word.encode("utf-8", "surrogateescape")
            # What is loose may play any role: who asks makes its facts.
            roles.update((path, 0xFF) for path, words in self._loosely(view).items() if raw in words)
            self._words[word] = dict(sorted(roles.items()))
        return True

    def _loosely(self, view: View) -> dict[str, set[bytes]]:
        if self._loose is None:
            self._loose = {path: pages.words(self.under.read(path) or b"") for path in view.loose}
        return self._loose


# -- how the view of a tree is found


def key_of(tree: Tree) -> str:
    """By which key an index remembers a tree; "" for one that it does not."""
    if isinstance(tree, GitTree):
        return f"commit:{tree.commit}"
    if isinstance(tree, DirectoryTree):
        # SQLite takes text for UTF-8; a path may be any bytes
        return "folder:" + tree.root.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return ""


def indexed(tree: Tree, index: IndexFile) -> Tree:
    """The tree with the index beside it; as it was where the index has nothing to do with it."""
    if isinstance(tree, GitTree):
        return IndexedTree(tree, index, lambda: _commit(tree, index))
    if isinstance(tree, DirectoryTree):
        found = _Folder(tree, index)
        return tree if found.sweep is None else IndexedTree(tree, index, found.view)
    return tree


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
    index.add(batch(tree, Share(tuple(wanting)), frozenset()))
    index.remember(key_of(tree), ids)
    manifest = index.recall(key_of(tree))
    return None if manifest is None else View(manifest.paths, manifest.numbers)


@dataclass(frozen=True, slots=True)
class Listed:
    """A tree as it is read into an index.

    opener  by which another process opens the same tree
    files   (path, blob id, "" where it is not known before the file is read)
    """

    key: str
    opener: str
    files: tuple[tuple[str, str], ...]
    extra: str


def listed(tree: Tree) -> Listed:
    """Everything of a tree that is to be indexed. Raises LorelintError for a kind of tree that is not."""
    if isinstance(tree, GitTree):
        lost = tree.repository.missing(tree.commit)
        files = tuple((path, name) for path, name in sorted(tree.ids().items()) if name not in lost)
        return Listed(key_of(tree), f"{tree.repository.path}@{tree.commit}", files, "")
    if isinstance(tree, DirectoryTree):
        extra = folder_extra(tree.root, time())  # first the moment, then the look
        return Listed(key_of(tree), tree.root, tuple((path, "") for path in tree.files()), extra)
    raise LorelintError("not a tree that can be indexed", where=tree.name, remedy="name a folder or a git repository")


def folder_extra(root: str, made: float, folders: Mapping[str, int] | None = None) -> str:
    """What is kept with a folder: when it was looked at, and the inodes of its folders."""
    return json.dumps({"made": made, "folders": dict(walk(root)) if folders is None else dict(folders)})


class _Folder:
    """A folder may change under us: find(1) says what did, and that is read anew."""

    def __init__(self, tree: DirectoryTree, index: IndexFile) -> None:
        self.tree = tree
        self.index = index
        self.sweep: Sweep | None = None
        try:
            self.manifest = index.recall(key_of(tree))
            if self.manifest is None:
                return
            extra = json.loads(self.manifest.extra)
            self.made, self.folders = float(extra["made"]), dict(extra["folders"])
        except (Gone, ValueError, KeyError, TypeError):
            return
        if self.folders.get("") != next(walk(tree.root))[1]:
            return  # another folder of that name
        self.started = time()
        self.sweep = Sweep(tree.root, self.made)

    def view(self) -> View | None:
        """What lies where now. Files that changed are read into the index where they are not too many."""
        assert self.manifest is not None and self.sweep is not None
        swept = self.sweep.result(self.manifest.paths, self.folders)
        if swept is None:
            return None
        if not swept.changed and not swept.gone and swept.folders == self.folders:
            return View(self.manifest.paths, self.manifest.numbers, f"{key_of(self.tree)}:{self.made}")
        if len(swept.changed) > LOOSE:
            return None
        return self._renewed(swept.changed, swept.gone, swept.folders)

    def _renewed(self, changed: Sequence[str], gone: frozenset[str], folders: Mapping[str, int]) -> View | None:
        assert self.manifest is not None
        texts = {path: raw for path in changed if (raw := self.tree.read(path)) is not None}
        ids = {path: blob_id(raw) for path, raw in texts.items()}
        numbers = self.index.numbers(ids.values())
        wanting = tuple((path, name) for path, name in sorted(ids.items()) if name not in numbers)
        if len(wanting) > FRESH:
            return None
        lie = dict(zip(self.manifest.paths, self.manifest.numbers, strict=True))
        for path in (*gone, *(path for path in changed if path not in texts)):
            lie.pop(path, None)
        state = ""
        try:
            self.index.add(batch(self.tree, Share(wanting), frozenset()))
            numbers = self.index.numbers(ids.values())
            lie.update((path, numbers.get(name, 0)) for path, name in ids.items())
            paths = sorted(lie)
            extra = folder_extra(self.tree.root, self.started, folders)
            self.index.keep(key_of(self.tree), paths, [lie[path] for path in paths], extra)
            state = f"{key_of(self.tree)}:{self.started}"
        except LorelintError:  # it cannot be written: what changed is looked through each time
            lie.update((path, numbers.get(name, 0)) for path, name in ids.items())
            paths = sorted(lie)
        return View(paths, [lie[path] for path in paths], state)
