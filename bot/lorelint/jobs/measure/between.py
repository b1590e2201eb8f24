"""What the rules say over the files in which two trees differ, each judged as if one patch had made the difference.

The tree after is the second one, whole; the tree before is the same with one file as the first one has it. So every
finding is about code as it stands in a tree that is there, and can be judged by reading it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256

from msgspec import Struct, field

from lorelint.code.program import Cache, Program
from lorelint.jobs.measure.mail import counts, spoken
from lorelint.jobs.measure.pool import Clock, add, shares, spread
from lorelint.jobs.scan import version_of
from lorelint.kernel.load import knowledge
from lorelint.model.base import Applied, Base, BaseStep, FileBase, Grade, Snapshot
from lorelint.model.mail import Change, FileDiff, Message, Patch
from lorelint.model.measurement import Noise, Skip, Spoken
from lorelint.model.tree import OverlayTree, Tree
from lorelint.rule.delta import Delta, delta
from lorelint.rule.door import Rule
from lorelint.rule.reach import USERLAND

SHARE = 50  # files that one process takes at a time: what it remembers of the trees goes with them

Trees = Callable[[], tuple[Tree, Tree]]


class _Part(Struct):
    patches: int = 0
    functions: int = 0
    spoken: list[Spoken] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def between(
    names: tuple[str, str],
    open_trees: Trees,
    rules: Sequence[Rule],
    *,
    processes: int = 1,
    sample: int = 0,
) -> tuple[Noise, dict[str, float]]:
    """Judge each file that is in both trees, differs, and changes a function that some rule may speak of.

    names       of the two trees; the second one as judgements name it
    open_trees  opens both; with several processes a function of a module
    sample      at most so many files, the same ones every time; 0 for all
    """
    before, after = open_trees()
    files, alone = differing(before, after, rules)
    chosen, rest = touching(files, before, after, rules, sample)
    total = _Part()
    for part in spread(shares(chosen, SHARE), partial(_files, open_trees=open_trees, rules=tuple(rules)), processes):
        total.patches += part.patches
        total.functions += part.functions
        total.spoken += part.spoken
        total.failures += part.failures
        add(total.seconds, part.seconds)
    left = [Skip(path, "", "only in one of the trees") for path in alone]
    left += [Skip(path, "", "not in the sample") for path in rest]
    noise = Noise(
        corpus=f"{names[0]} to {names[1]}",
        tree=names[1],
        changes=len(chosen),
        patches=total.patches,
        functions=total.functions,
        spoken=tuple(total.spoken),
        left_out=tuple(left),
        failures=tuple(total.failures),
        grades={Grade.EXACT.value: total.patches} if total.patches else {},
    )
    return noise, total.seconds


def differing(before: Tree, after: Tree, rules: Sequence[Rule]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Kernel files that differ and hold the words of some rule, and those of them that one tree lacks."""
    found: list[str] = []
    alone: list[str] = []
    for path in sorted({*before.files(), *after.files()}):
        if path.startswith(USERLAND):
            continue
        old, new = before.read(path), after.read(path)
        if old != new and any(rule.tokens.admit(raw) for rule in rules for raw in (old, new) if raw):
            (alone if old is None or new is None else found).append(path)
    return tuple(found), tuple(alone)


def touching(
    paths: Sequence[str], before: Tree, after: Tree, rules: Sequence[Rule], count: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Files in which a function differs that some rule may speak of, and those that were not looked at.

    Where only so many are wanted (0: all), they are taken by a hash of their names: the same ones every time.
    """
    order = list(paths) if not count else sorted(paths, key=lambda path: sha256(_bytes(path)).digest())
    found: list[str] = []
    for place, path in enumerate(order):
        if count and len(found) == count:
            return tuple(sorted(found)), tuple(sorted(order[place:]))
        if _touches(path, before.read(path) or b"", after.read(path) or b"", rules):
            found.append(path)
    return tuple(sorted(found)), ()


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _touches(path: str, old: bytes, new: bytes, rules: Sequence[Rule]) -> bool:
    """Whether a function that differs holds the words of a rule, before or after."""
    from lorelint.code.functions import functions

    was = {fn.text for fn in functions(path, old)}
    now = {fn.text for fn in functions(path, new)}
    return any(rule.tokens.admit(text) for text in was ^ now for rule in rules)


def _files(paths: Sequence[str], open_trees: Trees, rules: Sequence[Rule]) -> _Part:
    part, clock = _Part(), Clock()
    timed = clock.timed(rules)
    before, after = open_trees()
    know, cache = knowledge(version_of(after)), Cache.empty()
    kept = Program(after, know, cache)
    for path in paths:
        old = OverlayTree(after, {path: before.read(path)}, f"{after.name} before")

        def program(tree: Tree) -> Program:
            return kept if tree is after else Program(tree, know, cache)

        done = delta(_applied(path, old, after), timed, program)
        part.patches += 1
        part.functions += done.coverage.functions
        part.spoken += _said(path, done)
        part.failures += [f"{path}: {each.rule} on {each.function}(): {each.text}" for each in done.failures]
    part.seconds = clock.seconds
    return part


def _said(path: str, done: Delta) -> list[Spoken]:
    return [spoken(each, path) for each in done.judged if counts(each)]


def _applied(path: str, before: Tree, after: Tree) -> Applied:
    """The difference in one file as a series of one patch on an exact base."""
    mail = Message("between", path, "", "", "", "", (), (), (), "")
    diff = FileDiff(path, path, Change.MODIFY, "", "", (), 0)
    patch = Patch(1, "between", path, ("", ""), "", "", (diff,), mail)
    snapshot = Snapshot(patch, before, after, {path: FileBase(path, Grade.EXACT, "the file of the other tree")})
    base = Base(after.name, "", Grade.EXACT, (BaseStep("named", after.name, True, "both trees are whole"),))
    return Applied(base, (snapshot,))
