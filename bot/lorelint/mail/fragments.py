"""The hunks alone as files: what is left when a diff applies to nothing we have."""

from __future__ import annotations

from lorelint.model.mail import Change, FileDiff, HunkLine

# Blank lines up to the last hunk are part of the text; a header from a stranger may claim any number.
MAX_LINE = 1_000_000


def _text(line: HunkLine) -> bytes:
    return line.text.encode("utf-8", "surrogateescape")


def _side(diff: FileDiff, op: str) -> bytes | None:
    """One side: its lines at the numbers the hunk headers give, blank lines between."""
    out: list[bytes] = []
    newline = True
    for hunk in diff.hunks:
        lines = [line for line in hunk.lines if line.op in (" ", op)]
        start = hunk.old_start if op == "-" else hunk.new_start
        if not lines:
            continue
        if start > MAX_LINE:
            return None
        # Hunks that overlap or go backwards follow one another: no line of theirs is lost.
        out += [b""] * max(0, start - 1 - len(out))
        out += [_text(line) for line in lines]
        newline = not (hunk.no_newline_old if op == "-" else hunk.no_newline_new)
    return b"\n".join(out) + (b"\n" if out and newline else b"")


def fragments(diff: FileDiff) -> tuple[bytes | None, bytes | None]:
    """The file before and the file after, as far as the hunks show them.

    None stands for no file: before a creation, after a deletion, and for both sides of a diff without text
    or with line numbers beyond `MAX_LINE`.
    """
    if diff.change is Change.BINARY or not diff.hunks:
        return None, None
    before = None if diff.change is Change.CREATE else _side(diff, "-")
    after = None if diff.change is Change.DELETE else _side(diff, "+")
    return before, after
