"""Decisions about findings: every move from every state, what comes of it, and that it can be taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.jobs.listing import AT, NOW, Listing, fingerprint

from lorelint.jobs.answers import Weight
from lorelint.jobs.standing import records
from lorelint.jobs.triage import MOST, By, Move, decide, may, undo, waiting, wake
from lorelint.model.errors import LorelintError
from lorelint.model.feed import Arrival, Cursor
from lorelint.model.store import FindingRow, Letter, Life, State

ODILE = By("odile")
PAVEL = By("pavel", Weight.MAINTAINER)
LATER = "2026-02-03T12:00:00Z"
WEEK = "2026-02-09T12:00:00Z"


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    made = Listing(tmp_path)
    made.series("p1")
    made.found("p1", "retry-no-resched", "unbounded-retry")
    return made


def rows(listing: Listing, name: str = "p1") -> dict[str, FindingRow]:
    with listing.store.look() as session:
        return {row.rule: row for row in session.findings.of_series(listing.numbers[name])}


def do(listing: Listing, move: Move, *rules: str, by: By = ODILE, at: str = NOW, **more: str):
    ids = [row.id for rule, row in rows(listing).items() if rule in rules]
    more.setdefault("reason", "it was looked at")
    if move is Move.SNOOZE:
        more.setdefault("until", WEEK)
    with listing.store.begin() as session:
        return decide(session, ids, move, by, at, **more)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("move", list(Move))
def test_every_move_from_every_state(listing: Listing, state: State, move: Move) -> None:
    row = rows(listing)["unbounded-retry"]
    with listing.store.begin() as session:
        session.findings.change(row.id, state, who="before", at=AT, reason="so", until=WEEK)
    row = rows(listing)["unbounded-retry"]
    done = do(listing, move, "unbounded-retry")
    after = rows(listing)["unbounded-retry"]
    if not may(row, move):
        assert done.refused == ((row.id, f"it is {state}"),) and not done.batch and after == row
        return
    assert after.state is move.state and (after.who, after.changed_at) == ("odile", NOW)
    assert after.snoozed_until == (WEEK if move is Move.SNOOZE else "")
    with listing.store.begin() as session:
        undo(session, done.batch, PAVEL, LATER)
    assert rows(listing)["unbounded-retry"] == row


def test_what_may_be_done_where() -> None:
    """Spelt out, so that a change of the table is a change here too."""
    dismissals = {Move.FALSE, Move.WONTFIX, Move.NOT_OURS}
    expected = {
        State.NEW: {Move.CONFIRM, Move.SNOOZE, *dismissals},
        State.CONFIRMED: {Move.SNOOZE, Move.REOPEN, *dismissals},
        State.FALSE: {Move.CONFIRM, Move.REOPEN, Move.WONTFIX, Move.NOT_OURS},
        State.WONTFIX: {Move.CONFIRM, Move.REOPEN, Move.FALSE, Move.NOT_OURS},
        State.NOT_OURS: {Move.CONFIRM, Move.REOPEN, Move.FALSE, Move.WONTFIX},
        State.SNOOZED: {Move.CONFIRM, Move.REOPEN, *dismissals},
        State.SENT: dismissals,
        State.FIXED: set(),
        State.RAISED: {Move.CONFIRM, Move.REOPEN, *dismissals},
    }
    row = FindingRow(1, 1, 1, "p", "f", "r", "a.c", "f", 1, "", "", "new", "error", 1.0, "exact", True)
    for state, moves in expected.items():
        assert {move for move in Move if may(replace(row, state=state), move)} == moves, state


def test_a_dismissal_needs_a_reason_and_a_snooze_a_time(listing: Listing) -> None:
    for move in (Move.FALSE, Move.WONTFIX, Move.NOT_OURS):
        with pytest.raises(LorelintError, match="no reason"):
            do(listing, move, "unbounded-retry", reason=" \t ")
    for until in ("", AT, NOW):
        with pytest.raises(LorelintError, match="time is over"):
            do(listing, Move.SNOOZE, "unbounded-retry", until=until)
    with pytest.raises(LorelintError, match="too many"), listing.store.begin() as session:
        decide(session, range(MOST + 1), Move.CONFIRM, ODILE, NOW)
    assert {row.state for row in rows(listing).values()} == {State.NEW}


def test_verdicts_count_and_do_not_when_taken_back(listing: Listing) -> None:
    with listing.store.begin() as session:
        kept = session.mails.get("p1@author.example")
        session.mails.add(kept, Arrival(kept.raw, Cursor("other", 0, "x"), AT))
    done = do(listing, Move.FALSE, "unbounded-retry")
    do(listing, Move.CONFIRM, "retry-no-resched", by=PAVEL)
    with listing.store.look() as session:
        said = session.verdicts.of_series("key")
        ring = {record.rule: (record.right, record.wrong) for record in records(session, "ring")}
        assert [record.rule for record in records(session, "other")] == ["retry-no-resched", "unbounded-retry"]
    assert {(row.verdict, row.inbox, row.weight, row.proof) for row in said} == {
        (verdict, inbox, weight, "local")
        for verdict, weight in (("false-positive", "operator"), ("confirmed", "maintainer"))
        for inbox in ("ring", "other")
    }
    assert ring == {"unbounded-retry": (0.0, 2.0), "retry-no-resched": (2.0, 0.0)}
    with listing.store.begin() as session:
        undo(session, done.batch, PAVEL, LATER)
    with listing.store.look() as session:
        assert [record.rule for record in records(session, "ring")] == ["retry-no-resched"]
        assert {row.why for row in session.verdicts.of_series("key") if not row.obeyed} == {"taken back by pavel"}


def test_snooze_and_reopen_are_no_verdicts(listing: Listing) -> None:
    do(listing, Move.SNOOZE, "unbounded-retry")
    do(listing, Move.REOPEN, "unbounded-retry")
    with listing.store.look() as session:
        assert session.verdicts.of_series("key") == ()


def test_letters_follow(listing: Listing) -> None:
    """One that has nothing left to say is cancelled, one that names what was dismissed is held; undo holds both."""
    listing.letter("p1", Letter.RELEASED)

    def letter():
        with listing.store.look() as session:
            (row,) = session.outbox.of_series(listing.numbers["p1"])
            return row

    first = do(listing, Move.FALSE, "unbounded-retry")
    assert letter().state is Letter.HELD and "odile has answered a finding" in letter().why[0]
    second = do(listing, Move.WONTFIX, "retry-no-resched")
    assert letter().state is Letter.CANCELLED
    with listing.store.begin() as session:
        undo(session, second.batch, ODILE, LATER)
    assert letter().state is Letter.HELD and letter().why == ("a decision was taken back by odile",)
    do(listing, Move.NOT_OURS, "retry-no-resched")
    assert letter().state is Letter.CANCELLED
    do(listing, Move.CONFIRM, "retry-no-resched")
    assert letter().state is Letter.HELD
    assert first.batch and rows(listing)["unbounded-retry"].state is State.FALSE


@pytest.mark.parametrize("back", ["undo", "confirm"])
def test_no_letter_comes_back_to_a_version_that_is_superseded(listing: Listing, back: str) -> None:
    listing.letter("p1", Letter.HELD)
    done = do(listing, Move.FALSE, "unbounded-retry", "retry-no-resched")
    with listing.store.begin() as session:
        session.series.move(listing.numbers["p1"], Life.SUPERSEDED, "v2 came")
    if back == "confirm":
        do(listing, Move.CONFIRM, "unbounded-retry")
    else:
        with listing.store.begin() as session:
            undo(session, done.batch, ODILE, LATER)
    assert rows(listing)["unbounded-retry"].state is (State.CONFIRMED if back == "confirm" else State.NEW)
    with listing.store.look() as session:
        assert session.outbox.of_series(listing.numbers["p1"])[0].state is Letter.CANCELLED


def test_a_letter_that_ended_for_another_reason_stays_ended(listing: Listing) -> None:
    listing.letter("p1", Letter.CANCELLED)
    do(listing, Move.FALSE, "unbounded-retry", "retry-no-resched")
    do(listing, Move.CONFIRM, "unbounded-retry")
    with listing.store.look() as session:
        (row,) = session.outbox.of_series(listing.numbers["p1"])
    assert row.state is Letter.CANCELLED


def test_later_versions_take_part_and_come_back(listing: Listing) -> None:
    listing.series("p2", version=2)
    listing.found("p2", "unbounded-retry")
    done = do(listing, Move.FALSE, "unbounded-retry")
    assert rows(listing, "p2")["unbounded-retry"].state is State.FALSE
    assert len(done.done) == 2
    # A version that was reviewed after the decision has taken it over.
    listing.series("p3", version=3)
    (third,) = listing.found("p3", "unbounded-retry")
    with listing.store.begin() as session:
        session.findings.change(third.id, State.FALSE, who="odile", at=NOW, reason="it was looked at")
        undo(session, done.batch, ODILE, LATER)
    assert {rows(listing, name)["unbounded-retry"].state for name in ("p1", "p2", "p3")} == {State.NEW}


def test_what_was_decided_otherwise_since_stays(listing: Listing) -> None:
    done = do(listing, Move.FALSE, "unbounded-retry", "retry-no-resched")
    do(listing, Move.CONFIRM, "unbounded-retry", by=PAVEL, at=LATER)
    with listing.store.begin() as session:
        back = undo(session, done.batch, ODILE, LATER)
    assert [why for _, why in back.refused] == ["it is confirmed since, by pavel"]
    assert rows(listing)["unbounded-retry"].state is State.CONFIRMED
    assert rows(listing)["retry-no-resched"].state is State.NEW
    with pytest.raises(LorelintError, match="taken back already"), listing.store.begin() as session:
        undo(session, done.batch, ODILE, LATER)
    with pytest.raises(LorelintError, match="nothing to take back"), listing.store.begin() as session:
        undo(session, 999, ODILE, LATER)


def test_each_step_leaves_a_line_and_a_history(listing: Listing) -> None:
    row = rows(listing)["unbounded-retry"]
    done = do(listing, Move.FALSE, "unbounded-retry", reason="bounded \u202eelsewhere\n<b>")
    with listing.store.begin() as session:
        undo(session, done.batch, PAVEL, LATER)
        trail = session.notes.trail(f"finding:{row.id}")
        (step,) = session.steps.of_finding("key", fingerprint("unbounded-retry"))
    assert [(who, what) for _, who, what, _, _ in trail] == [
        ("pavel", "finding undone"),
        ("odile", "finding false-positive"),
    ]
    assert (step.who, step.at, step.move, step.reason) == (
        "odile", NOW, "false-positive", "bounded <U+202E>elsewhere <b>",
    )  # fmt: skip
    assert step.undone == f"pavel {LATER}" and step.was.state is State.NEW and step.became.state is State.FALSE


def test_what_was_put_off_wakes_when_its_time_has_come(listing: Listing) -> None:
    do(listing, Move.SNOOZE, "unbounded-retry", until=LATER)
    with listing.store.begin() as session:
        assert wake(session, "2026-02-03T11:59:59Z") == ()
    with listing.store.begin() as session:
        assert len(wake(session, LATER)) == 1
        assert wake(session, LATER) == ()
    row = rows(listing)["unbounded-retry"]
    assert row.state is State.NEW and row.reason == f"was put off until {LATER} by odile"


def test_its_letter_comes_back_with_it(listing: Listing) -> None:
    listing.letter("p1", Letter.RELEASED, "unbounded-retry")
    do(listing, Move.SNOOZE, "unbounded-retry", until=LATER)

    def letter() -> Any:
        with listing.store.look() as session:
            return session.outbox.of_series(listing.numbers["p1"])[0]

    assert letter().state is Letter.CANCELLED
    with listing.store.begin() as session:
        wake(session, LATER)
    assert letter().state is Letter.HELD and letter().why[0].startswith("unbounded-retry was put off until")


def test_confirming_one_finding_brings_no_letter_about_another(listing: Listing) -> None:
    listing.letter("p1", Letter.RELEASED, "unbounded-retry")
    do(listing, Move.FALSE, "unbounded-retry", reason="bounded by the hardware")
    do(listing, Move.CONFIRM, "retry-no-resched")
    with listing.store.look() as session:
        assert session.outbox.of_series(listing.numbers["p1"])[0].state is Letter.CANCELLED


def test_what_waits_in_series(listing: Listing) -> None:
    listing.series("other", key="other")
    listing.found("other", "gup-pin-leak")
    do(listing, Move.CONFIRM, "unbounded-retry")
    with listing.store.look() as session:
        ids = waiting(session, [listing.numbers["p1"], listing.numbers["other"], listing.numbers["p1"], 77])
        assert [session.findings.get(id).rule for id in ids] == ["retry-no-resched", "gup-pin-leak"]
