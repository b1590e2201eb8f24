"""The files of one tree, every look-up recorded and every answer cached.

What an analysis reads decides when it must be asked again: inside ``with program.recording() as
reads`` every fact read leaves a key, also one that comes from a cache. Keys are tuples of strings:

    ("file", path)            anything in the file may matter
    ("function", path, name)  the functions of that name there, also when there is none
    ("table", path, name)     ("struct", path, name)    ("macro", path, name)
    ("mentions", word)        which files hold the word
    ("define", name)          which functions of that name there are, anywhere
    ("macro", name)           likewise for macros
    ("tables", type, field)   which tables of that type set that field, anywhere
    ("unseen", kind, path, line, text)   nothing that was read: what was missed on the way, so that a cached answer
                              says that too
    ("work", number, steps)   nor this: what an answer cost, so that one that was known costs the same
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from lorelint.code.search import order
from lorelint.code.work import Spent, one_answer
from lorelint.model.tree import LIMIT, Tree
from lorelint.model.trouble import Unseen

Key = tuple[str, ...]
T = TypeVar("T")
CANDIDATES = 200  # files looked at for one name
MEMORY = 64 << 20  # bytes of files kept
READ = 600  # files read, and mostly not parsed, for the definition of one name


class Sources:
    """Files and words of a tree; the base of `Program`."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._raw: dict[str, bytes | None] = {}
        self._size = 0
        self._mentions: dict[str, tuple[str, ...]] = {}
        self._memo: dict[Hashable, tuple[Any, frozenset[Key]]] = {}
        self._dear: dict[Hashable, int] = {}  # answers for which a budget was not enough: steps that they take at least
        self._recorders: list[set[Key]] = []
        self._unseen: dict[Unseen, None] = {}

    @contextmanager
    def recording(self) -> Iterator[set[Key]]:
        """Collect the keys of everything read inside; nested recorders all see them."""
        reads: set[Key] = set()
        self._recorders.append(reads)
        try:
            yield reads
        finally:
            self._recorders = [each for each in self._recorders if each is not reads]

    def note(self, *keys: Key) -> None:
        """Record reads that were made elsewhere."""
        for recorder in self._recorders:
            recorder.update(keys)

    def memo(self, key: Hashable, compute: Callable[[], T]) -> T:
        """`compute()` once for this tree; a cached answer replays the reads it was computed from."""
        hit = self._memo.get(key)
        if hit is None:
            with one_answer() as meter:
                least = self._dear.get(key, 0)
                if meter.left < least:
                    raise Spent  # as it would, after so many steps
                before = meter.left
                try:
                    with self.recording() as reads:
                        value = compute()
                except Spent:
                    self._dear[key] = max(least, int(before - meter.left))
                    raise
                if meter.own:
                    cost = ("work", str(len(self._memo)), str(meter.own))
                    reads.add(cost)
                    self.note(cost)
            self._memo[key] = (value, frozenset(reads))
            return value
        self.note(*hit[1])
        answer: T = hit[0]
        return answer

    @property
    def unseen(self) -> tuple[Unseen, ...]:
        """What was not looked at, in a fixed order."""
        return tuple(sorted(self._unseen, key=lambda each: (each.path, each.line, each.kind, each.text)))

    def miss(self, unseen: Unseen) -> None:
        """Say that something was not seen."""
        self._unseen[unseen] = None
        self.note(("unseen", unseen.kind, unseen.path, str(unseen.line), unseen.text))

    def raw(self, path: str) -> bytes | None:
        """The bytes of a file; None where there is none or where it is over 1 MiB (which is said)."""
        self.note(("file", path))
        return self._read(path)

    def _read(self, path: str) -> bytes | None:
        if path not in self._raw:
            raw = self.tree.read(path)
            if raw is not None and len(raw) > LIMIT:
                self.miss(Unseen("skipped", path, 0, "file over 1 MiB"))
                raw = None
            self._keep(path, raw)
            return raw
        return self._raw[path]

    def _keep(self, path: str, raw: bytes | None) -> None:
        self._raw[path] = raw
        self._size += len(raw or b"")
        while self._size > MEMORY and len(self._raw) > 1:
            oldest = next(iter(self._raw))
            self._size -= len(self._raw.pop(oldest) or b"")

    def mentions(self, word: str) -> tuple[str, ...]:
        """Source files in which an identifier stands."""
        self.note(("mentions", word))
        if word not in self._mentions:
            self._mentions[word] = tuple(self.tree.mentions((word,))[word])
        return self._mentions[word]

    def candidates(self, words: tuple[str, ...], near: str, what: str, limit: int = CANDIDATES) -> tuple[str, ...]:
        """Files that mention all the words, nearest first, at most `limit`; a cut is said where there is a `what`."""
        new = tuple(word for word in words if word not in self._mentions)
        if len(new) > 1:  # one look through the tree for all of them
            self._mentions.update((word, tuple(paths)) for word, paths in self.tree.mentions(new).items())
        paths: frozenset[str] | None = None
        for word in words:
            these = frozenset(self.mentions(word))
            paths = these if paths is None else paths & these
        ordered = order(tuple(paths or ()), near)
        if what and len(ordered) > limit:
            self.cut(what, near, limit, len(ordered))
        return ordered[:limit]

    def cut(self, what: str, near: str, limit: int, count: int) -> None:
        """Say that not all files were looked at."""
        self.miss(Unseen("cut", near, 0, f"{what}: looked at {limit} of {count} files that mention it"))
