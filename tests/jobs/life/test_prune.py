"""The text of old mails goes, and nothing that hangs on one: in both databases, and whenever it is broken off."""

from __future__ import annotations

from typing import Any

import pytest

from lorelint.edge.b4.single import read_mail
from lorelint.jobs import prune as module
from lorelint.jobs.life import later
from lorelint.jobs.prune import is_stub, prune, stub
from lorelint.model.feed import Nature
from lorelint.model.store import Kept, Life, VerdictRow

NOW = later("2026-03-01T00:00:00Z", 24 * 30)


def texts(house: Any) -> set[str]:
    """Messages of which the text is there."""
    with house.store.look() as session:
        roots = [session.mails.root_of(name) for name in ("a-0@x", "b-0@x", "c-0@x", "d-0@x", "e-0@x", "t@x", "s@x")]
        mails = [kept for root in dict.fromkeys(roots) for kept in session.mails.thread(root)]
    return {kept.msgid for kept in mails if not is_stub(kept.raw)}


@pytest.fixture
def filled(any_house: Any, say: Any) -> Any:
    """Five series and some talk; on four something hangs."""
    house, days = any_house, 24 * 60
    for name in "abcde":
        house.all(say.posting(name, [f"{name}one"], topic=f"vfio: {name}", author=f"{name} <{name}@example.org>"))
    for name in "abcd":
        house.review(house.series(f"{name}-0@x"), *([("b-1@x", "f")] if name == "b" else []))
    house.write(house.series("c-0@x"), "c-1@x")
    house.take(say.Post("r@x", "Re: vfio", "lorelint: wontfix no\n", "d-1@x", ("d-0@x", "d-1@x"), 9))
    with house.store.begin() as session:
        session.verdicts.add(VerdictRow(0, "wontfix", "", "", "", "", "d@x", "claim", "", "", "r@x", say.at(9)))
        session.mails.done("r@x", "")
    house.take(say.Post("t@x", "hello", "A long talk.\n", minute=3))
    house.take(say.Post("s@x", "hello too", "A long talk.\n", minute=3))
    house.take(say.Post("u@x", "Re: hello too", "New words.\n", "s@x", ("s@x",), minute=29 * days))
    return house


def test_only_what_nothing_hangs_on_is_let_go(filled: Any) -> None:
    before = later(NOW, -24 * 10)
    every = texts(filled)
    assert prune(filled.store, before, dry_run=True) == 3 and texts(filled) == every
    assert prune(filled.store, before) == 3
    # a: reviewed, nothing found. b: a finding. c: a letter. d: somebody answered. e: waits for its review. s: goes on.
    assert every - texts(filled) == {"a-0@x", "a-1@x", "t@x"}
    assert prune(filled.store, before) == 0
    assert prune(filled.store, "2026-01-01T00:00:00Z") == 0


@pytest.mark.parametrize("done", [False, True])
def test_what_was_not_dealt_with_yet_is_kept(any_house: Any, say: Any, done: bool) -> None:
    """An answer that nobody could prove yet, a patch whose series was not put together."""
    house = any_house
    house.take(say.Post("q@x", "Re: vfio", "lorelint: wontfix no\n", minute=3))
    house.take(say.posting("a", ["one"])[1], together=done)
    if done:
        with house.store.begin() as session:
            session.mails.done("q@x", "")
            session.series.move(session.series.of_patch("a-1@x").id, Life.REVIEWED)
    assert prune(house.store, NOW, dry_run=True) == (2 if done else 0)


def test_what_stays_of_a_mail(filled: Any, say: Any) -> None:
    with filled.store.look() as session:
        was = session.mails.get("a-1@x")
        known = session.series.of_patch("a-1@x")
    prune(filled.store, later(NOW, -24))
    with filled.store.look() as session:
        now_is = session.mails.get("a-1@x")
        assert say.replace(now_is, raw=was.raw) == was and session.series.of_patch("a-1@x") == known
    message, nature, _ = filled.reader.read(now_is.raw)
    assert (message.msgid, message.subject, message.in_reply_to, message.from_addr) == (
        "a-1@x", "[PATCH 1/1] vfio: add aone", "a-0@x", "a@example.org",
    )  # fmt: skip
    assert nature is not Nature.PATCH
    # It comes again over another list, and a new version in its thread: nothing is taken for new, nothing conflicts.
    assert not filled.take(
        say.posting("a", ["aone"], topic="vfio: a", author="a <a@example.org>")[1], inbox="lkml"
    ).fresh
    filled.all(
        say.posting(
            "v2", ["other"], version=2, parent="a-0@x", topic="vfio: a", author="a <a@example.org>", minute=29 * 1440
        )
    )
    row = filled.series("v2-0@x")
    assert (row.version, row.have, row.key) == (2, 1, known.key)
    assert filled.series("a-1@x").superseded_by == row.id and len(filled.patches(known)) == 1
    assert not [what for what, _ in filled.trail() if what in ("conflict", "broken")]


def test_broken_off_it_goes_on(filled: Any, say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        filled.take(say.Post(f"x{number}@x", "more talk", "Words.\n", minute=4))
    monkeypatch.setattr(module, "SOME", 3)
    turns = iter([False, True])
    assert prune(filled.store, later(NOW, -24 * 10), lambda: next(turns)) == 3
    assert prune(filled.store, later(NOW, -24 * 10)) == 7
    assert prune(filled.store, later(NOW, -24 * 10)) == 0


def test_hostile_headers() -> None:
    kept = Kept(
        "m\n@x", "r", "", "2026-03-01T00:00:00Z", ('Ann"\r\nBcc: all@x', "a@x"), "Hi\nX: y \ud800 é", Nature.TALK, "",
        "p@x", ("q@x",) * 3,
    )  # fmt: skip
    raw = stub(kept)
    message, _ = read_mail(raw)
    assert is_stub(raw) and b"\nBcc:" not in raw and b"\nX:" not in raw
    assert message.from_addr == "a@x" and message.in_reply_to == "p@x"
