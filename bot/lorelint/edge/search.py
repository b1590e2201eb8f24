"""Finding identifiers in the tree of a commit, by the cheapest way that gives the right answer.

Files on disk are searched four times as fast as objects. Where a work tree is at hand and differs from
the commit in few files, it is searched, and the files that differ are read from the commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lorelint.edge.git import Git, grep_words, scan_words, text
from lorelint.edge.large import all_of, in_commit, on_disk, without
from lorelint.model.tree import LIMIT, is_source
from lorelint.model.trouble import Trouble

if TYPE_CHECKING:
    from lorelint.edge.repository import GitTree

MAX_DIFFERENT = 2000  # source files that are read one by one; beyond, git searches the objects

Found = dict[str, set[str]]


def search(tree: GitTree, words: Sequence[str]) -> Found | None:
    """Which source files of the commit hold which words; None where git failed."""
    missing = tree.repository.missing(tree.commit)
    if missing:
        return _present(tree, words, missing)
    found = _on_disk(tree, words)
    return _objects(tree, words) if found is None else found


def _objects(tree: GitTree, words: Sequence[str]) -> Found | None:
    found = grep_words(tree.repository.git, words, (), tree.commit)
    return None if found is None else without(found, in_commit(tree.repository.git, tree.commit, all_of(found)))


def _present(tree: GitTree, words: Sequence[str], missing: frozenset[str]) -> Found:
    """In a partial clone that lacks files of this commit: git grep would fetch them one by one."""
    found: Found = {word: set() for word in words}
    skipped = 0
    for path, name in tree.ids().items():
        content = None if name in missing else tree.repository.blob(name)
        if content is None:
            skipped += 1
            continue
        if len(content) > LIMIT:
            continue
        for word in scan_words(content, words):
            found[word].add(path)
    told = f"{skipped} source files are not in this clone and were not searched"
    tree.repository.note(Trouble("partial-clone", tree.name, told))
    return found


def _on_disk(tree: GitTree, words: Sequence[str]) -> Found | None:
    """By the work tree; None where there is none or it is too different."""
    if not tree.repository.has_work_tree:
        return None
    # Asked anew for each search: the person may be at work in it.
    different = _different(tree.repository.git, tree.commit)
    if different is None or len(different) > MAX_DIFFERENT:
        return None
    found = grep_words(tree.repository.git, words, ("--no-recurse-submodules",))
    if found is None:
        return None
    found = without(found, different | on_disk(str(tree.repository.git.where), all_of(found)))
    for path in sorted(different):
        content = tree.read(path) or b""
        for word in scan_words(content if len(content) <= LIMIT else b"", words):
            found[word].add(path)
    return found


def _different(git: Git, commit: str) -> set[str] | None:
    """Source files that are not on disk as they are in the commit, or that git would not look at on disk."""
    quiet = ["-c", "core.fsmonitor=false"]
    options = ["--no-ext-diff", "--no-textconv", "--no-renames", "--name-only", "-z", "--ignore-submodules=all"]
    done = git.run(*quiet, "diff", *options, commit, "--")
    # "S" is a file of a sparse checkout; small letters are files that git is told to take for unchanged.
    listed = git.run(*quiet, "ls-files", "-v", "-z", "--full-name")
    if done.code != 0 or listed.code != 0:
        return None
    paths = {text(path) for path in done.out.split(b"\0")}
    paths |= {text(line[2:]) for line in listed.out.split(b"\0") if line[:1] == b"S" or line[:1].islower()}
    return {path for path in paths if is_source(path)}
