"""Small trees and small rules, made where they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from lorelint.code import ir
from lorelint.code.program import Cache, Program
from lorelint.kernel.load import knowledge
from lorelint.model.base import Applied, Base, FileBase, Grade, Snapshot
from lorelint.model.finding import Doubt, Finding, Kind, Need, Severity, Silence, Step, Verdict
from lorelint.model.mail import Change, FileDiff, Hunk, HunkLine, Message, Patch
from lorelint.model.tree import EmptyTree, OverlayTree, Tree
from lorelint.rule.delta import Delta, delta
from lorelint.rule.door import Rule, Tokens, TreeView

Files = Mapping[str, str | None]


def _calls(view: TreeView, fn: ir.Function, name: str) -> Iterator[ir.Call]:
    for node in view.program.cfg(fn).nodes:
        for call in ir.calls(node.expr):
            if call.name == name:
                yield call


def _finding(rule: str, fn: ir.Function, line: int, anchor: str, message: str, **more: Any) -> Finding:
    made: dict[str, Any] = {
        "severity": Severity.WARNING,
        "confidence": 0.9,
        "steps": (Step(fn.path, line, message),),
    }
    return Finding(rule, fn.path, fn.name, line, anchor, message, **{**made, **more})


def _bad_call(view: TreeView) -> Iterator[Verdict]:
    """bad() stands in the function; where shaky() does too, nobody knows."""
    for fn in view.functions:
        doubtful = any(_calls(view, fn, "shaky"))
        for call in _calls(view, fn, "bad"):
            if doubtful:
                yield Doubt("bad-call", fn.path, fn.name, call.line, "bad", "shaky() was not seen")
            else:
                yield _finding("bad-call", fn, call.line, "bad", f"bad() in {fn.name}()", need=Need.FILE)
        for call in _calls(view, fn, "good"):
            yield Silence("bad-call", fn.path, fn.name, call.line, "good() is as it should be")


def _loud_callee(view: TreeView) -> Iterator[Verdict]:
    """A callee whose own text, found through the program, holds loud()."""
    for fn in view.functions:
        for node in view.program.cfg(fn).nodes:
            for call in ir.calls(node.expr):
                for callee in view.program.define(call.name, fn.path):
                    for loud in _calls(view, callee, "loud"):
                        steps = (
                            Step(fn.path, call.line, f"{callee.name}() is called"),
                            Step(callee.path, loud.line, "and is loud"),
                        )
                        message = f"{fn.name}() calls {callee.name}(), which is loud"
                        yield _finding("loud-callee", fn, call.line, callee.name, message, steps=steps)


def _table_needs_close(view: TreeView) -> Iterator[Verdict]:
    """revoke() in a driver one of whose tables sets .mmap."""
    for fn in view.functions:
        for call in _calls(view, fn, "revoke"):
            for table in view.program.tables_of("struct ops", "mmap"):
                yield _finding("table-needs-close", fn, call.line, table.name, f"{table.name} can be mapped")


def _raises(view: TreeView) -> Iterator[Verdict]:
    for fn in view.functions:
        raise ValueError(f"cannot read {fn.name}\nat all")
        yield


BAD = Rule("bad-call", run=_bad_call, since="0.1", tokens=Tokens((("bad", "good"),)), cause_rank=10)
LOUD = Rule("loud-callee", run=_loud_callee, since="0.1", cause_rank=60)
TABLE = Rule("table-needs-close", run=_table_needs_close, since="0.1", tokens=Tokens((("revoke",),)))
RAISES = Rule("raises", run=_raises, since="0.1", tokens=Tokens((("bad",),)))


def _encoded(files: Files) -> dict[str, bytes | None]:
    return {path: None if text is None else text.encode() for path, text in files.items()}


def _tree(files: Files, name: str = "tree") -> Tree:
    return OverlayTree(EmptyTree(name), _encoded(files))


def _patch(seq: int, diffs: Sequence[FileDiff]) -> Patch:
    mail = Message(f"m{seq}", "subject", "A", "a@example.org", "", "", (), (), (), "")
    return Patch(seq, f"m{seq}", "subject", ("A", "a@example.org"), "", "", tuple(diffs), mail)


def _applied(
    states: Sequence[Files],
    *,
    seqs: Sequence[int] = (),
    renames: Mapping[str, str] | None = None,
    grades: Mapping[str, Grade] | None = None,
    base: str = "tree",
    fuzzed: Mapping[str, tuple[tuple[int, int], ...]] | None = None,
) -> Applied:
    """States of a tree as a series: patch n leads from state n - 1 to state n."""
    snapshots = []
    trees = [_tree(state) for state in states]
    for place, (before, after) in enumerate(pairwise(states)):
        seq = seqs[place] if seqs else place + 1
        diffs, files = [], {}
        for path in sorted({*before, *after}):
            if before.get(path) == after.get(path):
                continue
            old = (renames or {}).get(path, path)
            change = Change.RENAME if old != path else Change.MODIFY
            diffs.append(FileDiff(old, path, change, "", "", (), 0))
            grade = (grades or {}).get(path, Grade.EXACT)
            files[path] = FileBase(path, grade, "", (fuzzed or {}).get(path, ()))
        snapshots.append(Snapshot(_patch(seq, diffs), trees[place], trees[place + 1], files))
    grade = max([*(grades or {}).values(), Grade.EXACT], key=lambda each: each.rank)
    return Applied(Base(base, "", grade, ()), tuple(snapshots))


def _run(applied: Applied, *rules: Rule, missing: frozenset[int] = frozenset()) -> Delta:
    know, cache = knowledge((7, 2)), Cache.empty()
    return delta(applied, rules, lambda tree: Program(tree, know, cache), missing=missing)


def _hunk(old: int, new: int, lines: Sequence[str]) -> Hunk:
    """A hunk from its lines with ops."""
    made, at_old, at_new = [], old, new
    for line in lines:
        op, text = line[0], line[1:]
        made.append(HunkLine(op, text, 0, None if op == "+" else at_old, None if op == "-" else at_new))
        at_old += op != "+"
        at_new += op != "-"
    return Hunk(old, at_old - old, new, at_new - new, "", tuple(made), 0)


@pytest.fixture
def bench() -> SimpleNamespace:
    """Rules, and what makes trees and series of them."""
    build: Callable[..., Applied] = _applied
    return SimpleNamespace(
        BAD=BAD, LOUD=LOUD, TABLE=TABLE, RAISES=RAISES, tree=_tree, applied=build, run=_run, patch=_patch, hunk=_hunk,
        finding=_finding, Kind=Kind, know=knowledge((7, 2)),
    )  # fmt: skip
