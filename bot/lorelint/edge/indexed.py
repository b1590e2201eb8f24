"""A tree that an index knows: words are looked up instead of searched for, facts are read instead of made.

The tree beneath stays what is read. Where the index cannot answer (none was made, it is too old, it is gone) the tree
beneath answers as if there were none; either way the answers are the same.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from lorelint.edge import pages
from lorelint.edge.git import is_word
from lorelint.edge.index import Gone, IndexFile
from lorelint.model.errors import LorelintError
from lorelint.model.tree import LIMIT, Tree, inside


class View(Struct):
    """What an index knows of one tree.

    paths    of its source files, sorted
    numbers  of the blob at each, 0 where the index has none
    state    see `Tree.state`
    """

    paths: Sequence[str]
    numbers: Sequence[int]
    state: str = ""
    _ends: tuple[dict[int, int], dict[int, int]] | None = None  # first and last place
    _raw: bytes = b""
    _asked: int = 0  # for how many places

    def number(self, path: str) -> int | None:
        """The number of the blob at a path; None for no such file."""
        at = bisect_left(self.paths, path)
        return self.numbers[at] if at < len(self.paths) and self.paths[at] == path else None

    def at(self, roles: Mapping[int, int]) -> dict[str, int]:
        """Where some blobs lie, given with a word's roles in them: path -> roles, sorted."""
        places = sorted((place, each) for number, each in roles.items() for place in self._places(number))
        return {self.paths[place]: each for place, each in places}

    def _places(self, number: int) -> Iterable[int]:
        if self._ends is None:
            self._asked += 1
            if self._asked < _FEW:
                return tuple(self._searched(number))
            count = len(self.numbers)
            first = dict(zip(reversed(self.numbers), range(count - 1, -1, -1), strict=True))
            self._ends = first, dict(zip(self.numbers, range(count), strict=True))
        first, last = self._ends
        if number not in first:
            return ()
        low, high = first[number], last[number]
        return (low,) if low == high else [at for at in range(low, high + 1) if self.numbers[at] == number]

    def _searched(self, number: int) -> Iterator[int]:
        if not self._raw:
            self._raw = array("I", self.numbers).tobytes()
        wanted = number.to_bytes(4, sys.byteorder)
        at = self._raw.find(wanted)
        while at >= 0:
            if at % 4 == 0:
                yield at // 4
            at = self._raw.find(wanted, at + 1)

    @property
    def loose(self) -> tuple[str, ...]:
        """Files the index has nothing of."""
        if 0 not in self.numbers:
            return ()
        return tuple(path for path, number in zip(self.paths, self.numbers, strict=True) if not number)


_FEW = 30  # places are searched for one by one; for more of them a table of all is made


class IndexedTree:
    """A tree with an index beside it."""

    def __init__(
        self,
        under: Tree,
        index: IndexFile,
        view: Callable[[], View | None],
        last: Callable[[], View | None] | None = None,
    ) -> None:
        """`view` is asked when the first question comes; None from it means that the index does not know the tree. Of a
        tree that may change, `last` gives the view of the last time: the same object as `view`, where nothing did.
        """
        self.under = under
        self._index = index
        self._find = view
        self._last = last
        self._before: IndexedTree | None = None
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

    def before(self) -> IndexedTree | None:
        """This tree as the index saw it last, if it may have changed and nobody has asked yet whether it did."""
        if self._asked or self._last is None:
            return None
        try:
            last = self._last()
        except (Gone, LorelintError):
            return None
        self._before = None if last is None else IndexedTree(self.under, self._index, lambda: last)
        return self._before

    def still(self, before: IndexedTree) -> bool:
        """Whether this tree is what it was, and the index answered all along."""
        view = self._view()
        return view is not None and before._known is view

    def _view(self) -> View | None:
        if not self._asked:
            self._asked = True
            try:
                self._known = self._find()
            except (Gone, LorelintError):
                self._known = None
        return self._known

    @property
    def known(self) -> bool:
        """Whether the index has answered so far, also of what was. Nothing is asked of it to tell."""
        if self._asked or self._before is None:
            return self._asked and self._known is not None
        return self._before.known

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
            return self._index.facts(number) or None
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
            raw = word.encode("utf-8", "surrogateescape")
            # What is loose may play any role: who asks makes its facts.
            loose = {path: 0xFF for path, words in self._loosely(view).items() if raw in words}
            roles = view.at(found)
            self._words[word] = dict(sorted({**roles, **loose}.items())) if loose else roles
        return True

    def _loosely(self, view: View) -> dict[str, set[bytes]]:
        if self._loose is None:
            texts = {path: self.under.read(path) or b"" for path in view.loose}
            self._loose = {path: pages.words(raw) for path, raw in texts.items() if len(raw) <= LIMIT}
        return self._loose
