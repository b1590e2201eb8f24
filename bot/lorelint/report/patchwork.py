"""A check of a Patchwork in words, for whoever looks at its series: what stands there, or why nothing does yet."""

from __future__ import annotations

from msgspec import Struct

from lorelint.model.store import CheckRow


class Standing(Struct, frozen=True):
    """How a check stands.

    done  Patchwork has it as it is meant to be
    text  what is so in a few words; `at` is when (RFC 3339): it was set, tried in vain, or may be set
    """

    done: bool
    text: str
    at: str


def standing(row: CheckRow) -> Standing:
    """How a check of ours stands in its Patchwork."""
    done = (row.posted, row.said) == (row.state, row.description)
    there = f", {row.posted} stands there" if row.posted and not done else ""
    if row.error:
        return Standing(done, f"could not be set{there}: {row.error}", row.at)
    return Standing(done, "set" if done else f"waits{there}", row.at)
