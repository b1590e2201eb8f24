"""Messages: kept once, threads joined in whatever order they come, cursors moved with what they stand for."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorelint.edge.store.database import Database
from lorelint.model.errors import LorelintError
from lorelint.model.feed import Cursor, Nature
from lorelint.model.store import Kept


def add(store: Database, make: SimpleNamespace, *all_of_them: Kept) -> list[str]:
    with store.begin() as session:
        return [session.mails.add(each, make.arrival(each)) for each in all_of_them]


def test_a_message_comes_back_as_it_was(store: Database, make: SimpleNamespace) -> None:
    one = make.kept(
        "1@x", "0@x", "p@x", subject="Größe \U0001f427", nature=Nature.PATCH, why="1/2", raw=b"\x00\xff" * 999
    )
    add(store, make, one)
    with store.look() as session:
        got = session.mails.get("1@x")
        assert got is not None
        assert (got.raw, got.subject, got.nature, got.why) == (one.raw, one.subject, Nature.PATCH, "1/2")
        assert (got.references, got.parent, got.inboxes, got.root) == (("0@x", "p@x"), "p@x", ("kvm",), "1@x")
        assert session.mails.seen("1@x") and not session.mails.seen("0@x")
        assert session.mails.get("0@x") is None and session.mails.root_of("0@x") == ""


def test_twice_is_once_and_every_list_is_noted(store: Database, make: SimpleNamespace) -> None:
    one = make.kept("1@x", nature=Nature.PATCH)
    add(store, make, one, one)
    with store.begin() as session:
        other = make.kept("1@x", nature=Nature.ROBOT, raw=b"other bytes", at=5)
        assert session.mails.add(other, make.arrival(other, "linux-mm", 3, "abc")) == "1@x"
        got = session.mails.get("1@x")
        assert got is not None and got.raw == b"1@x" and got.inboxes == ("kvm", "linux-mm")
        assert session.mails.counts() == [("kvm", "patch", 1), ("linux-mm", "patch", 1)]
        assert session.mails.cursors("kvm") == (Cursor("kvm", 0, "commit-1@x"),)
        assert session.mails.cursors("linux-mm") == (Cursor("linux-mm", 3, "abc"),)


def test_a_transaction_that_fails_leaves_nothing(store: Database, make: SimpleNamespace) -> None:
    one = make.kept("1@x")
    with pytest.raises(ZeroDivisionError), store.begin() as session:
        session.mails.add(one, make.arrival(one))
        raise ZeroDivisionError
    with store.look() as session:
        assert not session.mails.seen("1@x") and session.mails.cursors("kvm") == ()


def test_who_looks_cannot_write(store: Database) -> None:
    with pytest.raises(LorelintError), store.look() as session:
        session.notes.set("a", "b")
    with store.begin() as session:
        session.notes.set("a", "b")


def test_who_looks_sees_one_state(store: Database) -> None:
    with store.look() as session:
        assert session.notes.get("a") == ""
        with store.begin() as other:
            other.notes.set("a", "b")
        assert session.notes.get("a") == ""
    with store.look() as session:
        assert session.notes.get("a") == "b"


def test_a_message_that_connects_two_threads_makes_them_one(store: Database, make: SimpleNamespace) -> None:
    roots = add(store, make, make.kept("a@x", at=1), make.kept("b@x", at=2), make.kept("c@x", "b@x", at=3))
    assert roots == ["a@x", "b@x", "b@x"]
    assert add(store, make, make.kept("d@x", "a@x", "b@x", at=4)) == ["a@x"]
    with store.look() as session:
        assert [each.msgid for each in session.mails.thread("a@x")] == ["a@x", "b@x", "c@x", "d@x"]
        assert [each.msgid for each in session.mails.thread("b@x", 2)] == ["a@x", "b@x"]
        assert session.mails.root_of("c@x") == "a@x"


def test_a_parent_that_comes_late_joins_what_spoke_of_it(store: Database, make: SimpleNamespace) -> None:
    """Answers to a mail that is not here are one thread already; it takes part in theirs when it comes."""
    roots = add(store, make, make.kept("1@x", "0@x", at=1), make.kept("2@x", "0@x", at=2), make.kept("0@x", at=3))
    assert roots == ["1@x", "1@x", "1@x"]


def test_series_follow_their_thread(store: Database, make: SimpleNamespace) -> None:
    add(store, make, make.kept("a@x", at=1), make.kept("b@x", at=2))
    with store.begin() as session:
        session.series.put(make.series("b@x"), [make.patch("b@x")])
        session.mails.join(["b@x", "a@x", "not here"])
        assert [row.first for row in session.series.of_root("a@x")] == ["b@x"]
        assert session.mails.join(["not here"]) == ""


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edges=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 14)), max_size=14),
    order=st.permutations(range(12)),
)
def test_threads_are_what_references_connect(
    store: Database, make: SimpleNamespace, edges: list[tuple[int, int]], order: list[int]
) -> None:
    """Whatever the order, and with messages 12 to 14 never coming: two share a root where references connect them."""
    salt = random.Random(str((edges, order))).random()
    names = [f"{number}-{salt}@x" for number in range(15)]
    with store.begin() as session:
        for at, number in enumerate(order):
            spoken = [names[other] for one, other in edges if one == number and other != number]
            each = make.kept(names[number], *spoken, at=at)
            session.mails.add(each, make.arrival(each))
        roots = {number: session.mails.root_of(names[number]) for number in range(12)}
    group = list(range(15))
    for one, other in edges:
        group = [group[one] if each == group[other] else each for each in group]
    for one in range(12):
        for other in range(12):
            assert (roots[one] == roots[other]) == (group[one] == group[other])


def test_what_is_to_be_done(store: Database, make: SimpleNamespace) -> None:
    add(store, make, make.kept("1@x", nature=Nature.ANSWER, at=2), make.kept("2@x", nature=Nature.ANSWER, at=1))
    with store.begin() as session:
        assert [each.msgid for each in session.mails.to_do(Nature.ANSWER)] == ["2@x", "1@x"]
        session.mails.done("2@x", "obeyed")
        assert [each.msgid for each in session.mails.to_do(Nature.ANSWER)] == ["1@x"]
        session.mails.renature("2@x", Nature.ROBOT, "a robot after all")
        got = session.mails.get("2@x")
        assert got is not None and (got.nature, got.why) == (Nature.ROBOT, "a robot after all")


def test_cursors_are_one_an_epoch(store: Database, make: SimpleNamespace) -> None:
    with store.begin() as session:
        for cursor in (Cursor("kvm", 1, "b"), Cursor("kvm", 0, "a"), Cursor("kvm", 1, "c"), Cursor("mm", 0, "z")):
            session.mails.move(cursor)
        assert session.mails.cursors("kvm") == (Cursor("kvm", 0, "a"), Cursor("kvm", 1, "c"))


def test_loose_messages_of_an_author(store: Database, make: SimpleNamespace) -> None:
    add(
        store, make, make.kept("1@x", at=10), make.kept("2@x", "1@x", at=11), make.kept("3@x", at=12, author="bob@x"),
        make.kept("4@x", at=13, author="ANN@example.org"), make.kept("5@x", at=99),
    )  # fmt: skip
    with store.look() as session:
        found = session.mails.loose("Ann@example.org", make.time(10), make.time(20))
        assert [(each.msgid, each.raw) for each in found] == [("1@x", b""), ("4@x", b"")]


DICE = random.Random(1)
LONG = "".join(chr(DICE.randrange(0x10000, 0x1FFFF)) for _ in range(20_000))
HOSTILE = ("\0", "a\0b", "\ud800", "\udcff\udcfe", "\u202e", LONG, "'; DROP TABLE messages; --", "%s %(a)s :b")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_kept_and_found_again(store: Database, make: SimpleNamespace, text: str) -> None:
    msgid = text[:200] + "@x"
    one = make.kept(msgid, text[:200], text[:200].replace("\0", "\\x00"), subject=text, author=text, why=text)
    add(store, make, one, one)
    with store.begin() as session:
        assert session.mails.seen(msgid) and session.mails.get(msgid) is not None
        session.notes.audit(make.time(1), text, text, text, text)
        assert session.notes.trail(text)
        number = session.series.put(make.series(msgid, version=10**30, expected=-5, subject=text), [make.patch(msgid)])
        row = session.series.get(number)
        assert row is not None and row.version == 2**31 - 1 and row.expected == 0
        assert session.series.of_patch(msgid) == row


def test_a_message_may_speak_of_thousands(store: Database, make: SimpleNamespace) -> None:
    first, last = make.kept("0@x", at=0), make.kept("2999@x", at=1)
    many = make.kept("m@x", *(f"{number}@x" for number in range(3000)), at=2)
    assert add(store, make, first, last, many) == ["0@x", "2999@x", "0@x"]
