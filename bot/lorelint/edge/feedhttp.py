"""Follow a list over HTTP, where its git epochs cannot be cloned: ask the archive's search what it took in since.

The cursor is a time. Each pass asks again for what came a while before it, since an archive may know of a message only
some time after it took it; what is in the store already is known there. What was taken out of an archive is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from lorelint.edge.lore import LoreArchive
from lorelint.model.errors import LorelintError
from lorelint.model.feed import Arrival, Cursor
from lorelint.model.regex import regex

OVERLAP = timedelta(hours=1)
SPAN = timedelta(days=1)  # that is asked for at first
LONGEST = timedelta(days=64)  # and where that was little
SHORTEST = timedelta(minutes=1)
HEAD = 64 << 10  # bytes of a mail in which its headers are looked for
_FIELD = regex(rb"^(Received|Date):[ \t]*((?:[^\n]|\n[ \t])*)", re.IGNORECASE | re.MULTILINE)


class HttpFeed:
    """Implements `lorelint.model.feed.Feed`. `places` are addresses of one list, asked in turn until one answers."""

    def __init__(self, inbox: str, places: Sequence[str]) -> None:
        self.inbox = inbox
        self._archives = [LoreArchive(place) for place in places]

    def refresh(self) -> None:
        """Nothing is kept here: what is new is asked for when it is read."""

    def start(self, since: str) -> tuple[Cursor, ...]:
        """See `Feed.start`."""
        moment = _now() if not since else _moment(since) + OVERLAP
        return (Cursor(self.inbox, 0, _shown(moment)),)

    def arrivals(self, cursors: tuple[Cursor, ...]) -> Iterator[Arrival]:
        """See `Feed.arrivals`. Raises LorelintError where no place answers."""
        commit = next((each.commit for each in cursors if each.inbox == self.inbox), "")
        end = _now()
        reached = _moment(commit) if commit else end
        start, span = min(reached, end) - OVERLAP, SPAN
        while start < end:
            until = min(start + span, end)
            mails = self._between(start, until)
            if mails is None:
                if span <= SHORTEST:
                    remedy = 'follow it by git: follow = "git"'
                    raise LorelintError("more mail in a minute than can be read", where=self.inbox, remedy=remedy)
                span /= 2
                continue
            for at, raw in sorted((min(_taken(raw) or until, until), raw) for raw in mails):
                reached = max(reached, at)
                yield Arrival(raw, Cursor(self.inbox, 0, _shown(reached)), _shown(at))
            start, span = until, min(span * 4, LONGEST)

    def _between(self, start: datetime, end: datetime) -> tuple[bytes, ...] | None:
        errors = []
        for archive in self._archives:
            try:
                return archive.between(_shown(start), _shown(end))
            except LorelintError as error:
                errors.append(error)
        raise errors[0]


def _taken(raw: bytes) -> datetime | None:
    """When the archive took a mail, by the first Received field, which is its own; else when it says it was written."""
    fields = [(each[1].lower(), each[2]) for each in _FIELD.finditer(raw[:HEAD].partition(b"\n\n")[0])]
    for name in (b"received", b"date"):
        for found, value in fields:
            text = value.decode("latin-1")
            moment = _date(text.rpartition(";")[2] if name == b"received" else text) if found == name else None
            if moment is not None:
                return moment
    return None


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(" ".join(text.split())[:100])
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _now() -> datetime:
    return datetime.now(UTC)


def _moment(when: str) -> datetime:
    moment = datetime.fromisoformat(when)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
