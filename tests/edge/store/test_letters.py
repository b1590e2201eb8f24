"""Letters and checks, in both kinds of store."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lorelint.edge.store.database import Database
from lorelint.model.store import LOST, CheckRow, Letter, LetterRow, Life, PatchRow, SeriesRow

AT, LATER = "2026-11-02T09:00:00Z", "2026-11-03T09:00:00Z"
ROW = LetterRow(
    id=0,
    patch="1@example.org",
    series=1,
    msgid="lorelint-1@bot.example.org",
    state=Letter.HELD,
    why=("the base is worse", "a person perhaps said it"),
    subject="Re: größer",
    body="> quoted\n\ntext ü\n-- \nlorelint\n",
    to=(("Ída", "ida@example.org"),),
    cc=(("", "ring@lists.example.org"), ('A "B" C', "abc@example.org")),
    references=("0@example.org",),
    inboxes=("ring", "kernel"),
    automatic=True,
    not_before=LATER,
    ruleset="lorelint 0.1.0",
    fingerprints=("f1", "f2"),
    rules=("r1", "r2"),
    created_at=AT,
)


@pytest.fixture
def letters(store: Database) -> Database:
    with store.begin() as session:
        series = SeriesRow(0, "r", "k", 1, "s", ("", "a@b"), "1@example.org", 1, 1, Life.REVIEWED, "", AT, AT, "")
        id = session.series.put(series, [PatchRow("1@example.org", 0, 1, "s", "")])
        assert session.outbox.add(replace(ROW, series=id))
    return store


def test_what_is_kept_comes_back(letters: Database) -> None:
    with letters.look() as session:
        row = session.outbox.of_patch(ROW.patch)
        assert row is not None and replace(row, id=0, series=1) == ROW
        assert session.outbox.of_msgid(ROW.msgid) == session.outbox.get(row.id) == row
        assert session.outbox.of_series(row.series) == session.outbox.waiting() == (row,)
        assert session.outbox.get(row.id + 1) is None and session.outbox.of_patch("x") is None


def test_a_patch_has_one_letter_whatever_else_is_different(letters: Database) -> None:
    with letters.begin() as session:
        (row,) = session.outbox.waiting()
        assert not session.outbox.add(replace(row, msgid="other@bot.example.org", ruleset="2"))
        assert not session.outbox.add(replace(row, patch="other@example.org"))  # our Message-ID is taken
        assert session.outbox.waiting() == (row,)


def test_one_that_ended_before_it_was_handed_over_gives_way(letters: Database) -> None:
    with letters.begin() as session:
        (row,) = session.outbox.waiting()
        assert session.outbox.change(row.id, Letter.CANCELLED, was=Letter.HELD, at=AT)
        again = replace(row, body="> other\n", fingerprints=("f3",), created_at=LATER)
        assert session.outbox.add(again)
        assert session.outbox.of_patch(row.patch) == again
        session.outbox.change(row.id, Letter.RELEASED, was=Letter.HELD, at=AT)
        session.outbox.change(row.id, Letter.SENDING, was=Letter.RELEASED, at=AT)
        session.outbox.change(row.id, Letter.CANCELLED, was=Letter.SENDING, at=AT)
        assert not session.outbox.add(again)  # a mail server may have had it


def test_what_may_have_gone_out_counts(letters: Database) -> None:
    with letters.begin() as session:
        (row,) = session.outbox.waiting()
        session.outbox.change(row.id, Letter.RELEASED, was=Letter.HELD, at=AT)
        session.outbox.change(row.id, Letter.SENDING, was=Letter.RELEASED, at=AT)
        assert session.outbox.sent_since(AT) == session.outbox.sent_since(AT, "ring") == 1
        session.outbox.change(row.id, Letter.HELD, was=Letter.SENDING, at=AT, why=(LOST, "and more"))
        assert session.outbox.sent_since(AT) == 1
        session.outbox.change(row.id, Letter.RELEASED, was=Letter.HELD, at=LATER)
        assert session.outbox.sent_since(AT) == 0  # a person has looked


def test_the_life_of_a_letter(letters: Database) -> None:
    with letters.begin() as session:
        box = session.outbox
        (row,) = box.waiting()
        assert not box.change(row.id, Letter.SENDING, was=Letter.RELEASED, at=AT)
        assert box.change(row.id, Letter.RELEASED, was=Letter.HELD, at=AT, who="me")
        assert not box.change(row.id, Letter.RELEASED, was=Letter.HELD, at=AT, who="you")
        assert box.edit(row.id, "other") and box.sent_since(AT) == 0
        assert box.change(row.id, Letter.SENDING, was=Letter.RELEASED, at=LATER)
        assert not box.edit(row.id, "third")
        assert box.sent_since(LATER) == box.sent_since(AT, "kernel") == 1 and box.sent_since(AT, "kern") == 0
        box.failed(row.id, "451 later")
        box.failed(row.id, "a second time")  # it is not being sent: nothing changes
        now = box.get(row.id)
        assert now is not None
        assert (now.state, now.error, now.attempts, now.body) == (Letter.RELEASED, "451 later", 1, "other")
        assert (now.released_by, now.released_at, now.why) == ("me", AT, ())
        box.change(row.id, Letter.SENDING, was=Letter.RELEASED, at=LATER)
        box.change(row.id, Letter.SENT, was=Letter.SENDING, at=LATER, why=("one was refused",))
        done = box.get(row.id)
        assert done is not None
        assert (done.state, done.sent_at, done.error, done.attempts) == (Letter.SENT, LATER, "", 2)
        assert done.why == ("one was refused",)
        assert box.waiting() == () and box.waiting(Letter.SENT) == (done,) and box.counts() == [("sent", 1)]


def test_checks(store: Database) -> None:
    row = CheckRow(0, "1@example.org", "https://p.example", "lorelint", "warning", "a text", at=AT)
    with store.begin() as session:
        session.checks.put(row)
        session.checks.put(replace(row, patch="2@example.org", at=LATER))
        session.checks.put(replace(row, state="fail", description="another"))
        first, second = session.checks.to_post()
        assert (first.state, first.description, second.patch) == ("fail", "another", "2@example.org")
        session.checks.posted(first.id, "", "2026-11-04T00:00:00Z", "503")
        assert [each.patch for each in session.checks.to_post()] == ["2@example.org", "1@example.org"]
        session.checks.posted(first.id, "fail", "2026-11-05T00:00:00Z")
        assert [each.patch for each in session.checks.to_post()] == ["2@example.org"]
        assert session.checks.of_patch("1@example.org")[0].error == ""
        session.checks.put(row)  # a later review says otherwise: it is posted again
        assert len(session.checks.to_post()) == 2
        told = session.checks.told_since
        assert told("2026-11-05T00:00:00Z") == told(AT, row.url) == 1 and told("2026-11-05T00:00:01Z") == 0
        assert told(AT, "https://other.example") == 0
        for each in session.checks.to_post():
            session.checks.withdraw(each.id)  # only what nobody has seen
        (left,) = session.checks.to_post()
        assert left.patch == "1@example.org"
        session.checks.posted(left.id, "warning", LATER)
        session.checks.put(replace(row, description="the same, in other words"))
        assert [each.said for each in session.checks.to_post()] == ["a text"]
