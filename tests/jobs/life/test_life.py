"""Versions of a series find each other; what a newer one ends, what is silent and why, and what goes on."""

from __future__ import annotations

from typing import Any

import pytest

from lorelint.jobs import life
from lorelint.model.store import Letter, Life, ReviewRow, State


def due(house: Any, minute: float) -> list[str]:
    with house.store.look() as session:
        return [row.first for row in session.series.due(life.later("2026-03-01T00:00:00Z", minute / 60))]


def test_a_series_that_waits_is_due_after_a_day(house: Any, say: Any) -> None:
    house.all(say.posting("a", ["one", "two"])[:2])
    assert due(house, 24 * 60) == [] and due(house, 24 * 60 + 1) == ["a-0@x"]


@pytest.mark.parametrize("days", [630_000, 1_000_000, 999_999_999, float("inf")])
def test_what_is_so_many_days_away_is_no_time_that_is_near(days: float) -> None:
    """Mails that are kept for a million days are kept, and a series that may be as old is not too old."""
    now = "2026-03-01T00:00:00Z"
    before, after = life.later(now, -24 * days), life.later(now, 24 * days)
    assert before < "1000" and after > "3000"
    assert len(before) == len(after) == len(now)


# Versions


@pytest.mark.parametrize(
    "second",
    [
        {"topic": "VFIO:  Do it"},
        {"topic": "another name", "parent": "a-0@x"},
        {"topic": "another name", "words": ["one", "other"]},
        {"topic": "another name", "change_id": "20260301-vfio-1234"},
    ],
    ids=["subject", "thread", "patch", "change-id"],
)
def test_a_newer_version_ends_the_older_at_once(house: Any, say: Any, second: dict[str, Any]) -> None:
    change_id = second.get("change_id", "")
    house.all(say.posting("a", ["one", "two"], change_id=change_id)[::-1])
    old = house.series("a-0@x")
    for number, state in ((0, Letter.HELD), (1, Letter.RELEASED), (2, Letter.SENT)):
        house.write(old, f"a-{number}@x", state)
    house.all(say.posting("b", **({"words": ["three", "four"], "version": 2, "minute": 60} | second)))
    old, new = house.series("a-0@x"), house.series("b-0@x")
    assert (old.life, old.why, old.superseded_by) == (Life.SUPERSEDED, "v2 came", new.id)
    assert (new.life, new.key) == (Life.READY, old.key)
    assert [house.letter(f"a-{number}@x") for number in range(3)] == [Letter.CANCELLED, Letter.CANCELLED, Letter.SENT]
    assert [what for what, _ in house.trail()] == ["cancelled", "cancelled"]
    assert due(house, 9999) == ["b-0@x"]


def test_an_older_version_that_comes_late_is_over(house: Any, say: Any) -> None:
    house.all(say.posting("b", ["one", "two"], version=2))
    house.all(say.posting("a", ["one", "too"], minute=5))
    assert (house.series("a-0@x").life, house.series("b-0@x").life) == (Life.SUPERSEDED, Life.READY)


@pytest.mark.parametrize(
    "other",
    [
        {"author": "Bob <bob@example.org>", "version": 2},
        {"topic": "vfio: something else", "version": 2},
        {"topic": "another", "version": 2, "author": "Eve <eve@example.org>", "change_id": "20260301-vfio-1234"},
        {},  # the same words for another patch, with no word that it is the same series
    ],
    ids=["author", "subject", "change-id of another", "first version"],
)
def test_what_is_another_series_ends_nothing(house: Any, say: Any, other: dict[str, Any]) -> None:
    house.all(say.posting("a", ["one", "two"], change_id=other.get("change_id", "")))
    house.all(say.posting("b", ["three", "four"], minute=60, **other))
    assert (house.series("a-0@x").life, house.series("b-0@x").life) == (Life.READY, Life.READY)
    assert house.series("a-0@x").key != house.series("b-0@x").key


def test_a_backport_ends_nothing(house: Any, say: Any) -> None:
    house.all(say.posting("a", ["one"]))
    house.all(say.posting("b", ["one"], version=2, tag=" 6.6.y", minute=60))
    assert house.series("a-0@x").life is Life.READY


def test_a_series_that_is_sent_again_takes_the_place_of_the_first(house: Any, say: Any) -> None:
    house.all(say.posting("a", ["one", "two"]))
    house.all(say.posting("b", ["three", "four"], tag=" RESEND", minute=60))
    old, new = house.series("a-0@x"), house.series("b-0@x")
    assert (old.life, old.why, new.life) == (Life.SUPERSEDED, "it was sent again", Life.READY)


def test_two_lines_of_versions_become_one(house: Any, say: Any) -> None:
    """What connects them comes last: a third version of the second's name, with a patch of the first."""
    house.all(say.posting("a", ["one", "two"], topic="vfio: this"))
    house.all(say.posting("b", ["three"], version=2, topic="vfio: that", minute=60))
    assert house.series("a-0@x").key != house.series("b-0@x").key
    house.all(say.posting("c", ["three", "one"], version=3, topic="vfio: that", minute=90))
    assert len({row.key for row in house.every()}) == 1


# What needs no review


def quiet(house: Any, msgid: str, minute: float = 0, **more: Any) -> str:
    row = house.series(msgid)
    with house.store.begin() as session:
        return life.quiet(session, row, life.later("2026-03-01T00:00:00Z", minute / 60), **more)


def test_old_and_applied_series_are_silent(house: Any, say: Any) -> None:
    house.all(say.posting("a", ["one"]))
    assert quiet(house, "a-0@x") == ""
    assert quiet(house, "a-0@x", 7 * 24 * 60, max_age_days=7) == ""
    assert quiet(house, "a-0@x", 8 * 24 * 60, max_age_days=7) == "older than 7 days"
    house.write(house.series("a-0@x"), "a-1@x")
    with house.store.begin() as session:
        row = session.series.of_patch("a-0@x")
        assert row is not None
        life.mute(session, row, "applied already", say.at(1))
    assert house.series("a-0@x").life is Life.MUTED and house.letter("a-1@x") is Letter.CANCELLED


def test_a_patch_that_was_reviewed_is_marked(house: Any, say: Any) -> None:
    house.all(say.posting("a", ["one", "two"]))
    house.review(house.series("a-0@x"))
    house.all(say.posting("b", ["one", "too"], version=2, minute=60))
    assert quiet(house, "b-0@x") == ""
    assert [patch.same_as for patch in house.patches(house.series("b-0@x"))] == ["a-1@x", ""]


def test_a_patch_that_was_not_reviewed_is_not_marked(house: Any, say: Any) -> None:
    house.all(say.posting("a", ["one", "two"]))
    with house.store.begin() as session:
        row = house.series("a-0@x")
        done = ReviewRow(0, row.id, say.at(1), "0.1", "", "", "", (), 0.0, "out of memory")
        assert life.failed(session, row, done, pace=say.pace, now=say.at(1)) is Life.READY
    house.all(say.posting("b", ["one", "two"], version=2, minute=60))
    assert quiet(house, "b-0@x") == ""
    assert [patch.same_as for patch in house.patches(house.series("b-0@x"))] == ["", ""]


@pytest.mark.parametrize(
    ("state", "silent"), [(None, True), (Letter.SENT, True), (Letter.DROPPED, True), (Letter.HELD, False)]
)
def test_a_series_in_which_nothing_changed(house: Any, say: Any, state: Letter | None, silent: bool) -> None:
    """It is reviewed again only where what there was to say of it had no time to go out."""
    house.all(say.posting("a", ["one", "two"]))
    house.review(house.series("a-0@x"), ("a-1@x", "f"))
    if state:
        house.write(house.series("a-0@x"), "a-1@x", state)
    house.all(say.posting("b", ["one", "two"], version=2, minute=60))
    assert (quiet(house, "b-0@x") == "every patch is as it was reviewed before") is silent


# Reviews


def test_findings_go_on_from_version_to_version(house: Any, say: Any) -> None:
    house.all(say.posting("a", ["one", "two"]))
    house.review(house.series("a-0@x"), ("a-1@x", "f"), ("a-1@x", "g"), ("a-2@x", "h"))
    with house.store.begin() as session:
        first = {row.function: row for row in session.findings.of_series(house.series("a-0@x").id)}
        session.findings.change(first["f"].id, State.FALSE, who="bob@x", at=say.at(5), reason="held by the caller")
    house.all(say.posting("b", ["uno", "two"], version=2, minute=60))
    house.review(house.series("b-0@x"), ("b-1@x", "f"), ("b-2@x", "h"), ("b-2@x", "i"), minute=70)
    with house.store.look() as session:
        key = house.series("b-0@x").key
        rows = session.findings.of_key(key)
    told = {(row.function, row.patch): (row.state.value, row.who, row.since, row.fixed_in) for row in rows}
    assert told == {
        ("f", "a-1@x"): ("false-positive", "bob@x", 1, 0),
        ("g", "a-1@x"): ("fixed", "lorelint", 1, 2),
        ("h", "a-2@x"): ("new", "", 1, 0),
        ("f", "b-1@x"): ("false-positive", "bob@x", 1, 0),
        ("h", "b-2@x"): ("new", "", 1, 0),
        ("i", "b-2@x"): ("new", "", 2, 0),
    }


def test_a_second_review_of_a_version_keeps_what_was_decided(house: Any, say: Any) -> None:
    house.all(say.posting("a", ["one"]))
    row = house.series("a-0@x")
    house.review(row, ("a-1@x", "f"), ("a-1@x", "g"))
    with house.store.begin() as session:
        found = session.findings.of_series(row.id)[0]
        session.findings.change(found.id, State.WONTFIX, who="ann@x", at=say.at(5), reason="known")
    house.review(row, ("a-1@x", "f"))
    with house.store.look() as session:
        (again,) = session.findings.of_series(row.id)
        assert (again.state, again.reason, again.since) == (State.WONTFIX, "known", 1)
        assert [each.state for each in session.findings.of_key(row.key)] == [State.WONTFIX]


def test_a_series_that_was_superseded_while_it_was_reviewed_stays_that(house: Any, say: Any) -> None:
    house.all(say.posting("a", ["one"]))
    row = house.series("a-0@x")
    house.all(say.posting("b", ["two"], version=2, minute=60))
    house.review(row, ("a-1@x", "f"))
    assert house.series("a-0@x").life is Life.SUPERSEDED
    with house.store.look() as session:
        assert len(session.findings.of_series(row.id)) == 1


def test_a_review_that_fails_is_tried_again_later_and_not_for_ever(house: Any, say: Any) -> None:
    house.all(say.posting("a", ["one"]))

    def fail(minute: float) -> Life:
        row = house.series("a-0@x")
        done = ReviewRow(0, row.id, say.at(minute), "0.1", "", "", "", (), 0.0, "out of memory")
        with house.store.begin() as session:
            return life.failed(session, row, done, pace=say.pace, now=say.at(minute))

    assert fail(10) is Life.READY
    assert due(house, 69) == [] and due(house, 70) == ["a-0@x"]
    assert fail(70) is Life.FAILED
    assert due(house, 9999) == [] and house.series("a-0@x").why == "2 reviews failed: out of memory"
