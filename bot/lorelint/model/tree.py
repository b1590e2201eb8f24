"""The kernel source at one point, as an analysis sees it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Protocol

from lorelint.model.regex import regex

LIMIT = 1 << 20
"""Bytes of a source file. A larger one holds data (in linux 6.12: 98 headers of registers, four tables) and is not
looked into: it has no words, no functions, no facts."""


class Tree(Protocol):
    """Read-only source text. Paths are relative, with forward slashes, never outside the tree.

    Implementations are in `lorelint.edge` (a commit of a git repository, a plain directory) and
    `OverlayTree` below. Everything returned is sorted, so that results never depend on the kind of tree.
    """

    @property
    def name(self) -> str:
        """What a person would call it: ``v6.12.117``, ``linux-source-6.12``, ``1f97d9dcf536``."""

    @property
    def state(self) -> str:
        """A name that another content of the tree never has: answers about it may be kept by it; "" for none."""

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None where there is none (or where it is a link or a directory)."""

    def blob(self, path: str) -> str | None:
        """The git blob id (40 hex digits) of a file's content; None where there is none."""

    def mentions(self, words: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """For each identifier the ``.c`` and ``.h`` files of up to `LIMIT` bytes in which it stands as a whole word."""

    def files(self, prefix: str = "") -> tuple[str, ...]:
        """All ``.c`` and ``.h`` files below a folder (or that very file)."""

    def kept(self, path: str) -> bytes | None:
        """The facts of a file (`lorelint.code.facts.encode`) where an index keeps them, else None."""

    def holding(self, word: str, role: int) -> tuple[str, ...]:
        """Files in which an identifier may have one of some roles (`lorelint.code.facts.Role`): all that do, perhaps
        more. Without an index: all that mention it."""


def blob_id(content: bytes) -> str:
    """The id git gives to this content as a blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def is_source(path: str) -> bool:
    return path.endswith((".c", ".h"))


def inside(path: str) -> bool:
    """Whether a path, which may come from a stranger, names a file within a tree and nothing else.

    Relative, no empty, ``.`` or ``..`` part, nothing of git's own folder, no control characters.
    """
    if not path or len(path) > 4096 or _CONTROL.search(path):
        return False
    return _NO_PART.isdisjoint(path.lower().split("/"))


_CONTROL = regex("[\0-\x1f\x7f]")
_WORD = regex(rb"\w+")
_NO_PART = frozenset(("", ".", "..", ".git"))


class EmptyTree:
    """A tree without files: what lies under fragments, and under a lone C file."""

    def __init__(self, name: str = "") -> None:
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    @property
    def state(self) -> str:
        return ""

    def read(self, path: str) -> bytes | None:
        return None

    def blob(self, path: str) -> str | None:
        return None

    def mentions(self, words: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        return dict.fromkeys(words, ())

    def files(self, prefix: str = "") -> tuple[str, ...]:
        return ()

    def kept(self, path: str) -> bytes | None:
        return None

    def holding(self, word: str, role: int) -> tuple[str, ...]:
        return ()


class OverlayTree:
    """Changed files over another tree; None stands for a file that is gone."""

    def __init__(self, under: Tree, files: Mapping[str, bytes | None], name: str = "") -> None:
        # One level only: stacking overlays patch by patch must not make reads slower.
        if isinstance(under, OverlayTree):
            files = {**under.overlay, **files}
            under = under.under
        self.under: Tree = under
        self.overlay: Mapping[str, bytes | None] = files
        self._name = name or under.name
        self._known: dict[str, frozenset[bytes]] | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def state(self) -> str:
        """That of the tree beneath, with a hash of what really differs from it."""
        under = self.under.state
        if not under:
            return ""
        different = hashlib.sha256()
        plain = True
        for path, content in sorted(self.overlay.items()):
            if content != self.under.read(path):
                plain = False
                what = "gone" if content is None else blob_id(content)
                different.update(f"{path}\0{what}\n".encode("utf-8", "surrogateescape"))
        return under if plain else f"{under}+{different.hexdigest()[:32]}"

    def read(self, path: str) -> bytes | None:
        if path in self.overlay:
            return self.overlay[path]
        return self.under.read(path)

    def blob(self, path: str) -> str | None:
        if path in self.overlay:
            content = self.overlay[path]
            return None if content is None else blob_id(content)
        return self.under.blob(path)

    def mentions(self, words: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        wanted = tuple(dict.fromkeys(words))
        under = self.under.mentions(wanted)
        return {word: self._with_overlay(word, under[word]) for word in wanted}

    def _with_overlay(self, word: str, under: Iterable[str]) -> tuple[str, ...]:
        if not word.isidentifier():
            return ()  # as every other tree says: identifiers are all that is ever looked for
        paths = {path for path in under if path not in self.overlay}
        paths |= {path for path, words in self._words().items() if word.encode() in words}
        return tuple(sorted(paths))

    def _words(self) -> dict[str, frozenset[bytes]]:
        """The words of each changed source file."""
        if self._known is None:
            self._known = {
                path: frozenset(_WORD.findall(content))
                for path, content in self.overlay.items()
                if content is not None and len(content) <= LIMIT and is_source(path)
            }
        return self._known

    def files(self, prefix: str = "") -> tuple[str, ...]:
        paths = {path for path in self.under.files(prefix) if path not in self.overlay}
        folder = prefix.rstrip("/")
        for path, content in self.overlay.items():
            inside = not folder or path == folder or path.startswith(folder + "/")
            if content is not None and is_source(path) and inside:
                paths.add(path)
        return tuple(sorted(paths))

    def kept(self, path: str) -> bytes | None:
        return None if path in self.overlay else self.under.kept(path)

    def holding(self, word: str, role: int) -> tuple[str, ...]:
        return self._with_overlay(word, self.under.holding(word, role))
