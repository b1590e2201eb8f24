"""Drafts as a mailbox for mutt: read back by Python and by the real b4, which takes nothing out of it."""

from __future__ import annotations

import mailbox
import os
import subprocess
import sys
from collections.abc import Callable
from email.message import Message
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tui.seat import Seat

from lorelint.cli import run
from lorelint.cli.clock import who
from lorelint.edge.mailbox import read_bytes
from lorelint.edge.reader import reader
from lorelint.mail.mboxrd import mboxrd
from lorelint.model.errors import LorelintError
from lorelint.model.store import Letter

PATCH = "20260402-dmamap-zap-race-v1-1-7c21f0b9d4e3@example.org"


@pytest.fixture
def home(seat: Seat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folders are those of the seat."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LORELINT_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(path: Path) -> list[Message]:
    return list(mailbox.mbox(path, create=False))


def test_a_mailbox_of_drafts(seat: Seat, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["triage", "--mbox", "drafts.mbox"]) == 0
    assert "2 letters in drafts.mbox; nothing was sent" in capsys.readouterr().err
    first = (home / "drafts.mbox").read_bytes()
    found = {mail["In-Reply-To"]: mail for mail in read(home / "drafts.mbox")}
    with seat.outpost.store.look() as session:
        rows = session.outbox.waiting(Letter.HELD)
    mail = found[f"<{PATCH}>"]
    row = next(each for each in rows if each.patch == PATCH)
    assert mail["Message-ID"] == f"<{row.msgid}>" and mail["References"].split()[-1] == f"<{PATCH}>"
    assert mail["Subject"].startswith("Re: [PATCH]") and mail["Auto-Submitted"] == "auto-generated"
    body = mail.get_payload(decode=True)
    assert isinstance(body, bytes) and body.decode().rstrip("\n") == row.body.rstrip("\n")
    assert run(["triage", "--mbox", "drafts.mbox"]) == 0
    assert (home / "drafts.mbox").read_bytes() == first  # the same letters, the same bytes


def test_on_standard_output(home: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["triage", "--mbox", "-"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"From mboxrd@z Tue Apr 21 10:00:00 2026\n")


def test_b4_takes_nothing_out_of_it(seat: Seat, home: Path, root: Path, program: Callable[[str], str]) -> None:
    """A thread with our letters in it gives the same patches to apply as one without."""
    program("git")
    assert run(["triage", "--mbox", "drafts.mbox"]) == 0
    thread = (root / "corpora" / "threads" / "dmamap-retry.mbox").read_bytes()
    (home / "with.mbox").write_bytes(thread.rstrip(b"\n") + b"\n\n" + (home / "drafts.mbox").read_bytes())
    (home / "without.mbox").write_bytes(thread)
    made = {}
    for name in ("with", "without"):
        made[name] = _am(home, name)
    assert made["with"] == made["without"] and b"Reported-by" not in made["with"]
    # That b4 looks at them: the same mails with a line in them as nobody of us may write it.
    plain = (home / "drafts.mbox").read_bytes()
    tagged = plain.replace(b"\nThis is an automated", b"\nTested-by: Ida <bot@bot.example.org>\n\nThis is an automated")
    (home / "tagged.mbox").write_bytes(thread.rstrip(b"\n") + b"\n\n" + tagged)
    assert b"Tested-by: Ida" in _am(home, "tagged")


def _am(home: Path, name: str) -> bytes:
    out = home / f"am-{name}"
    out.mkdir()
    environment = {
        **os.environ, "HOME": str(home), "XDG_CACHE_HOME": str(out / "cache"), "XDG_DATA_HOME": str(out / "data"),
        "GIT_CONFIG_NOSYSTEM": "1",
    }  # fmt: skip
    b4 = Path(sys.executable).parent / "b4"
    command = [
        str(b4), "--offline-mode", "-c", "b4.attestation-policy=off", "am", "-o", str(out), "-S",
        "-m", str(home / f"{name}.mbox"), PATCH,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = out.glob("*.mbx")
    return made.read_bytes()


BODIES = st.lists(st.sampled_from(["From x", ">From y", ">>From ", "From", "text", "", " From z", "-- "]), max_size=8)


@given(st.lists(BODIES, min_size=1, max_size=4))
def test_what_goes_in_comes_out(bodies: list[list[str]]) -> None:
    """By our own reader, which knows mboxrd; lines that look like a separator among them."""
    raws = [
        b"Message-ID: <%d@x.example>\nFrom: a@x.example\nSubject: s\n\n" % number
        + "".join(f"{line}\n" for line in body).encode()
        for number, body in enumerate(bodies)
    ]
    box = mboxrd(("2026-04-21T10:00:00Z", raw) for raw in raws)
    assert [mail.raw for mail in read_bytes(box, "box").mails] == raws


def test_the_users_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is run with a mailbox that is gone afterwards; options stay options, and nothing goes through a shell."""
    program = tmp_path / "my reader"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\ncp "$2" {tmp_path}/seen\n')
    program.chmod(0o755)
    read = reader(f"'{program}' -f")
    assert read is not None
    read([b"Subject: one\n\nFrom here\n", b"Subject: two\n\n$(touch x)\n"])
    option, box = (tmp_path / "arguments").read_text().split("\n")[:2]
    assert option == "-f" and not Path(box).exists()
    assert [mail["Subject"] for mail in mailbox.mbox(tmp_path / "seen")] == ["one", "two"]
    assert b"\n>From here\n" in (tmp_path / "seen").read_bytes()
    with pytest.raises(LorelintError, match="no such mail reader"):
        reader("/nowhere/mutt -f")
    with pytest.raises(LorelintError, match="is no command"):
        reader("mutt 'f")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert reader("") is None
    (tmp_path / "mutt").symlink_to(program)
    assert reader("") is not None


def test_what_is_somebodys(seat: Seat, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["triage", "--mine", "dmamap", "--mine", "APERTURE DRIVER"]) == 0
    assert capsys.readouterr().err == "lorelint: yours: dmamap, APERTURE DRIVER\n"
    with seat.outpost.store.look() as session:
        assert session.steps.area(who()) == ("dmamap", "APERTURE DRIVER")
    assert run(["triage", "--mine", ""]) == 0 and capsys.readouterr().err == "lorelint: yours: nothing\n"
