"""What the tables share: insert where it is not there yet, insert or overwrite, packed bytes, JSON in a column."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.engine import Connection

MANY = 500  # values of one IN (...)
_LARGEST = 2**31 - 1  # of an INTEGER of PostgreSQL


def add_once(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row; False where one with its key is there already, which then stays as it is."""
    once = _insert(connection, table).values(dict(values)).on_conflict_do_nothing()
    # Row counts of an INSERT are not told by every driver; what was inserted is.
    return connection.execute(once.returning(*table.primary_key.columns)).first() is not None


def add_all_once(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, leaving alone what is there."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), [dict(row) for row in rows])


def put(connection: Connection, table: Table, values: Mapping[str, Any], key: Sequence[str]) -> None:
    """Insert a row, or overwrite the one with its key."""
    inserted = _insert(connection, table).values(dict(values))
    others = {name: inserted.excluded[name] for name in values if name not in key}
    connection.execute(inserted.on_conflict_do_update(index_elements=list(key), set_=others))


def insert_id(connection: Connection, table: Table, values: Mapping[str, Any]) -> int:
    """Insert a row, and the number it was given."""
    made = connection.execute(table.insert().values(dict(values))).inserted_primary_key
    assert made is not None  # every table that is used here numbers its rows
    return int(made[0])


def _insert(connection: Connection, table: Table) -> Any:
    # The two dialects spell ON CONFLICT alike, and SQLAlchemy has no common word for it.
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as of_postgresql

        return of_postgresql(table)
    from sqlalchemy.dialects.sqlite import insert as of_sqlite

    return of_sqlite(table)


def parts(values: Iterable[str]) -> Iterator[list[str]]:
    """Values, each once, in lists that a statement can hold."""
    found = list(dict.fromkeys(values))
    for at in range(0, len(found), MANY):
        yield found[at : at + MANY]


def small(value: int) -> int:
    """A number out of a mail, as far as every database can hold it."""
    return max(0, min(value, _LARGEST))


def pack(raw: bytes) -> bytes:
    return zlib.compress(raw, 6)


def unpack(packed: bytes) -> bytes:
    return zlib.decompress(bytes(packed)) if packed else b""


def dumped(values: Sequence[Any]) -> str:
    """A list for a column."""
    return json.dumps(values, ensure_ascii=True, separators=(",", ":"))


def loaded(text: str) -> tuple[Any, ...]:
    """The list in a column, lists in it as tuples."""
    return tuple(tuple(each) if isinstance(each, list) else each for each in json.loads(text or "[]"))
