"""Series, their patches, and the reviews they had."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Row
from sqlalchemy.engine import Connection

from lorelint.edge.store.derive import Touched
from lorelint.edge.store.rows import dumped, insert_id, loaded, pack, parts, put, small, unpack
from lorelint.edge.store.schema import EXHIBITS, PATCHES, REVIEWS, SERIES
from lorelint.mail.subjects import same_subject
from lorelint.model.store import Life, PatchRow, ReviewRow, SeriesRow

_TEXT = 2_000  # characters
_ADDRESS = 320
_TO_COME = (Life.READY.value, Life.WAITING.value)
MAX_VERSIONS = 500  # of one author's series that are looked through


class SeriesTables:
    """See `lorelint.model.store.SeriesBook`."""

    def __init__(self, connection: Connection, touched: Touched | None = None) -> None:
        self._connection = connection
        self._touched = touched or Touched(connection)

    def put(self, row: SeriesRow, patches: Sequence[PatchRow]) -> int:
        values = _values(row)
        known = row.id or self._connection.scalar(sa.select(SERIES.c.id).where(SERIES.c.first == row.first)) or 0
        if known:
            self._connection.execute(sa.update(SERIES).where(SERIES.c.id == known).values(values))
        else:
            known = insert_id(self._connection, SERIES, values)
        for patch in patches:
            of_patch = {
                "msgid": patch.msgid,
                "series": known,
                "seq": small(patch.seq),
                "subject": patch.subject[:_TEXT],
                "patch_id": patch.patch_id,
                "same_as": patch.same_as,
            }
            put(self._connection, PATCHES, of_patch, ("msgid",))
        self._touched(known)
        return known

    # Which

    def get(self, id: int) -> SeriesRow | None:
        return next(iter(self._rows(SERIES.c.id == id)), None)

    def of_root(self, root: str) -> tuple[SeriesRow, ...]:
        return self._rows(SERIES.c.root == root)

    def of_key(self, key: str) -> tuple[SeriesRow, ...]:
        return self._rows(SERIES.c.key == key)

    def of_author(self, address: str, subject: str) -> tuple[SeriesRow, ...]:
        newest = sa.select(SERIES).where(SERIES.c.address == address[:_ADDRESS].lower()).order_by(SERIES.c.id.desc())
        rows = [as_series(row) for row in self._connection.execute(newest.limit(MAX_VERSIONS))]
        return tuple(sorted((row for row in rows if same_subject(row.subject, subject)), key=_age))

    def of_patch(self, msgid: str) -> SeriesRow | None:
        holds = sa.select(PATCHES.c.series).where(PATCHES.c.msgid == msgid).scalar_subquery()
        return next(iter(self._rows(sa.or_(SERIES.c.id == holds, SERIES.c.first == msgid))), None)

    def due(self, now: str, most: int = 100) -> tuple[SeriesRow, ...]:
        waited = sa.and_(SERIES.c.life == Life.WAITING.value, SERIES.c.due_at != "")
        may = sa.and_(sa.or_(SERIES.c.life == Life.READY.value, waited), SERIES.c.due_at <= now)
        # Few are due, of very many: they are found by their life and then put in order, not looked for in that order.
        order = (SERIES.c.first_at + "", SERIES.c.id)
        wanted = sa.select(SERIES).where(SERIES.c.life.in_(_TO_COME), may).order_by(*order).limit(most)
        return tuple(as_series(row) for row in self._connection.execute(wanted))

    def recent(self, most: int = 100) -> tuple[SeriesRow, ...]:
        wanted = sa.select(SERIES).order_by(SERIES.c.first_at.desc(), SERIES.c.id.desc()).limit(most)
        return tuple(as_series(row) for row in self._connection.execute(wanted))

    def counts(self) -> Sequence[tuple[str, int]]:
        found = sa.select(SERIES.c.life, sa.func.count()).group_by(SERIES.c.life).order_by(SERIES.c.life)
        return [(row[0], row[1]) for row in self._connection.execute(found)]

    def reviewing(self) -> tuple[int, int, float]:
        failed = sa.func.sum(sa.case((REVIEWS.c.failure != "", 1), else_=0))
        row = self._connection.execute(sa.select(sa.func.count(), failed, sa.func.sum(REVIEWS.c.seconds))).one()
        return row[0] - (row[1] or 0), row[1] or 0, row[2] or 0.0

    # Patches

    def patches(self, id: int) -> tuple[PatchRow, ...]:
        wanted = sa.select(PATCHES).where(PATCHES.c.series == id).order_by(PATCHES.c.seq, PATCHES.c.msgid)
        return tuple(_as_patch(row) for row in self._connection.execute(wanted))

    def patch_ids(self, ids: Iterable[str]) -> tuple[PatchRow, ...]:
        found: list[PatchRow] = []
        for some in parts(each for each in ids if each):
            wanted = sa.select(PATCHES).where(PATCHES.c.patch_id.in_(some))
            found += [_as_patch(row) for row in self._connection.execute(wanted)]
        return tuple(sorted(found, key=lambda patch: (patch.series, patch.seq, patch.msgid)))

    # What becomes of it

    def move(self, id: int, life: Life, why: str = "", superseded_by: int = 0, due_at: str = "") -> None:
        values = {"life": life.value, "why": why, "superseded_by": superseded_by}
        if due_at:
            values["due_at"] = due_at
        self._connection.execute(sa.update(SERIES).where(SERIES.c.id == id).values(values))
        self._touched(id)

    def reviewed(self, review: ReviewRow) -> int:
        if review.failure:
            more = sa.update(SERIES).where(SERIES.c.id == review.series)
            self._connection.execute(more.values(attempts=SERIES.c.attempts + 1))
        values = {
            "series": review.series,
            "at": review.at,
            "version": review.version,
            "tree": review.tree,
            "commit_id": review.commit,
            "grade": review.grade,
            "tried": dumped(review.tried),
            "seconds": review.seconds,
            "failure": review.failure,
            "report": pack(review.report),
            "subsystems": dumped(review.subsystems),
            "people": dumped(review.people),
        }
        number = insert_id(self._connection, REVIEWS, values)
        for fingerprint, shown in dict(review.exhibits).items():
            exhibit = {"review": number, "fingerprint": fingerprint, "shown": pack(shown)}
            self._connection.execute(sa.insert(EXHIBITS).values(exhibit))
        self._touched(review.series)
        return number

    def reviews(self, id: int) -> tuple[ReviewRow, ...]:
        wanted = sa.select(REVIEWS).where(REVIEWS.c.series == id).order_by(REVIEWS.c.id)
        return tuple(_as_review(row) for row in self._connection.execute(wanted))

    def review(self, id: int) -> ReviewRow | None:
        found = self._connection.execute(sa.select(REVIEWS).where(REVIEWS.c.id == id)).first()
        return None if found is None else _as_review(found)

    def reviewed_once(self, id: int) -> bool:
        done = sa.select(REVIEWS.c.id).where(REVIEWS.c.series == id, REVIEWS.c.failure == "").limit(1)
        return self._connection.scalar(done) is not None

    def _rows(self, which: sa.ColumnElement[bool]) -> tuple[SeriesRow, ...]:
        wanted = sa.select(SERIES).where(which)
        return tuple(sorted((as_series(row) for row in self._connection.execute(wanted)), key=_age))


def _age(row: SeriesRow) -> tuple[int, str, int]:
    return (row.version, row.first_at, row.id)


def _values(row: SeriesRow) -> dict[str, Any]:
    return {
        "root": row.root,
        "key": row.key,
        "version": small(row.version),
        "subject": row.subject[:_TEXT],
        "name": row.author[0][:_TEXT],
        "address": row.author[1][:_ADDRESS].lower(),
        "first": row.first,
        "expected": small(row.expected),
        "have": small(row.have),
        "life": row.life.value,
        "why": row.why,
        "first_at": row.first_at,
        "last_at": row.last_at,
        "due_at": row.due_at,
        "superseded_by": row.superseded_by,
        "attempts": row.attempts,
    }


def as_series(row: Row[tuple[Any, ...]]) -> SeriesRow:
    return SeriesRow(
        id=row.id,
        root=row.root,
        key=row.key,
        version=row.version,
        subject=row.subject,
        author=(row.name, row.address),
        first=row.first,
        expected=row.expected,
        have=row.have,
        life=Life(row.life),
        why=row.why,
        first_at=row.first_at,
        last_at=row.last_at,
        due_at=row.due_at,
        superseded_by=row.superseded_by,
        attempts=row.attempts,
    )


def _as_patch(row: Row[tuple[Any, ...]]) -> PatchRow:
    return PatchRow(row.msgid, row.series, row.seq, row.subject, row.patch_id, row.same_as)


def _as_review(row: Row[tuple[Any, ...]]) -> ReviewRow:
    return ReviewRow(
        id=row.id,
        series=row.series,
        at=row.at,
        version=row.version,
        tree=row.tree,
        commit=row.commit_id,
        grade=row.grade,
        tried=loaded(row.tried),
        seconds=row.seconds,
        failure=row.failure,
        report=unpack(row.report),
        subsystems=tuple(map(str, loaded(row.subsystems))),
        people=tuple((str(name), str(address)) for name, address in loaded(row.people)),
    )
