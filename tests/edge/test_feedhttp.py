"""Following a list over HTTP: a real public-inbox on the loopback."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lorelint.edge import feedhttp
from lorelint.edge.feedhttp import HttpFeed
from lorelint.model.errors import LorelintError
from lorelint.model.feed import Arrival, Cursor

START = datetime(2026, 3, 16, 10, tzinfo=UTC)


def mail(number: int, taken: datetime, body: str = "hello") -> bytes:
    return (
        f"Received: from x by y; {taken:%a, %d %b %Y %H:%M:%S +0000}\n"
        f"Received: from z by x; Mon, 01 Jan 2024 10:00:00 +0000\n"
        f"From: Ann <ann@example.org>\nTo: small@lists.example.org\nSubject: mail {number}\n"
        f"Message-ID: <{number}@example.org>\nDate: Mon, 01 Jan 2024 09:00:00 +0000\n\n{body} {number}\n"
    ).encode()


def numbers(arrivals: Iterable[Arrival]) -> list[int]:
    return [int(each.raw.split(b"Message-ID: <", 1)[1].split(b"@")[0]) for each in arrivals]


@pytest.fixture
def inbox(make_inbox: Any) -> Any:
    made = make_inbox()
    made.fill([mail(number, START + timedelta(hours=6 * number)) for number in range(1, 9)])
    made.serve()
    return made


def at(hours: float) -> str:
    return f"{START + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"


def test_what_came_since_oldest_first(inbox: Any) -> None:
    feed = HttpFeed("small", [inbox.url])
    arrivals = list(feed.arrivals(feed.start(at(13))))
    assert numbers(arrivals) == [3, 4, 5, 6, 7, 8]
    assert [each.at for each in arrivals] == [at(6 * number) for number in range(3, 9)]
    assert [each.cursor for each in arrivals][:2] == [Cursor("small", 0, at(18)), Cursor("small", 0, at(24))]


def test_a_while_before_is_asked_for_again(inbox: Any) -> None:
    feed = HttpFeed("small", [inbox.url])
    assert numbers(feed.arrivals((Cursor("small", 0, at(42)),))) == [7, 8]
    assert numbers(feed.arrivals((Cursor("small", 0, at(43.5)),))) == [8]


def test_a_cursor_never_goes_back(inbox: Any) -> None:
    feed = HttpFeed("small", [inbox.url])
    (late, *_) = feed.arrivals((Cursor("small", 0, at(42.5)),))
    assert (late.at, late.cursor.commit) == (at(42), at(42.5))


def test_the_first_start_is_now(inbox: Any) -> None:
    feed = HttpFeed("small", [inbox.url])
    (cursor,) = feed.start("")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(cursor.commit)) < timedelta(minutes=1)
    assert list(feed.arrivals((cursor,))) == []


def test_more_than_fits_is_asked_for_in_parts(inbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorelint.edge.lore.MAX_BYTES", 1200)
    feed = HttpFeed("small", [inbox.url])
    assert numbers(feed.arrivals(feed.start(at(1)))) == list(range(1, 9))
    monkeypatch.setattr("lorelint.edge.lore.MAX_BYTES", 100)
    monkeypatch.setattr(feedhttp, "SHORTEST", timedelta(hours=1))
    with pytest.raises(LorelintError, match="more mail in a minute"):
        list(feed.arrivals(feed.start(at(1))))


def test_the_next_place_is_asked_and_none_is_an_error(inbox: Any) -> None:
    feed = HttpFeed("small", ["http://127.0.0.1:9/small", inbox.url])
    assert numbers(feed.arrivals((Cursor("small", 0, at(46)),))) == [8]
    with pytest.raises(LorelintError, match="cannot be reached"):
        list(HttpFeed("small", ["http://127.0.0.1:9/small"]).arrivals(feed.start(at(40))))


@pytest.mark.parametrize("date", ["", "Received: nonsense\n", "Date: Thu, 99 Foo 9999\n", "Received: a;\n b;\n"])
def test_a_mail_without_a_date_is_dated_by_when_it_was_asked_for(date: str) -> None:
    assert feedhttp._taken(f"{date}From: x\n\nDate: Mon, 16 Mar 2026 10:00:00 +0000\n".encode()) is None
