"""`lorelint send` is killed at its worst moments, and no letter is doubled at a server that takes whatever comes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.jobs.outgoing import AUTOMATIC, Room, policy
from tests.mailserver import Handler, mailserver

from lorelint.jobs.send import LOST
from lorelint.model.store import Letter, LetterRow

TEXT = AUTOMATIC
ADDRESS = 'address = "ringmap@lists.example.org"\n'


@contextmanager
def archive(has: Callable[[], bool]) -> Iterator[str]:
    """A public-inbox as far as HEAD goes: it has every message, or none."""

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200 if has() else 404)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/ring"
    finally:
        server.shutdown()
        server.server_close()


class Place:
    """A user's folders, a mail server, an archive, and the command run in them."""

    def __init__(self, folder: Path, handler: Handler, port: int, archive: str) -> None:
        self.folder = folder
        self.handler = handler
        self.room = Room(folder / "data" / "lorelint")
        (folder / "policy.toml").write_text(TEXT)
        (folder / "smtp.toml").write_text(f'host = "127.0.0.1"\nport = {port}\n')
        (folder / "config.toml").write_text(
            f'policy = "{folder}/policy.toml"\n[inbox.ring]\nurl = "{archive}"\n' + ADDRESS
        )
        row = self.room.letter(policy(TEXT))
        with self.room.store.begin() as session:  # a person wants it sent however old it is by now
            session.outbox.change(row.id, Letter.HELD, was=Letter.RELEASED, at=row.released_at)
            session.outbox.change(row.id, Letter.RELEASED, was=Letter.HELD, at="2999-01-01T00:00:00Z", who="me")

    def start(self, *more: str, git: str = "") -> subprocess.Popen[str]:
        """Run the command; `git` is a file of git settings that names the mail server instead of ours."""
        there = {"XDG_DATA_HOME": str(self.folder / "data"), "LORELINT_CONFIG": str(self.folder / "config.toml")}
        command = [sys.executable, "-m", "lorelint", "send", "--once", *more]
        if git:
            there |= {"GIT_CONFIG_GLOBAL": git, "HOME": str(self.folder)}
        else:
            command += ["--smtp-config", str(self.folder / "smtp.toml")]
        return subprocess.Popen(
            command, env={**os.environ, **there}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def send(self, *more: str, git: str = "") -> str:
        process = self.start(*more, git=git)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out + err

    def letter(self) -> LetterRow:
        (row,) = self.room.letters()
        return row

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else can write to the store meanwhile."""
        other = sqlite3.connect(self.folder / "data" / "lorelint" / "store.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()


@pytest.fixture
def arrived() -> list[bool]:
    return [False]


@pytest.fixture
def place(tmp_path: Path, arrived: list[bool]) -> Iterator[Place]:
    with mailserver() as (handler, port), archive(lambda: arrived[0]) as url:
        yield Place(tmp_path, handler, port, url)


def test_a_run_without_a_kill(place: Place) -> None:
    assert "would go" in place.send("--dry-run") and not place.handler.mails
    assert "sent" in place.send()
    assert "nothing is released" in place.send()
    assert len(place.handler.mails) == 1 and place.letter().state is Letter.SENT


def test_dry_run_of_the_policy_wins(place: Place) -> None:
    (place.folder / "policy.toml").write_text(TEXT.replace("dry_run = false", "dry_run = true"))
    assert "would go" in place.send("--for-real") and not place.handler.mails


def test_a_broken_policy_sends_nothing_and_says_so(place: Place) -> None:
    (place.folder / "policy.toml").write_text(TEXT + "typo = 1\n")
    process = place.start("--for-real")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and "typo" in err and "policy.toml:" in err
    assert not place.handler.mails
    with place.room.store.look() as session:
        (note,) = [each for each in session.notes.all() if each.name == "send"]
    assert not note.ok and "typo" in note.text


def test_two_do_not_send_at_a_time(place: Place) -> None:
    import fcntl

    with (place.folder / "data" / "lorelint" / "store.sqlite.send.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        process = place.start()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and "another process is sending" in err and not place.handler.mails


def test_two_machines_do_not_send_from_one_store(place: Place, postgresql: Callable[[], str]) -> None:
    """Each has a data folder of its own; what they have in common is the store."""
    from lorelint.edge.store.database import Database
    from lorelint.edge.store.holding import held

    url = postgresql()
    config = place.folder / "config.toml"
    config.write_text(config.read_text() + f'[store]\nurl = "{url}"\n')
    other = Database(url, place.folder / "another machine")
    with held(other, "send", "is sending"):
        process = place.start()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2 and "another process is sending" in err
    other.close()
    assert "nothing is released" in place.send()


@pytest.mark.parametrize("there", [True, False])
def test_killed_between_the_servers_250_and_our_commit(place: Place, arrived: list[bool], there: bool) -> None:
    """The store is locked before the server answers, so the command has the 250 and cannot write it down."""
    reached = threading.Event()
    go_on = threading.Event()

    def answer(text: str) -> None:
        reached.set()
        go_on.wait(30)

    place.handler.data = answer
    process = place.start()
    assert reached.wait(30)
    assert place.letter().state is Letter.SENDING  # written before it was handed over
    with place.locked():
        go_on.set()
        while not place.handler.mails:
            time.sleep(0.01)
        time.sleep(0.5)  # the 250 is there, the commit is not
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert place.letter().state is Letter.SENDING and len(place.handler.mails) == 1

    place.handler.data = lambda text: None
    arrived[0] = there
    told = place.send()
    row = place.letter()
    if there:
        assert row.state is Letter.SENT and "found in the archive" in told
    else:
        assert row.state is Letter.HELD and row.why == (LOST,) and "held" in told
    place.send()
    assert len(place.handler.mails) == 1


@pytest.mark.parametrize("step", ["mail", "rcpt", "data"])
def test_killed_in_the_middle_of_the_talk(place: Place, step: str) -> None:
    process = place.start()

    def kill(text: str) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()

    setattr(place.handler, step, kill)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    setattr(place.handler, step, lambda text: None)
    taken = len(place.handler.mails)
    place.send()
    assert len(place.handler.mails) == taken <= 1
    assert place.letter().state is Letter.HELD and place.letter().why == (LOST,)


def test_the_servers_settings_are_for_the_user_alone(place: Place) -> None:
    path = place.folder / "smtp.toml"
    path.write_text(path.read_text() + 'user = "bot"\npassword = "secret"\n')
    path.chmod(0o644)
    process = place.start()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and "others may read the password" in err and "secret" not in err


def test_the_server_that_git_names(place: Place) -> None:
    port = (place.folder / "smtp.toml").read_text().split()[-1]
    settings = place.folder / "gitconfig"
    settings.write_text(f"[sendemail]\n\tsmtpserver = 127.0.0.1\n\tsmtpserverport = {port}\n")
    assert "sent" in place.send(git=str(settings))
    assert len(place.handler.mails) == 1 and place.letter().state is Letter.SENT


@pytest.mark.parametrize(("code", "state"), [(0, Letter.SENT), (75, Letter.RELEASED), (1, Letter.REFUSED)])
def test_the_program_that_git_names(place: Place, code: int, state: Letter) -> None:
    program = place.folder / "sendmail"
    program.write_text(f'#!/bin/sh\ncat > "{place.folder}/got"\necho "$@" > "{place.folder}/to"\nexit {code}\n')
    program.chmod(0o755)
    settings = place.folder / "gitconfig"
    settings.write_text(f"[sendemail]\n\tsendmailcmd = {program}\n")
    place.send(git=str(settings))
    assert place.letter().state is state
    assert (place.folder / "got").read_bytes().startswith(b"From: lorelint <bot@bot.example.org>\n")
    assert (place.folder / "to").read_text() == "-i -- ida@example.org ringmap@lists.example.org max@example.org\n"


def test_no_server_at_all(place: Place) -> None:
    settings = place.folder / "gitconfig"
    settings.write_text("")
    process = place.start(git=str(settings))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and "git names no mail server" in err
    assert place.letter().state is Letter.RELEASED
