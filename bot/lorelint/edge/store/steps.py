"""What persons did with findings, step by step, and the views and areas they keep."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import to_builtins
from sqlalchemy.engine import Connection

from lorelint.edge.store.findings import as_finding
from lorelint.edge.store.rows import put
from lorelint.edge.store.schema import CHANGES, FINDINGS, SERIES, VERDICTS, VIEWS
from lorelint.model.queue import Change
from lorelint.model.store import FindingRow, State

_NAME = 80  # characters of a view's name
_QUERY = 2_000
_AREA = ""  # the view without a name


class StepTables:
    """Implements `lorelint.model.queue.Steps`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def batch(self) -> int:
        return (self._connection.scalar(sa.select(sa.func.max(CHANGES.c.batch))) or 0) + 1

    def add(self, change: Change) -> None:
        values = {
            "batch": change.batch,
            "finding": change.finding,
            "series": change.series,
            "fingerprint": change.fingerprint,
            "at": change.at,
            "who": change.who,
            "move": change.move,
            "reason": change.reason,
            "was": _dumped(change.was),
            "became": _dumped(change.became),
            "letters": json.dumps(change.letters),
            "verdicts": json.dumps(change.verdicts),
            "undone": change.undone,
        }
        self._connection.execute(sa.insert(CHANGES).values(values))

    def of_batch(self, batch: int) -> tuple[Change, ...]:
        return self._rows(sa.select(CHANGES).where(CHANGES.c.batch == batch))

    def of_finding(self, series_key: str, fingerprint: str) -> tuple[Change, ...]:
        wanted = sa.select(CHANGES).join(SERIES, SERIES.c.id == CHANGES.c.series)
        return self._rows(wanted.where(SERIES.c.key == series_key, CHANGES.c.fingerprint == fingerprint))

    def of_letter(self, letter: int) -> tuple[Change, ...]:
        named = CHANGES.c.letters.like(f"%[{int(letter)}, %")
        return self._rows(sa.select(CHANGES).where(CHANGES.c.undone == "", named))

    def last(self, who: str) -> int:
        wanted = sa.select(sa.func.max(CHANGES.c.batch)).where(CHANGES.c.who == who, CHANGES.c.undone == "")
        return self._connection.scalar(wanted) or 0

    def undo(self, batch: int, by: str) -> None:
        self._connection.execute(sa.update(CHANGES).where(CHANGES.c.batch == batch).values(undone=by))

    def take_back(self, verdict: int, why: str) -> None:
        self._connection.execute(sa.update(VERDICTS).where(VERDICTS.c.id == verdict).values(obeyed=0, why=why))

    def asleep(self, until: str, most: int = 500) -> tuple[FindingRow, ...]:
        over = sa.and_(FINDINGS.c.state == State.SNOOZED.value, FINDINGS.c.snoozed_until.between("0", until))
        wanted = sa.select(FINDINGS).where(over).order_by(FINDINGS.c.snoozed_until, FINDINGS.c.id).limit(most)
        return tuple(as_finding(row) for row in self._connection.execute(wanted))

    # -- views

    def views(self, who: str) -> tuple[tuple[str, str], ...]:
        wanted = sa.select(VIEWS.c.name, VIEWS.c.query).where(VIEWS.c.who == who, VIEWS.c.name != _AREA)
        return tuple((name, query) for name, query in self._connection.execute(wanted.order_by(VIEWS.c.name)))

    def keep_view(self, who: str, name: str, query: str) -> None:
        name = name.strip()[:_NAME]
        if name and query:
            put(self._connection, VIEWS, {"who": who, "name": name, "query": query[:_QUERY]}, ("who", "name"))
        elif name:
            self._connection.execute(sa.delete(VIEWS).where(VIEWS.c.who == who, VIEWS.c.name == name))

    def area(self, who: str) -> tuple[str, ...]:
        known = self._connection.scalar(sa.select(VIEWS.c.query).where(VIEWS.c.who == who, VIEWS.c.name == _AREA))
        return tuple(json.loads(known)) if known else ()

    def set_area(self, who: str, values: Sequence[str]) -> None:
        query = json.dumps(list(dict.fromkeys(values)))
        put(self._connection, VIEWS, {"who": who, "name": _AREA, "query": query}, ("who", "name"))

    def _rows(self, wanted: sa.Select[tuple[Any, ...]]) -> tuple[Change, ...]:
        return tuple(_as_change(row) for row in self._connection.execute(wanted.order_by(CHANGES.c.id)))


def _dumped(row: FindingRow) -> str:
    return json.dumps(to_builtins(row), ensure_ascii=True)


def _loaded(text: str) -> FindingRow:
    values = json.loads(text)
    return FindingRow(**{**values, "state": State(values["state"])})


def _as_change(row: sa.Row[Any]) -> Change:
    return Change(
        id=row.id,
        batch=row.batch,
        finding=row.finding,
        series=row.series,
        fingerprint=row.fingerprint,
        at=row.at,
        who=row.who,
        move=row.move,
        reason=row.reason,
        was=_loaded(row.was),
        became=_loaded(row.became),
        letters=tuple((letter, state) for letter, state in json.loads(row.letters)),
        verdicts=tuple(json.loads(row.verdicts)),
        undone=row.undone,
    )
