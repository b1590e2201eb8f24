"""Which revision the tables of a store are of, and the way from one revision to another (Alembic, without its files).

To look is cheap: Alembic is imported only where tables are made or changed. Everything runs in the transaction of the
connection that is given, so a change of the tables is there whole or not at all, on SQLite too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lorelint.edge.store.schema import METADATA
from lorelint.model.errors import LorelintError

FOLDER = Path(__file__).parent / "migrations"
NOTED = "alembic_version"  # the table in which Alembic keeps the revision


def known(folder: Path = FOLDER) -> tuple[str, ...]:
    """The revisions this version has, the oldest first."""
    return tuple(sorted(path.name[:4] for path in (folder / "versions").glob("[0-9][0-9][0-9][0-9]_*.py")))


def revision(connection: Connection) -> str:
    """What a store says of itself, "" for one without tables. Raises LorelintError where the tables are not ours."""
    tables = set(sa.inspect(connection).get_table_names())
    if NOTED not in tables:
        if tables:
            raise LorelintError(
                "holds other tables than a store's",
                where=connection.engine.url.render_as_string(hide_password=True),
                remedy="name a file or a database that is empty",
            )
        return ""
    noted = connection.scalar(sa.text(f"SELECT version_num FROM {NOTED}"))
    return str(noted or "")


def settled(connection: Connection, folder: Path = FOLDER) -> bool:
    """Whether the tables are those of this version; False where there are none yet.

    Raises LorelintError where they are of an older version, or of a newer one.
    """
    found, here = revision(connection), known(folder)
    if found in ("", here[-1]):
        return found != ""
    where = connection.engine.url.render_as_string(hide_password=True)
    if found in here:
        raise LorelintError(
            f"the store has the tables of an earlier version ({found}, not {here[-1]})",
            where=where,
            remedy="stop what runs on it, then: lorelint store upgrade",
        )
    raise LorelintError(
        f"the store was made by a newer lorelint (revision {found}, and this one knows {here[-1]})",
        where=where,
        remedy="use that one, or have it take the tables back: lorelint store downgrade",
    )


def upgrade(connection: Connection, to: str = "", folder: Path = FOLDER) -> str:
    """Bring the tables to a revision (the newest); the revision they were of."""
    return _walk(connection, to or known(folder)[-1], folder, up=True)


def downgrade(connection: Connection, to: str, folder: Path = FOLDER) -> str:
    """Take the tables back to an earlier revision; what only later ones hold is lost. "" takes them away."""
    return _walk(connection, to or "base", folder, up=False)


def differences(connection: Connection) -> Sequence[str]:
    """What sets the tables apart from those the code goes by; none where all is well."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    context = MigrationContext.configure(connection, opts={"compare_type": True})
    found = compare_metadata(context, METADATA)
    flat = [each for some in found for each in (some if isinstance(some, list) else [some])]
    return ["{} {}".format(each[0].replace("_", " "), getattr(each[1], "name", each[2:4])) for each in flat]


def _walk(connection: Connection, to: str, folder: Path, *, up: bool) -> str:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    before = revision(connection)
    if to not in (*known(folder), "base"):
        there = ", ".join(known(folder))
        raise LorelintError(f"there is no revision {to!a} of the tables", remedy=f"name one of these: {there}")
    if before and before not in known(folder):
        settled(connection, folder)
    scripts = ScriptDirectory(str(folder))

    def steps(now: Any, context: Any) -> Any:
        return scripts._upgrade_revs(to, now) if up else scripts._downgrade_revs(to, now)

    with EnvironmentContext(Config(), scripts, fn=steps, destination_rev=to) as run:
        run.configure(connection=connection, target_metadata=METADATA, transactional_ddl=True)
        run.run_migrations()
    return before
