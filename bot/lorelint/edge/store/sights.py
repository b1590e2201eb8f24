"""What a page shows beside findings: source as it was reviewed, heads of mails, letters and verdicts page by page."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lorelint.edge.store.mails import MailTables
from lorelint.edge.store.outbox import LetterTable
from lorelint.edge.store.rows import unpack
from lorelint.edge.store.schema import EXHIBITS, LETTERS, VERDICTS
from lorelint.edge.store.verdicts import VerdictTables
from lorelint.model.queue import Trend
from lorelint.model.store import Kept, LetterRow, State, VerdictRow

_RIGHT = (State.CONFIRMED.value, State.WONTFIX.value)


class SightTables:
    """Implements `lorelint.model.queue.Sights`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def exhibit(self, review: int, fingerprint: str) -> bytes:
        wanted = sa.select(EXHIBITS.c.shown)
        there = wanted.where(EXHIBITS.c.review == review, EXHIBITS.c.fingerprint == fingerprint)
        return unpack(self._connection.scalar(there) or b"")

    def heads(self, root: str, most: int = 200) -> tuple[Kept, ...]:
        return MailTables(self._connection).heads(root, most)

    def letters(self, *states: str, after: int = 0, most: int = 50) -> tuple[LetterRow, ...]:
        below = LETTERS.c.id < after if after else sa.true()
        return LetterTable(self._connection).some(sa.and_(LETTERS.c.state.in_(states), below), most)

    def letters_of(self, series: Sequence[int]) -> dict[int, tuple[str, ...]]:
        wanted = sa.select(LETTERS.c.series, LETTERS.c.state).where(LETTERS.c.series.in_(series)).distinct()
        found: dict[int, tuple[str, ...]] = {}
        for number, state in self._connection.execute(wanted.order_by(LETTERS.c.series, LETTERS.c.state)):
            found[number] = (*found.get(number, ()), state)
        return found

    def said_of(self, rule: str, most: int = 30) -> tuple[VerdictRow, ...]:
        return VerdictTables(self._connection).last(rule, most)

    def trend(self, rule: str) -> tuple[Trend, ...]:
        month = sa.func.substr(VERDICTS.c.at, 1, 7)
        right = sa.func.sum(sa.case((VERDICTS.c.verdict.in_(_RIGHT), 1), else_=0))
        wrong = sa.func.sum(sa.case((VERDICTS.c.verdict == State.FALSE.value, 1), else_=0))
        told = sa.and_(VERDICTS.c.rule == rule, VERDICTS.c.obeyed == 1, VERDICTS.c.fingerprint != "")
        # One finding of a series counts once, by the last word on it: it may have come over several lists.
        last = sa.select(sa.func.max(VERDICTS.c.id)).where(told).group_by(VERDICTS.c.series_key, VERDICTS.c.fingerprint)
        found = self._connection.execute(
            sa.select(month, right, wrong).where(VERDICTS.c.id.in_(last)).group_by(month).order_by(month)
        )
        return tuple(Trend(row[0], int(row[1]), int(row[2])) for row in found)
