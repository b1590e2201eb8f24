"""Source lines around a place: numbers, the patch's own lines, and the loop as an arrow.

All of it is for the eye: what a loop is was decided elsewhere, here its two ends are found again in the
text (label and goto, braces in one column), and where they are not found no arrow is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from msgspec import Struct

from lorelint.model.regex import regex

LineAt = Callable[[int], str | None]

REACH = 400  # lines between the two ends of a loop that is drawn
NEAR = 60  # lines from the place, beyond which a step is not drawn into its excerpt
SHOWN = 22  # lines of an excerpt

_GOTO = regex(r"\bgoto\s+(\w+)\s*;")
_LABEL = regex(r"\s*(\w+)\s*:(?!:)")
_LOOP = regex(r"(\s*)(?:\}\s*)?(for|while|do|\w*for_each\w*)\b")
_TEST = regex(r"\b(if|else|case)\b")
_DO_END = regex(r"(\s*)\}\s*while\b")


class Loop(Struct, frozen=True):
    """First and last line of a loop as it is drawn."""

    head: int
    back: int


def loop_around(place: int, steps: Iterable[int], line_at: LineAt) -> Loop | None:
    """The loop at a place, else one that a step of the proof names and that the place lies in."""
    found = loop_at(place, line_at)
    for step in steps:
        if found is not None:
            break
        loop = loop_at(step, line_at)
        found = loop if loop and loop.head <= place <= loop.back else None
    return found


def loop_at(line: int, line_at: LineAt) -> Loop | None:
    """The loop that begins, ends or is gone round at this line (or at the next two: ``if (again)\\n goto retry;``)."""
    text = line_at(line) or ""
    for at in (line, line + 1, line + 2) if _TEST.search(text) else (line,):
        there = line_at(at) or ""
        found = _by_goto(at, there, line_at) or _by_continue(at, there, line_at)
        if found:
            return found
    return _by_label(line, text, line_at) or _by_braces(line, text, line_at)


def _by_goto(line: int, text: str, line_at: LineAt) -> Loop | None:
    jump = _GOTO.search(text)
    if not jump:
        return None
    for at in range(line - 1, max(0, line - REACH), -1):
        above = line_at(at) or ""
        label = _LABEL.match(above)
        if label and label[1] == jump[1]:
            return Loop(at, line)
        if above.startswith("}"):
            break
    return None


def _by_label(line: int, text: str, line_at: LineAt) -> Loop | None:
    label = _LABEL.match(text)
    if not label or label[1] in {"default", "case"}:
        return None
    last = 0
    for at in range(line + 1, line + REACH):
        below = line_at(at)
        if below is None or below.startswith("}"):
            break
        jump = _GOTO.search(below)
        if jump and jump[1] == label[1]:
            last = at
    return Loop(line, last) if last else None


def _by_braces(line: int, text: str, line_at: LineAt) -> Loop | None:
    end = _DO_END.match(text)
    if end:
        for at in range(line - 1, max(0, line - REACH), -1):
            above = line_at(at) or ""
            head = _LOOP.match(above)
            if head and head[2] == "do" and _indent(above) == _indent(text):
                return Loop(at, line)
        return None
    if not _LOOP.match(text):
        return None
    for at in range(line + 1, line + REACH):
        below = line_at(at)
        if below is None or (below.strip() and _indent(below) < _indent(text)):
            return None
        if below.lstrip().startswith("}") and _indent(below) == _indent(text):
            return Loop(line, at)
    return None


def _by_continue(line: int, text: str, line_at: LineAt) -> Loop | None:
    if not re.search(r"\bcontinue\s*;", text):
        return None
    for at in range(line - 1, max(0, line - REACH), -1):
        above = line_at(at) or ""
        if _LOOP.match(above) and not _DO_END.match(above) and _indent(above) < _indent(text):
            return Loop(at, line)
        if above.startswith("}"):
            break
    return None


def _indent(text: str) -> int:
    text = text.expandtabs(8)
    return len(text) - len(text.lstrip())


def chosen(place: int, loop: Loop | None, steps: Iterable[int], line_at: LineAt) -> list[int]:
    """The lines worth showing, in order: the place with its context, the loop's ends, steps of the same function."""
    first, last = function_span(place, line_at) or (max(1, place - 3), place + 3)
    if loop:
        first, last = min(first, loop.head), max(last, loop.back)
    wanted: dict[int, int] = {}  # line -> how much it matters, less is more

    def want(lines: Iterable[int], rank: int) -> None:
        for line in lines:
            if first <= line <= last and line_at(line) is not None:
                wanted[line] = min(rank, wanted.get(line, rank))

    want([place], 0)
    if loop:
        want([loop.head, loop.back], 0)
    near = [line for line in steps if abs(line - place) <= NEAR]
    want(near, 1)
    want((place - 1, place + 1), 2)
    want((place - 2, place - 3, place + 2), 4)
    if loop:
        want((loop.head + 1, loop.back - 1), 3)
        want(range(loop.head, min(loop.back, loop.head + 16) + 1), 5)
    for line in near:
        want((line - 1, line + 1), 5)
    kept = sorted(wanted, key=lambda line: (wanted[line], abs(line - place)))[:SHOWN]
    return _trimmed(_bridged(sorted(kept), line_at), place, line_at)


def _bridged(lines: list[int], line_at: LineAt) -> list[int]:
    """One or two missing lines cost no more room than the dots that would stand for them."""
    joined: list[int] = []
    for line in lines:
        if joined and 1 < line - joined[-1] <= 3:
            joined += [at for at in range(joined[-1] + 1, line) if line_at(at) is not None]
        joined.append(line)
    return joined


def _trimmed(lines: list[int], place: int, line_at: LineAt) -> list[int]:
    """Without blank lines at either end."""
    while lines and lines[0] != place and not (line_at(lines[0]) or "").strip():
        lines.pop(0)
    while lines and lines[-1] != place and not (line_at(lines[-1]) or "").strip():
        lines.pop()
    return lines


def function_span(line: int, line_at: LineAt) -> tuple[int, int] | None:
    """First and last line of the function around a line, by the braces the kernel puts in the first column."""
    first = line
    while (text := line_at(first)) is not None and not text.startswith("{"):
        if (first != line and text.startswith("}")) or line - first > 4 * REACH:
            return None
        first -= 1
    last = line
    while (text := line_at(last)) is not None and not text.startswith("}"):
        if last - line > 4 * REACH:
            return None
        last += 1
    if line_at(first) is None or line_at(last) is None:
        return None
    while (text := line_at(first - 1)) is not None and text.strip() and text[0] not in "}#/ *":
        first -= 1
        if line - first > 4 * REACH:
            break
    return first, last
