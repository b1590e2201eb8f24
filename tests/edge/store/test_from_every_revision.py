"""A store of any revision, with something in every table it has, comes to the newest with all of it; and goes back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from tests.edge.store.test_upkeep import fill

from lorelint.edge.store import revisions
from lorelint.edge.store.database import Database
from lorelint.edge.store.upkeep import Upkeep
from lorelint.model.errors import LorelintError
from lorelint.model.queue import Filter
from lorelint.model.store import State, VerdictRow

OLDER = revisions.known()[:-1]


def held(url: str, folder: Path) -> dict[str, set[tuple[Any, ...]]]:
    """Every row of every table, as the tables are now: by table, (column, value) pairs."""
    upkeep = Upkeep(url, folder)
    found = {}
    with upkeep._open() as engine, engine.connect() as connection:
        tables = sa.MetaData()
        tables.reflect(connection)
        for table in tables.sorted_tables:
            if table.name != revisions.NOTED:
                rows = connection.execute(sa.select(table)).mappings()
                found[table.name] = {tuple(sorted((key, repr(value)) for key, value in row.items())) for row in rows}
    return found


def within(rows: set[tuple[Any, ...]], columns: set[str]) -> set[tuple[Any, ...]]:
    return {tuple(each for each in row if each[0] in columns) for row in rows}


def filled(url: str, folder: Path, make: SimpleNamespace) -> list[Any]:
    """Something in every table that a person or the bot fills; the queue as it stands then."""
    store = Database(url, folder)
    fill(store, make, 30)
    with store.begin() as session:
        verdict = VerdictRow(
            0, "mute", "bad-call", "", "", "kvm", "ann@example.org", "maintainer", "dkim", "noisy", "m@x", make.time(2)
        )
        session.verdicts.add(verdict)
        session.verdicts.opt_out("bob@example.org", make.time(3))
        session.findings.change(1, State.CONFIRMED, who="ann", at=make.time(4), reason="so it is")
    with store.look() as session:
        seen = [session.queue.page(Filter()), session.queue.counts("rule"), session.verdicts.muted("kvm")]
    store.close()
    return seen


def test_there_is_more_than_one() -> None:
    assert OLDER and OLDER[0] == "0001"


@pytest.mark.parametrize("revision", OLDER)
def test_up_from_there_and_back(revision: str, url: str, make: SimpleNamespace, tmp_path: Path) -> None:
    seen = filled(url, tmp_path, make)
    upkeep = Upkeep(url, tmp_path)
    assert upkeep.downgrade(revision) == (revisions.known()[-1], revision)
    before = held(url, tmp_path)
    assert {"messages", "series", "reviews", "findings", "letters", "verdicts"} <= {
        name for name, rows in before.items() if rows
    }
    with pytest.raises(LorelintError, match="lorelint store upgrade"):
        Database(url, tmp_path)
    assert upkeep.upgrade() == (revision, revisions.known()[-1])
    after = held(url, tmp_path)
    for name, rows in before.items():
        columns = {each[0] for row in rows for each in row}
        assert within(after[name], columns) == rows, name
    assert upkeep.check().faults == ()
    store = Database(url, tmp_path)
    with store.look() as session:
        assert [session.queue.page(Filter()), session.queue.counts("rule"), session.verdicts.muted("kvm")] == seen
        assert "bob@example.org" in session.verdicts.opted_out()
        series = {entry.series for entry in session.queue.page(Filter(), most=200).entries}
        assert session.queue.count(Filter()) == len(series) > 0
    store.close()
    upkeep.downgrade(revision)
    assert held(url, tmp_path) == before


@pytest.mark.parametrize("revision", OLDER)
def test_a_backup_of_then_is_restored_now(revision: str, url: str, make: SimpleNamespace, tmp_path: Path) -> None:
    filled(url, tmp_path, make)
    upkeep = Upkeep(url, tmp_path)
    upkeep.downgrade(revision)
    count = upkeep.backup(tmp_path / "then")
    fresh = Upkeep(str(tmp_path / "fresh.sqlite"), tmp_path)
    assert fresh.restore(tmp_path / "then") == count > 50
    health = fresh.check()
    assert (health.revision, health.faults) == (revisions.known()[-1], ())
