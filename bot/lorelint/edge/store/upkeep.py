"""Look after a store: other revisions, a copy in a file, the way back out of one, and whether all is well.

A backup is an SQLite file with the tables at the revision they have, written row by row in one transaction that reads:
what uses the store goes on meanwhile, and a backup of either database can be restored into either.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine import Connection, Engine

from lorelint.edge.store import revisions
from lorelint.edge.store.database import engine_of, full_url, shown, transaction
from lorelint.edge.store.derive import rebuild
from lorelint.edge.store.rows import dumped
from lorelint.edge.store.schema import LETTERS
from lorelint.model.errors import LorelintError
from lorelint.model.store import Letter

_ELSEWHERE = "name it as url of [store] in the settings"
_MAGIC = b"SQLite format 3\0"
_ROWS = 200  # that are read and written at once; a row may hold a whole mail


class Health(Struct, frozen=True):
    """What a look at a store shows: `faults` is empty where all is well."""

    where: str
    revision: str
    rows: tuple[tuple[str, int], ...]  # by table
    faults: tuple[str, ...]


class Upkeep:
    """The store as a whole. Unlike `Database` it opens stores of every revision.

    url, folder  as for `Database`. All methods raise LorelintError where the database fails.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = full_url(url, folder)

    def upgrade(self) -> tuple[str, str]:
        """To the newest revision; (before, after)."""
        with self._open() as engine, transaction(engine, writes=True) as connection:
            before = revisions.upgrade(connection)
            rebuild(connection)
            return before, revisions.revision(connection)

    def downgrade(self, to: str) -> tuple[str, str]:
        """Back to a revision; (before, after)."""
        with self._open(there=True) as engine, transaction(engine, writes=True) as connection:
            if to not in revisions.known():
                have = ", ".join(revisions.known())
                raise LorelintError(f"there is no revision {to!a}", where=shown(self.url), remedy=f"there are: {have}")
            return revisions.downgrade(connection, to), revisions.revision(connection)

    def backup(self, path: Path) -> int:
        """Write everything into a new file; how many rows. The file is whole, or not there."""
        if path.exists():
            raise LorelintError("is there already", where=str(path), remedy="name a file that is not")
        part = path.with_name(path.name + ".part")
        try:
            part.unlink(missing_ok=True)
        except OSError as error:
            raise _refused(path, error) from None
        with self._open(there=True) as engine, transaction(engine) as source:
            revision = revisions.revision(source)
            if revision not in revisions.known():
                revisions.settled(source)
                raise LorelintError(
                    "there is no store to save", where=shown(self.url), remedy="name another in [store]"
                )
            with _file(part) as target_engine, transaction(target_engine, writes=True) as target:
                revisions.upgrade(target, revision)
                count = _copy(source, target)
        try:
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
            part.rename(path)
        except OSError as error:
            raise _refused(path, error) from None
        return count

    def restore(self, path: Path) -> int:
        """Fill an empty store from a backup, and bring it to the newest revision; how many rows."""
        if not path.is_file() or path.open("rb").read(len(_MAGIC)) != _MAGIC:
            raise LorelintError("is no backup", where=str(path), remedy="name what `lorelint store backup` wrote")
        with _file(path) as source_engine, transaction(source_engine) as source:
            if not revisions.revision(source):
                raise LorelintError("holds no store", where=str(path), remedy="name what `lorelint store backup` wrote")
            with self._open() as engine, transaction(engine, writes=True) as target:
                return self._fill(source, target)

    def _fill(self, source: Connection, target: Connection) -> int:
        if revisions.revision(target):
            filled = [name for name, count in _counted(target) if count]
            if filled:
                what = f"the store is not empty ({', '.join(filled[:3])})"
                raise LorelintError(what, where=shown(self.url), remedy="restore into another: url of [store]")
            revisions.downgrade(target, "")
        revision = revisions.revision(source)
        if revision not in revisions.known():
            revisions.settled(source)
        revisions.upgrade(target, revision)
        count = _copy(source, target)
        revisions.upgrade(target)
        rebuild(target)
        _hold_back(target)
        return count

    def check(self) -> Health:
        """Look through everything; what is wrong is told, not mended."""
        with self._open(there=True) as engine, transaction(engine) as connection:
            revisions.settled(connection)
            faults = [f"tables: {each}" for each in revisions.differences(connection)]
            faults += _broken(connection)
            return Health(shown(self.url), revisions.revision(connection), _counted(connection), tuple(faults))

    @contextmanager
    def _open(self, *, there: bool = False) -> Iterator[Engine]:
        path = sa.make_url(self.url).database or ""
        if there and self.url.startswith("sqlite") and not Path(path).is_file():
            raise LorelintError("there is no store", where=path, remedy=_ELSEWHERE)
        engine = engine_of(self.url)
        try:
            yield engine
        finally:
            engine.dispose()


@contextmanager
def _file(path: Path) -> Iterator[Engine]:
    """A backup: one file by itself, with no log beside it."""
    engine = engine_of(f"sqlite:///{path.resolve()}", alone=True)
    try:
        yield engine
    finally:
        engine.dispose()


def _copy(source: Connection, target: Connection) -> int:
    """All rows of all tables, which are of the same revision; how many."""
    of_target = sa.MetaData()
    of_target.reflect(target)
    count = 0
    for table in of_target.sorted_tables:
        if table.name == revisions.NOTED:
            continue
        order = list(table.primary_key.columns)
        rows = source.execution_options(yield_per=_ROWS).execute(sa.select(table).order_by(*order)).mappings()
        for some in rows.partitions(_ROWS):
            target.execute(sa.insert(table), [dict(row) for row in some])
            count += len(some)
        _renumber(target, table)
    return count


def _renumber(target: Connection, table: sa.Table) -> None:
    """PostgreSQL counts rows apart from them: it goes on behind those that came with their numbers."""
    if target.dialect.name != "postgresql" or "id" not in table.c:
        return
    highest = sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0) + 1).scalar_subquery()
    target.execute(sa.select(sa.func.setval(sa.func.pg_get_serial_sequence(table.name, "id"), highest, False)))


def _hold_back(target: Connection) -> None:
    """What was about to go out when the backup was made may have gone out since: a person has to look."""
    open_ones = LETTERS.c.state.in_([Letter.HELD.value, Letter.RELEASED.value, Letter.SENDING.value])
    why = dumped(["restored from a backup: it may have been sent since"])
    target.execute(sa.update(LETTERS).where(open_ones).values(state=Letter.HELD.value, automatic=0, why=why))


def _counted(connection: Connection) -> tuple[tuple[str, int], ...]:
    names = sorted(set(sa.inspect(connection).get_table_names()) - {revisions.NOTED})
    count = sa.select(sa.func.count())
    return tuple((name, connection.scalar(count.select_from(sa.table(name))) or 0) for name in names)


_LOST = (
    ("messages whose thread has no name", "messages m", "messages r", "r.msgid = m.root"),
    ("series in no thread", "series m", "messages r", "r.root = m.root"),
    ("patches without their message", "patches m", "messages r", "r.msgid = m.msgid"),
    ("patches without their series", "patches m", "series r", "r.id = m.series"),
    ("findings without their review", "findings m", "reviews r", "r.id = m.review"),
    ("letters without their series", "letters m", "series r", "r.id = m.series"),
    ("lists seen for messages that are not here", "sightings m", "messages r", "r.msgid = m.msgid"),
)


def _broken(connection: Connection) -> Iterator[str]:
    """What the database says of itself, and rows that speak of others that are not there."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(sa.text("PRAGMA integrity_check(20)")).scalars()
        yield from (f"database: {each}" for each in found if each != "ok")
    for what, one, other, joined in _LOST:
        lost = connection.scalar(
            sa.text(f"SELECT count(*) FROM {one} WHERE NOT EXISTS (SELECT 1 FROM {other} WHERE {joined})")
        )
        if lost:
            yield f"{what}: {lost}"


def _refused(path: Path, error: OSError) -> LorelintError:
    why = (error.strerror or "it cannot be written").lower()
    with suppress(OSError):
        path.with_name(path.name + ".part").unlink(missing_ok=True)
    return LorelintError(f"no backup can be written: {why}", where=str(path), remedy="name another file")
