"""Mechanical corrections: edits of the lines of one function, made of its text and nothing else.

What cannot be done on the text as it stands gives no edit, and a rule then offers no fix.
"""

from __future__ import annotations

import re

from lorelint.code.ir import Function
from lorelint.model.finding import Edit
from lorelint.model.regex import regex

_BARE = regex(r"^\s*(?:if|else if|for|while|} else if)\b.*\)\s*$|^\s*(?:} )?else\s*$")


def line_of(fn: Function, line: int) -> str | None:
    """The text of a line of the file that lies in the function; None for another, or one that is no UTF-8."""
    lines = fn.text.split(b"\n")
    at = line - fn.first_line
    if not 0 <= at < len(lines):
        return None
    try:
        return lines[at].decode()
    except UnicodeDecodeError:
        return None


def before(fn: Function, line: int, code: str) -> tuple[Edit, ...]:
    """`code` as a statement before the statement that is the whole of a line; braces where they are needed."""
    text, above = line_of(fn, line), line_of(fn, line - 1)
    if (
        text is None
        or above is None
        or not text.strip().endswith(";")
        or "\\" in (text.strip()[-1:], above.strip()[-1:])
    ):
        return ()
    indent = text[: len(text) - len(text.lstrip())]
    if not _BARE.match(above):
        return (Edit(line, (indent + code, text)),) if _begins(above) else ()
    below = line_of(fn, line + 1)
    if below is None or below.strip().startswith("else"):
        return ()
    outer = above[: len(above) - len(above.lstrip())]
    return (Edit(line - 1, (above + " {",)), Edit(line, (indent + code, text, outer + "}")))


def _begins(above: str) -> bool:
    """Whether a statement begins behind that line."""
    plain = re.sub(r"/\*.*?\*/|//.*", "", above).rstrip()
    return not plain.strip() or plain.endswith((";", "{", "}", ":", "*/"))


def swap(fn: Function, line: int, old: str, new: str) -> tuple[Edit, ...]:
    """A word of a line (`old`, once there) replaced."""
    text = line_of(fn, line)
    if text is None:
        return ()
    pattern = re.compile(rf"(?<!\w){re.escape(old)}(?!\w)")
    if len(pattern.findall(text)) != 1:
        return ()
    return (Edit(line, (pattern.sub(lambda _: new, text),)),)
