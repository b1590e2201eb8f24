"""A message of an archive is in the store once, with its thread, its series and the cursor, or not at all."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from lorelint.edge.store.database import Database
from lorelint.jobs import intake, life
from lorelint.model.errors import LorelintError
from lorelint.model.feed import Arrival, Cursor, Nature
from lorelint.model.store import Letter, Life


def test_a_series_comes_patch_by_patch(any_house: Any, say: Any) -> None:
    house = any_house
    cover, one, two = say.posting("a", ["one", "two"])
    house.take(cover)
    assert house.every() == ()
    house.take(one)
    row = house.series("a-0@x")
    assert (row.life, row.have, row.expected, row.why) == (Life.WAITING, 1, 2, "1 of 2 patches are missing")
    assert (row.first, row.due_at, row.key) == ("a-0@x", say.at(1 + 24 * 60), "a-0@x")
    house.take(two)
    assert house.every() == (house.series("a-1@x"),)
    row = house.series("a-2@x")
    assert (row.life, row.have, row.due_at, row.first_at, row.last_at) == (Life.READY, 2, "", say.at(0), say.at(2))
    assert [(each.seq, each.msgid, len(each.patch_id)) for each in house.patches(row)] == [
        (1, "a-1@x", 40),
        (2, "a-2@x", 40),
    ]
    with house.store.look() as session:
        assert session.mails.cursors("kvm") == (Cursor("kvm", 0, f"{3:040}"),)
        assert session.series.due(say.at(2)) == (row,)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=lambda order: "".join(map(str, order)))
def test_in_whatever_order_it_comes_it_is_one_series(house: Any, say: Any, order: tuple[int, ...]) -> None:
    posts = say.posting("a", ["one", "two", "three"])
    for minute, number in enumerate(order):
        house.take(posts[number], minute)
    (row,) = house.every()
    assert (row.first, row.life, row.have, row.first_at, row.last_at) == ("a-0@x", Life.READY, 3, say.at(0), say.at(3))
    assert len(house.patches(row)) == 3


def test_it_may_come_without_a_cover_letter_or_references(house: Any, say: Any) -> None:
    for number, word in enumerate(("one", "two", "three"), 1):
        house.take(say.patch(f"a-{number}@x", f"[PATCH {number}/3] vfio: add {word}", word, minute=number))
    house.take(say.patch("b@x", "[PATCH 1/2] vfio: another", "b", minute=3, author="Bob <bob@example.org>"))
    (row,) = (each for each in house.every() if each.author[1] == "ann@example.org")
    assert (row.life, row.have, row.first) == (Life.READY, 3, "a-1@x")
    with house.store.look() as session:
        assert {session.mails.root_of(f"a-{number}@x") for number in (1, 2, 3)} == {"a-1@x"}
        assert session.mails.root_of("b@x") == "b@x"


def test_twice_is_once_by_whatever_list_it_comes(house: Any, say: Any) -> None:
    posts = say.posting("a", ["one"])
    house.all(posts)
    before = house.every()
    for post in posts:
        again = say.replace(post, headers="List-Id: <mm.example.org>\n", body=post.body + "\n_____\nmm mailing list\n")
        assert not house.take(again, inbox="mm").fresh
        assert not house.take(post).fresh
    assert house.every() == before and house.trail() == []
    with house.store.look() as session:
        kept = session.mails.get("a-1@x")
        assert kept is not None and kept.inboxes == ("kvm", "mm") and kept.raw == posts[1].raw


def test_a_list_that_it_comes_over_late_holds_its_letter(house: Any, say: Any) -> None:
    posts = say.posting("a", ["one"])
    post = posts[1]
    house.all(posts)
    house.write(house.series("a-0@x"), post.msgid, Letter.RELEASED)
    house.take(post)
    assert house.letter(post.msgid) is Letter.RELEASED
    house.take(post, inbox="mm")
    assert house.letter(post.msgid) is Letter.HELD
    with house.store.look() as session:
        assert any("came over mm too" in details for *_, details in session.notes.trail(f"re-{post.msgid}"))


def test_another_mail_with_the_same_message_id_is_noted(house: Any, say: Any) -> None:
    post = say.patch("a@x", "[PATCH] vfio: add one", "one")
    house.take(post)
    for other in (say.patch("a@x", "[PATCH] vfio: add one", "two"), say.replace(post, author="Eve <eve@example.org>")):
        taken = house.take(other, inbox="mm")
        assert not taken.fresh and taken.nature is Nature.PATCH
    assert house.trail() == [("conflict", "a@x")] * 2
    with house.store.look() as session:
        kept = session.mails.get("a@x")
        assert kept is not None and kept.raw == post.raw


def test_answers_change_no_series(house: Any, say: Any) -> None:
    house.all(say.posting("a", ["one"]))
    before = house.every()
    reply = say.Post("r@x", "Re: [PATCH 1/1] vfio: add one", "> int one;\nWhy?\n", "a-1@x", ("a-0@x", "a-1@x"), 9)
    house.take(reply)
    assert house.every() == before
    with house.store.look() as session:
        assert [each.msgid for each in session.mails.thread("a-0@x")] == ["a-0@x", "a-1@x", "r@x"]


@pytest.mark.parametrize(
    ("mark", "nature"),
    [("PATCH qemu", Nature.FOREIGN), ("PATCH 6.6.y", Nature.BACKPORT), ("PATCH AUTOSEL 6.6", Nature.STABLE)],
)
def test_what_is_not_for_us_is_kept_and_makes_no_series(house: Any, say: Any, mark: str, nature: Nature) -> None:
    assert house.take(say.patch("a@x", f"[{mark}] vfio: add one", "one")).nature is nature
    assert house.every() == ()


def test_a_cover_letter_says_what_its_patches_do_not(house: Any, say: Any) -> None:
    """Patches that look like ours, whose cover letter, which comes last, says that they are for another kernel."""
    cover, one = say.posting("a", ["one"])
    house.take(one)
    assert house.series("a-1@x").life is Life.READY
    house.take(say.replace(cover, subject="[PATCH 6.6.y 0/1] vfio: do it"))
    row = house.series("a-1@x")
    assert row.life is Life.MUTED and row.why.startswith("backport: ")


# What cannot be read


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n\n",
        b"\0" * 1000,
        b"From: a@x\nMessage-ID: <" + b"\xc3\xa9" * 480 + b"@x>\nSubject: long\n\nwords\n",
        b"no mail at all",
        b"x" * ((16 << 20) + 1),
    ],
    ids=range(6),
)
def test_what_cannot_be_read_is_kept_as_broken(any_house: Any, say: Any, raw: bytes) -> None:
    taken = any_house.take(raw)
    assert taken.nature is Nature.BROKEN and taken.fresh and taken.why
    assert not any_house.take(raw).fresh
    with any_house.store.look() as session:
        kept = session.mails.get(taken.msgid)
        assert kept is not None and raw.startswith(kept.raw)
        assert session.mails.cursors("kvm") == (Cursor("kvm", 0, f"{2:040}"),)


def test_a_version_is_believed_up_to_a_point(house: Any, say: Any) -> None:
    for number, mark in enumerate(("v99999999999999999999 1/2", "1/999999999", "v" + "9" * 5000)):
        house.take(say.patch(f"{number}@x", f"[PATCH {mark}] vfio: add {number}", f"w{number}"))
    row = house.series("0@x")
    assert (row.version, row.expected) == (intake.MAX_NUMBER, 2) and house.series("1@x").version == 1
    house.take(say.Post("c@x", "[PATCH v99999999999999999999 0/2] it", minute=1))
    assert house.series("0@x").id == row.id and house.series("0@x").first == "c@x" and len(house.every()) == 2


def test_references_that_are_too_long_are_left_out(any_house: Any, say: Any) -> None:
    long = "é" * 600 + "@x"
    any_house.take(say.Post("a@x", "Re: x", parent=long, references=("r@x", long)))
    with any_house.store.look() as session:
        kept = session.mails.get("a@x")
        assert kept is not None and (kept.parent, kept.references) == ("", ("r@x",))


def test_a_reader_that_raises_stops_nobody(house: Any, say: Any) -> None:
    def raises(*_: object) -> Any:
        raise RecursionError

    good = house.reader
    house.reader = intake.Reader(raises, good.threads)
    taken = house.take(say.posting("a", ["one"])[1])
    assert (taken.nature, taken.why) == (Nature.BROKEN, "cannot be read: RecursionError")
    house.reader = intake.Reader(good.read, raises)
    taken = house.take(say.posting("b", ["one"])[1])
    assert taken.nature is Nature.PATCH and house.every() == () and house.trail() == [("broken", "b-1@x")]
    house.reader = good
    house.take(say.posting("b", ["one"])[0])
    assert house.series("b-1@x").life is Life.READY


def test_what_no_transaction_takes_is_told_apart(any_house: Any, say: Any) -> None:
    """A bug of ours costs one message; of what was begun for it nothing is left."""
    house, good = any_house, any_house.reader

    def spoilt(raw: bytes) -> Any:
        message, nature, why = good.read(raw)
        return say.replace(message, date=None), nature, why

    house.reader = intake.Reader(spoilt, good.threads)
    taken = house.take(say.posting("a", ["one"])[1])
    assert taken.nature is Nature.BROKEN and house.trail() == [("broken", taken.msgid)]
    with house.store.look() as session:
        assert session.mails.counts() == [("kvm", "broken", 1)] and not session.mails.seen("a-1@x")
        assert session.mails.cursors("kvm") == (Cursor("kvm", 0, f"{1:040}"),)


def test_a_series_that_no_transaction_takes_is_told_of(any_house: Any, say: Any) -> None:
    """The message is kept, and the others have their turn."""
    house, good = any_house, any_house.reader

    def spoilt(raws: Any) -> Any:
        return [say.replace(each, series=(say.replace(each.series[0], version=None),)) for each in good.threads(raws)]

    house.reader = intake.Reader(good.read, spoilt)
    assert house.take(say.posting("a", ["one"])[1]).nature is Nature.PATCH
    assert house.every() == () and house.trail() == [("broken", "a-1@x")]
    house.reader = good
    house.take(say.patch("b@x", "[PATCH] vfio: another", "b", minute=3))
    assert [row.first for row in house.every()] == ["b@x"]


def test_a_thread_is_read_once_for_all_that_came(house: Any, say: Any) -> None:
    """And what was taken in before the process ended is put together by the next."""
    read = []

    def counted(raws: Any) -> Any:
        read.append(len(raws))
        return good.threads(raws)

    good = house.reader
    posts = say.posting("a", [f"w{number}" for number in range(40)])
    for post in posts:
        house.take(post, together=False)
    assert house.every() == ()
    later = intake.Reader(good.read, counted)
    assert intake.assemble(house.store, later, now=say.at(60), pace=say.pace) == 41
    assert intake.assemble(house.store, later, now=say.at(60), pace=say.pace) == 0
    assert read == [41]
    (row,) = house.every()
    assert (row.life, row.have, row.last_at) == (Life.READY, 40, say.at(40))


def test_a_series_behind_very_much_talk_is_not_lost(house: Any, say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may answer to a thread until it is as long as he likes."""
    monkeypatch.setattr(intake, "MAX_MAILS", 4)
    house.take(say.Post("t@x", "hello", "Words.\n"))
    for number in range(5):
        house.take(say.Post(f"t{number}@x", "Re: hello", "More words.\n", "t@x", ("t@x",), minute=1 + number))
    house.all(say.posting("a", ["one", "two"], parent="t@x", minute=9))
    assert [(row.have, row.life) for row in house.every()] == [(2, Life.READY)]


def test_a_thread_that_is_too_long_to_be_read_at_once(house: Any, say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its length each of its series is found."""
    monkeypatch.setattr(intake, "MAX_THREAD", 8)
    posts = [
        post
        for version in range(1, 7)
        for post in say.posting(
            f"v{version}", ["one", "two"], version=version, parent="v1-0@x" if version > 1 else "", minute=version * 10
        )
    ]
    for post in posts:
        house.take(post, together=False)
    while intake.assemble(house.store, house.reader, now=say.at(90), pace=say.pace):
        pass
    rows = sorted(house.every(), key=lambda row: row.version)
    assert [(row.first, row.have) for row in rows] == [(f"v{version}-0@x", 2) for version in range(1, 7)]
    assert [row.life for row in rows] == [Life.SUPERSEDED] * 5 + [Life.READY]


def test_a_store_that_fails_moves_no_cursor(house: Any, say: Any) -> None:
    house.take(say.posting("a", ["one"])[0])
    with house.store.transaction(writes=True) as connection:
        connection.exec_driver_sql("ALTER TABLE links RENAME TO gone")
    with pytest.raises(LorelintError, match="the store fails"):
        house.take(say.posting("a", ["one"])[1])
    with house.store.transaction(writes=True) as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO links")
    with house.store.look() as session:
        assert not session.mails.seen("a-1@x") and session.mails.cursors("kvm") == (Cursor("kvm", 0, f"{1:040}"),)
    house.take(say.posting("a", ["one"])[1])
    assert house.series("a-1@x").life is Life.READY


def test_what_an_archive_removes_is_not_reviewed(house: Any, say: Any) -> None:
    house.all(say.posting("a", ["one", "two"]))
    removed = Arrival(b"", Cursor("kvm", 0, "after"), say.at(9), gone=True, msgid="a-1@x")
    intake.take(house.store, removed, house.reader, now=say.at(9))
    row = house.series("a-1@x")
    assert row.life is Life.MUTED and "removed" in row.why
    never = Arrival(b"", Cursor("kvm", 0, "later"), say.at(9), gone=True, msgid="never@x")
    intake.take(house.store, never, house.reader, now=say.at(9))
    with house.store.look() as session:
        assert session.mails.cursors("kvm") == (Cursor("kvm", 0, "later"),)
        kept = session.mails.get("a-1@x")
        assert kept is not None and kept.nature is Nature.BROKEN


def test_late_patches_of_a_reviewed_series(house: Any, say: Any) -> None:
    cover, one, two = say.posting("a", ["one", "two"])
    house.all([cover, one])
    house.review(house.series("a-0@x"))
    assert house.series("a-0@x").life is Life.REVIEWED
    house.take(two)
    row = house.series("a-0@x")
    assert (row.life, row.why) == (Life.READY, "the patches that were missing came")


def test_a_partial_reroll_takes_its_patches_along(house: Any, say: Any) -> None:
    """[PATCH v2 2/3] in answer to 2/3: the second version has the first and the third patch of the first."""
    house.all(say.posting("a", ["one", "two", "three"]))
    house.review(house.series("a-0@x"))
    old = house.series("a-0@x")
    for number in (1, 2):
        house.write(old, f"a-{number}@x")
    house.take(
        say.patch("b@x", "[PATCH v2 2/3] vfio: add two", "too", parent="a-2@x", references=("a-0@x", "a-2@x"), minute=9)
    )
    new = house.series("b@x")
    assert (new.version, new.life, new.have, new.first) == (2, Life.READY, 3, "b@x")
    assert [each.msgid for each in house.patches(new)] == ["a-1@x", "b@x", "a-3@x"]
    old = house.series("a-0@x")
    assert (old.version, old.life, old.superseded_by) == (1, Life.SUPERSEDED, new.id)
    assert (house.letter("a-1@x").value, house.letter("a-2@x").value) == ("held", "cancelled")


def test_the_same_whatever_the_order_and_however_often(house: Any, say: Any, tmp_path: Any) -> None:
    """Three versions in two threads: who superseded whom, and which patches belong to which, hangs on no order."""
    posts = [
        *say.posting("a", ["one", "two"]),
        *say.posting("b", ["one", "too"], version=2, parent="a-0@x", minute=10),
        *say.posting("c", ["one", "toe"], version=3, minute=20),
        say.Post("r@x", "Re: [PATCH 1/2] vfio: add one", "Why?\n", "a-1@x", ("a-0@x", "a-1@x"), 30),
    ]
    dice = random.Random(5)
    outcomes = set()
    for turn in range(6):
        house.store.close()
        house.store = Database(str(tmp_path / f"turn{turn}.sqlite"), tmp_path)
        mixed = [*posts, *dice.sample(posts, 4)]
        if turn:
            dice.shuffle(mixed)
        for post in mixed:
            house.take(post)
        rows = {row.first: row for row in house.every()}
        outcomes.add(
            tuple(
                (first, row.version, row.life.value, tuple(each.msgid for each in house.patches(row)))
                for first, row in sorted(rows.items())
            )
        )
        assert len({row.key for row in rows.values()}) == 1
    assert outcomes == {
        (
            ("a-0@x", 1, "superseded", ("a-1@x", "a-2@x")),
            ("b-0@x", 2, "superseded", ("b-1@x", "b-2@x")),
            ("c-0@x", 3, "ready", ("c-1@x", "c-2@x")),
        )
    }
    assert life.later("no time", 1) == "no time"
