"""Open the store: SQLite by a path or nothing said, PostgreSQL by URL; one transaction at a time.

A transaction that may write takes SQLite's lock at its start (BEGIN IMMEDIATE): two processes take turns instead
of failing at the end; on PostgreSQL an advisory lock is the same promise. Those that only look wait for nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from lorelint.edge.store.checks import CheckTable
from lorelint.edge.store.findings import FindingTable
from lorelint.edge.store.mails import MailTables
from lorelint.edge.store.notes import NoteTables
from lorelint.edge.store.outbox import LetterTable
from lorelint.edge.store.series import SeriesTables
from lorelint.edge.store.verdicts import VerdictTables
from lorelint.model.errors import LorelintError

NAME = "store.sqlite"
WAIT = 30.0  # seconds for another process's transaction
_WRITER = 0x6C6F7265  # the advisory lock of PostgreSQL that stands for "the writer"


@dataclass(frozen=True, slots=True)
class OpenSession:
    """The parts of one transaction; `lorelint.model.store.Session`."""

    mails: MailTables
    series: SeriesTables
    findings: FindingTable
    outbox: LetterTable
    checks: CheckTable
    verdicts: VerdictTables
    notes: NoteTables


class Database:
    """The store; implements `lorelint.model.store.Store`.

    url  "" or a path for SQLite, else postgresql://USER@HOST/NAME. Raises LorelintError where it cannot be opened, or
         holds a schema that is not this version's.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = full_url(url, folder)
        self.engine = _engine(self.url)

    @contextmanager
    def begin(self) -> Iterator[OpenSession]:
        """See `Store.begin`. Raises LorelintError where the database fails."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            if self.engine.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITER)))
            yield _session(connection)

    @contextmanager
    def look(self) -> Iterator[OpenSession]:
        """See `Store.look`. Raises LorelintError where the database fails."""
        with self._transaction("BEGIN") as connection:
            yield _session(connection)

    @contextmanager
    def _transaction(self, start: str) -> Iterator[Connection]:
        try:
            with self.engine.connect().execution_options(lorelint_start=start) as connection, connection.begin():
                yield connection
        except sa.exc.SQLAlchemyError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        self.engine.dispose()

    def _failed(self, error: Exception) -> LorelintError:
        said = str(getattr(error, "orig", error)).strip().split("\n")[0]
        remedy = "check that it is there, has room, and was upgraded: lorelint store upgrade"
        return LorelintError(f"the store fails: {said}", where=shown(self.url), remedy=remedy)


def full_url(url: str, folder: Path) -> str:
    """The URL that SQLAlchemy takes for what stands in the settings."""
    if "://" not in url:
        path = Path(url).expanduser() if url else folder / NAME
        return f"sqlite:///{path.resolve()}"
    scheme, rest = url.split("://", 1)
    if scheme in ("postgres", "postgresql"):
        return f"postgresql+psycopg://{rest}"
    if scheme in ("sqlite", "postgresql+psycopg"):
        return url
    raise LorelintError(
        f"no store is kept in {scheme!a}", where="store.url", remedy="name a file, or postgresql://USER@HOST/NAME"
    )


def shown(url: str) -> str:
    """The URL without a password."""
    return sa.make_url(url).render_as_string(hide_password=True)


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return sa.create_engine(url, pool_pre_ping=True)
    path = sa.make_url(url).database or ""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": WAIT})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _start)
    return engine


def _prepare(connection: Any, record: Any) -> None:
    # The driver would begin transactions by itself, and not where we want them.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _start(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("lorelint_start", "BEGIN IMMEDIATE"))


def _session(connection: Connection) -> OpenSession:
    return OpenSession(
        MailTables(connection),
        SeriesTables(connection),
        FindingTable(connection),
        LetterTable(connection),
        CheckTable(connection),
        VerdictTables(connection),
        NoteTables(connection),
    )
