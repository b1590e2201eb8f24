"""Colour, when it is wanted: one object that paints, or does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lorelint.model.finding import Severity

_CODES = {
    "bold": "1",
    "dim": "2",
    "error": "1;31",
    "warning": "1;33",
    "note": "1;36",
    "remark": "1;36",
    "good": "32",
    "added": "32",
    "mark": "1;31",
    "place": "36",
    "title": "1",
}


class Ink:
    """Paints text with ANSI colours when `colour`; the text itself is never changed."""

    def __init__(self, colour: bool) -> None:
        self.colour = colour

    def __call__(self, text: str, style: str) -> str:
        if not self.colour or not text:
            return text
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m"

    def severity(self, text: str, severity: Severity) -> str:
        return self(text, severity.value)
