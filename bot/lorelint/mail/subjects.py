"""Subjects of mails, as far as they tell whether two are about the same. Pure."""

from __future__ import annotations

import re

from lorelint.model.regex import regex

_PREFIXES = regex(r"^(?:\s*(?:\[[^\]]*\]|(?:re|aw|sv|fwd?)(?:\[\d+\])?:)\s*)+", re.IGNORECASE)


def bare_subject(subject: str) -> str:
    """A subject without its prefixes ("[PATCH v2 1/3]", "Re:"), in lower case, with single spaces."""
    return " ".join(_PREFIXES.sub("", subject).split()).lower()


def same_subject(one: str, other: str) -> bool:
    """Whether both speak of the same, prefixes aside; of nothing at all is not of the same."""
    return bare_subject(one) == bare_subject(other) != ""
