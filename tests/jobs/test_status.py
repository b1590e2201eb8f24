"""How it stands: told of a real store; what is stale or failed is a problem."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lorelint.edge.store.database import Database
from lorelint.edge.store.upkeep import Upkeep
from lorelint.jobs.status import Bounds, status
from lorelint.model.feed import Arrival, Cursor, Nature
from lorelint.model.policy import Audience, ListPolicy, Policy
from lorelint.model.status import Status
from lorelint.model.store import CheckRow, Kept, Life, Note, SeriesRow
from lorelint.report.status import document, table

NOW = "2026-04-03T10:00:00Z"
BOUNDS = Bounds(stale=600)
POLICY = Policy(hourly_cap=7, lists=(ListPolicy("kvm", "kvm@example.org", 1, audience=Audience.AUTHOR, daily_cap=2),))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    Upkeep("", tmp_path).upgrade()
    opened = Database("", tmp_path)
    yield opened
    opened.close()


def take(store: Database, number: int, nature: Nature, at: str = NOW) -> None:
    kept = Kept(f"{number}@x", "", at, at, ("Ann", "ann@x"), f"mail {number}", nature, "because", "", raw=b"x")
    with store.begin() as session:
        session.mails.add(kept, Arrival(b"x", Cursor("kvm", 3, f"commit{number}"), at))


def ask(store: Database, policy: Policy = POLICY, wrong: str = "", now: str = NOW) -> Status:
    return status(store, ["kvm", "mm"], policy, wrong, BOUNDS, now)


def read(store: Database, *names: str, at: str = NOW) -> None:
    with store.begin() as session:
        for name in names:
            session.notes.say(Note(f"inbox:{name}", at, True, "2 messages came, 2 of them new"))
            session.notes.set(f"read:{name}", at)


def test_an_empty_store(store: Database) -> None:
    found = ask(store)
    assert found.problems == ("list kvm was never read to its end", "list mm was never read to its end")
    assert "none yet" in table(found)


def test_lists_are_told_with_what_came(store: Database) -> None:
    take(store, 1, Nature.PATCH)
    take(store, 2, Nature.REPLY)
    take(store, 3, Nature.REPLY)
    read(store, "kvm", "mm")
    found = ask(store, now="2026-04-03T10:05:00Z")
    kvm, mm = found.lists
    assert kvm.natures == (("reply", 2), ("patch", 1)) and kvm.lag == 300 and mm.natures == ()
    assert kvm.cursors == (Cursor("kvm", 3, "commit3"),)
    assert (kvm.audience, kvm.cap, mm.cap, found.hourly) == ("author", (0, 2), None, (0, 7))
    assert found.problems == ()
    text = table(found)
    assert "kvm  read to its end 5 minutes ago" in text and "in all: reply 2, patch 1" in text
    assert "audience author; 0 of 2 letters sent in 24 hours" in text


def test_what_is_stale_or_failed_is_a_problem(store: Database) -> None:
    read(store, "kvm", "mm", at="2026-04-03T08:00:00Z")
    with store.begin() as session:
        session.notes.say(Note("inbox:mm", NOW, False, "git cannot fetch it"))
        session.notes.say(Note("tree:next", NOW, False, "no answer"))
        session.notes.say(Note("send", NOW, False, "refused"))
    assert ask(store, wrong="policy.toml:3: unknown key").problems == (
        "list kvm was not read since 2026-04-03T08:00:00Z",
        "list mm was not read since 2026-04-03T08:00:00Z",
        "list mm: git cannot fetch it",
        "tree next: no answer",
        "send: refused",
        "policy.toml:3: unknown key",
    )


def test_a_series_that_waits_too_long(store: Database) -> None:
    read(store, "kvm", "mm")
    row = SeriesRow(
        0, "1@x", "1@x", 1, "x", ("Ann", "ann@x"), "1@x", 1, 1, Life.READY, "", "", "2026-04-01T10:00:00Z", ""
    )
    with store.begin() as session:
        session.series.put(row, ())
    found = ask(store)
    assert (found.due, found.series) == (1, (("ready", 1),))
    assert found.problems == ("a series waits to be reviewed since 2026-04-01T10:00:00Z",)


def test_mute_rules_and_text_of_strangers(store: Database) -> None:
    read(store, "kvm", "mm")
    with store.begin() as session:
        session.notes.say(Note("inbox:kvm", NOW, True, "came \x1b[31m\u202e"))
    text = table(ask(store))
    assert "\x1b" not in text and "\u202e" not in text


def test_for_programs(store: Database) -> None:
    take(store, 1, Nature.PATCH)
    read(store, "kvm", "mm")
    told = json.loads(json.dumps(document(ask(store))))
    assert told["healthy"] is True and told["lists"][0]["messages"] == {"patch": 1}
    assert told["lists"][0]["cursors"] == [{"epoch": 3, "commit": "commit1"}]


def test_checks_count_and_their_failures_are_problems(store: Database) -> None:
    site = "https://p.example"
    one = ListPolicy("kvm", "kvm@example.org", 1, audience=Audience.LIST, daily_cap=4, patchwork=site)
    with store.begin() as session:
        for name in ("a", "b"):
            session.checks.put(CheckRow(0, name, site, "lorelint", "warning", "x", at=NOW))
        first, second = session.checks.to_post()
        session.checks.posted(first.id, "warning", NOW)
        session.checks.posted(second.id, "", NOW, "answered with 503")
    found = ask(store, Policy(hourly_cap=5, lists=(one,)))
    assert found.hourly == (1, 5) and found.lists[0].cap == (1, 4)
    assert f"1 check could not be set in {site}: answered with 503" in found.problems
