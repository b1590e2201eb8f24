"""One tree as a program: looked up on demand, every look-up recorded, every answer cached.

What an analysis reads decides when it must be asked again: inside ``with program.recording() as
reads`` every fact read leaves a key, also one that comes from a cache. Keys are tuples of strings:

    ("function", path, name)  ("file", path)  ("table", path, name)
    ("define", name)          ("macro", name) ("mentions", word)
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from lorelint.code import functions as _functions
from lorelint.code.ir import Cfg, Function, Loop
from lorelint.code.parse import LIMIT
from lorelint.code.search import CallSite, calls_in, may_define, order, visible
from lorelint.model.knowledge import Knowledge
from lorelint.model.tree import Tree
from lorelint.model.trouble import Unseen

Key = tuple[str, ...]
T = TypeVar("T")
CANDIDATES = 200  # files looked at for one name


@dataclass(slots=True)
class Cache:
    """Answers that depend on content alone; programs of several trees may share one."""

    functions: dict[tuple[str, bytes], tuple[Function, ...]]
    cfgs: dict[Function, Cfg]
    loops: dict[Function, tuple[Loop, ...]]
    other: dict[Hashable, Any]

    @classmethod
    def empty(cls) -> Cache:
        return cls({}, {}, {}, {})


class Program:
    """The functions, tables, macros and calls of one tree."""

    def __init__(self, tree: Tree, know: Knowledge, cache: Cache | None = None) -> None:
        self.tree = tree
        self.know = know
        self.cache = cache or Cache.empty()
        self._raw: dict[str, bytes | None] = {}
        self._mentions: dict[str, tuple[str, ...]] = {}
        self._memo: dict[Hashable, tuple[Any, frozenset[Key]]] = {}
        self._recorders: list[set[Key]] = []
        self._unseen: dict[Unseen, None] = {}

    # -- recorded reads

    @contextmanager
    def recording(self) -> Iterator[set[Key]]:
        """Collect the keys of everything read inside; nested recorders all see them."""
        reads: set[Key] = set()
        self._recorders.append(reads)
        try:
            yield reads
        finally:
            self._recorders.remove(reads) if self._recorders[-1] is not reads else self._recorders.pop()

    def note(self, *keys: Key) -> None:
        """Record reads that were made elsewhere."""
        for recorder in self._recorders:
            recorder.update(keys)

    def memo(self, key: Hashable, compute: Callable[[], T]) -> T:
        """`compute()` once for this tree; a cached answer replays the reads it was computed from."""
        hit = self._memo.get(key)
        if hit is None:
            with self.recording() as reads:
                value = compute()
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

    # -- files

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
            self._raw[path] = raw
        return self._raw[path]

    def mentions(self, word: str) -> tuple[str, ...]:
        """Source files in which an identifier stands."""
        self.note(("mentions", word))
        if word not in self._mentions:
            self._mentions[word] = self.tree.mentions((word,))[word]
        return self._mentions[word]

    # -- functions

    def functions(self, path: str) -> tuple[Function, ...]:
        """All functions of a file."""
        self.note(("file", path))
        return self._functions(path)

    def _functions(self, path: str) -> tuple[Function, ...]:
        raw = self._read(path)
        if raw is None:
            return ()
        key = (path, raw)
        if key not in self.cache.functions:
            self.cache.functions[key] = _functions.functions(path, raw)
        return self.cache.functions[key]

    def function(self, path: str, name: str) -> Function | None:
        """The first function of that name in a file."""
        self.note(("function", path, name))
        return next((fn for fn in self._functions(path) if fn.name == name), None)

    def _named(self, path: str, name: str) -> tuple[Function, ...]:
        self.note(("function", path, name))
        raw = self._read(path)
        if raw is None or name.encode("utf-8", "surrogateescape") not in raw:
            return ()
        return tuple(fn for fn in self._functions(path) if fn.name == name)

    def define(self, name: str, near: str) -> tuple[Function, ...]:
        """The definitions that a call of `name` in file `near` means, sorted by path.

        C's rules, then nearness: the same file; non-static in the same directory, or in a header that
        is seen from there; anywhere. The first level that has one answers, with all it has (several
        architectures, several configurations).
        """
        return self.memo(("define", name, near), lambda: self._define(name, near))

    def _define(self, name: str, near: str) -> tuple[Function, ...]:
        self.note(("define", name))
        here = self._named(near, name)
        if here:
            return here
        found: list[Function] = []
        for path in self._candidates(name, near, "definitions"):
            raw = self._read(path)
            if raw is not None and path != near and may_define(raw, name):
                found.extend(fn for fn in self._named(path, name) if visible(fn, near))
        folder = near.rpartition("/")[0]
        close = [fn for fn in found if fn.path.rpartition("/")[0] == folder]
        return tuple(sorted(close or found, key=lambda fn: (fn.path, fn.line)))

    def _candidates(self, name: str, near: str, what: str) -> tuple[str, ...]:
        paths = order(self.mentions(name), near)
        if len(paths) > CANDIDATES:
            text = f"{what} of {name}: looked at {CANDIDATES} of {len(paths)} files that mention it"
            self.miss(Unseen("cut", near, 0, text))
        return paths[:CANDIDATES]

    # -- control flow

    def cfg(self, fn: Function) -> Cfg:
        """The control flow graph of a function."""
        self.note(("function", fn.path, fn.name))
        if fn not in self.cache.cfgs:
            from lorelint.code.lower import lower

            self.cache.cfgs[fn] = lower(fn)
        cfg = self.cache.cfgs[fn]
        for line in cfg.opaque:
            self.miss(Unseen("degraded", fn.path, line, f"text in {fn.name} that could not be parsed"))
        return cfg

    def loops(self, fn: Function) -> tuple[Loop, ...]:
        """Its loops, outermost first."""
        if fn not in self.cache.loops:
            from lorelint.code.loops import loops

            self.cache.loops[fn] = loops(self.cfg(fn))
        else:
            self.note(("function", fn.path, fn.name))
        return self.cache.loops[fn]

    # -- calls

    def callers(self, fn: Function) -> tuple[CallSite, ...]:
        """Direct calls of a function, sorted by place: of a static one in its file (a header's: wherever named)."""
        return self.memo(("callers", fn.path, fn.name), lambda: self._callers(fn))

    def _callers(self, fn: Function) -> tuple[CallSite, ...]:
        paths: tuple[str, ...] = (fn.path,)
        if not fn.static or fn.path.endswith(".h"):
            paths = self._candidates(fn.name, fn.path, "callers")
        found: list[CallSite] = []
        for path in paths:
            self.note(("file", path))
            own = self._named(path, fn.name)
            if path != fn.path and (own or not visible(fn, path)):
                continue
            for each in self._functions(path):
                found.extend(calls_in(each, fn.name))
        return tuple(sorted(found, key=lambda site: (site.fn.path, site.line)))
