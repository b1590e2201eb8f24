"""The program itself in a real terminal (a pty, as over ssh): it comes up, is worked, and leaves all as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tui.seat import Seat

from lorelint.model.store import Letter

SECONDS = 60.0


class Terminal:
    """A program with a terminal of its own."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path, size: tuple[int, int]) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.program = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=folder, start_new_session=True
        )
        self.seen = ""

    def until(self, pattern: str) -> str:
        """Read until something stands there; what came since the last time."""
        end, came = time.monotonic() + SECONDS, ""
        while time.monotonic() < end:
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    came += os.read(self.master, 65536).decode("utf-8", "replace")
                except OSError:
                    break
            if re.search(pattern, came):
                self.seen += came
                return came
            if self.program.poll() is not None and not select.select([self.master], [], [], 0)[0]:
                break
        raise AssertionError(f"{pattern} never came: {came[-2000:]!r}")

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> int:
        deadline = time.monotonic() + SECONDS
        while self.program.poll() is None and time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536).decode("utf-8", "replace")
        return self.program.wait(timeout=1)

    def close(self) -> None:
        if self.program.poll() is None:
            os.killpg(self.program.pid, signal.SIGKILL)
            self.program.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def environment(seat: Seat, root: Path, tmp_path: Path) -> dict[str, str]:
    seat.outpost.close()
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/^This is an automated/Here is an automated/' \"$1\"\n")
    editor.chmod(0o755)
    reader = tmp_path / "reader"
    reader.write_text(f'#!/bin/sh\necho the reader has the terminal; cp "$1" {tmp_path}/read\n')
    reader.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "LC_ALL")}
    return {
        **kept,
        "PYTHONPATH": f"{root / 'bot'}{os.pathsep}{root / 'rules'}",
        "TERM": "xterm-256color",
        "LORELINT_CONFIG": str(tmp_path / "config.toml"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "EDITOR": str(editor),
        "MAILER": str(reader),
    }


@pytest.fixture
def terminal(environment: dict[str, str], tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal([sys.executable, "-m", "lorelint", "triage"], environment, tmp_path, (80, 24))
    yield made
    made.close()


def test_in_a_terminal(terminal: Terminal, seat: Seat, tmp_path: Path) -> None:
    """Down to the letter about the second series; the editor and the reader get the terminal, and give it back."""
    terminal.until("1/2 series")
    terminal.type("j")
    terminal.until("2/2")
    terminal.type("\r")
    terminal.until("findings")
    terminal.type("\r")
    terminal.until("errno-collapsed-to-retry")
    terminal.type("v")
    terminal.until("In-Reply-To")
    terminal.type("e")
    terminal.until("Here is an automated")
    terminal.type("m")
    terminal.until("the reader has the terminal")
    terminal.until("In-Reply-To|Subject:")
    terminal.type("qqqq")
    assert terminal.end() == 0
    assert termios.tcgetattr(terminal.slave)[3] == terminal.before[3]  # echo and lines as they were
    assert "\x1b[?1049l" in terminal.seen  # out of the alternate screen
    assert b"dmamap-zap-race" in (tmp_path / "read").read_bytes()
    with seat.outpost.store.look() as session:
        assert any(row.body.startswith("Here is an automated") for row in session.outbox.waiting(Letter.HELD))


def test_without_colour(environment: dict[str, str], tmp_path: Path) -> None:
    """NO_COLOR: no sequence that sets one; what is chosen stands in reverse."""
    made = Terminal(
        [sys.executable, "-m", "lorelint", "triage", "all"], environment | {"NO_COLOR": "1"}, tmp_path, (160, 48)
    )
    try:
        made.until("series")
        made.type("jq")
        assert made.end() == 0
    finally:
        made.close()
    codes = [part for found in re.findall("\x1b\\[([0-9;]*)m", made.seen) for part in found.split(";")]
    assert "7" in codes and not {code for code in codes if re.fullmatch(r"3[0-8]|4[0-8]|9[0-7]|10[0-7]", code)}


def test_without_a_terminal(environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lorelint", "triage"],
        env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "needs a terminal" in done.stderr and "Traceback" not in done.stderr
