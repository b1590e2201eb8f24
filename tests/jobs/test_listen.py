"""A pass over the lists: a real public-inbox, a real store, reviews in a process of their own."""

from __future__ import annotations

import itertools
import mailbox
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from lorelint.config import parse
from lorelint.jobs import listen as module
from lorelint.jobs.due import Done, Due
from lorelint.jobs.listen import Listening, Pass, listen
from lorelint.model.errors import LorelintError, Stopped
from lorelint.model.store import Letter, Life, SeriesRow
from lorelint.outpost import Outpost
from lorelint.outpost_listen import Listener
from lorelint.wire import House

NOW = "2026-04-03T10:00:00Z"
POLICY = """
sender = "bot@bot.example.org"
domain = "bot.example.org"
contact = "ida@example.org"
[list.small]
address = "small@lists.example.org"
asked_by = "Ida Example"
asked_on = 2026-01-02
audience = "author"
stage = "queue"
minimum_confidence = 0.5
"""


def mails(root: Path, name: str) -> list[bytes]:
    return [mail.as_bytes() for mail in mailbox.mbox(root / "corpora" / "threads" / f"{name}.mbox")]


class Place:
    """An outpost with its folders."""

    def __init__(self, folder: Path, tree: Path, inbox: Any, more: str = "") -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self.policy = folder / "policy.toml"
        self.policy.write_text(POLICY)
        self.config.write_text(
            f'policy = "{self.policy}"\n[inbox.small]\nurl = "{inbox.path}"\naddress = "{inbox.address}"\n'
            f'[tree.small]\npath = "{tree}"\n[listen]\npoll_seconds = 0.2\nmax_age_days = 36500\n{more}'
        )
        self.again()
        self.outpost.upkeep().upgrade()
        self.log: list[tuple[str, dict[str, object]]] = []

    def again(self) -> None:
        """As a process that starts, by the settings as they are now."""
        config = parse(self.config.read_text(), str(self.config))
        house = House(config, cwd=self.folder, cache=self.folder / "cache")
        self.outpost = Outpost(house, self.folder / "data" / "lorelint", self.policy)
        self.listener = Listener(self.outpost)

    def close(self) -> None:
        self.listener.close()
        self.outpost.close()

    def parts(self, **changes: Any) -> Listening:
        made = self.listener.listening(since="2026-01-01", say=lambda event, **facts: self.log.append((event, facts)))
        return replace(made, **changes)

    def listen(self, now: str = NOW, **changes: Any) -> Pass:
        return listen(self.parts(**changes), now)

    def series(self) -> tuple[SeriesRow, ...]:
        with self.outpost.store.look() as session:
            return session.series.recent()

    def notes(self) -> dict[str, tuple[bool, str]]:
        with self.outpost.store.look() as session:
            return {note.name: (note.ok, note.text) for note in session.notes.all()}


@pytest.fixture
def tree(tmp_path: Path, root: Path) -> Path:
    return Path(shutil.copytree(root / "corpora" / "trees" / "small", tmp_path / "small"))


@pytest.fixture
def inbox(make_inbox: Any) -> Any:
    return make_inbox()


@pytest.fixture
def place(tmp_path: Path, tree: Path, inbox: Any) -> Iterator[Place]:
    made = Place(tmp_path, tree, inbox)
    yield made
    made.close()


def test_a_series_comes_and_a_letter_waits(place: Place, inbox: Any, root: Path) -> None:
    inbox.deliver(*mails(root, "dmamap-retry"))
    done = place.listen()
    assert (done.taken, done.fresh, done.reviewed, done.failed, done.muted, done.errors) == (2, 2, 1, 0, 0, 0)
    (row,) = place.series()
    assert row.life is Life.REVIEWED
    with place.outpost.store.look() as session:
        (review,) = session.series.reviews(row.id)
        found = session.findings.of_series(row.id)
        (letter,) = session.outbox.of_series(row.id)
    assert (review.tree, review.grade, review.failure) == ("small", "exact", "")
    assert review.tried == (("small", "exact: small"),)
    assert b'"findings"' in review.report
    assert "unbounded-retry" in {each.rule for each in found} and done.findings == len(found)
    assert letter.state is Letter.HELD and letter.patch == row.first
    assert "return -EAGAIN;" in letter.body and "unbounded-retry" in letter.rules
    assert [address for _, address in letter.to] == [row.author[1]]
    assert {name for name, (ok, _) in place.notes().items() if ok} == {"inbox:small", "listen", "tree:small"}


def test_nothing_is_done_twice(place: Place, inbox: Any, root: Path) -> None:
    inbox.deliver(*mails(root, "dmamap-retry"))
    place.listen()
    done = place.listen("2026-04-03T10:05:00Z")
    assert (done.taken, done.reviewed, done.letters) == (0, 0, 0)
    assert len(place.series()) == 1


def test_what_a_mail_server_says_of_a_letter(place: Place, inbox: Any, root: Path) -> None:
    """Where the bot's own mailbox is followed: the letter is marked, once, and never by a person's mail or twice."""
    from tests.mail.test_bounce import REPORT

    inbox.deliver(*mails(root, "dmamap-retry"))
    place.listen()
    store = place.outpost.store
    with store.begin() as session:
        (letter,) = session.outbox.waiting(Letter.HELD)
        steps = (Letter.HELD, Letter.RELEASED, Letter.SENDING, Letter.SENT)
        for was, state in pairwise(steps):
            assert session.outbox.change(letter.id, state, was=was, at=NOW)
    report = REPORT.replace(b"lorelint-1234@bot.example.org", letter.msgid.encode())
    person = report.replace(b"MAILER-DAEMON@mx", b"mallory@mx").replace(b"Auto-Submitted: auto-replied\n", b"")
    inbox.deliver(b"Message-ID: <person@mx.example.org>\n" + person)
    assert place.listen("2026-04-03T10:05:00Z").fresh == 1
    with store.look() as session:
        assert session.outbox.waiting(Letter.SENT)
    place.log.clear()
    inbox.deliver(b"Message-ID: <1@mx.example.org>\n" + report, b"Message-ID: <2@mx.example.org>\n" + report)
    assert place.listen("2026-04-03T10:10:00Z").fresh == 2
    with store.look() as session:
        (row,) = session.outbox.waiting(Letter.BOUNCED)
        assert "ida@example.org did not get it: 5.1.1" in row.why[0]
        assert [what for _, _, what, _, _ in session.notes.trail(row.msgid)].count("letter bounced") == 1
    told = [facts for event, facts in place.log if event == "bounced"]
    assert told == [{"inbox": "small", "letter": letter.id, "msgid": "1@mx.example.org"}]


def test_what_a_person_has_raised_is_not_mailed(place: Place, inbox: Any, root: Path) -> None:
    inbox.deliver(*mails(root, "dmamap-answered"))
    done = place.listen()
    assert done.reviewed == 1 and done.findings
    with place.outpost.store.look() as session:
        states = {each.state.value for each in session.findings.of_series(place.series()[0].id)}
    assert "raised" in states


def test_the_first_start_begins_now(place: Place, inbox: Any, root: Path) -> None:
    inbox.deliver(*mails(root, "dmamap-retry"))
    assert place.listen(since="").taken == 0
    inbox.deliver(*mails(root, "winview-bounded"))
    done = place.listen(since="")
    assert done.taken == len(mails(root, "winview-bounded")) and done.reviewed == 1


def test_what_is_too_old_is_muted(place: Place, inbox: Any, root: Path) -> None:
    inbox.deliver(*mails(root, "dmamap-retry"))
    assert place.listen(max_age_days=14, now="2026-06-01T10:00:00Z").muted == 1
    assert [(row.life, row.why) for row in place.series()] == [(Life.MUTED, "older than 14 days")]


def test_what_was_applied_already_is_muted(place: Place, inbox: Any, root: Path, tree: Path) -> None:
    inbox.deliver(*mails(root, "dmamap-retry"))
    patch = next(each for each in mails(root, "dmamap-retry") if b"\ndiff --git" in each)
    subprocess.run(["patch", "-p1", "-s", "-d", tree], input=patch, check=True)
    with (tree / "drivers" / "README").open("a") as file:
        file.write("something else has changed since\n")
    assert place.listen().muted == 1
    assert [(row.life, row.why) for row in place.series()] == [(Life.MUTED, "applied already: small holds it")]


def test_the_best_tree_is_taken_and_any_may_hold_it(
    place: Place, inbox: Any, root: Path, tree: Path, tmp_path: Path
) -> None:
    """Another tree comes first, on which the patch fits less well; then one has taken it."""
    inbox.deliver(*mails(root, "dmamap-retry"))
    patch = next(each for each in mails(root, "dmamap-retry") if b"\ndiff --git" in each)
    other = Path(shutil.copytree(tree, tmp_path / "other"))
    file = other / "drivers" / "misc" / "dmamap" / "dmamap.c"
    file.write_text("/* of another tree */\n" + file.read_text())
    place.config.write_text(
        place.config.read_text().replace("[tree.small]", f'[tree.other]\npath = "{other}"\n[tree.small]')
    )
    place.again()
    assert place.listen().reviewed == 1
    with place.outpost.store.look() as session:
        (review,) = session.series.reviews(place.series()[0].id)
    assert review.tried == (("other", "clean: other"), ("small", "exact: small")) and review.tree == "small"
    inbox.deliver(*mails(root, "winview-bounded"))
    second = next(each for each in mails(root, "winview-bounded") if b"\ndiff --git" in each)
    for each in (patch, second):
        subprocess.run(["patch", "-p1", "-s", "-d", other], input=each, check=True)
    assert place.listen().muted == 1
    assert {row.why for row in place.series() if row.life is Life.MUTED} == {"applied already: other holds it"}


def test_a_review_that_fails_is_tried_again_and_stops_nobody(place: Place, inbox: Any, root: Path) -> None:
    inbox.deliver(*mails(root, "dmamap-retry"), *mails(root, "winview-bounded"))
    real = place.parts().review
    failing = mails(root, "dmamap-retry")[0].split(b"Message-I", 1)[1].split(b"<", 1)[1].split(b">")[0].decode()

    def review(due: Due) -> Done:
        if due.first == failing:
            raise LorelintError("took more than 900 s, and was ended")
        return real(due)

    done = place.listen(review=review)
    assert (done.reviewed, done.failed) == (1, 1)
    row = next(row for row in place.series() if row.first == failing)
    assert (row.life, row.attempts) == (Life.READY, 1) and "900 s" in row.why
    assert place.listen(review=review).failed == 0  # not at once
    for hour in (12, 15, 20):
        place.listen(f"2026-04-03T{hour}:00:00Z", review=review)
    row = next(row for row in place.series() if row.first == failing)
    assert (row.life, row.attempts) == (Life.FAILED, 3)


def test_a_bug_in_writing_is_a_failure_and_nothing_is_written(place: Place, inbox: Any, root: Path) -> None:
    inbox.deliver(*mails(root, "dmamap-retry"))

    def broken(policy: Any) -> Any:
        raise ZeroDivisionError("oh")

    assert place.listen(draft=broken).failed == 1
    (row,) = place.series()
    with place.outpost.store.look() as session:
        assert session.findings.of_series(row.id) == ()
        assert [each.failure for each in session.series.reviews(row.id)] == ["a bug of ours: ZeroDivisionError: oh"]


def test_what_was_stopped_did_not_fail(place: Place, inbox: Any, root: Path) -> None:
    inbox.deliver(*mails(root, "dmamap-retry"))

    def stopped(due: Due) -> Done:
        raise Stopped

    done = place.listen(review=stopped)
    assert (done.reviewed, done.failed) == (0, 0)
    assert [(row.life, row.attempts) for row in place.series()] == [(Life.READY, 0)]


def test_a_list_that_cannot_be_followed_is_noted_and_the_others_are(place: Place, inbox: Any, root: Path) -> None:
    inbox.deliver(*mails(root, "dmamap-retry"))
    text = place.config.read_text().replace(
        "[tree", '[inbox.gone]\nurl = "http://127.0.0.1:9/gone"\naddress = "gone@lists.example.org"\n[tree', 1
    )
    place.config.write_text(text)
    place.again()
    done = place.listen()
    assert (done.taken, done.errors) == (2, 1)
    assert place.notes()["inbox:gone"][0] is False and place.notes()["inbox:small"][0] is True
    found = place.outpost.status(NOW)
    assert [each.name for each in found.lists] == ["small", "gone"]
    assert any("gone" in each for each in found.problems)


def test_a_tree_that_is_not_there_is_told(place: Place, inbox: Any, root: Path) -> None:
    inbox.deliver(*mails(root, "dmamap-retry"))
    place.config.write_text(place.config.read_text().replace("[listen]", '[tree.none]\npath = "none"\n[listen]'))
    place.config.write_text(
        place.config.read_text().replace("[tree.small]", '[tree.first]\npath = "/nowhere"\n[tree.small]')
    )
    place.again()
    assert place.listen().reviewed == 1
    with place.outpost.store.look() as session:
        (review,) = session.series.reviews(place.series()[0].id)
    assert review.tried == (("first", "no such directory"), ("none", "no such tree"), ("small", "exact: small"))


# The command


def test_what_failed_once_is_no_trouble_for_ever(place: Place) -> None:
    """A database that is started anew under a part of a pass is told of, and that all is well again is told, too."""

    def fails(now: str) -> list[str]:
        raise LorelintError("the database system is in recovery mode")

    assert place.listen().errors == 0 and "answers" not in place.notes()
    assert place.listen(obey=fails).errors == 1
    assert place.notes()["answers"] == (False, "the database system is in recovery mode")
    assert place.listen().errors == 0 and place.notes()["answers"] == (True, "goes well again")


@pytest.fixture
def command(place: Place) -> Callable[..., list[str]]:
    return lambda *arguments: [sys.executable, "-m", "lorelint", "listen", "--config", str(place.config), *arguments]


@pytest.fixture
def environment(place: Place, root: Path) -> dict[str, str]:
    paths = os.pathsep.join([str(root / "bot"), str(root / "rules")])
    return {**os.environ, "XDG_DATA_HOME": str(place.folder / "data"), "PYTHONPATH": paths}


def test_the_command_follows_until_it_is_told_to_end(
    place: Place, inbox: Any, root: Path, command: Any, environment: dict[str, str]
) -> None:
    with subprocess.Popen(
        command("--since", "2026-01-01"), env=environment, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "event=listen" in line:
                break
        second = subprocess.run(command("--once"), env=environment, capture_output=True, text=True, check=False)
        assert second.returncode == 2 and "another process follows the lists" in second.stderr
        inbox.deliver(*mails(root, "dmamap-retry"))
        for line in running.stderr:
            if "event=reviewed" in line:
                break
        running.send_signal(signal.SIGTERM)
        assert "event=end" in running.stderr.read()
    assert running.returncode == 0
    assert [row.life for row in place.series()] == [Life.REVIEWED]


def test_killed_at_any_point_it_goes_on(
    place: Place, inbox: Any, root: Path, command: Any, environment: dict[str, str]
) -> None:
    """A sample: each message once, each series reviewed once."""
    sent = [*mails(root, "dmamap-retry"), *mails(root, "winview-bounded"), *mails(root, "aperture-mmap")]
    inbox.deliver(*sent)
    for pause in (0.6, 0.9, 1.3):
        with subprocess.Popen(command("--since", "2026-01-01"), env=environment, stderr=subprocess.DEVNULL) as running:
            time.sleep(pause)
            running.kill()
    last = command("--once", "--since", "2026-01-01")  # where none of the others came as far as to note it
    done = subprocess.run(last, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with place.outpost.store.look() as session:
        assert sum(count for _, _, count in session.mails.counts()) == len(sent)
        rows = session.series.recent()
        assert [len(session.series.reviews(row.id)) for row in rows] == [1] * len(rows)
        assert {row.life for row in rows} == {Life.REVIEWED}
        assert len(session.outbox.waiting(*Letter)) == len({each.patch for each in session.outbox.waiting(*Letter)})


# What is applied, or comes, meanwhile


def _apply(tree: Path, mail: bytes) -> None:
    subprocess.run(["patch", "-p1", "-s", "-d", tree], input=mail, check=True)


def _letters(place: Place) -> dict[str, tuple[Letter, tuple[str, ...]]]:
    with place.outpost.store.look() as session:
        return {each.patch: (each.state, each.why) for each in session.outbox.waiting(*Letter)}


def test_a_letter_about_what_was_applied_since_is_not_sent(place: Place, inbox: Any, root: Path, tree: Path) -> None:
    """The folder is taken as it is, so it is looked at whenever letters wait."""
    first, second = mails(root, "dmamap-retry")[0], mails(root, "aperture-mmap")
    inbox.deliver(first, *second)
    assert place.listen().letters == 2
    assert {state for state, _ in _letters(place).values()} == {Letter.HELD}
    _apply(tree, first)
    place.listen()
    told = [facts for event, facts in place.log if event == "cancelled"]
    assert [facts["text"] for facts in told] == ["applied already: small holds it"]
    states = _letters(place)
    assert states.pop(str(told[0]["patch"])) == (Letter.CANCELLED, ("applied already: small holds it",))
    assert [state for state, _ in states.values()] == [Letter.HELD]  # the other is nobody's business


def test_a_thread_that_cannot_be_read_stops_nobody(place: Place, inbox: Any, root: Path, tree: Path) -> None:
    """Anybody may answer into it: the letters of the other threads are looked at all the same."""
    first, second = mails(root, "dmamap-retry")[0], mails(root, "aperture-mmap")
    inbox.deliver(*second, first)
    assert place.listen().letters == 2
    _apply(tree, first)
    good = place.parts().reader

    def threads(raws: Any) -> Any:
        if len(raws) > 1:
            raise RecursionError
        return good.threads(raws)

    assert place.listen(reader=replace(good, threads=threads)).errors == 0
    assert sorted(state for state, _ in _letters(place).values()) == [Letter.CANCELLED, Letter.HELD]


def test_a_repository_is_looked_at_when_it_has_moved(
    tmp_path: Path, inbox: Any, root: Path, make_checkout: Callable[..., Any]
) -> None:
    checkout = make_checkout(tmp_path / "linux", root / "corpora" / "trees" / "small")
    place = Place(tmp_path, checkout.path, inbox)
    read: list[int] = []
    good = place.parts().reader

    def counted(raws: Any) -> Any:
        read.append(len(raws))
        return good.threads(raws)

    inbox.deliver(mails(root, "dmamap-retry")[0])
    assert place.listen().letters == 1
    (patch,) = _letters(place)
    watched = replace(good, threads=counted)
    for _ in range(3):
        place.listen(reader=watched)
    assert read == [1]  # once for the tip as it is
    # One that a person brings back is looked at, too: meanwhile the tree moved on and another letter was.
    with place.outpost.store.begin() as session:
        letter = session.outbox.of_patch(patch)
        assert letter and session.outbox.change(letter.id, Letter.CANCELLED, was=Letter.HELD, at=NOW)
    inbox.deliver(*mails(root, "aperture-mmap"))
    checkout.write("other.c", "int other;\n")
    checkout.commit("something else")
    place.listen()
    place.listen()
    with place.outpost.store.begin() as session:
        assert session.outbox.change(letter.id, Letter.HELD, was=Letter.CANCELLED, at=NOW)
    read.clear()
    place.listen(reader=watched)
    place.listen(reader=watched)
    assert read == [1]
    mailbox_file = tmp_path / "patch.mbox"
    mailbox_file.write_bytes(b"From x Thu Jan  1 00:00:00 1970\n" + mails(root, "dmamap-retry")[0])
    tip = checkout.am(mailbox_file)
    place.listen(reader=watched)
    assert _letters(place)[patch] == (Letter.CANCELLED, (f"applied already: small holds it at {tip[:12]}",))
    read.clear()
    place.listen(reader=watched)
    assert read == []
    place.close()


def test_a_newer_version_that_comes_while_others_are_reviewed(place: Place, inbox: Any, root: Path) -> None:
    """A pass that has reviewed for long enough ends, so that the lists are read before the rest is reviewed."""
    first, second = mails(root, "dmamap-retry")[0], mails(root, "winview-bounded")[0]
    inbox.deliver(first, second)
    clock = itertools.count(0, 40)  # a review takes so long
    done = place.listen(clock=lambda: float(next(clock)))
    assert done.reviewed == 1 and done.more
    inbox.deliver(second.replace(b"[PATCH v2]", b"[PATCH v3]").replace(b"-v2-1-", b"-v3-1-"))
    rest = place.listen()
    assert rest.reviewed == 1 and not rest.more
    with place.outpost.store.look() as session:
        rows = {row.version: (row.life, len(session.series.reviews(row.id))) for row in session.series.recent()}
    assert rows == {1: (Life.REVIEWED, 1), 2: (Life.SUPERSEDED, 0), 3: (Life.REVIEWED, 1)}


def test_more_series_than_a_pass_reviews(place: Place, inbox: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast they are dealt with: what is left is not put off until the lists are polled again."""
    monkeypatch.setattr(module, "MAX_REVIEWS", 1)
    inbox.deliver(mails(root, "dmamap-retry")[0], mails(root, "winview-bounded")[0])
    done = place.listen(max_age_days=0.001)
    assert done.muted == 1 and done.more
    rest = place.listen(max_age_days=0.001)
    assert rest.muted + rest.reviewed == 1 and not rest.more


def test_a_series_behind_very_much_talk_is_reviewed(
    place: Place, inbox: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_MAILS", 2)
    first = mails(root, "dmamap-retry")[0]
    name = re.search(rb"(?im)^message-id: *(<[^>]+>)", first)
    assert name
    talk = [
        b"From: Stan <stan@example.org>\nTo: small@lists.example.org\nSubject: Re: this\n"
        b"Date: Thu, 2 Apr 2026 10:0%d:00 +0000\nMessage-ID: <talk%d@x>\nIn-Reply-To: %s\n\nWords.\n"
        % (number, number, name[1])
        for number in range(4)
    ]
    inbox.deliver(first, *talk)
    assert place.listen().letters == 1
