"""What changed in a folder since some moment, asked of find(1): a look at every file's times, and at none of its bytes.

A file's ctime cannot be set back by who edits, copies or unpacks it. What is moved in as a whole folder keeps the
times of its files; such a folder has another inode than the one that was there. What no look at times can tell: what
was changed while the clock of the machine stood behind. `lorelint index` reads every file and tells.
"""

from __future__ import annotations

import os
import subprocess
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct

from lorelint.edge.git import text
from lorelint.model.tree import inside, is_source

MARGIN = 1.0  # seconds; a change in the same tick as the moment counts as after it
TIMEOUT = 60  # seconds


class Swept(Struct, frozen=True):
    """Source files that may have changed or are new, paths that are gone, and the inodes of all folders now."""

    changed: tuple[str, ...]
    gone: frozenset[str]
    folders: Mapping[str, int]


class Sweep:
    """find(1) under way: started early, asked when its answer is needed. Two of them, each with half of the folders."""

    def __init__(self, root: str, since: float) -> None:
        self.root = root
        which = ["(", "-type", "d", "-o", "-type", "f", "-name", "*.[ch]", ")"]
        newer = ["-newerct", f"@{max(0.0, since - MARGIN):.3f}", "-printf", "%y%p\\0"]
        look = ["-name", ".git", "-prune", "-o", *which, *newer]
        deep = sorted(_second(root))
        starts = [[root, "-maxdepth", "2"], *([*half, "-mindepth", "1"] for half in (deep[::2], deep[1::2]) if half)]
        self._pid = os.getpid()
        self._finds: list[subprocess.Popen[bytes]] | None = []
        try:
            for each in starts:
                self._finds.append(
                    subprocess.Popen(
                        ["find", *each, *look],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL,
                    )
                )
        except OSError:  # no find here, or no more processes
            self._end()
            self._finds = None

    def result(self, paths: Sequence[str], folders: Mapping[str, int]) -> Swept | None:
        """What changed, given the sorted source files and folder inodes then; None without an answer of find."""
        if self._pid != os.getpid():
            return None  # the answer is for the process that asked
        rows: list[tuple[str, str]] = []  # kind and path
        for find in self._finds or ():
            out = b""
            with suppress(subprocess.TimeoutExpired):
                out, _ = find.communicate(timeout=TIMEOUT)
            if find.returncode != 0:
                self._end()
                return None
            for row in out.split(b"\0"):
                if row:
                    name = text(row)
                    rows.append((name[0], name[1 + len(self.root) :].lstrip("/")))
        if self._finds is None:
            return None
        changed = {path for kind, path in rows if kind == "f" and inside(path)}
        return self._settle(changed, sorted(path for kind, path in rows if kind == "d"), paths, folders)

    def _end(self) -> None:
        """Let none of them run on."""
        for find in self._finds or ():
            with find:  # waits for it
                find.kill()

    def _settle(self, changed: set[str], touched: list[str], paths: Sequence[str], folders: Mapping[str, int]) -> Swept:
        """Look into the folders whose entries changed: what came, what went, what is another folder now."""
        if not touched:
            return Swept(tuple(sorted(changed)), frozenset(), folders)
        now = dict(folders)
        names = sorted(folders)
        gone: set[str] = set()
        stack = list(reversed(touched))
        while stack:
            at = stack.pop()
            below, here = self._entries(at)
            files = set(_directly(paths, at))
            changed |= here - files
            gone |= files - here
            lost = [each for each in _directly(names, at) if each not in below]
            while lost:
                each = lost.pop()
                gone |= set(_directly(paths, each))
                now.pop(each, None)
                lost += _directly(names, each)
            for folder, inode in below.items():
                if now.get(folder) != inode:
                    now[folder] = inode
                    changed |= self._entries(folder)[1]
                    stack.append(folder)
        return Swept(tuple(sorted(changed)), frozenset(gone - changed), now)

    def _entries(self, folder: str) -> tuple[dict[str, int], set[str]]:
        """Folders with their inodes, and source files, directly in a folder."""
        return entries(self.root, folder)


def entries(root: str, folder: str) -> tuple[dict[str, int], set[str]]:
    """Folders with their inodes, and source files, directly in a folder; nothing where it cannot be read."""
    folders: dict[str, int] = {}
    files: set[str] = set()
    try:
        with os.scandir(f"{root}/{folder}" if folder else root) as found:
            for entry in found:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if not inside(path):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders[path] = entry.inode()
                elif is_source(entry.name) and entry.is_file(follow_symlinks=False):
                    files.add(path)
    except OSError:
        pass  # a folder that may not be read: nothing of it is in the tree
    return folders, files


def _directly(paths: Sequence[str], folder: str) -> list[str]:
    """Those of the sorted paths that lie in a folder, and in none of its folders."""
    found: list[str] = []
    before = f"{folder}/" if folder else ""
    at = bisect_left(paths, before)
    while at < len(paths) and paths[at].startswith(before):
        name, slash, _ = paths[at][len(before) :].partition("/")
        if slash:
            at = bisect_left(paths, f"{before}{name}0", at)  # "0" follows "/"
            continue
        if name:
            found.append(paths[at])
        at += 1
    return found


def walk(root: str) -> Iterator[tuple[str, int]]:
    """Every folder below a root, itself as "", with its inode."""
    yield "", os.lstat(root).st_ino
    stack = [""]
    while stack:
        for folder, inode in entries(root, stack.pop())[0].items():
            yield folder, inode
            stack.append(folder)


def _second(root: str) -> Iterator[str]:
    """The real folders two levels below a root: what lies in them is most of a kernel, and can be shared out."""
    for top in entries(root, "")[0]:
        yield from (f"{root}/{folder}" for folder in entries(root, top)[0])
