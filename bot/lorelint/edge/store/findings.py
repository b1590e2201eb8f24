"""What was found in series, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from msgspec.structs import asdict
from sqlalchemy import Row
from sqlalchemy.engine import Connection

from lorelint.edge.store.derive import Touched
from lorelint.edge.store.rows import small
from lorelint.edge.store.schema import FINDINGS, REVIEWS, SERIES
from lorelint.model.store import FindingRow, State

# A series that is reviewed again has what the last review found.
_LAST = sa.select(sa.func.max(REVIEWS.c.id)).where(REVIEWS.c.series == FINDINGS.c.series, REVIEWS.c.failure == "")
_OF_LAST = FINDINGS.c.review == _LAST.correlate(FINDINGS).scalar_subquery()


class FindingTable:
    """See `lorelint.model.store.Findings`."""

    def __init__(self, connection: Connection, touched: Touched | None = None) -> None:
        self._connection = connection
        self._touched = touched or Touched(connection)

    def add(self, rows: Iterable[FindingRow]) -> None:
        values = [_values(row) for row in rows]
        if values:
            self._connection.execute(sa.insert(FINDINGS), values)
            for each in values:
                self._touched(each["series"])

    def get(self, id: int) -> FindingRow | None:
        return next(iter(self._rows(sa.select(FINDINGS).where(FINDINGS.c.id == id))), None)

    def of_series(self, id: int) -> tuple[FindingRow, ...]:
        return self._rows(sa.select(FINDINGS).where(FINDINGS.c.series == id, _OF_LAST).order_by(FINDINGS.c.id))

    def of_key(self, key: str) -> tuple[FindingRow, ...]:
        wanted = sa.select(FINDINGS).join(SERIES, SERIES.c.id == FINDINGS.c.series).where(SERIES.c.key == key)
        return self._rows(wanted.where(_OF_LAST).order_by(SERIES.c.version, SERIES.c.id, FINDINGS.c.id))

    def change(
        self, id: int, state: State, *, who: str, at: str, reason: str = "", fixed_in: int = 0, until: str = ""
    ) -> None:
        values = {"state": state.value, "who": who, "changed_at": at, "reason": reason, "fixed_in": small(fixed_in)}
        values["snoozed_until"] = until
        changed = sa.update(FINDINGS).where(FINDINGS.c.id == id).values(values)
        for series in self._connection.scalars(changed.returning(FINDINGS.c.series)):
            self._touched(series)

    def _rows(self, wanted: sa.Select[tuple[Any, ...]]) -> tuple[FindingRow, ...]:
        return tuple(as_finding(row) for row in self._connection.execute(wanted))


def _values(row: FindingRow) -> dict[str, Any]:
    values = asdict(row)
    del values["id"]
    values |= {"state": row.state.value, "mailable": int(row.mailable), "line": small(row.line)}
    return values | {"since": small(row.since), "fixed_in": small(row.fixed_in)}


def as_finding(row: Row[tuple[Any, ...]]) -> FindingRow:
    values = dict(row._mapping)
    return FindingRow(**{**values, "state": State(row.state), "mailable": bool(row.mailable)})
