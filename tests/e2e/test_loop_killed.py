"""The loop, killed: each message is seen once, no mail is doubled, none is lost without being held and named.

Mails are counted at a server that takes whatever comes. CI tells the whole story with each command killed on its way;
`make prove` kills every command at many points, each time from the same state, 200 in all.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import SEED
from tests.e2e.killing import (
    KILLED,
    Point,
    Warm,
    chosen,
    lost,
    no_letter_is_doubled_or_lost,
    run_until_done,
    state,
)
from tests.e2e.loop import Loop
from tests.e2e.story import CHAPTERS, ends_as_it_should

from lorelint.model.store import Life

Make = Callable[..., Loop]


@pytest.fixture
def make_loop(tmp_path: Path, program: Callable[[str], str]) -> Iterator[Make]:
    for name in ("public-inbox-init", "public-inbox-httpd", "public-inbox-mda", "git", "strace"):
        program(name)
    made: list[Loop] = []

    def make(name: str, database: str = "") -> Loop:
        (tmp_path / name).mkdir()
        made.append(Loop(tmp_path / name, database).__enter__())
        return made[-1]

    yield make
    for loop in made:
        loop.__exit__()


# The nth calls that each run of a command makes at least.
MADE = {
    "listen": {"pwrite64": 20, "fdatasync": 3, "wait4": 8},
    "outbox": {"pwrite64": 12, "fdatasync": 3, "ftruncate": 1},
    "send": {"pwrite64": 20, "sendto": 4, "recvfrom": 4},
}


def test_a_run_that_is_killed_all_the_way_ends_as_one_that_is_not(make_loop: Make) -> None:
    """Every command is killed, and then let be."""
    choice = random.Random(SEED)
    loop = make_loop("killed")
    for chapter in CHAPTERS[:-1]:
        loop.inbox.deliver(*chapter.comes(loop))
        for _ in range(2 if chapter.name in ("posted", "sent") else 1):
            command = chapter.command(loop)
            call, most = choice.choice(sorted(MADE[command[0]].items()))
            point = Point(call, choice.randint(1, most))
            assert loop.run(*command, under=point.under, code=None).code == KILLED, (chapter.name, point)
        run_until_done(loop, chapter)
        no_letter_is_doubled_or_lost(loop)
        _looked_after(loop)
    ends_as_it_should(loop)
    assert "nothing is released" in loop.run("send", "--once").err


def _looked_after(loop: Loop) -> None:
    """What is held since nobody knows whether it arrived is let out by a person who has seen that it did not."""
    numbers = lost(loop, handed=False)
    if numbers:
        loop.run("outbox", "release", *numbers)
        loop.run("send", "--once")
        no_letter_is_doubled_or_lost(loop)


@pytest.mark.prove
@pytest.mark.parametrize(
    ("chapter", "count", "part"),
    [
        ("start", 10, 1),
        ("posted", 30, 1),
        ("sent", 30, 1),
        ("posted", 30, 2),
        ("sent", 30, 2),
        ("posted again", 40, 1),
        ("answered", 20, 1),
        ("released", 10, 1),
    ],
)
def test_killed_at_many_points(
    chapter: str, count: int, part: int, make_loop: Make, sampled: Callable[..., list[Any]]
) -> None:
    warm = Warm(make_loop("loop"), chapter)
    points = sampled(list(chosen(warm.groups, count, f"{SEED} {chapter} {part}")))
    assert chapter != "sent" or any(point.taken for point in points)
    _killed(warm, points)


@pytest.mark.prove
@pytest.mark.parametrize(("chapter", "count"), [("posted", 10), ("sent", 12), ("posted again", 6), ("answered", 6)])
def test_killed_with_the_store_on_a_server(
    chapter: str, count: int, make_loop: Make, sampled: Callable[..., list[Any]], postgresql: Callable[[], str]
) -> None:
    warm = Warm(make_loop("loop", postgresql()), chapter)
    points = sampled(list(chosen(warm.groups, count, f"{SEED} {chapter} server")))
    assert chapter != "sent" or any(point.taken for point in points)
    _killed(warm, points)


@pytest.mark.prove
@pytest.mark.parametrize(("chapter", "count"), [("posted", 8), ("sent", 4), ("posted again", 4)])
def test_killed_with_all_that_it_has_started(
    chapter: str, count: int, make_loop: Make, sampled: Callable[..., list[Any]]
) -> None:
    """As by a machine that fails: git that fetches and the review die with the command."""
    warm = Warm(make_loop("loop"), chapter)
    points = sampled(list(chosen(warm.groups, count, f"{SEED} {chapter} group")))
    _killed(warm, points, group=True)


@pytest.mark.prove
@pytest.mark.parametrize("pause", [0.0, 0.005, 0.02])
def test_a_fetch_that_is_killed(pause: float, make_loop: Make) -> None:
    """Told, and the next pass goes on as if it had not been."""
    warm = Warm(make_loop("loop"), "posted")
    warm.again()
    ran = warm.without("git", pause)
    assert run_until_done(warm.loop, warm.chapter) == 1
    assert state(warm.loop) == warm.after, ran


@pytest.mark.prove
def test_a_review_that_is_killed(make_loop: Make) -> None:
    """It counts as one that failed, says so, and is done when its time has come."""
    warm = Warm(make_loop("loop"), "posted")
    warm.again()
    ran = warm.without("spawn_main", 1.0)
    assert ran.code == 2 and "event=failed" in ran.err, ran
    with warm.loop.store() as store, store.begin() as session:
        (row,) = [each for each in session.series.recent() if each.life is Life.READY]
        assert "a review failed" in row.why and row.attempts == 1 and row.due_at > row.last_at
        session.series.move(row.id, Life.READY, row.why, due_at="2026-01-01T00:00:00Z")
    assert run_until_done(warm.loop, warm.chapter) == 1
    after = state(warm.loop)
    assert [len(after[name]) for name in ("messages", "series", "findings", "letters")] == [
        len(warm.after[name]) for name in ("messages", "series", "findings", "letters")
    ]
    assert len(after["reviews"]) == len(warm.after["reviews"]) + 1


def _killed(warm: Warm, points: list[Point], group: bool = False) -> None:
    """Kill the command at each of some points, and see that everything is as it should be after it was run again."""
    chapter = warm.chapter.name
    told: Counter[str] = Counter()
    start = time.monotonic()
    for number, point in enumerate(points):
        warm.again()
        archive = warm.loop.mails / "closed"
        if number % 3 == 2:
            archive.touch()  # what is sent does not come to the archive
        try:
            point = warm.killed(point, group)
            told["after the server's word"] += point.taken
            told["more than one restart"] += run_until_done(warm.loop, warm.chapter) > 1
            _stands(warm, chapter, told, archived=not archive.exists())
        except AssertionError as error:
            raise AssertionError(f"killed at {point}, number {number}: {error}") from error
    seconds = time.monotonic() - start
    print(f"\n{chapter}: {len(points)} points, {dict(told)}, {seconds / len(points):.1f} s each")


def _stands(warm: Warm, chapter: str, told: Counter[str], archived: bool) -> None:
    loop = warm.loop
    no_letter_is_doubled_or_lost(loop)
    if chapter != "sent":
        assert state(loop) == warm.after
        return
    for _ in range(5):  # an archive may take its time: what it has later is found later
        if not (archived and lost(loop, handed=True)):
            break
        time.sleep(0.3)
        run_until_done(loop, warm.chapter)
    missing, unsent = lost(loop, handed=True), lost(loop, handed=False)
    told["arrived and held"] += bool(missing)
    told["not arrived and held"] += bool(unsent)
    assert not (missing and archived), f"what is in the archive is held for ever: {missing}"
    assert missing or unsent or state(loop)["letters"] == warm.after["letters"]
