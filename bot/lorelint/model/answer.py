"""The answer to ``why-not``: what a rule made of functions of one name."""

from __future__ import annotations

from msgspec import Struct

from lorelint.model.finding import Doubt, Finding, Silence
from lorelint.model.trouble import Failure


class WhyNotAt(Struct, frozen=True):
    """One definition of the function, judged.

    missing  words of the rule's prefilter of which none stands in the function; nothing was judged then.
             Each entry is a group, its words joined by `` | ``.
    notes    what else explains a silence, lower case, no full stop
    """

    path: str
    function: str
    line: int
    missing: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    silences: tuple[Silence, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()


class WhyNot(Struct, frozen=True):
    """All definitions of that name in a tree; `judged` is empty where there is none, and `notes` says so."""

    rule: str
    function: str
    tree: str
    notes: tuple[str, ...]
    judged: tuple[WhyNotAt, ...]
