"""Hunk lines quoted as ``b4 review`` reads them back.

It takes ``> diff --git`` and ``> @@`` as the place, and hangs what follows on the last quoted line; ``> [...]``
is skipped. So a quote ends with the very line that is spoken about.
"""

from __future__ import annotations

from collections.abc import Iterable

from lorelint.model.mail import Hunk, HunkLine
from lorelint.report.place import Spot
from lorelint.report.text import clean, cut

ABOVE = 6  # lines quoted before the one that is spoken about
BETWEEN = 11  # a gap up to this is quoted rather than trimmed
LONGEST = 900  # columns; RFC 5322 allows lines of 998

TRIM = "> [...]"


def quoted(spots: Iterable[Spot], before: Spot | None = None) -> list[str]:
    """The lines a paragraph answers to, `spots` in one hunk, the last of them at the end.

    `before` is the spot the mail quoted last: the file and the hunk are named again only when they change.
    """
    wanted = sorted(spots, key=lambda spot: spot.order)
    last = wanted[-1]
    lines: list[str] = []
    if before is None or before.diff is not last.diff:
        lines.append(_quote(f"diff --git a/{last.diff.old_path or last.diff.path} b/{last.diff.path}"))
    done = -1
    if before is None or before.hunk is not last.hunk:
        lines.append(_quote(_header(last.hunk)))
    else:
        done = _index(last.hunk, before.line)
    for spot in wanted:
        at = _index(spot.hunk, spot.line)
        first = max(done + 1, _start(spot.hunk, at))
        if first - (done + 1) <= BETWEEN:
            first = done + 1
        else:
            lines.append(TRIM)
        lines += [_quote(f"{line.op}{line.text}") for line in spot.hunk.lines[first : at + 1]]
        done = max(done, at)
    return lines


def _start(hunk: Hunk, at: int) -> int:
    """Where the quote of one line begins: with its change, and a little context above that."""
    first = at
    while first > 0 and hunk.lines[first - 1].op != " " and at - first < BETWEEN:
        first -= 1
    return max(0, min(first - 3, at - ABOVE + 1))


def _index(hunk: Hunk, line: HunkLine) -> int:
    return next(at for at, each in enumerate(hunk.lines) if each is line)


def _header(hunk: Hunk) -> str:
    section = f" {hunk.section}" if hunk.section else ""
    return f"@@ -{_span(hunk.old_start, hunk.old_count)} +{_span(hunk.new_start, hunk.new_count)} @@{section}"


def _span(start: int, count: int) -> str:
    return f"{start}" if count == 1 else f"{start},{count}"


def _quote(text: str) -> str:
    """One quoted line; nothing that is not shown stays in it, and no blank at its end."""
    shown = clean(text.rstrip("\r\n"), tabs=True)
    return f"> {cut(shown, LONGEST)}".rstrip()
