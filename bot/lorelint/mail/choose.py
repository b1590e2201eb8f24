"""Which series of what came in is to be reviewed, and in which order a thread holds its series."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from lorelint.model.errors import LorelintError
from lorelint.model.mail import Series, Thread
from lorelint.model.regex import regex

_PATCH_TAG = regex(r"\[[^\]]*\b(?:patch|rfc)", re.IGNORECASE)


class Found(Struct, frozen=True):
    """A series, the lane it was found in, and the mails of that lane."""

    lane: int
    series: Series
    members: frozenset[str]


def reviewable(threads: Sequence[Thread]) -> tuple[tuple[Thread, Series], ...]:
    """For each thread with a patch, the series to review: the last, by the contract of `Thread.series`.

    Raises LorelintError where no thread holds a patch, with the reason the mails themselves give.
    """
    found = tuple((thread, thread.series[-1]) for thread in threads if thread.series)
    if found:
        return found
    where = threads[0].source if threads else ""
    reasons = [trouble for thread in threads for trouble in thread.troubles if trouble.kind == "no-patch"]
    what = reasons[0].text if len(reasons) == 1 else "no mail in it holds a patch"
    raise LorelintError(what, where=where, remedy="name a mail or thread that holds a patch in its body")


def in_order(found: Sequence[Found], named: str, parent: Mapping[str, str]) -> tuple[Series, ...]:
    """The series to be reviewed last: the newest revision of what was named, or of the thread's first posting."""
    if not found:
        return ()
    chosen = _chosen(found, named, parent)

    def rank(each: Found) -> tuple[bool, int, bool, str, int]:
        own = _sender(each.series) == _sender(chosen)
        date = (each.series.cover or each.series.patches[0].mail).date
        return _related(each.series, chosen), each.series.version, own, date, each.lane

    return tuple(each.series for each in sorted(found, key=rank))


def _chosen(found: Sequence[Found], named: str, parent: Mapping[str, str]) -> Series:
    """The series that the named mail is of, answers, or stands over; else that nearest to the root.

    A mail of the discussion with a diff in it is a patch to b4, but comes after what is called one.
    """
    holder = {msgid: each.series for each in found for msgid in _mails(each.series)}
    at = named
    while at:  # `parent` has no loop in it
        if at in holder:
            return holder[at]
        at = parent.get(at, "")
    under = [each for each in found if named in each.members] or found
    return min(under, key=lambda each: (not _tagged(each.series), each.lane)).series


def _mails(series: Series) -> set[str]:
    return {patch.msgid for patch in series.patches} | ({series.cover.msgid} if series.cover else set())


def _related(one: Series, other: Series) -> bool:
    """Whether two series of one thread are revisions of one work."""
    if one is other or (one.hint.change_id and one.hint.change_id == other.hint.change_id):
        return True
    if one.subject.casefold() == other.subject.casefold():
        return True
    return _sender(one) == _sender(other)


def _tagged(series: Series) -> bool:
    return any(_PATCH_TAG.search(patch.mail.subject) for patch in series.patches)


def _sender(series: Series) -> str:
    return (series.cover or series.patches[0].mail).from_addr.lower()
