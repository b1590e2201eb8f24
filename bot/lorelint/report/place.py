"""Where a patch's lines are in the tree after it, and which of its lines a proof touches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from msgspec import Struct

from lorelint.model.mail import FileDiff, Hunk, HunkLine, Patch
from lorelint.model.regex import regex

Source = Callable[[int, str, int], str | None]
"""(seq of a patch, 0 outside a series; path; 1-based line) -> that line after the patch, None where there is none."""

FAR = 3000  # how far from its header's line a hunk is looked for


def no_source(patch: int, path: str, line: int) -> str | None:
    """The `Source` of a report whose tree is not at hand."""
    return None


class Spot(Struct, frozen=True):
    """One line of a hunk, and the hunk it stands in."""

    diff: FileDiff
    hunk: Hunk
    line: HunkLine

    @property
    def order(self) -> tuple[int, int]:
        """Place in the mail."""
        return (self.hunk.mail_line, self.line.mail_line)


class PatchMap:
    """Lines of the tree after a patch <-> lines of its hunks, wherever the hunks were put."""

    def __init__(self, patch: Patch, source: Source) -> None:
        self.patch = patch
        self._spots: dict[tuple[str, int], Spot] = {}
        self._places: dict[int, tuple[str, int]] = {}
        for diff in patch.diffs:
            offset = 0
            for hunk in diff.hunks:
                found = _offset(hunk, offset, partial(source, patch.seq, diff.path))
                offset = offset if found is None else found
                if found is not None:
                    self._put(diff, hunk, found)

    def _put(self, diff: FileDiff, hunk: Hunk, offset: int) -> None:
        below = hunk.new_start + offset
        for line in hunk.lines:
            if line.new_line is not None:
                below = line.new_line + offset
                self._spots[diff.path, below] = Spot(diff, hunk, line)
            self._places[line.mail_line] = (diff.path, max(1, below))

    def place(self, mail_line: int) -> tuple[str, int] | None:
        """Where a line of the patch's mail stands in the tree after it; a removed one stands at the line above it."""
        return self._places.get(mail_line)

    def spot(self, path: str, line: int) -> Spot | None:
        """The hunk line that stands at this place of the tree after the patch."""
        return self._spots.get((path, line))

    def added(self, path: str, line: int) -> bool:
        """Did the patch write this line?"""
        spot = self.spot(path, line)
        return spot is not None and spot.line.op == "+"

    def touches(self, path: str, first: int, last: int) -> bool:
        """Does the patch add a line, or cut one out, between these lines?"""
        return any(self.added(path, line) or self._cut_at(path, line) for line in range(first, last + 1))

    def _cut_at(self, path: str, line: int) -> bool:
        spot = self.spot(path, line)
        if spot is None:
            return False
        at = next(number for number, each in enumerate(spot.hunk.lines) if each is spot.line)
        return at > 0 and spot.hunk.lines[at - 1].op == "-"


def _offset(hunk: Hunk, start: int, line_at: Callable[[int], str | None]) -> int | None:
    """By how many lines the hunk stands elsewhere than its header says, the nearest to `start` first.

    All of its lines after the patch must be there; where fuzz was needed, those it adds must be.
    """
    numbered = [(line.new_line, line.text.rstrip("\r"), line.op) for line in hunk.lines if line.new_line is not None]
    after = [(number, text) for number, text, _ in numbered]
    for wanted in (after, [(number, text) for number, text, op in numbered if op == "+"]):
        if not wanted:
            continue
        probe, text = max(wanted, key=lambda each: len(each[1].strip()))
        for distance in range(FAR):
            for offset in dict.fromkeys((start + distance, start - distance)):
                if _same(line_at(probe + offset), text) and all(_same(line_at(n + offset), t) for n, t in wanted):
                    return offset
    return None


def _same(line: str | None, text: str) -> bool:
    return line is not None and line.rstrip("\r\n") == text


_IDENTIFIER = regex(r"[A-Za-z_]\w{3,}")


def causing_spot(patches: PatchMap, places: Iterable[tuple[str, int]], hints: Iterable[str]) -> Spot | None:
    """The line of the patch a statement is about: one it adds on the proof path, else one it touches there,

    else the changed line that shares most identifiers with `hints`; None when the patch has no hunk.
    """
    spots = [spot for spot in (patches.spot(path, line) for path, line in places) if spot is not None]
    for spot in spots:
        if spot.line.op == "+":
            return spot
    wanted = {word for hint in hints for word in _IDENTIFIER.findall(hint)}
    best: tuple[int, int, Spot] | None = None
    for diff in patches.patch.diffs:
        for hunk, line in diff.lines():
            if line.op == " ":
                continue
            score = len(wanted & set(_IDENTIFIER.findall(f"{line.text} {hunk.section}")))
            near = any(spot.hunk is hunk for spot in spots)
            rank = (2 if near else 0) + score
            if best is None or (rank, line.op == "+") > (best[0], bool(best[1])):
                best = (rank, int(line.op == "+"), Spot(diff, hunk, line))
    return best[2] if best else None
