"""A name for the code that judges: another one whenever a file that a verdict hangs on is another."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

_LIBRARIES = ("tree-sitter", "tree-sitter-c")


def stamp(folders: Iterable[Path]) -> str:
    """By the size and time of every file below the folders, and the versions of what parses."""
    rows: set[tuple[str, int, int]] = set()
    for folder in folders:
        files = [folder] if folder.is_file() else _below(folder)
        for each in files:
            found = each.stat()
            rows.add((str(each), found.st_size, found.st_mtime_ns))
    versions = [sys.version, *(metadata.version(each) for each in _LIBRARIES)]
    return hashlib.sha256(repr((sorted(rows), versions)).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _below(folder: Path) -> Iterable[Path]:
    for at, below, names in os.walk(folder):
        below[:] = [each for each in below if each != "__pycache__"]
        yield from (Path(at, name) for name in names)


def same_code(folders: Iterable[Path]) -> str:
    """By the bytes of every file below the folders: the same on all machines that have the same code."""
    told = hashlib.sha256(repr([metadata.version(each) for each in _LIBRARIES]).encode())
    for folder in folders:
        for each in sorted(_below(folder)):
            told.update(f"{each.relative_to(folder)}\0".encode("utf-8", "surrogateescape") + each.read_bytes())
    return told.hexdigest()[:16]
