"""Checks of a Patchwork: what is to stand at a patch, and what was last said there."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lorelint.edge.store.schema import CHECKS
from lorelint.model.store import CheckRow

_TABLE = CHECKS.c


class CheckTable:
    """`lorelint.model.store.Checks` inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, row: CheckRow) -> None:
        """See the port; one row for a patch, a Patchwork and a context."""
        same = sa.and_(_TABLE.patch == row.patch, _TABLE.url == row.url, _TABLE.context == row.context)
        values: dict[str, Any] = {"state": row.state, "description": row.description, "at": row.at}
        if self._connection.execute(sa.update(CHECKS).where(same).values(**values)).rowcount:
            return
        key = {"patch": row.patch, "url": row.url, "context": row.context}
        self._connection.execute(sa.insert(CHECKS).values(**key, **values))

    def to_post(self, most: int = 100) -> tuple[CheckRow, ...]:
        # Each try moves `at`, so that what fails again and again does not stand before the others.
        return self._many(_TABLE.state != _TABLE.posted, most)

    def of_patch(self, msgid: str) -> tuple[CheckRow, ...]:
        return self._many(_TABLE.patch == msgid, 100)

    def posted(self, id: int, state: str, at: str, error: str = "") -> None:
        """Patchwork has `state` now; with an error it has what it had."""
        values = {"at": at, "error": error} | ({} if error else {"posted": state})
        self._connection.execute(sa.update(CHECKS).where(_TABLE.id == id).values(**values))

    def _many(self, there: sa.ColumnElement[bool], most: int) -> tuple[CheckRow, ...]:
        found = self._connection.execute(
            sa.select(CHECKS).where(there).order_by(_TABLE.at, _TABLE.id).limit(most)
        ).mappings()
        return tuple(CheckRow(**dict(each)) for each in found)
