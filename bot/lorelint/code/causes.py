"""Why a function gives a code: the kinds of reasons, and a sentence for each.

A cause holds no line numbers (those are in its steps, which take no part in comparison): the causes of
-EAGAIN in the old and in the new callee can be compared.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from lorelint.model.finding import Step
from lorelint.model.placed import placed


class How(StrEnum):
    """Why a function gives a certain code."""

    CONDITION = "condition"  # a test on something else than a call's result
    COLLAPSED = "collapsed"  # any failure of a callee becomes this one code
    MAPPED = "mapped"  # one particular result of a callee becomes this code
    HANDED_ON = "handed-on"  # the callee's own code, and the callee is opaque to us
    RESTART = "restart"  # a callee dropped the lock, everything must be looked up again
    SUCCEEDED = "succeeded"  # a callee put things right: again
    TRYLOCK = "trylock"  # a lock could not be had at once
    INTERRUPTED = "interrupted"  # a signal ended a wait
    PREDICATE = "predicate"  # a sequence counter or the like moved: re-read
    STALE = "stale"  # something reads otherwise than before: look again
    RELOCKED = "relocked"  # the callee itself dropped a lock and took it again
    SETTLED = "settled"  # what was complained about was put right on the spot
    UNKNOWN = "unknown"  # the value could not be followed


@placed
class Cause:
    """One reason for one code."""

    code: str
    how: How
    api: str  # the callee it is about, "" for a plain condition
    test: str  # the condition that selects it, as C text
    chain: tuple[str, ...] = ()  # functions it passed on its way up, innermost last
    marks: frozenset[str] = frozenset()  # passed on every path of this class
    steps: tuple[Step, ...] = field(default=(), compare=False)


def told(how: How, api: str, test: str) -> str:
    """One sentence for a step of a proof."""
    match how:
        case How.COLLAPSED:
            return f"{api}() failed, whatever the error ({test})"
        case How.RESTART:
            return f"{api}() dropped the lock meanwhile ({test})"
        case How.INTERRUPTED:
            return f"{api}() was ended by a signal ({test})"
        case How.TRYLOCK:
            return f"{api}() did not get the lock ({test})"
        case How.MAPPED:
            return f"one particular result of {api}() ({test})"
        case How.SUCCEEDED:
            return f"{api}() succeeded ({test})"
        case How.PREDICATE:
            return f"{api}() says that the sequence moved ({test})"
        case How.STALE:
            return f"what was read before has changed ({test})"
        case How.RELOCKED:
            return f"a lock was dropped meanwhile ({test})"
        case How.SETTLED:
            return f"what is complained about ({test}) is put right here"
    return f"under the condition {test}" if test else "unconditionally"
