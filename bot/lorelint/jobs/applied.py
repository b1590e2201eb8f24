"""Whether a tree holds a series already: then it is too late to say anything about it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from lorelint.jobs.lay import chains, is_blob
from lorelint.mail.apply import Misfit, apply_diff, reverse
from lorelint.model.mail import Change, FileDiff, Series
from lorelint.model.tree import Tree, inside


def held(series: Series, tree: Tree) -> bool:
    """Whether every file of the series is as the series leaves it, or as that and what came later left it.

    Lines that are taken away are missing in a tree that never had them, too: by those alone nothing is held.
    """
    found = chains(series)
    held = [inside(path) and _held(path, chain, tree) for path, chain in found.items()]
    return False not in held and True in held


def _held(path: str, chain: Sequence[FileDiff], tree: Tree) -> bool | None:
    """None: what it takes away is not there, and it brings nothing."""
    first, last = chain[0], chain[-1]
    content = tree.read(path)
    if last.change is Change.DELETE:
        return None if content is None and tree.read(last.old_path) is None else False
    if is_blob(content, last.new_blob):
        return True
    if content is None or is_blob(content, first.old_blob) or not any(diff.hunks for diff in chain):
        return False
    if first.change is not Change.CREATE and not isinstance(apply_diff(first, content), Misfit):
        return False  # it can still be put on
    undone: bytes | None = content
    for diff in reversed(chain):
        placed = apply_diff(reverse(diff), undone)
        if isinstance(placed, Misfit) or any(each.others or each.bare for each in placed.placements):
            return False
        undone = placed.content
    lines = (line for diff in chain for hunk in diff.hunks for line in hunk.lines)
    return any(line.op == "+" and line.text.strip() for line in lines) or None
