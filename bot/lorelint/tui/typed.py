"""What a person types at a prompt: which series are shown, and until when something is put off. Pure.

A limit is words, in any order: a state (open, new, confirmed, dismissed, snoozed, sent, fixed, raised, all), a
severity (error, warning, note), v2, mine, list:NAME, sub:SUBSYSTEM, rule:NAME, by:gravest|newest|oldest; any other word
is looked for in subject, author and functions. Quotes keep words together, as in a shell.
"""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from lorelint.model.errors import LorelintError
from lorelint.model.queue import OPEN, STATES, Filter, Sort, version_tag
from lorelint.model.regex import regex

SEVERITIES = ("error", "warning", "note")
_KEYS = ("list", "sub", "rule")
_SPAN = regex(r"([0-9]{1,3}) *([hdw]?)")
_HOURS = {"h": 1, "d": 24, "": 24, "w": 168}


def limit(text: str, area: tuple[str, ...] = (), me: str = "") -> Filter:
    """The filter of what was typed; `area` are the subsystems and lists of `me`.

    Raises LorelintError for a name that is none, and for `mine` of nobody.
    """
    wanted, free = Filter(), []
    try:
        parts = shlex.split(text)
    except ValueError:
        parts = text.split()
    for part in parts:
        key, colon, value = part.partition(":")
        if part in STATES:
            wanted = replace(wanted, state=part)
        elif part in SEVERITIES:
            wanted = replace(wanted, severity=part)
        elif re.fullmatch(r"v[0-9]{1,4}", part):
            wanted = replace(wanted, version=version_tag(int(part[1:])))
        elif part == "mine":
            wanted = replace(wanted, mine=_area(area, me), me=me)
        elif colon and key in _KEYS and value:
            wanted = _named(wanted, key, value)
        elif colon and key == "by":
            wanted = replace(wanted, sort=_sort(value))
        else:
            free.append(part)
    return replace(wanted, text=" ".join(free))


def _named(wanted: Filter, key: str, value: str) -> Filter:
    if key == "list":
        return replace(wanted, inbox=value)
    return replace(wanted, subsystem=value) if key == "sub" else replace(wanted, rule=value)


def _area(area: tuple[str, ...], me: str) -> tuple[str, ...]:
    if not area and not me:
        remedy = 'name it: lorelint triage --mine "KERNEL VIRTUAL MACHINE FOR X86 (KVM/x86)" --mine kvm'
        raise LorelintError("no list and no subsystem is yours", where="mine", remedy=remedy)
    return area


def _sort(value: str) -> Sort:
    try:
        return Sort(value)
    except ValueError as error:
        known = ", ".join(Sort)
        raise LorelintError(f"{value!a} is no order", where="by", remedy=f"there are {known}") from error


def typed(wanted: Filter) -> str:
    """The words that ask for a filter."""
    parts = [wanted.state] if wanted.state != OPEN else []
    parts += [wanted.severity] if wanted.severity else []
    parts += [f"v{wanted.version.rstrip('+')}"] if wanted.version else []
    parts += ["mine"] if wanted.mine is not None else []
    named = zip(_KEYS, (wanted.inbox, wanted.subsystem, wanted.rule), strict=True)
    parts += [shlex.quote(f"{key}:{value}") for key, value in named if value]
    parts += [f"by:{wanted.sort}"] if wanted.sort is not Sort.GRAVEST else []
    return " ".join([*parts, *map(shlex.quote, wanted.text.split())])


def until(text: str, now: str) -> str:
    """RFC 3339 in UTC of "3d", "12h", "2w", "5" (days) or a day. Raises LorelintError for what is none of them."""
    text = text.strip().lower()
    span = _SPAN.fullmatch(text)
    if span:
        hours = int(span[1]) * _HOURS[span[2]]
        return _time(datetime.fromisoformat(now) + timedelta(hours=hours))
    try:
        return _time(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC))
    except ValueError as error:
        remedy = "write 3d, 2w, 12h, or a day as 2026-12-01"
        raise LorelintError(f"{text!a} is no time", where="snooze", remedy=remedy) from error


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
