"""The ports through which a kernel is indexed: who reads its files, and who keeps what was learned of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct


class Share(Struct, frozen=True):
    """Files for one process to read: (path, blob id in hex, "" where it is not known before it is read)."""

    files: tuple[tuple[str, str], ...]


class Batch(Struct, frozen=True):
    """What was learned of the files of one share.

    files    (path, blob id in hex) of every file that could be read, skipped ones apart
    skipped  paths of files over the size that is read, and of those that are gone
    blobs    (blob id in hex, facts encoded) of those that were new, numbered within the batch in this order
    bits     of a word's hash that name its page
    pages    (page, its bytes)
    """

    files: tuple[tuple[str, str], ...]
    skipped: tuple[str, ...]
    blobs: tuple[tuple[str, bytes], ...]
    bits: int
    pages: tuple[tuple[int, bytes], ...]


class Index(Protocol):
    """Facts and words of blobs, found by content hash; and which blob lies where in the trees that were indexed."""

    def known(self) -> frozenset[str]:
        """Ids (hex) of the blobs of which facts are kept."""

    def add(self, batch: Batch) -> None:
        """Keep what was learned, all of it or nothing. Raises LorelintError where it cannot be written."""

    def remember(self, key: str, blobs: Mapping[str, str], made: float = 0.0, extra: str = "") -> None:
        """Keep which blob (hex) lay at each path of a tree at a moment; `extra` is what the tree's kind wants back."""


class Harvester(Protocol):
    """Reads shares of one tree, in this process or in several; batches come in the order of the shares."""

    def __call__(self, shares: Sequence[Share], known: frozenset[str]) -> Iterator[Batch]: ...


class Indexed(Struct, frozen=True):
    """What came of indexing a tree.

    files    C files in it
    fresh    of them read now
    skipped  paths of those that are not read, sorted
    """

    tree: str
    files: int
    fresh: int
    skipped: tuple[str, ...]


def shares(files: Iterable[tuple[str, str]], size: int) -> tuple[Share, ...]:
    """Files in shares of about so many, dealt like cards: neighbours are alike, so shares come out even."""
    every = tuple(files)
    count = -(-len(every) // size)
    return tuple(Share(every[at::count]) for at in range(count))
