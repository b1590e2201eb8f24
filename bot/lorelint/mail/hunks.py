"""One hunk of a unified diff, read by its header's counts, or by its looks where those are wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct, field

from lorelint.model.mail import Hunk, HunkLine
from lorelint.model.regex import regex

HUNK = regex(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@(.*)")
_OPS = frozenset(" +-")
_STRUCTURE = frozenset("dIG@-")  # what such a line can begin with: asked of every line, so asked first
_SIGNATURE = regex(r"-- ?$")
_WRAP = 50  # a mailer that wraps does so at 65 columns or later; the last word it moved may be long


class Reading(Struct):
    """What was odd about one hunk, counted."""

    stripped: int = 0  # empty context lines that lost their one space
    wrapped: int = 0  # lines that a mailer had broken, joined again
    unmarked: int = 0  # context lines that lost their leading space
    recounted: bool = False


class _Draft(Struct):
    """A hunk while it is read: (op, text, index into the lines)."""

    header: str
    section: str
    lines: list[tuple[str, str, int]] = field(default_factory=list)
    no_newline_old: bool = False
    no_newline_new: bool = False
    reading: Reading = field(default_factory=Reading)

    def add(self, op: str, text: str, at: int) -> None:
        self.lines.append((op, text, at))

    def no_newline(self) -> None:
        if not self.lines:
            return
        op = self.lines[-1][0]
        self.no_newline_old |= op in " -"
        self.no_newline_new |= op in " +"

    def counts(self) -> tuple[int, int]:
        old = sum(1 for op, _, _ in self.lines if op in " -")
        new = sum(1 for op, _, _ in self.lines if op in " +")
        return old, new


def read_hunk(lines: Sequence[str], at: int) -> tuple[Hunk, Reading, int]:
    """The hunk whose ``@@`` line is `lines[at]`, what was odd, and the index after it.

    The header's counts rule where they fit. Where they do not, every line that looks like one of
    the hunk is taken, broken lines are joined, and the hunk keeps the header's counts, so that a
    caller sees the difference.
    """
    header = HUNK.match(lines[at])
    if header is None:
        raise ValueError("not a hunk header")
    old_start, old_count = int(header.group(1)), _count(header.group(2))
    new_start, new_count = int(header.group(3)), _count(header.group(4))
    draft = _Draft(lines[at], header.group(5).removeprefix(" "))
    end = _by_count(lines, at + 1, old_count, new_count, draft)
    if end is None or _goes_on(lines, end):
        draft = _Draft(lines[at], header.group(5).removeprefix(" "))
        end = _by_looks(lines, at + 1, old_count, new_count, draft)
        draft.reading.recounted = True
    numbered = _numbered(draft, old_start, new_start, old_count)
    hunk = Hunk(
        old_start=old_start,
        old_count=old_count,
        new_start=new_start,
        new_count=new_count,
        section=draft.section,
        lines=numbered,
        mail_line=at + 1,
        no_newline_old=draft.no_newline_old,
        no_newline_new=draft.no_newline_new,
    )
    return hunk, draft.reading, end


def is_structure(lines: Sequence[str], at: int) -> bool:
    """Whether a line begins another hunk or file, or ends the patch."""
    line = lines[at]
    if line[:1] not in _STRUCTURE:
        return False
    if line.startswith(("diff --git ", "diff -", "Index: ", "GIT binary patch")) or HUNK.match(line):
        return True
    following = lines[at + 1] if at + 1 < len(lines) else ""
    if line.startswith("--- ") and following.startswith("+++ "):
        return True
    return bool(_SIGNATURE.match(line)) and following[:1] not in _OPS


def _count(text: str | None) -> int:
    return 1 if text is None else int(text)


def _by_count(lines: Sequence[str], at: int, old: int, new: int, draft: _Draft) -> int | None:
    """Read exactly as many lines as the header says; None where they do not fit."""
    while old > 0 or new > 0:
        if at >= len(lines):
            return None
        line = lines[at]
        op = line[:1] or " "
        if op == "\\":
            draft.no_newline()
            at += 1
            continue
        if op not in _OPS or (op in " -" and old == 0) or (op in " +" and new == 0):
            return None
        old -= op in " -"
        new -= op in " +"
        draft.reading.stripped += not line
        draft.add(op, line[1:], at)
        at += 1
    if at < len(lines) and lines[at].startswith("\\ "):
        draft.no_newline()
        at += 1
    return at


def _goes_on(lines: Sequence[str], at: int) -> bool:
    """Whether changed lines follow without a break: the header counted too few."""
    while at < len(lines):
        line = lines[at]
        if line[:1] not in _OPS or re.fullmatch(r"-{2,}\s*", line) or is_structure(lines, at):
            return False
        if line[0] in "+-":
            return True
        at += 1
    return False


def _by_looks(lines: Sequence[str], at: int, old: int, new: int, draft: _Draft) -> int:
    """Read while lines look like those of a hunk."""
    have = [0, 0]  # kept as we go: counting anew for every line would be quadratic
    while at < len(lines) and not is_structure(lines, at):
        line = lines[at]
        op = line[:1]
        short = have[0] < old or have[1] < new
        if op == "\\":
            draft.no_newline()
        elif op and op in _OPS:
            if re.fullmatch(r"-{2,}\s*", line) and not short:
                break
            draft.add(op, line[1:], at)
        elif not short or not _more_follows(lines, at + 1, bool(line)):
            break
        elif not line:
            draft.reading.stripped += 1
            draft.add(" ", "", at)
        elif not _joined(draft, line):
            draft.reading.unmarked += 1
            draft.add(" ", line, at)
        else:
            at += 1
            continue
        if draft.lines and draft.lines[-1][2] == at:
            have[0] += draft.lines[-1][0] in " -"
            have[1] += draft.lines[-1][0] in " +"
        at += 1
    return at


def _more_follows(lines: Sequence[str], at: int, text: bool) -> bool:
    """Whether the hunk goes on soon after a line that has no mark of its own."""
    for line in lines[at : at + (3 if text else 2)]:
        if line[:1] in _OPS and line:
            return not _SIGNATURE.match(line)
    return not text and at >= len(lines)


def _joined(draft: _Draft, line: str) -> bool:
    """Undo the wrapping of a long line. A tab cannot begin what a mailer moved to the next line."""
    if line[0] == "\t":
        return False
    before = draft.lines[-1][0] + draft.lines[-1][1] if draft.lines else draft.header
    if len(before.expandtabs()) < _WRAP:
        return False
    if not draft.lines:
        draft.section = f"{draft.section} {line}".strip()
    else:
        op, text, at = draft.lines[-1]
        draft.lines[-1] = (op, f"{text.rstrip()} {line}", at)
    draft.reading.wrapped += 1
    return True


def _numbered(draft: _Draft, old_line: int, new_line: int, old_count: int) -> tuple[HunkLine, ...]:
    # With no line of the old file in the hunk, the header names the line before it; same for the new one.
    old_line += old_count == 0
    numbered = []
    for op, text, at in draft.lines:
        old_at = old_line if op in " -" else None
        new_at = new_line if op in " +" else None
        numbered.append(HunkLine(op, text, at + 1, old_at, new_at))
        old_line += op in " -"
        new_line += op in " +"
    return tuple(numbered)
