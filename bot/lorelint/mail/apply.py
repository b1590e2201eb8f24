"""Put the hunks of a diff into a file: at their place, or moved, with all of their context.

Fuzz is not for this module: what does not match in full is a `Misfit`.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from lorelint.model.mail import Change, FileDiff, Hunk, HunkLine

# The longest file of linux 6.12 has some 230,000 lines (a register header of amdgpu).
MAX_LINES = 2_000_000
MAX_PLACES = 4096  # compared for one hunk: a mail of blank lines shall not cost minutes


class Placement(Struct, frozen=True):
    """Where one hunk went."""

    hunk: int  # 1-based
    old_start: int  # first line of the hunk in the file before, 1-based
    old_count: int
    new_start: int  # first line of the hunk in the file after, 1-based
    new_count: int
    offset: int  # lines away from where its header says
    others: int  # other places where it would fit as well; 0 where it lies as its header says
    bare: bool = False  # it has no context at all: only the line number places it


class Placed(Struct, frozen=True):
    """A file after a diff; `content` is None for a file that is gone."""

    content: bytes | None
    placements: tuple[Placement, ...]
    line_ends: bool = False  # the file has CRLF where the mail has LF: those of the file were kept


class Misfit(Struct, frozen=True):
    """Why a diff does not apply."""

    hunk: int  # 1-based; 0 when no hunk is to blame
    text: str  # lower case, no full stop


def _encode(line: HunkLine) -> bytes:
    return line.text.encode("utf-8", "surrogateescape")


def _sides(hunk: Hunk) -> tuple[list[bytes], list[bytes]]:
    """The hunk's lines before and after, with their newlines."""
    old: list[bytes] = []
    new: list[bytes] = []
    for line in hunk.lines:
        text = _encode(line) + b"\n"
        if line.op in " -":
            old.append(text)
        if line.op in " +":
            new.append(text)
    last = hunk.lines[-1].op if hunk.lines else ""
    shared = last == " " and (hunk.no_newline_old or hunk.no_newline_new)
    if old and (hunk.no_newline_old or shared):
        old[-1] = old[-1][:-1]
    if new and (hunk.no_newline_new or shared):
        new[-1] = new[-1][:-1]
    return old, new


def _split(content: bytes) -> list[bytes]:
    lines = content.split(b"\n")
    last = lines.pop()
    ended = [line + b"\n" for line in lines]
    return [*ended, last] if last else ended


def _with_crlf(lines: list[bytes]) -> list[bytes]:
    return [line[:-1] + b"\r\n" if line.endswith(b"\n") and not line.endswith(b"\r\n") else line for line in lines]


def _context(hunk: Hunk) -> tuple[int, int]:
    """How many context lines lead and trail."""
    ops = [line.op for line in hunk.lines]
    lead = next((i for i, op in enumerate(ops) if op != " "), len(ops))
    trail = next((i for i, op in enumerate(reversed(ops)) if op != " "), len(ops))
    return lead, trail


class _File:
    """The lines of the file before, and which hunks have been put where."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines
        self.out: list[bytes] = []
        self.done = 0  # lines of the file before that are in `out`
        self.drift = 0  # how far the last hunk had moved
        self.placements: list[Placement] = []
        self.where: dict[bytes, list[int]] | None = None

    def places(self, wanted: list[bytes], near: int) -> list[int]:
        """All indices, not before what is done, where these lines stand; the nearest when there are very many."""
        if self.where is None:
            self.where = {}
            for index, line in enumerate(self.lines):
                self.where.setdefault(line, []).append(index)
        # The rarest line of the hunk decides where comparing is worth while.
        key = min(range(len(wanted)), key=lambda i: len(self.where.get(wanted[i], ())) if self.where else 0)
        size = len(wanted)
        candidates = [index - key for index in self.where.get(wanted[key], ())]
        if len(candidates) > MAX_PLACES:
            candidates = sorted(sorted(candidates, key=lambda at: abs(at - near))[:MAX_PLACES])
        return [at for at in candidates if at >= self.done and self.lines[at : at + size] == wanted]

    def put(self, number: int, hunk: Hunk, crlf: bool) -> Misfit | None:
        old, new = _sides(hunk)
        if crlf:
            old, new = _with_crlf(old), _with_crlf(new)
        if len(self.out) + len(new) > MAX_LINES:
            return Misfit(number, f"hunk {number} makes the file longer than {MAX_LINES} lines")
        at = self._find(hunk, old)
        if at is None:
            return Misfit(number, f"hunk {number} (-{hunk.old_start},{hunk.old_count}) finds no place with its context")
        start, others = at
        self.out += self.lines[self.done : start]
        new_start = len(self.out) + 1
        self.out += new
        self.done = start + len(old)
        if new and not new[-1].endswith(b"\n") and self.done < len(self.lines):
            return Misfit(number, f"hunk {number} ends the file where it goes on")
        self.drift = start - _stated(hunk)
        bare = not any(line.op == " " for line in hunk.lines)
        self.placements.append(
            Placement(number, start + 1, len(old), new_start, len(new), self.drift, others if self.drift else 0, bare)
        )
        return None

    def _find(self, hunk: Hunk, old: list[bytes]) -> tuple[int, int] | None:
        """The index where the hunk goes, and how many other places there are."""
        stated = _stated(hunk)
        if not old:
            # Nothing to compare with: only the line number says where.
            return (stated, 0) if self.done <= stated <= len(self.lines) else None
        found = self._allowed(hunk, self.places(old, stated + self.drift), len(old))
        if stated in found:
            return stated, 0
        if not found:
            return None
        # Nearest to where the hunks before it have moved; above wins over below.
        near = min(found, key=lambda at: (abs(at - stated - self.drift), at))
        return near, len(found) - 1

    def _allowed(self, hunk: Hunk, found: list[int], size: int) -> list[int]:
        """Of the places where the lines stand, those where the hunk may go.

        A hunk of a diff with context that has none at its top is at the top of the file, and one that has none
        at its bottom at the bottom; so `git apply` has it too. Without any context only the line number counts.
        """
        lead, trail = _context(hunk)
        if not lead and not trail:
            return [at for at in found if at == _stated(hunk)]
        if not lead and hunk.old_start <= 1:
            found = [at for at in found if at == 0]
        if not trail:
            found = [at for at in found if at + size == len(self.lines)]
        return found

    def finish(self) -> bytes:
        self.out += self.lines[self.done :]
        return b"".join(self.out)


def _stated(hunk: Hunk) -> int:
    """The index of the hunk's first line by its header; "-5,0" means after line 5."""
    return hunk.old_start - 1 if any(line.op in " -" for line in hunk.lines) else hunk.old_start


def _place(hunks: Sequence[Hunk], content: bytes, crlf: bool) -> tuple[bytes, tuple[Placement, ...]] | Misfit:
    file = _File(_split(content))
    for number, hunk in enumerate(hunks, 1):
        misfit = file.put(number, hunk, crlf)
        if misfit:
            return misfit
    return file.finish(), tuple(file.placements)


def apply_diff(diff: FileDiff, before: bytes | None) -> Placed | Misfit:
    """The file after a diff of one file.

    before  content of the file the diff is for (of `old_path` for a rename or copy); None when there is none
    Full context is required. A hunk is looked for at its place first, then at the nearest place; `Placement`
    says how far it moved and how many other places there were.
    """
    if diff.change is Change.BINARY:
        return Misfit(0, "binary change, which no text hunks describe")
    if diff.change is Change.CREATE:
        if before:
            return Misfit(0, "creates a file that is there already")
        return _create(diff)
    if before is None:
        return Misfit(0, "no such file")
    found = _place(diff.hunks, before, crlf=False)
    line_ends = False
    if isinstance(found, Misfit) and b"\r\n" in before:
        # Mail transport and b4 turn CRLF into LF; the lines are the same lines.
        with_crlf = _place(diff.hunks, before, crlf=True)
        if not isinstance(with_crlf, Misfit):
            found, line_ends = with_crlf, True
    if isinstance(found, Misfit):
        return found
    content, placements = found
    if diff.change is Change.DELETE:
        if content:
            return Misfit(0, "deletes a file that has more in it than the patch takes out")
        return Placed(None, placements, line_ends)
    return Placed(content, placements, line_ends)


def _create(diff: FileDiff) -> Placed | Misfit:
    found = _place(diff.hunks, b"", crlf=False)
    if isinstance(found, Misfit):
        return Misfit(found.hunk, "creates a file, yet its hunks take lines out of it")
    return Placed(found[0], found[1])


def _reverse_line(line: HunkLine) -> HunkLine:
    op = {"+": "-", "-": "+"}.get(line.op, line.op)
    return replace(line, op=op, old_line=line.new_line, new_line=line.old_line)


def reverse(diff: FileDiff) -> FileDiff:
    """The diff that takes this one back. A copy cannot be taken back: it becomes a deletion of the copy."""
    changes = {Change.CREATE: Change.DELETE, Change.DELETE: Change.CREATE, Change.COPY: Change.DELETE}
    hunks = tuple(
        replace(
            hunk,
            old_start=hunk.new_start,
            old_count=hunk.new_count,
            new_start=hunk.old_start,
            new_count=hunk.old_count,
            lines=tuple(_reverse_line(line) for line in hunk.lines),
            no_newline_old=hunk.no_newline_new,
            no_newline_new=hunk.no_newline_old,
        )
        for hunk in diff.hunks
    )
    return replace(
        diff,
        old_path=diff.new_path,
        new_path=diff.old_path,
        change=changes.get(diff.change, diff.change),
        old_blob=diff.new_blob,
        new_blob=diff.old_blob,
        hunks=hunks,
    )
