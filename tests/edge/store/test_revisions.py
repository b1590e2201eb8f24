"""Tables are made and changed by revisions; a store of another version is refused, with what to do about it."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from lorelint.edge.store import revisions
from lorelint.edge.store.database import Database, engine_of, full_url, transaction
from lorelint.edge.store.schema import METADATA
from lorelint.model.errors import LorelintError

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = "{before}"


def upgrade():
    op.add_column("series", sa.Column("mood", sa.Text, nullable=False, server_default="calm"))
    {then}


def downgrade():
    op.drop_column("series", "mood")
"""


def newer(tmp_path: Path, then: str = "pass") -> Path:
    """The revisions of a version that is one ahead of this one."""
    folder = tmp_path / "migrations"
    shutil.copytree(revisions.FOLDER, folder)
    before = revisions.known()[-1]
    number = f"{int(before) + 1:04}"
    (folder / "versions" / f"{number}_mood.py").write_text(NEXT.format(number=number, before=before, then=then))
    return folder


def test_revisions_make_the_tables_of_the_code(store: Database, url_of: Callable[[str], str], tmp_path: Path) -> None:
    with store.transaction() as connection:
        assert revisions.differences(connection) == []
        migrated = defaults(connection)
    engine = engine_of(full_url(url_of(store.engine.dialect.name), tmp_path))
    with transaction(engine, writes=True) as connection:
        METADATA.create_all(connection)
        assert defaults(connection) == migrated
    engine.dispose()


def defaults(connection: sa.Connection) -> dict[tuple[str, str], Any]:
    """Column defaults, which Alembic compares only by halves."""
    look = sa.inspect(connection)
    tables = set(look.get_table_names()) - {revisions.NOTED}
    every = ((table, column) for table in tables for column in look.get_columns(table))
    return {(table, column["name"]): column["default"] for table, column in every if column["name"] != "id"}


def test_a_difference_would_be_seen(store: Database) -> None:
    with store.transaction(writes=True) as connection:
        connection.execute(sa.text("DROP INDEX ix_links_ref"))
        assert len(revisions.differences(connection)) == 1


def test_revisions_are_numbered_and_in_line() -> None:
    scripts = ScriptDirectory(str(revisions.FOLDER))
    in_line = [script.revision for script in scripts.walk_revisions()][::-1]
    assert in_line == [f"{number:04}" for number in range(1, len(in_line) + 1)] == list(revisions.known())


def test_up_and_down_again_keeps_what_is_there(store: Database, make: SimpleNamespace, tmp_path: Path) -> None:
    with store.begin() as session:
        number = session.series.put(make.series("1@x"), [])
        row = session.series.get(number)
    ahead = newer(tmp_path)
    here, there = revisions.known()[-1], revisions.known(ahead)[-1]
    with store.transaction(writes=True) as connection:
        with pytest.raises(LorelintError, match=r"earlier version .* lorelint store upgrade"):
            revisions.settled(connection, ahead)
        assert revisions.upgrade(connection, folder=ahead) == here
        assert revisions.settled(connection, ahead)
        assert connection.scalar(sa.text("SELECT mood FROM series")) == "calm"
    with pytest.raises(LorelintError, match=r"newer lorelint .* lorelint store downgrade"):
        Database(store.url, tmp_path)
    with store.transaction(writes=True) as connection:
        assert revisions.downgrade(connection, here, ahead) == there
    again = Database(store.url, tmp_path)
    with again.look() as session:
        assert session.series.get(number) == row
    again.close()


def test_a_change_that_fails_changes_nothing(store: Database, make: SimpleNamespace, tmp_path: Path) -> None:
    ahead = newer(tmp_path, "raise ZeroDivisionError")
    with pytest.raises(ZeroDivisionError), store.transaction(writes=True) as connection:
        revisions.upgrade(connection, folder=ahead)
    with store.transaction() as connection:
        assert revisions.settled(connection) and revisions.differences(connection) == []


def test_other_tables_are_left_alone(url: str, tmp_path: Path) -> None:
    engine = engine_of(full_url(url, tmp_path))
    with transaction(engine, writes=True) as connection:
        connection.execute(sa.text("CREATE TABLE others (a INTEGER)"))
    with pytest.raises(LorelintError, match="other tables"):
        Database(url, tmp_path)
    with transaction(engine) as connection:
        assert sa.inspect(connection).get_table_names() == ["others"]
    engine.dispose()


def test_down_to_nothing(store: Database) -> None:
    with store.transaction(writes=True) as connection:
        revisions.downgrade(connection, "")
        assert sa.inspect(connection).get_table_names() == [revisions.NOTED]
        assert not revisions.settled(connection)
        with pytest.raises(LorelintError, match="no revision '7777'"):
            revisions.upgrade(connection, "7777")


def count(url: str, folder: Path, barrier: Any) -> None:
    barrier.wait()
    store = Database(url, folder)
    for _ in range(20):
        with store.begin() as session:
            session.notes.set("n", str(int(session.notes.get("n") or 0) + 1))
    store.close()


def test_processes_that_start_at_once_take_turns(url: str, tmp_path: Path) -> None:
    """They make the tables once, and no step of one is lost on another."""
    spawn = multiprocessing.get_context("fork")
    barrier = spawn.Barrier(3)
    workers = [spawn.Process(target=count, args=(url, tmp_path, barrier)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    store = Database(url, tmp_path)
    with store.look() as session:
        assert session.notes.get("n") == "60"
    store.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://x/y", "no store is kept in 'mysql'"),
        ("/proc/nowhere/store.sqlite", "no store can be made"),
        ("postgresql://lorelint:secret@/store?host=/nowhere", "the store fails"),
    ],
)
def test_no_store_can_be_had(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(LorelintError, match=said) as failed:
        Database(url, tmp_path)
    assert failed.value.where and failed.value.remedy and "secret" not in str(failed.value)


def test_what_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(LorelintError, match="not a database"):
        Database("", tmp_path)


def test_the_file_is_for_its_owner(tmp_path: Path) -> None:
    store = Database("", tmp_path / "made" / "for it")
    with store.begin() as session:
        session.notes.set("a", "b")
        files = list((tmp_path / "made" / "for it").iterdir())
    assert files and all(file.stat().st_mode & 0o077 == 0 for file in files)
    store.close()
