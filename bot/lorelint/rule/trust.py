"""How far the base under a finding's own proof can be trusted, and what hunks alone allow one to say.

The rule: a file some patch of the series touches is as good as its `FileBase` says (the latest patch up to
the one judged; it carries what earlier ones did). A file no patch touches is exact where the base as a whole
is exact (base commit, or every blob as named), fragments where there is no tree, else clean: nobody named
its blob. A finding is as good as the worst file on its steps.
"""

from __future__ import annotations

from collections.abc import Mapping

from lorelint.code.ir import Function
from lorelint.model.base import Applied, Base, FileBase, Grade, Snapshot
from lorelint.model.finding import Finding, Need


class Trust:
    """Grades of files up to one patch of the series."""

    def __init__(self, base: Base, files: Mapping[str, FileBase], snapshot: Snapshot) -> None:
        self.base = base
        self.files = files
        self._after = _shown(snapshot, "+")
        self._before = _shown(snapshot, "-")
        self._added = _added(snapshot)

    @property
    def untouched(self) -> Grade:
        if not self.base.tree:
            return Grade.FRAGMENTS
        return Grade.EXACT if self.base.grade is Grade.EXACT else Grade.CLEAN

    def file(self, path: str) -> Grade:
        known = self.files.get(path)
        return self.untouched if known is None else known.grade

    def finding(self, finding: Finding) -> Grade:
        """The worst file on the steps; a step in a region placed with fuzz is approximate at best."""
        grades = [self.file(path) for path in {finding.path, *(step.path for step in finding.steps)}]
        for step in finding.steps:
            known = self.files.get(step.path)
            if known is not None and any(first <= step.line <= last for first, last in known.fuzzed):
                grades.append(Grade.APPROXIMATE)
        return max(grades, key=lambda grade: grade.rank)

    def named(self, finding: Finding) -> bool:
        """Every file on the steps is one whose blob the patches name, and it is that blob."""
        paths = {finding.path, *(step.path for step in finding.steps)}
        return all(path in self.files and self.files[path].grade is Grade.EXACT for path in paths)

    def speaks(self, finding: Finding, fn: Function) -> bool:
        """Whether hunks alone prove it: the rule needs no more than the patch, or all it stands on is shown."""
        if self.file(finding.path) is not Grade.FRAGMENTS:
            return True
        if finding.need is Need.PATCH:
            return True
        shown = all(step.line in self._after.get(step.path, frozenset()) for step in finding.steps)
        return finding.need is Need.FILE and shown and self._whole(fn, self._after)

    def whole_before(self, fn: Function) -> bool:
        """All of a function before is shown by the hunks, or its file is there."""
        return self.file(fn.path) is not Grade.FRAGMENTS or self._whole(fn, self._before)

    def new(self, fn: Function) -> bool:
        """Every line of a function after is one the patch adds; or its file is there, and before it was not."""
        return self.file(fn.path) is not Grade.FRAGMENTS or self._whole(fn, self._added)

    def _whole(self, fn: Function, shown: Mapping[str, frozenset[int]]) -> bool:
        lines = shown.get(fn.path, frozenset())
        return all(line in lines for line in range(fn.first_line, fn.end_line + 1))


def latest(applied: Applied) -> tuple[dict[str, FileBase], ...]:
    """For each snapshot the files touched up to it, each as the latest patch left it."""
    found: list[dict[str, FileBase]] = []
    files: dict[str, FileBase] = {}
    for snapshot in applied.snapshots:
        files = {**files, **snapshot.files}
        found.append(files)
    return tuple(found)


def _shown(snapshot: Snapshot, op: str) -> dict[str, frozenset[int]]:
    """Line numbers of one side that the hunks show, by path."""
    lines: dict[str, set[int]] = {}
    for diff in snapshot.patch.diffs:
        path = diff.path if op == "+" else diff.old_path or diff.path
        for _, line in diff.lines():
            number = line.new_line if op == "+" else line.old_line
            if number is not None:
                lines.setdefault(path, set()).add(number)
    return {path: frozenset(numbers) for path, numbers in lines.items()}


def _added(snapshot: Snapshot) -> dict[str, frozenset[int]]:
    lines: dict[str, set[int]] = {}
    for diff in snapshot.patch.diffs:
        for _, line in diff.lines():
            if line.op == "+" and line.new_line is not None:
                lines.setdefault(diff.path, set()).add(line.new_line)
    return {path: frozenset(numbers) for path, numbers in lines.items()}
