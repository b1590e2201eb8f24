"""Open the store: SQLite by a path or nothing said, PostgreSQL by URL; one transaction at a time.

A transaction that may write takes SQLite's lock at its start (BEGIN IMMEDIATE): two processes take turns instead
of failing at the end; on PostgreSQL an advisory lock is the same promise. Those that only look wait for nobody.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from lorelint.edge.store import revisions
from lorelint.edge.store.checks import CheckTable
from lorelint.edge.store.derive import Touched
from lorelint.edge.store.findings import FindingTable
from lorelint.edge.store.mails import MailTables
from lorelint.edge.store.notes import NoteTables
from lorelint.edge.store.outbox import LetterTable
from lorelint.edge.store.queue import QueueTables
from lorelint.edge.store.series import SeriesTables
from lorelint.edge.store.sights import SightTables
from lorelint.edge.store.steps import StepTables
from lorelint.edge.store.verdicts import VerdictTables
from lorelint.model.errors import LorelintError

NAME = "store.sqlite"
WAIT = 30.0  # seconds for another process's transaction
_WRITER = 0x6C6F7265  # the advisory lock of PostgreSQL that stands for "the writer"


class OpenSession(Struct, frozen=True):
    """The parts of one transaction; `lorelint.model.store.Session`."""

    mails: MailTables
    series: SeriesTables
    findings: FindingTable
    outbox: LetterTable
    checks: CheckTable
    verdicts: VerdictTables
    notes: NoteTables
    queue: QueueTables
    steps: StepTables
    sights: SightTables
    touched: Touched


def _end(engine: Engine, pid: int) -> None:
    if pid == os.getpid():  # a copy of the process leaves the connections to the one that made them
        engine.dispose()


class Database:
    """The store; implements `lorelint.model.store.Store`.

    url  "" or a path for SQLite, else postgresql://USER@HOST/NAME. Raises LorelintError where it cannot be opened, or
         holds a schema that is not this version's.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = full_url(url, folder)
        self.engine = engine_of(self.url)
        weakref.finalize(self, _end, self.engine, os.getpid())  # whoever ends without a word
        with self.transaction() as connection:
            there = revisions.settled(connection)
        if not there:
            with self.transaction(writes=True) as connection:
                # Two that start at once both come here; the second finds the tables there.
                if not revisions.settled(connection):
                    revisions.upgrade(connection)

    @contextmanager
    def begin(self) -> Iterator[OpenSession]:
        """See `Store.begin`. Raises LorelintError where the database fails."""
        with self.transaction(writes=True) as connection:
            session = _session(connection)
            yield session
            session.touched.settle()

    @contextmanager
    def look(self) -> Iterator[OpenSession]:
        """See `Store.look`. Raises LorelintError where the database fails."""
        with self.transaction() as connection:
            yield _session(connection)

    @contextmanager
    def batch(self) -> Iterator[OpenStore]:
        """A store whose transactions are parts of one that is committed at the end of the block."""
        with self.transaction(writes=True) as connection:
            yield OpenStore(connection, self.engine)

    @contextmanager
    def transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        """The connection itself, for what goes over all tables."""
        with transaction(self.engine, writes=writes) as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()


class OpenStore:
    """A store within one transaction: what fails is undone alone, and all that was done is kept together or not at all.

    Implements `lorelint.model.store.Store`.
    """

    def __init__(self, connection: Connection, engine: Engine) -> None:
        self._connection = connection
        self._engine = engine

    @contextmanager
    def begin(self) -> Iterator[OpenSession]:
        with _told(self._engine), self._connection.begin_nested():
            session = _session(self._connection)
            yield session
            session.touched.settle()

    @contextmanager
    def look(self) -> Iterator[OpenSession]:
        yield _session(self._connection)

    def close(self) -> None:
        """Its transaction ends it."""


@contextmanager
def transaction(engine: Engine, *, writes: bool = False) -> Iterator[Connection]:
    """One that reads sees one state of everything. Raises LorelintError where the database fails."""
    options: dict[str, Any] = {"lorelint_start": "BEGIN IMMEDIATE" if writes else "BEGIN"}
    serves = engine.dialect.name == "postgresql"
    if serves and not writes:
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with _told(engine), engine.connect().execution_options(**options) as connection, connection.begin():
        if serves and writes:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITER)))
        yield connection


@contextmanager
def _told(engine: Engine) -> Iterator[None]:
    """What goes wrong with the database, for a person."""
    try:
        yield
    except (sa.exc.DataError, sa.exc.IntegrityError):
        raise  # what was to be written is wrong, not the database: a bug of ours
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        said = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
        remedy = "check that it is there, may be written and has room: lorelint store check"
        raise LorelintError(f"the store fails: {said}", where=shown(str(engine.url)), remedy=remedy) from error


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


def engine_of(url: str, *, alone: bool = False) -> Engine:
    """`alone`: a file with no log beside it. Raises LorelintError where it cannot be made, or the driver is missing."""
    if not url.startswith("sqlite"):
        try:
            return sa.create_engine(url, pool_pre_ping=True)
        except ModuleNotFoundError:
            remedy = "install lorelint[postgresql]"
            raise LorelintError("the driver for PostgreSQL is missing", where="store.url", remedy=remedy) from None
    path = Path(sa.make_url(url).database or "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # What stands in it is not for everybody: letters that wait, findings under embargo.
        path.touch(mode=0o600)
    except OSError as error:
        why = (error.strerror or "it cannot be made").lower()
        raise LorelintError(f"no store can be made: {why}", where=str(path), remedy="name another place") from None
    engine = sa.create_engine(url, connect_args={"timeout": WAIT})
    event.listen(engine, "connect", _prepare_alone if alone else _prepare)
    event.listen(engine, "begin", _start)
    return engine


def _prepare(connection: Any, record: Any) -> None:
    _pragmas(connection, "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")


def _prepare_alone(connection: Any, record: Any) -> None:
    _pragmas(connection, "synchronous=FULL", "foreign_keys=ON")


def _pragmas(connection: Any, *pragmas: str) -> None:
    # The driver would begin transactions by itself, and not where we want them.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _start(connection: Connection) -> None:
    start = connection.get_execution_options().get("lorelint_start", "BEGIN IMMEDIATE")
    connection.exec_driver_sql(f"PRAGMA query_only={'ON' if start == 'BEGIN' else 'OFF'}")
    connection.exec_driver_sql(start)


def _session(connection: Connection) -> OpenSession:
    touched = Touched(connection)
    return OpenSession(
        MailTables(connection, touched),
        SeriesTables(connection, touched),
        FindingTable(connection, touched),
        LetterTable(connection),
        CheckTable(connection),
        VerdictTables(connection),
        NoteTables(connection),
        QueueTables(connection),
        StepTables(connection),
        SightTables(connection),
        touched,
    )
