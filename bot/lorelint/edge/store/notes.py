"""What the parts of the house say of themselves, what was done by whom, and single values."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lorelint.edge.store.rows import put
from lorelint.edge.store.schema import AUDIT, NOTES, SETTINGS
from lorelint.model.store import Note

_ABOUT = 600  # characters: what is looked for by it is a name


class NoteTables:
    """See `lorelint.model.store.Notes`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def say(self, note: Note) -> None:
        values = {"name": note.name, "at": note.at, "ok": int(note.ok), "text": note.text}
        put(self._connection, NOTES, values, ("name",))

    def all(self) -> tuple[Note, ...]:
        rows = self._connection.execute(sa.select(NOTES).order_by(NOTES.c.name))
        return tuple(Note(row.name, row.at, bool(row.ok), row.text) for row in rows)

    def audit(self, at: str, who: str, what: str, about: str, details: str = "") -> None:
        values = {"at": at, "who": who, "what": what, "about": about[:_ABOUT], "details": details}
        self._connection.execute(sa.insert(AUDIT).values(values))

    def trail(self, about: str = "", most: int = 100) -> Sequence[tuple[str, str, str, str, str]]:
        """What was done, the latest first: (at, who, what, about, details)."""
        wanted = sa.select(AUDIT.c.at, AUDIT.c.who, AUDIT.c.what, AUDIT.c.about, AUDIT.c.details)
        if about:
            wanted = wanted.where(AUDIT.c.about == about[:_ABOUT])
        rows = self._connection.execute(wanted.order_by(AUDIT.c.id.desc()).limit(most))
        return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]

    def get(self, key: str) -> str:
        return self._connection.scalar(sa.select(SETTINGS.c.value).where(SETTINGS.c.key == key)) or ""

    def set(self, key: str, value: str) -> None:
        put(self._connection, SETTINGS, {"key": key, "value": value}, ("key",))
