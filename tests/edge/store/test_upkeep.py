"""Backup, restore and check, for real: of either kind of store into either."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from lorelint.cli import run
from lorelint.edge.store.database import Database
from lorelint.edge.store.schema import METADATA
from lorelint.edge.store.upkeep import Upkeep
from lorelint.model.errors import LorelintError
from lorelint.model.store import Letter, Life

KINDS = ("sqlite", "postgresql")


def fill(store: Database, make: SimpleNamespace, count: int = 30) -> None:
    """Something in every corner."""
    with store.begin() as session:
        for number in range(count):
            each = make.kept(
                f"{number}@x", *([f"{number - 1}@x"] if number % 9 else []), raw=bytes([number % 256]) * number
            )
            session.mails.add(each, make.arrival(each))
        for number in range(0, count, 9):
            row = session.series.put(make.series(f"{number}@x", life=Life.REVIEWED), [make.patch(f"{number}@x")])
            session.findings.add([make.finding(session.series.reviewed(make.review(row)), row)])
            session.outbox.add(make.letter(row, f"{number}@x", (Letter.HELD, Letter.SENT, Letter.RELEASED)[number % 3]))
        session.notes.audit(make.time(1), "bob", "looked", "0@x")
        session.notes.set("begun", make.time(1))


def contents(url: str, folder: Path) -> dict[str, list[Any]]:
    """Every row of every table."""
    store = Database(url, folder)
    with store.transaction() as connection:
        found = {
            table.name: [
                tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key.columns))
            ]
            for table in METADATA.sorted_tables
        }
    store.close()
    return found


@pytest.mark.parametrize("into", KINDS)
@pytest.mark.parametrize("out_of", KINDS)
def test_a_backup_brings_everything_back(
    out_of: str, into: str, url_of: Callable[[str], str], make: SimpleNamespace, tmp_path: Path
) -> None:
    source, target, path = url_of(out_of), url_of(into), tmp_path / "backup"
    store = Database(source, tmp_path)
    fill(store, make, 220)  # more rows than are copied at once
    with store.begin() as session:  # what is not committed is not in it, and nobody waits
        if out_of == "sqlite":
            session.notes.set("begun", "not yet")
        saved = Upkeep(source, tmp_path).backup(path)
        session.notes.set("begun", make.time(1))
    assert [file.name for file in tmp_path.glob("backup*")] == ["backup"]
    assert Upkeep(target, tmp_path).restore(path) == saved
    before, after = contents(source, tmp_path), contents(target, tmp_path)
    assert {name: rows for name, rows in before.items() if name != "letters"} == {
        name: rows for name, rows in after.items() if name != "letters"
    }
    assert sum(map(len, after.values())) == saved > 700
    assert Upkeep(target, tmp_path).check().faults == ()
    restored = Database(target, tmp_path)
    with restored.begin() as session:  # numbers go on behind those that came
        highest = max(row[0] for row in after["series"])
        assert session.series.put(make.series("new@x"), []) == highest + 1
    restored.close()
    store.close()


def test_what_was_about_to_be_sent_is_held(url: str, make: SimpleNamespace, tmp_path: Path) -> None:
    """It may have gone out after the backup was made; no mail is doubled by a restore."""
    store = Database(url, tmp_path)
    with store.begin() as session:
        row = session.series.put(make.series("1@x"), [])
        for state in Letter:
            session.outbox.add(make.letter(row, f"{state}@x", state))
    Upkeep(url, tmp_path).backup(tmp_path / "backup")
    Upkeep(str(tmp_path / "again.sqlite"), tmp_path).restore(tmp_path / "backup")
    again = Database(str(tmp_path / "again.sqlite"), tmp_path)
    with again.look() as session:
        letters = {letter.patch: letter for letter in session.outbox.of_series(row)}
    for state in Letter:
        open_one = state in (Letter.HELD, Letter.RELEASED, Letter.SENDING)
        assert letters[f"{state}@x"].state is (Letter.HELD if open_one else state)
        assert bool(letters[f"{state}@x"].why) == open_one
    store.close()
    again.close()


def test_a_restore_writes_over_nothing(url: str, make: SimpleNamespace, tmp_path: Path) -> None:
    store = Database(url, tmp_path)
    fill(store, make)
    keeper = Upkeep(url, tmp_path)
    keeper.backup(tmp_path / "backup")
    with pytest.raises(LorelintError, match="not empty"):
        keeper.restore(tmp_path / "backup")
    with pytest.raises(LorelintError, match="is there already"):
        keeper.backup(tmp_path / "backup")
    (tmp_path / "mail").write_bytes(b"From: somebody\n\n")
    with pytest.raises(LorelintError, match="is no backup"):
        keeper.restore(tmp_path / "mail")
    sqlite3.connect(tmp_path / "other").executescript("CREATE TABLE a (b);").close()
    with pytest.raises(LorelintError, match="other tables"):
        Upkeep(str(tmp_path / "new.sqlite"), tmp_path).restore(tmp_path / "other")
    store.close()


def test_a_backup_that_cannot_be_written(make: SimpleNamespace, tmp_path: Path) -> None:
    Database("", tmp_path).close()
    with pytest.raises(LorelintError):
        Upkeep("", tmp_path).backup(Path("/proc/nowhere/backup"))


def test_damage_is_found(store: Database, make: SimpleNamespace, tmp_path: Path) -> None:
    fill(store, make)
    assert Upkeep(store.url, tmp_path).check().faults == ()
    with store.transaction(writes=True) as connection:
        connection.execute(sa.text("DELETE FROM messages WHERE msgid = '9@x'"))
        connection.execute(sa.text("DROP INDEX ix_links_ref"))
    health = Upkeep(store.url, tmp_path).check()
    assert dict(health.rows)["messages"] == 29
    assert len(health.faults) == 4 and "patches without their message: 1" in health.faults


def test_a_broken_file_is_found(make: SimpleNamespace, tmp_path: Path) -> None:
    store = Database("", tmp_path)
    fill(store, make)
    store.close()
    path = tmp_path / "store.sqlite"
    sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20_000] = b"\xa5" * 20_000
    path.write_bytes(content)
    try:
        assert any(fault.startswith("database:") for fault in Upkeep("", tmp_path).check().faults)
    except LorelintError as error:
        assert "malformed" in str(error)


def test_commands(
    make: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert run(["store", "check"]) == 2 and "there is no store" in capsys.readouterr().err
    assert run(["store", "upgrade"]) == 0
    store = Database("", tmp_path / "data" / "lorelint")
    fill(store, make)
    assert run(["store", "backup", str(tmp_path / "backup"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.split("\n", 1)[1])["rows"] > 90
    assert run(["store", "check"]) == 0 and "30 messages" in capsys.readouterr().out
    with store.transaction(writes=True) as connection:
        connection.execute(sa.text("DELETE FROM messages WHERE msgid = '9@x'"))
    assert run(["store", "check", "--json"]) == 1 and json.loads(capsys.readouterr().out)["faults"]
    store.close()
    config = tmp_path / "other.toml"
    config.write_text(f'[store]\nurl = "{tmp_path}/other.sqlite"\n')
    assert run(["store", "restore", str(tmp_path / "backup"), "--config", str(config)]) == 0
    assert run(["store", "check", "--config", str(config)]) == 0
    assert run(["store", "downgrade", "0000"]) == 2
    assert run(["store", "downgrade", "0001"]) == 0
