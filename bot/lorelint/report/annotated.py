"""A patch's diff with remarks under the lines they are about, as `b4 review` (0.16) takes reviews from files. Pure.

A note, a blank line, and the whole diff, each of its lines behind ``> ``; what stands between them without that is a
remark on the line above. b4 counts lines to know which is meant, so none may be left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from lorelint.model.regex import regex
from lorelint.report.text import clean, words

_HUNK = regex(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,\d+)? @@")


class Remark(Struct, frozen=True):
    """About a line of a file after the patch."""

    path: str
    line: int
    text: str


def annotated(diff: str, remarks: Sequence[Remark], note: str) -> str:
    """The file of one patch. Remarks on lines that the diff does not show stand in the note, with their place.

    note  its first line is what b4 shows in its list
    """
    waiting: dict[tuple[str, int], list[Remark]] = {}
    for each in remarks:
        waiting.setdefault((each.path, each.line), []).append(each)
    body: list[str] = []
    for line, place in _placed(diff):
        body.append(f"> {line}")
        here = waiting.pop(place, []) if place else []
        for each in here:
            body += ["", *_said(each.text), ""]
    head = _said(note)
    for left in waiting.values():
        for each in left:
            head += ["", f"{clean(each.path)}:{each.line}:", *_said(each.text)]
    return "\n".join([*head, "", *body]) + "\n"


def _placed(diff: str) -> Iterator[tuple[str, tuple[str, int] | None]]:
    """Lines of a diff, each with its place after the patch; None for those that are not there then.

    b4 splits lines wherever Python does, at a form feed, too: such characters are spelt out. It takes a line for a
    header of a file even within a hunk, where it would be the patch's own: such a line gets a blank.
    """
    path, number, inside = "", 0, False
    for raw in diff.rstrip("\n").split("\n"):
        line = clean(raw, tabs=True)
        hunk = _HUNK.match(raw)
        if hunk:
            number = int(hunk[1])
            inside = True
            yield line, None
        elif raw.startswith("diff --git "):
            path, inside = "", False
            yield line, None
        elif not inside:
            if raw.startswith("+++ b/"):
                path = raw[6:]
            yield line, None
        elif raw.startswith(("+", " ")) or not raw:
            yield _own(line), (path, number)
            number += 1
        else:
            yield _own(line), None


def _own(line: str) -> str:
    return f"{line[0]} {line[1:]}" if line.startswith(("+++ ", "--- ")) else line


def _said(text: str) -> list[str]:
    """Text that b4 takes for a remark: no line of it looks quoted, and none is what b4 leaves out."""
    lines = [clean(line, tabs=True).rstrip() for line in text.strip("\n").split("\n")]
    return [f" {line}" if line.startswith(">") or line.strip() == "[ ... ]" else line for line in lines]


def told(finding: Mapping[str, object], rule: str, message: str, confirmed: str) -> str:
    """What is remarked of a finding: the rule, what is so, the steps, the question.

    finding    as a report has it, {} where nothing was kept
    confirmed  who confirmed it, "" for nobody yet
    """
    lines = [f"{words(rule)}: {words(message)}"]
    if confirmed:
        lines.append(f"(confirmed by {words(confirmed)})")
    steps = finding.get("steps")
    for number, step in enumerate(steps if isinstance(steps, list) else [], 1):
        lines.append(f"  {number}. {clean(str(step['path']))}:{step['line']} {words(str(step['text']))}")
    ask = words(str(finding.get("ask", "")))
    return "\n".join([*lines, *([ask] if ask else [])])
