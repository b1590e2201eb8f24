"""What a sweep asks of the store: which series have no review yet, and all that came of them in an order of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lorelint.edge.store.database import Database, OpenSession, OpenStore, shown
from lorelint.edge.store.rows import loaded, unpack
from lorelint.edge.store.schema import FINDINGS, MESSAGES, NOTES, REVIEWS, SERIES
from lorelint.edge.store.series import as_series
from lorelint.model.errors import LorelintError
from lorelint.model.store import Life, SeriesRow, State
from lorelint.model.sweep import LEFT_OUT, Mails, Period, SweptFinding, SweptSeries
from lorelint.model.tree import is_source

PAGE = 500  # rows that are read at a time: no transaction is open for long
MARK = "sweep"  # the note that makes a store one of a sweep
_TO_COME = (Life.READY.value, Life.WAITING.value, Life.SUPERSEDED.value)


class SweepDatabase:
    """Implements `lorelint.model.sweep.SweepStore` on a store of any kind."""

    def __init__(self, url: str, folder: Path) -> None:
        """As `Database`. Raises LorelintError where it cannot be opened."""
        self.database = Database(url, folder)

    def begin(self) -> AbstractContextManager[OpenSession]:
        return self.database.begin()

    def look(self) -> AbstractContextManager[OpenSession]:
        return self.database.look()

    def batch(self) -> AbstractContextManager[OpenStore]:
        return self.database.batch()

    def close(self) -> None:
        self.database.close()

    def claim(self, what: str) -> None:
        """Make the store this sweep's: `what` is all that its results hang on.

        Raises LorelintError where it is another's, or that of a list that is followed.
        """
        with self.begin() as session:
            mark = session.notes.get(MARK)
            used = session.series.recent(1) or session.notes.all()
            if not mark and not used:
                session.notes.set(MARK, what)
                return
        if not mark:
            remedy = "give the sweep a store of its own: --store FILE"
            raise LorelintError("holds what came of lists that are followed", where=self._where, remedy=remedy)
        if mark != what:
            other = ", ".join(sorted(_differs(json.loads(mark), json.loads(what))))
            remedy = "go on as it was begun, or name another --store"
            raise LorelintError(f"holds a sweep with another {other}", where=self._where, remedy=remedy)

    @property
    def _where(self) -> str:
        return shown(self.database.url)

    # -- what is missing --------------------------------------------------------------------------------------

    def left(self, period: Period) -> tuple[int, int]:
        """See `SweepStore.left`."""
        with self.database.transaction() as connection:
            wanted = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(SERIES.c.have), 0))
            series, patches = connection.execute(wanted.where(_missing(period))).one()
        return int(series), int(patches)

    def missing(self, period: Period) -> Iterator[tuple[SeriesRow, ...]]:
        """See `SweepStore.missing`."""
        after: str | None = None
        while True:
            with self.database.transaction() as connection:
                rows = self._page(connection, period, after)
            if not rows:
                return
            after = rows[-1].key
            for _, members in groupby(rows, key=lambda row: row.key):
                yield tuple(members)

    def _page(self, connection: Connection, period: Period, after: str | None) -> list[SeriesRow]:
        """Whole families: as many as some hundred keys have."""
        keys = sa.select(SERIES.c.key).where(_missing(period)).distinct().order_by(SERIES.c.key).limit(PAGE)
        if after is not None:
            keys = keys.where(SERIES.c.key > after)
        found = connection.scalars(keys).all()
        if not found:
            return []
        wanted = sa.select(SERIES).where(SERIES.c.key.in_(found), _missing(period))
        order = (SERIES.c.key, SERIES.c.version, SERIES.c.first_at, SERIES.c.id)
        return [as_series(row) for row in connection.execute(wanted.order_by(*order))]

    # -- what came of it --------------------------------------------------------------------------------------

    def mails(self) -> Mails:
        """See `SweepStore.mails`."""
        with self.database.transaction() as connection:
            wanted = sa.select(MESSAGES.c.nature, sa.func.count()).group_by(MESSAGES.c.nature)
            natures = sorted((row[0], row[1]) for row in connection.execute(wanted))
            notes = sa.select(NOTES.c.name, NOTES.c.text).where(NOTES.c.name.startswith(LEFT_OUT, autoescape=True))
            left_out = sorted((row[0].removeprefix(LEFT_OUT), row[1]) for row in connection.execute(notes))
        return Mails(tuple(natures), tuple(left_out))

    def swept(self, period: Period) -> Iterator[SweptSeries]:
        """See `SweepStore.swept`."""
        # Order by bytes, whatever language the database speaks.
        by = "C" if self.database.engine.dialect.name == "postgresql" else "BINARY"
        at, first = sa.collate(SERIES.c.first_at, by), sa.collate(SERIES.c.first, by)
        after: tuple[str, str] | None = None
        while True:
            wanted = sa.select(SERIES).where(_inside(period)).order_by(at, first).limit(PAGE)
            if after is not None:
                wanted = wanted.where(sa.or_(at > after[0], sa.and_(at == after[0], first > after[1])))
            with self.database.transaction() as connection:
                rows = [as_series(row) for row in connection.execute(wanted)]
                made = list(_swept(connection, rows))
            if not rows:
                return
            yield from made
            after = (rows[-1].first_at, rows[-1].first)


def _inside(period: Period) -> sa.ColumnElement[bool]:
    bounds = [SERIES.c.first_at >= period.since]
    bounds += [SERIES.c.first_at < period.until] if period.until else []
    return sa.and_(*bounds)


def _missing(period: Period) -> sa.ColumnElement[bool]:
    reviewed = sa.exists().where(REVIEWS.c.series == SERIES.c.id)
    return sa.and_(SERIES.c.life.in_(_TO_COME), ~reviewed, _inside(period))


def _swept(connection: Connection, rows: Sequence[SeriesRow]) -> Iterator[SweptSeries]:
    ids = [row.id for row in rows]
    last = sa.select(sa.func.max(REVIEWS.c.id)).where(REVIEWS.c.series.in_(ids)).group_by(REVIEWS.c.series)
    reviews = {row.series: row for row in connection.execute(sa.select(REVIEWS).where(REVIEWS.c.id.in_(last)))}
    numbers = [row.id for row in reviews.values()]
    findings: dict[int, list[Any]] = {}
    for row in connection.execute(sa.select(FINDINGS).where(FINDINGS.c.review.in_(numbers))):
        findings.setdefault(row.series, []).append(row)
    for series in rows:
        yield _one(series, reviews.get(series.id), findings.get(series.id, ()))


def _one(row: SeriesRow, review: Any, findings: Sequence[Any]) -> SweptSeries:
    fate, why = "missing", ""
    if row.life is Life.MUTED:
        fate, why = "left out", row.why
    elif review is not None:
        fate, why = ("failed", review.failure) if review.failure else ("reviewed", "")
    packed = unpack(review.report) if review is not None else b""
    document = json.loads(packed) if packed else {}
    patches = (document.get("series") or {}).get("patches", ())
    return SweptSeries(
        first=row.first,
        at=row.first_at,
        key=row.key,
        version=row.version,
        subject=row.subject,
        have=row.have,
        expected=row.expected,
        fate=fate,
        why=why,
        grade=review.grade if review is not None else "",
        commit=review.commit_id if review is not None else "",
        patches=sum(any(map(is_source, patch["paths"])) for patch in patches),
        functions=document.get("coverage", {}).get("functions", 0),
        subsystems=tuple(map(str, loaded(review.subsystems))) if review is not None else (),
        findings=_findings(findings, document),
    )


def _findings(rows: Sequence[Any], document: Any) -> tuple[SweptFinding, ...]:
    raised: dict[str, str] = {}
    for each in document.get("findings", ()):
        said = next((one["name"] for one in each["raised"] if one["sure"]), "")
        raised.setdefault(each["fingerprint"], said)
    found = [_finding(row, raised.get(row.fingerprint, "")) for row in rows]
    return tuple(sorted(found, key=lambda one: (one.path, one.line, one.rule, one.fingerprint, one.patch)))


def _finding(row: Any, raised_by: str) -> SweptFinding:
    return SweptFinding(
        patch=row.patch,
        fingerprint=row.fingerprint,
        rule=row.rule,
        path=row.path,
        function=row.function,
        line=row.line,
        status=row.status,
        severity=row.severity,
        confidence=row.confidence,
        grade=row.grade,
        mailable=bool(row.mailable),
        message=row.message,
        since=row.since,
        fixed_in=row.fixed_in if row.state == State.FIXED.value else 0,
        raised_by=raised_by,
    )


def _differs(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}
