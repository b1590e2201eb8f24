"""What an author has in hand: commits of a checkout, and what is not committed yet."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from lorelint.model.base import Applied
from lorelint.model.mail import Series


class Span(Struct, frozen=True):
    """Commits of a checkout: those that `tip` has and `base` has not."""

    base: str  # full id
    tip: str  # full id
    said: str  # as a person would say it: "origin/master..topic"
    why: str  # how it was found: "the upstream of topic"
    cover: str = ""  # commit that holds nothing but the cover letter of b4, "" for none
    change_id: str = ""  # of a b4 series
    version: int = 1  # of a b4 series


class Work(Struct, frozen=True):
    """A span laid out: each commit a patch between two trees; what is not committed comes last."""

    span: Span
    series: Series
    applied: Applied

    @property
    def said(self) -> str:
        """Which commits, and how they were found, in one line."""
        return f"{self.span.said} ({self.span.why})" if self.span.why else self.span.said


class Dismissal(Struct, frozen=True):
    """A finding that its author has looked at and lets stand."""

    fingerprint: str
    reason: str
    by: str = "author"  # "baseline": it stood when a baseline was taken
    date: str = ""  # YYYY-MM-DD
    rule: str = ""
    path: str = ""
    function: str = ""


Dismissals = Mapping[str, Dismissal]
"""By fingerprint."""
