"""Checks of a Patchwork: what is to stand at a patch, and what was last said there."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lorelint.edge.store.rows import dumped, loaded
from lorelint.edge.store.schema import CHECKS
from lorelint.model.store import CheckRow

_TABLE = CHECKS.c
_TELLING = ("warning", "fail")


class CheckTable:
    """`lorelint.model.store.Checks` inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, row: CheckRow) -> None:
        """See the port; one row for a patch, a Patchwork and a context."""
        same = sa.and_(_TABLE.patch == row.patch, _TABLE.url == row.url, _TABLE.context == row.context)
        values: dict[str, Any] = {"state": row.state, "description": row.description, "at": row.at}
        values |= {"fingerprints": dumped(row.fingerprints), "held": int(row.held)}
        if self._connection.execute(sa.update(CHECKS).where(same).values(**values)).rowcount:
            return
        key = {"patch": row.patch, "url": row.url, "context": row.context}
        self._connection.execute(sa.insert(CHECKS).values(**key, **values))

    def to_post(self) -> tuple[CheckRow, ...]:
        # Each try moves `at`, so that what fails again and again does not stand before the others.
        return self._many(sa.or_(_TABLE.state != _TABLE.posted, _TABLE.description != _TABLE.said))

    def of_patch(self, msgid: str) -> tuple[CheckRow, ...]:
        return self._many(_TABLE.patch == msgid)

    def posted(self, id: int, state: str, at: str, error: str = "", *, said: str | None = None) -> None:
        """See the port."""
        # What is to stand there may have changed meanwhile, and wait for a time of its own.
        values: dict[str, Any] = {"at": sa.case((_TABLE.at > at, _TABLE.at), else_=at), "error": error}
        if not error:
            values |= {"posted": state, "said": _TABLE.description if said is None else said}
            values |= {"told_at": at} if state in _TELLING else {}
        self._connection.execute(sa.update(CHECKS).where(_TABLE.id == id).values(**values))

    def withdraw(self, id: int) -> None:
        self._connection.execute(sa.delete(CHECKS).where(_TABLE.id == id, _TABLE.posted == ""))

    def told_since(self, when: str, url: str = "") -> int:
        there = _TABLE.told_at >= when if not url else sa.and_(_TABLE.told_at >= when, _TABLE.url == url)
        return self._connection.scalar(sa.select(sa.func.count()).select_from(CHECKS).where(there)) or 0

    def _many(self, there: sa.ColumnElement[bool]) -> tuple[CheckRow, ...]:
        found = self._connection.execute(sa.select(CHECKS).where(there).order_by(_TABLE.at, _TABLE.id)).mappings()
        return tuple(
            CheckRow(**{**each, "fingerprints": loaded(each["fingerprints"]), "held": bool(each["held"])})
            for each in found
        )
