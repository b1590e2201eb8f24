"""Files over the size that is looked into (`LIMIT`), taken out of what a search of words found.

git grep cannot be told to leave them out; only those that it found are asked for their size.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from pathlib import Path

from lorelint.edge.git import Git
from lorelint.model.tree import LIMIT

Found = dict[str, set[str]]  # word -> paths


def all_of(found: Found) -> set[str]:
    return set().union(*found.values())


def without(found: Found, paths: Set[str]) -> Found:
    return {word: {path for path in there if path not in paths} for word, there in found.items()} if paths else found


def on_disk(root: str, paths: Iterable[str]) -> set[str]:
    """Those of the paths below a folder that are too large."""
    large = set()
    for path in paths:
        try:
            if Path(root, path).lstat().st_size > LIMIT:
                large.add(path)
        except OSError:
            continue  # gone since: who reads it sees that
    return large


def in_commit(git: Git, commit: str, paths: Iterable[str]) -> set[str]:
    """Those of the paths of a commit that are too large."""
    asked = sorted(paths)
    names = "".join(f"{commit}:{path}\n" for path in asked).encode("utf-8", "surrogateescape")
    sizes = git.run("cat-file", "--batch-check=%(objectsize)", stdin=names).out.split(b"\n") if asked else []
    return {path for path, size in zip(asked, sizes, strict=False) if size.isdigit() and int(size) > LIMIT}
