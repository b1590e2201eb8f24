"""How the outpost of a list stands, as values."""

from __future__ import annotations

from msgspec import Struct

from lorelint.model.feed import Cursor
from lorelint.model.store import Note


class ListStatus(Struct, frozen=True):
    """One list.

    read_at  when it was last read to its end, "" for never; lag: seconds since
    note     what following it said last
    natures  (what mails were, how many), most first
    caps     (letters sent in a day, as many as may be), None without a policy
    muted    (rule, who and why)
    """

    name: str
    cursors: tuple[Cursor, ...]
    read_at: str
    lag: float | None
    note: Note | None
    natures: tuple[tuple[str, int], ...]
    audience: str = ""
    cap: tuple[int, int] | None = None
    muted: tuple[tuple[str, str], ...] = ()


class Status(Struct, frozen=True):
    """All of it. `problems` is what a supervisor has to know; none means healthy.

    reviews  (those that were done, those that failed, seconds of the former)
    waits    (rule, series with findings of it that wait for a person)
    free     bytes on the disk that holds our data, None where that is not asked
    """

    at: str
    lists: tuple[ListStatus, ...]
    trees: tuple[Note, ...]
    others: tuple[Note, ...]  # what listening, answering and sending said last
    series: tuple[tuple[str, int], ...]  # (life, how many)
    due: int
    oldest: str  # when the series that waits longest came, "" for none
    letters: tuple[tuple[str, int], ...]  # (state, how many)
    hourly: tuple[int, int]  # letters sent in an hour, as many as may be
    dry_run: bool
    problems: tuple[str, ...] = ()
    reviews: tuple[int, int, float] = (0, 0, 0.0)
    waits: tuple[tuple[str, int], ...] = ()
    free: int | None = None
