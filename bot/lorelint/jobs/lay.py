"""Lay a series on one tree, patch by patch, in memory, and say of each file how well it fits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct, field

from lorelint.mail.apply import Misfit, Placed, Placement, apply_diff, reverse
from lorelint.mail.fragments import fragments
from lorelint.model.base import FileBase, Grade, Snapshot
from lorelint.model.mail import Change, FileDiff, Patch, Series
from lorelint.model.source import Fuzzy, Patcher, Repository
from lorelint.model.tree import OverlayTree, Tree, blob_id, inside, is_source
from lorelint.model.trouble import Trouble

MIN_BLOB = 7  # digits of an abbreviated id that are believed; git abbreviates to no fewer

Ranges = tuple[tuple[int, int], ...]


class Laid(Struct, frozen=True):
    """A series on one tree."""

    snapshots: tuple[Snapshot, ...]
    undone: bool = False  # the tree held some of the series already, which was taken back

    def files(self) -> Iterable[FileBase]:
        for snapshot in self.snapshots:
            yield from snapshot.files.values()

    @property
    def grade(self) -> Grade:
        """The worst of the C files, of all files where there is no C; exact for a series that touches none.

        A Makefile or a document that has moved on says nothing about the code that is judged.
        """
        files = list(self.files())
        counted = [file for file in files if is_source(file.path)] or files
        return max((file.grade for file in counted), key=_rank, default=Grade.EXACT)

    @property
    def score(self) -> tuple[int, ...]:
        """For comparing trees, less is better: how many C files at each grade, the worst grade first; then others."""
        source, other = [0] * len(Grade), [0] * len(Grade)
        for file in self.files():
            (source if is_source(file.path) else other)[file.grade.rank] += 1
        return (*reversed(source[1:]), *reversed(other[1:]))


def is_blob(content: bytes | None, named: str) -> bool:
    """Whether the content is the blob an index line names."""
    return content is not None and len(named) >= MIN_BLOB and blob_id(content).startswith(named.lower())


def first_blobs(series: Series) -> dict[str, str]:
    """Path in the base -> blob id that the first patch to touch it names. Files the series makes are left out."""
    wanted: dict[str, str] = {}
    seen: set[str] = set()
    for patch in series.patches:
        for diff in patch.diffs:
            path = diff.old_path
            if path and path not in seen and len(diff.old_blob) >= MIN_BLOB and diff.change is not Change.CREATE:
                wanted[path] = diff.old_blob.lower()
            seen |= {diff.old_path, diff.new_path}
    return wanted


class _Fit(Struct, frozen=True):
    """What became of one diff. None as content stands for no file."""

    grade: Grade
    text: str
    before: bytes | None
    after: bytes | None
    fuzzed: Ranges = ()
    kept: bool = True  # False for fragments: the next patch goes on from what was there
    confirmed: bool = False  # by a blob id: what happened to the file before does not matter
    foreign: bool = False  # the content is not of this tree, and stays so for the patches to come
    trouble: Trouble | None = None


class _File(Struct):
    """What is known of one path so far."""

    grade: Grade = Grade.EXACT
    floor: Grade = Grade.EXACT  # no later patch makes it better than this
    fuzzed: Ranges = ()
    broken: bool = False  # an earlier patch of the series could not be placed in it


class Layer(Struct):
    """Lays series on trees. Without `repository` there is no merging, without `patcher` no fuzz."""

    tree: Tree
    repository: Repository | None = None
    patcher: Patcher | None = None
    whole: bool = False  # the tree is the base commit, with all prerequisites: diffs without index line are exact
    _slate: dict[str, bytes | None] = field(default_factory=dict)
    _files: dict[str, _File] = field(default_factory=dict)
    _notes: dict[str, str] = field(default_factory=dict)

    def lay(self, series: Series) -> Laid:
        for path, chain in chains(series).items():
            self._prepare(path, chain)
        undone = bool(self._notes)
        return Laid(tuple(self._patch(patch) for patch in series.patches), undone)

    def _read(self, path: str) -> bytes | None:
        return self._slate[path] if path in self._slate else self.tree.read(path)

    def _prepare(self, path: str, chain: Sequence[FileDiff]) -> None:
        """Take back what the tree already holds of the series, so that *before* is before."""
        if not inside(path):
            return
        content = self.tree.read(path)
        first, last = chain[0], chain[-1]
        if content is None or first.change in (Change.RENAME, Change.COPY, Change.BINARY, Change.MODE):
            return
        if first.change is Change.MODIFY and not first.hunks:
            return
        if first.change is Change.CREATE:
            self._slate[path] = None
            self._notes[path] = "the tree has a file of this name already: it was set aside"
            return
        if is_blob(content, first.old_blob):
            return
        if not is_blob(content, last.new_blob) and isinstance(apply_diff(first, content), Placed):
            return
        undone: bytes | None = content
        for diff in reversed(chain):
            placed = apply_diff(reverse(diff), undone)
            if isinstance(placed, Misfit) or any(each.others or each.bare for each in placed.placements):
                return
            undone = placed.content
        self._slate[path] = undone
        self._notes[path] = "the tree already holds the change: it was taken back"

    def _patch(self, patch: Patch) -> Snapshot:
        before, after = dict(self._slate), dict(self._slate)
        files: dict[str, FileBase] = {}
        troubles: list[Trouble] = []
        seen: set[str] = set()
        for diff in patch.diffs:
            if not (inside(diff.path) and inside(diff.old_path or diff.path)):
                troubles.append(Trouble("bad-path", diff.path[:200], "names no file of a source tree; not looked at"))
                continue
            fit = self._note(diff, self._fit(diff))
            file = FileBase(diff.path, fit.grade, fit.text, fit.fuzzed)
            files[diff.path] = _worse(files[diff.path], file) if diff.path in files else file
            if fit.trouble:
                troubles.append(fit.trouble)
            source = diff.old_path or diff.path
            if source not in seen:
                before[source] = fit.before
            seen |= {source, diff.path}
            after.update(_result(diff, fit))
            if fit.kept:
                self._slate.update(_result(diff, fit))
        name = self.tree.name
        return Snapshot(
            patch,
            OverlayTree(self.tree, before, f"{name} before patch {patch.seq}" if name else ""),
            OverlayTree(self.tree, after, f"{name} after patch {patch.seq}" if name else ""),
            dict(sorted(files.items())),
            tuple(troubles),
        )

    def _note(self, diff: FileDiff, fit: _Fit) -> _Fit:
        """Weigh a fit against what happened to the file before, and remember it."""
        known = self._files.get(diff.old_path or diff.path, _File())
        grade, text = fit.grade, fit.text
        if not fit.kept:
            self._files[diff.path] = _File(known.grade, known.floor, known.fuzzed, broken=True)
            return fit
        if not fit.confirmed:
            if known.broken:
                grade = max(grade, Grade.APPROXIMATE, key=_rank)
                text += "; an earlier patch of the series could not be placed in this file"
            grade = max(grade, known.grade, key=_rank)
        floor = Grade.MERGED if fit.foreign else known.floor
        grade = max(grade, floor, key=_rank)
        note = self._notes.pop(diff.path, "")
        self._files[diff.path] = _File(grade, floor, fit.fuzzed, known.broken and not fit.confirmed)
        return _Fit(grade, f"{text}; {note}" if note else text, fit.before, fit.after, fit.fuzzed, trouble=fit.trouble)

    def _fit(self, diff: FileDiff) -> _Fit:
        content = self._read(diff.path if diff.change is Change.CREATE else diff.old_path or diff.path)
        if diff.change is Change.BINARY:
            return self._binary(diff, content)
        if not diff.hunks and diff.change is not Change.CREATE:
            return self._textless(diff, content)
        placed = apply_diff(diff, content)
        if isinstance(placed, Placed):
            return _placed(diff, content, placed, self.whole, self._fuzzed(diff))
        return self._merged(diff, content) or self._fuzzy(diff, content) or _fragments(diff, placed)

    def _fuzzed(self, diff: FileDiff) -> Ranges:
        """The doubtful lines of the file before."""
        known = self._files.get(diff.old_path or diff.path)
        return known.fuzzed if known else ()

    def _binary(self, diff: FileDiff, content: bytes | None) -> _Fit:
        named = is_blob(content, diff.old_blob) or diff.change is Change.CREATE
        trouble = Trouble("binary", diff.path, "a binary change, which was not applied")
        return _Fit(Grade.EXACT if named else Grade.CLEAN, "binary, not applied", content, content, trouble=trouble)

    def _textless(self, diff: FileDiff, content: bytes | None) -> _Fit:
        """A rename, copy, mode change or deletion without hunks."""
        if content is None:
            return _fragments(diff, Misfit(0, "no such file"))
        after = None if diff.change is Change.DELETE else content
        grade = Grade.EXACT if self.whole else Grade.CLEAN
        unread = diff.change is Change.MODIFY
        text = "none of its hunks could be read" if unread else f"{diff.change} without a change of text"
        return _Fit(grade, text, content, after, self._fuzzed(diff))

    def _merged(self, diff: FileDiff, content: bytes | None) -> _Fit | None:
        """Three-way: the blob the patch names is at hand, though the tree has another."""
        if self.repository is None or len(diff.old_blob) < MIN_BLOB:
            return None
        base = self.repository.content(diff.old_blob)
        theirs = apply_diff(diff, base) if base is not None else None
        if base is None or not isinstance(theirs, Placed):
            return None
        if content is not None and theirs.content is not None:
            merged = self.repository.merge(base, content, theirs.content)
            if merged is not None:
                text = f"merged three-way from blob {diff.old_blob}, which the patch names"
                return _Fit(Grade.MERGED, text, content, merged, self._fuzzed(diff))
        why = "the merge has conflicts" if content is not None else "the tree has no such file"
        text = f"{why}: blob {diff.old_blob}, which the patch names, was laid over the tree"
        return _Fit(Grade.MERGED, text, base, theirs.content, confirmed=True, foreign=True)

    def _fuzzy(self, diff: FileDiff, content: bytes | None) -> _Fit | None:
        if content is None or self.patcher is None:
            return None
        if diff.change is Change.DELETE:
            return _Fit(Grade.APPROXIMATE, "the file is not quite the one the patch deletes", content, None)
        found = self.patcher.fuzz(diff, content)
        if found is None:
            return None
        loose = [hunk for hunk in found.hunks if hunk.fuzz] or list(found.hunks)
        ranges = tuple((hunk.start, hunk.end) for hunk in loose)
        carried = _carry(self._fuzzed(diff), _as_placements(diff, found))
        fuzzed = tuple(sorted({*ranges, *carried}))
        return _Fit(Grade.APPROXIMATE, _fuzzy_text(found), content, found.content, fuzzed)


def _rank(grade: Grade) -> int:
    return grade.rank


def _worse(one: FileBase, other: FileBase) -> FileBase:
    return other if other.grade.rank >= one.grade.rank else one


def chains(series: Series) -> dict[str, list[FileDiff]]:
    """The diffs of each path, in order."""
    chains: dict[str, list[FileDiff]] = {}
    for patch in series.patches:
        for diff in patch.diffs:
            chains.setdefault(diff.path, []).append(diff)
    return chains


def _result(diff: FileDiff, fit: _Fit) -> dict[str, bytes | None]:
    if diff.change is Change.RENAME and diff.old_path != diff.new_path:
        return {diff.old_path: None, diff.new_path: fit.after}
    return {diff.path: fit.after}


def _placed(diff: FileDiff, content: bytes | None, placed: Placed, whole: bool, fuzzed: Ranges) -> _Fit:
    """A diff that applies with all of its context."""
    result = placed.content
    carried = _carry(fuzzed, placed.placements)
    moved = [each for each in placed.placements if each.offset]
    named = is_blob(content, diff.old_blob)
    hit = is_blob(result, diff.new_blob)
    checked = f", the result is blob {diff.new_blob} as named" if hit else ""
    if diff.change is Change.CREATE:
        return _Fit(Grade.EXACT, f"new file{checked}", content, result, confirmed=True)
    if named or hit:
        return _exact(diff, content, result, named, checked)
    shaky = [each for each in placed.placements if each.others or each.bare]
    text = _moved_text(moved) if moved else "every hunk lies at its place"
    if placed.line_ends:
        text += ", the line ends of the file were kept"
    if shaky:
        ranges = tuple((each.new_start, each.new_start + max(each.new_count, 1) - 1) for each in shaky)
        why = "has no context" if shaky[0].bare else f"would fit at {shaky[0].others} other places too"
        text += f", hunk {shaky[0].hunk} {why}"
        return _Fit(Grade.APPROXIMATE, text, content, result, tuple(sorted({*ranges, *carried})))
    if whole and not diff.old_blob and not moved:
        return _Fit(Grade.EXACT, "file of the base commit, every hunk lies at its place", content, result, carried)
    other = f"not blob {diff.old_blob}, yet " if diff.old_blob else ""
    return _Fit(Grade.CLEAN, other + text, content, result, carried)


def _exact(diff: FileDiff, content: bytes | None, result: bytes | None, named: bool, checked: str) -> _Fit:
    """One of the blob ids of the index line is met."""
    trouble = None
    text = f"blob {diff.old_blob} as named by the patch" if named else f"not blob {diff.old_blob}"
    text += checked
    if not checked and result is not None and len(diff.new_blob) >= MIN_BLOB:
        text += f", but the result is not blob {diff.new_blob}"
        told = f"applied to the blob it names, the result is not blob {diff.new_blob}: the mail is not what was sent"
        trouble = Trouble("mangled", diff.path, told)
    return _Fit(Grade.EXACT, text, content, result, confirmed=True, trouble=trouble)


def _fragments(diff: FileDiff, misfit: Misfit) -> _Fit:
    before, after = fragments(diff)
    trouble = Trouble("does-not-apply", diff.path, misfit.text)
    text = f"the hunks alone: {misfit.text}"
    return _Fit(Grade.FRAGMENTS, text, before, after, kept=False, trouble=trouble)


def _lines(count: int) -> str:
    return f"{count:+d} line" if abs(count) == 1 else f"{count:+d} lines"


def _moved_text(moved: Sequence[Placement]) -> str:
    told = [f"hunk {each.hunk} moved by {_lines(each.offset)}" for each in moved[:3]]
    return ", ".join(told) + (f" and {len(moved) - 3} more" if len(moved) > 3 else "")


def _fuzzy_text(found: Fuzzy) -> str:
    told = []
    for each in found.hunks:
        if each.fuzz:
            where = f", moved by {_lines(each.offset)}" if each.offset else ""
            told.append(f"hunk {each.hunk} placed with fuzz {each.fuzz}{where}")
    more = f" and {len(told) - 3} more" if len(told) > 3 else ""
    return (", ".join(told[:3]) or "placed by GNU patch") + more


def _as_placements(diff: FileDiff, found: Fuzzy) -> tuple[Placement, ...]:
    placements = []
    grown = 0
    for each in sorted(found.hunks, key=lambda hunk: hunk.start):
        lines = diff.hunks[each.hunk - 1].lines
        old, new = sum(line.op != "+" for line in lines), sum(line.op != "-" for line in lines)
        placements.append(Placement(each.hunk, each.start - grown, old, each.start, new, each.offset, 0))
        grown += new - old
    return tuple(placements)


def _carry(ranges: Ranges, placements: Sequence[Placement]) -> Ranges:
    """Line ranges of the file before, in the file after."""
    carried = []
    for start, end in ranges:
        low = high = 0
        for each in placements:
            grown = each.new_count - each.old_count
            if each.old_start + each.old_count <= start:
                low += grown
            if each.old_start <= end:
                high += grown
        carried.append((max(1, start + low), max(1, start + low, end + high)))
    return tuple(carried)
