"""Work that only one process at a time may do with a store, wherever it runs."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa

from lorelint.edge.onlyone import only_one
from lorelint.edge.store.database import Database, shown
from lorelint.model.errors import LorelintError


@contextmanager
def held(store: Database, name: str, what: str) -> Iterator[None]:
    """Nobody else does `what` with the store meanwhile. Raises LorelintError where somebody does.

    The lock is a file beside SQLite's, on PostgreSQL one of the server's; both end with the process, however it ends.
    The server's is given back in words: a connection that is only closed keeps it until the server has noticed.
    """
    if store.engine.dialect.name != "postgresql":
        with only_one(Path(f"{sa.make_url(store.url).database}.{name}.lock"), what):
            yield
        return
    try:
        connection = store.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except sa.exc.SQLAlchemyError as error:
        raise LorelintError("the store cannot be reached", where=shown(store.url), remedy="check the server") from error
    lock = zlib.crc32(name.encode())
    try:
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(lock))):
            raise LorelintError(f"another process {what}", where=shown(store.url), remedy="end it first, or leave it")
        try:
            yield
        finally:
            with suppress(sa.exc.SQLAlchemyError):  # a server that is gone has given it back itself
                connection.scalar(sa.select(sa.func.pg_advisory_unlock(lock)))
    finally:
        connection.invalidate()  # the lock ends with it: it must not go on in a pool
        connection.close()
