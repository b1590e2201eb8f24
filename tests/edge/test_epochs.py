"""Following a list by its git epochs: a real public-inbox, on this machine and on the loopback."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from lorelint.edge.epochs import EpochFeed
from lorelint.edge.mailbox import MAX_MAIL
from lorelint.model.errors import LorelintError
from lorelint.model.feed import Arrival, Cursor

DAY = 86400
START = 1773655200  # 2026-03-16T10:00:00Z


def mail(number: int, body: str = "hello") -> bytes:
    return (
        f"From: Ann <ann@example.org>\nTo: small@lists.example.org\nSubject: mail {number}\n"
        f"Message-ID: <{number}@example.org>\nDate: Mon, 16 Mar 2026 10:{number % 60:02}:00 +0000\n\n{body} {number}\n"
    ).encode()


def mails(*numbers: int) -> list[bytes]:
    return [mail(number) for number in numbers]


def numbers(arrivals: Iterable[Arrival]) -> list[int]:
    """Which mails came; one that was taken out is negative."""
    found = []
    for each in arrivals:
        msgid = each.msgid if each.gone else each.raw.split(b"Message-ID: <", 1)[1].split(b">")[0].decode()
        found.append(int(msgid.split("@")[0]) * (-1 if each.gone else 1))
    return found


class Reader:
    """Reads a feed as a listener does: the cursors of what it took are kept."""

    def __init__(self, feed: EpochFeed) -> None:
        self.feed = feed
        self.cursors: dict[int, Cursor] = {}

    def begin(self, since: str = "1970-01-01") -> Reader:
        self.cursors = {each.epoch: each for each in self.feed.start(since)}
        return self

    def take(self, most: int = 0) -> list[int]:
        self.feed.refresh()
        taken = []
        for each in self.feed.arrivals(tuple(self.cursors.values())):
            taken.append(each)
            self.cursors[each.cursor.epoch] = each.cursor
            if len(taken) == most:
                break
        return numbers(taken)


@pytest.fixture(params=["folder", "http"])
def follow(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Any], Reader]:
    """Follows an archive as a folder here, or over HTTP from a mirror."""

    def make(inbox: Any) -> Reader:
        place = str(inbox.path) if request.param == "folder" else inbox.url or inbox.serve()
        return Reader(EpochFeed("small", [place], tmp_path / "mirrors"))

    return make


def rewrite(inbox: Any, epoch: int, kept: list[bytes]) -> None:
    """Another history of the epoch."""
    git = inbox.path / "git" / f"{epoch}.git"
    inbox.run("git", f"--git-dir={git}", "update-ref", "-d", "refs/heads/master")
    inbox.fill(kept, epoch, START + 7, index=False)


def test_each_message_once_in_order(make_inbox: Any, follow: Any) -> None:
    inbox = make_inbox()
    inbox.fill(mails(*range(1, 8)), index=False)
    reader = follow(inbox).begin()
    assert reader.take(3) == [1, 2, 3]
    assert reader.take() == [4, 5, 6, 7]
    assert reader.take() == []
    inbox.deliver(mail(8))
    assert reader.take() == [8]


def test_what_an_arrival_holds(make_inbox: Any, follow: Any) -> None:
    inbox = make_inbox()
    inbox.fill(mails(1, 2), index=False)
    reader = follow(inbox).begin()
    reader.feed.refresh()
    first, second = reader.feed.arrivals(tuple(reader.cursors.values()))
    assert (first.raw, second.raw) == (mail(1), mail(2))
    assert (first.at, second.at) == ("2026-03-16T10:00:00Z", "2026-03-16T10:00:01Z")
    git = subprocess.run(
        ["git", f"--git-dir={inbox.path}/git/0.git", "rev-parse", "master:m", "master"], capture_output=True, check=True
    )
    assert [second.blob, second.cursor.commit] == git.stdout.decode().split()
    assert second.cursor.inbox == "small" and second.cursor.epoch == 0


def test_the_first_start_reads_nothing_old(make_inbox: Any, follow: Any) -> None:
    inbox = make_inbox()
    inbox.fill(mails(1, 2, 3), index=False)
    reader = follow(inbox).begin("")
    assert reader.take() == []
    inbox.fill(mails(4), seconds=START + 10, index=False)
    assert reader.take() == [4]


def test_since_a_day(make_inbox: Any, follow: Any) -> None:
    """Also where one that is late stands among the older ones."""
    inbox = make_inbox()
    inbox.fill(mails(1, 2), seconds=START, index=False)
    inbox.fill(mails(3), seconds=START + 9 * DAY, index=False)
    inbox.fill(mails(4), seconds=START, index=False)
    inbox.fill(mails(5, 6), seconds=START + 10 * DAY, index=False)
    assert follow(inbox).begin("2026-03-25").take() == [3, 4, 5, 6]


def test_since_reaches_into_older_epochs(make_inbox: Any, follow: Any) -> None:
    inbox = make_inbox()
    inbox.fill(mails(1), 0, START, index=False)
    inbox.fill(mails(2), 1, START + DAY, index=False)
    inbox.fill(mails(3), 1, START + 2 * DAY, index=False)
    inbox.fill(mails(4), 2, START + 3 * DAY, index=False)
    reader = follow(inbox).begin("2026-03-18")
    assert sorted(reader.cursors) == [1, 2]
    assert reader.take() == [3, 4]


def test_an_epoch_ends_and_the_next_begins(make_inbox: Any, follow: Any) -> None:
    inbox = make_inbox()
    inbox.fill(mails(1, 2), index=False)
    reader = follow(inbox).begin()
    assert reader.take() == [1, 2]
    inbox.fill(mails(3), index=False)
    inbox.fill(mails(4, 5), 1, index=False)
    inbox.fill(mails(6), 2, index=False)
    assert reader.take(2) == [3, 4]
    assert reader.take() == [5, 6]
    assert sorted(reader.cursors) == [0, 1, 2]


def test_a_message_is_taken_out(make_inbox: Any, follow: Any) -> None:
    inbox = make_inbox()
    inbox.deliver(*mails(1, 2))
    reader = follow(inbox).begin()
    assert reader.take() == [1, 2]
    inbox.remove(mail(1))
    assert reader.take() == [-1]


def test_history_rewritten_goes_on_after_what_was_read(make_inbox: Any, follow: Any) -> None:
    inbox = make_inbox()
    inbox.fill(mails(*range(1, 9)), index=False)
    reader = follow(inbox).begin()
    assert len(reader.take(6)) == 6
    rewrite(inbox, 0, mails(1, 2, 4, 5, 6, 7, 8, 9))  # 3 was purged, and 9 came
    assert reader.take() == [7, 8, 9]
    assert reader.take() == []


def test_the_very_message_of_the_cursor_is_purged(make_inbox: Any, follow: Any) -> None:
    inbox = make_inbox()
    inbox.fill(mails(*range(1, 7)), index=False)
    reader = follow(inbox).begin()
    reader.take()
    rewrite(inbox, 0, mails(1, 2, 3, 4, 7, 8))
    assert reader.take() == [7, 8]


def test_a_message_that_stands_again_in_a_rewritten_history_hides_none(make_inbox: Any, follow: Any) -> None:
    inbox = make_inbox()
    inbox.fill(mails(1, 2, 3, 4), index=False)
    reader = follow(inbox).begin()
    reader.take()
    rewrite(inbox, 0, mails(1, 3, 4, 5, 2, 6))
    assert reader.take() == [5, 2, 6]


def test_a_rewritten_archive_of_which_nothing_is_known_comes_again(make_inbox: Any, follow: Any) -> None:
    inbox = make_inbox()
    inbox.fill(mails(1, 2, 3), index=False)
    reader = follow(inbox).begin()
    reader.take()
    rewrite(inbox, 0, mails(11, 12))
    assert reader.take() == [11, 12]


def test_purged_by_the_archive_itself(make_inbox: Any, follow: Any) -> None:
    """`public-inbox-purge` rewrites the epoch and prunes what was."""
    inbox = make_inbox()
    inbox.deliver(*mails(1, 2, 3))
    reader = follow(inbox).begin()
    assert reader.take() == [1, 2, 3]
    inbox.run("public-inbox-purge", str(inbox.path), stdin=mail(2))
    inbox.deliver(mail(4))
    taken = reader.take()
    assert taken[-1] == 4 and 2 not in taken
    assert reader.take() == []


def test_a_mirror_that_is_lost_is_made_again(make_inbox: Any, tmp_path: Path) -> None:
    inbox = make_inbox()
    inbox.fill(mails(1, 2, 3), 0, index=False)
    inbox.fill(mails(4, 5, 6), 1, START + DAY, index=False)
    reader = Reader(EpochFeed("small", [inbox.serve()], tmp_path / "mirrors")).begin()
    assert reader.take(2) == [1, 2]
    again = Reader(EpochFeed("small", [inbox.url], tmp_path / "elsewhere"))
    again.cursors = dict(reader.cursors)
    assert again.take() == [3, 4, 5, 6]


def test_only_what_is_wanted_is_fetched(make_inbox: Any, tmp_path: Path) -> None:
    inbox = make_inbox()
    inbox.fill(mails(*range(1, 60)), 0, index=False)
    inbox.fill(mails(*range(60, 99)), 1, START + DAY, index=False)
    Reader(EpochFeed("small", [inbox.serve()], tmp_path / "mirrors")).begin("")
    assert not (tmp_path / "mirrors" / "0.git").exists()
    counted = subprocess.run(
        ["git", f"--git-dir={tmp_path}/mirrors/1.git", "rev-list", "--count", "--all"], capture_output=True, check=True
    )
    assert counted.stdout == b"1\n"


def test_the_next_place_is_asked(make_inbox: Any, tmp_path: Path) -> None:
    inbox = make_inbox()
    inbox.fill(mails(1), index=False)
    places = ["http://127.0.0.1:9/small", inbox.serve()]
    assert Reader(EpochFeed("small", places, tmp_path / "mirrors")).begin().take() == [1]


def test_no_place_answers(tmp_path: Path) -> None:
    feed = EpochFeed("small", ["http://127.0.0.1:9/small", str(tmp_path / "none")], tmp_path / "mirrors")
    with pytest.raises(LorelintError) as caught:
        feed.refresh()
    assert caught.value.where == "small"
    assert "127.0.0.1:9" in caught.value.what and "not a public-inbox" in caught.value.what


@pytest.mark.parametrize("place", ["ext::sh -c touch% {}", "git://127.0.0.1/x", "ssh://127.0.0.1/x"])
def test_no_other_protocol_is_spoken(place: str, tmp_path: Path) -> None:
    sign = tmp_path / "ran"
    with pytest.raises(LorelintError):
        EpochFeed("small", [place.format(sign)], tmp_path / "mirrors").refresh()
    assert not sign.exists()


def test_an_empty_archive(make_inbox: Any, follow: Any) -> None:
    inbox = make_inbox()
    reader = follow(inbox).begin("")
    assert reader.take() == []
    inbox.deliver(mail(1))
    assert reader.take() == [1]


def test_a_mail_over_the_bound_comes_cut(make_inbox: Any, tmp_path: Path) -> None:
    inbox = make_inbox()
    huge = mail(1) + b"x" * MAX_MAIL
    inbox.fill([huge, mail(2)], index=False)
    reader = Reader(EpochFeed("small", [str(inbox.path)], tmp_path / "mirrors")).begin()
    reader.feed.refresh()
    first, second = reader.feed.arrivals(tuple(reader.cursors.values()))
    assert first.raw == huge[: 1 << 20] and second.raw == mail(2)


def test_a_damaged_archive_is_no_quiet_one(make_inbox: Any, tmp_path: Path) -> None:
    inbox = make_inbox()
    inbox.fill(mails(1, 2, 3), index=False)
    git = inbox.path / "git" / "0.git"
    for pack in list((git / "objects" / "pack").glob("*.pack")):
        content = pack.read_bytes()
        pack.rename(tmp_path / "was.pack")
        for side in (git / "objects" / "pack").glob("*"):
            side.unlink()
        inbox.run("git", f"--git-dir={git}", "unpack-objects", "-q", stdin=content)
    blob = inbox.run("git", f"--git-dir={git}", "rev-parse", "master~1:m").decode().strip()
    (git / "objects" / blob[:2] / blob[2:]).unlink()
    reader = Reader(EpochFeed("small", [str(inbox.path)], tmp_path / "mirrors")).begin()
    with pytest.raises(LorelintError, match="damaged"):
        reader.take()
    assert [each.commit for each in reader.cursors.values()] != [""]  # the first one was taken
