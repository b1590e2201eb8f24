"""What strangers wrote, made fit to be shown: escaping, widths, wrapping, sentences.

Control, bidi and other invisible characters are shown as ``<U+202E>``, bytes that were no text as
``<0xE9>``: shown, not obeyed. Widths are columns of a terminal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from lorelint.model.regex import regex

_PLAIN = regex(r"[ -~]*\Z")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
TAB = 8


def clean(text: str, *, tabs: bool = False) -> str:
    """Text in one line with everything invisible spelt out; `tabs` are kept on request only."""
    if _PLAIN.match(text):
        return text
    return "".join(_shown(char, tabs) for char in text)


def _shown(char: str, tabs: bool) -> str:
    if char == "\t":
        return char if tabs else " "
    if unicodedata.category(char) not in _HIDDEN:
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: a byte that was not UTF-8
        return f"<0x{code - 0xDC00:02X}>"
    return f"<U+{code:04X}>"


def words(text: str) -> str:
    """Prose: cleaned, runs of white space as one blank."""
    return " ".join(clean(" ".join(text.split())).split())


def width(text: str) -> int:
    """Columns a terminal needs for it (no tabs)."""
    if _PLAIN.match(text):
        return len(text)
    columns = 0
    for char in text:
        if unicodedata.combining(char) or unicodedata.category(char) in {"Mn", "Me"}:
            continue
        columns += 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1
    return columns


def cut(text: str, columns: int) -> str:
    """Text that fits, with `...` where something is missing."""
    if width(text) <= columns:
        return text
    kept: list[str] = []
    room = columns - 3
    for char in text:
        room -= width(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept).rstrip() + "..."


def source(text: str) -> str:
    """A line of code as shown on a terminal: tabs at every eighth column, invisible characters spelt out."""
    return clean(text.rstrip("\r\n"), tabs=True).rstrip().expandtabs(TAB)


def wrap(text: str, columns: int, *, first: str = "", rest: str | None = None, split: bool = False) -> list[str]:
    """Lines of prose no wider than `columns` where words allow it.

    first, rest  what the first and the other lines begin with
    split        words wider than a line are broken; else they stand out on a line of their own
    """
    hang = first if rest is None else rest
    pieces = [
        piece
        for word in words(text).split(" ")
        for piece in (_pieces(word, columns - width(hang)) if split else (word,))
    ]
    lines: list[list[str]] = [[]]
    used = width(first)
    for piece in pieces:
        line = lines[-1]
        if line and used + 1 + width(piece) > columns:
            # A line that begins with ``word:`` looks like a trailer, and reads badly: it takes a word along.
            along = [line.pop()] if piece.endswith(":") and len(line) > 1 else []
            lines.append([*along, piece])
            used = width(hang) + sum(width(each) + 1 for each in lines[-1]) - 1
        else:
            used += width(piece) + (1 if line else 0)
            line.append(piece)
    return [((hang if number else first) + " ".join(line)).rstrip() for number, line in enumerate(lines)]


def _pieces(word: str, columns: int) -> list[str]:
    if width(word) <= columns:
        return [word]
    pieces: list[str] = []
    piece, used = "", 0
    for char in word:
        wide = width(char)
        if piece and used + wide > columns:
            pieces.append(piece)
            piece, used = "", 0
        piece, used = piece + char, used + wide
    return [*pieces, piece]


_WORD = regex(r"[a-z][a-z'-]*[,;:]?\Z")
_CODE = frozenset({"ret", "rc", "err", "mm", "vma", "pfn", "fd", "goto", "errno", "iommufd", "vfio", "dma-buf"})
_OPERATOR = regex(r"\(|[-=<>!&|+*/.\[]")


def sentence(text: str) -> str:
    """A clause as a sentence: capital first unless it opens with code, full stop last."""
    text = words(text)
    if not text:
        return ""
    first, _, rest = text.partition(" ")
    if _WORD.match(first) and first.rstrip(",;:") not in _CODE and not _OPERATOR.match(rest):
        text = text[0].upper() + text[1:]
    return text if text[-1] in ".?!:" else text + "."


def clause(text: str) -> str:
    """A sentence as a clause that can stand in the middle of another."""
    text = words(text).rstrip(".")
    head = text.split(" ", 1)[0]
    return text[0].lower() + text[1:] if head.istitle() else text


def once(texts: Iterable[str]) -> list[str]:
    """Texts in order, each said once (case and full stops aside)."""
    seen: set[str] = set()
    kept: list[str] = []
    for text in texts:
        key = words(text).rstrip(".").lower()
        if key and key not in seen:
            seen.add(key)
            kept.append(text)
    return kept


def many(number: int, one: str, several: str = "") -> str:
    """``1 patch``, ``3 patches``."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1] if names else ""


_SAFE = regex(r"[\w@%+=:,./~-]+\Z", re.ASCII)


def argument(text: str) -> str:
    """One argument of a command, as it may be pasted into a shell."""
    shown = clean(text)
    return shown if _SAFE.match(shown) else "'" + shown.replace("'", "'\\''") + "'"


def shell(parts: Sequence[str], columns: int) -> list[str]:
    """A command over as many lines as it needs, with backslashes where it goes on; parts are never broken."""
    lines: list[str] = []
    line = ""
    for part in parts:
        if line and width(line) + 1 + width(part) + 2 > columns:
            lines.append(f"{line} \\")
            line = f"    {part}"
        else:
            line = f"{line} {part}" if line else part
    return [*lines, line]
