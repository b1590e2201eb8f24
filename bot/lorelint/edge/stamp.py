"""A name for the code that judges: another one whenever a file that a verdict hangs on is another."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

_PARSERS = ("tree_sitter", "tree_sitter_c")


def stamp(folders: Iterable[Path]) -> str:
    """By the size and time of every file below the folders, and of what parses; and by Python's version."""
    rows: set[tuple[str, int, int]] = set()
    for folder in (*folders, *_parsers()):
        found = [(str(folder), folder.stat())] if folder.is_file() else [(at.path, at.stat()) for at in _below(folder)]
        rows.update((path, of.st_size, of.st_mtime_ns) for path, of in found)
    return hashlib.sha256(repr((sorted(rows), sys.version)).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _parsers() -> Iterable[Path]:
    for each in _PARSERS:
        spec = find_spec(each)
        if spec is not None and spec.origin:
            yield Path(spec.origin).parent


def _below(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    try:
        entries = os.scandir(folder)  # a third of what it takes with paths as objects, at every start
    except OSError:  # an archive, or it is gone
        return
    with entries:
        for each in entries:
            if not each.is_dir():
                yield each
            elif each.name != "__pycache__" and not each.is_symlink():
                yield from _below(each.path)


def same_code(folders: Iterable[Path]) -> str:
    """By the bytes of every file below the folders: the same on all machines that have the same code."""
    from importlib import metadata  # takes longer to load than all that `stamp` does

    told = hashlib.sha256(repr([metadata.version(each) for each in _PARSERS]).encode())
    for folder in folders:
        for each in sorted(Path(at.path) for at in _below(folder)):
            told.update(f"{each.relative_to(folder)}\0".encode("utf-8", "surrogateescape") + each.read_bytes())
    return told.hexdigest()[:16]
