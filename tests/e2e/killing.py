"""Commands that are killed at a chosen point of what they do to the world, and states of a loop to begin again from.

A point is a system call of the command's own process: before it is done, strace(1) kills the process with SIGKILL, as
the kernel's oom killer would. The programs it has started go on, as they would then, or are killed with it, as by a
machine that fails. A program it has started can be killed alone, too.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from tests.e2e.loop import Loop, Ran
from tests.e2e.story import CHAPTERS, Chapter

from lorelint.jobs.send import LOST
from lorelint.model.store import Letter, LetterRow

KILLED = -9
# What others can see of a process: files, locks, programs started, words on sockets.
CALLS = (
    "pwrite64 fdatasync fsync ftruncate unlink rename mkdir flock write "
    "vfork clone clone3 wait4 poll connect sendto recvfrom"
).split()
TAKEN = '"250 taken'  # the mail server's word
_LINE = re.compile(r"^(\w+)\(")


@dataclass(frozen=True, slots=True)
class Point:
    """The nth call of a name. `taken`: the mail server has a letter, and the store does not say so yet."""

    call: str
    nth: int
    taken: bool = False

    @property
    def under(self) -> tuple[str, ...]:
        """The command to run a command under."""
        inject = f"inject={self.call}:signal=SIGKILL:when={self.nth}"
        return ("strace", "-qq", "-o", "/dev/null", "-e", f"trace={self.call}", "-e", inject)


def recorded(loop: Loop, command: tuple[str, ...]) -> list[list[Point]]:
    """The points of a command that is run to its end: calls of a name that follow each other are one group."""
    log = loop.folder / "calls"
    loop.run(*command, under=("strace", "-qq", "-o", str(log), "-e", f"trace={','.join(CALLS)}"))
    counts: Counter[str] = Counter()
    points, taken = [], False
    for line in log.read_text("utf-8", "replace").splitlines():
        match = _LINE.match(line)
        if match and match[1] in CALLS:
            counts[match[1]] += 1
            points.append(Point(match[1], counts[match[1]], taken))
            written = match[1] == "fdatasync" or "COMMIT" in line  # by SQLite, by a server
            taken = TAKEN in line or (taken and not written)
    return [list(group) for _, group in groupby(points, key=lambda point: (point.call, point.taken))]


def chosen(groups: list[list[Point]], count: int, seed: str) -> Iterator[Point]:
    """Points at random. Every other one is between the mail server's word and the store, where there are such."""
    choice = random.Random(seed)
    between = [group for group in groups if group[0].taken]
    for number in range(count):
        yield choice.choice(choice.choice(between if between and number % 2 else groups))


class Warm:
    """A loop just before the command of a chapter, again and again."""

    def __init__(self, loop: Loop, name: str) -> None:
        self.loop = loop
        self._kept = loop.folder / "kept"
        for chapter in CHAPTERS:
            self.chapter = chapter
            loop.inbox.deliver(*chapter.comes(loop))
            self.command = chapter.command(loop)
            if chapter.name == name:
                break
            loop.run(*self.command)
        for folder in self._folders:
            folder.mkdir(exist_ok=True)
            shutil.copytree(folder, self._kept / folder.relative_to(loop.folder))
        self._head = self._archived()
        _copy_database(loop.database, keep=True)
        self.groups = recorded(loop, self.command)
        self.after = state(loop)

    @property
    def _folders(self) -> tuple[Path, ...]:
        """What a command changes."""
        return (self.loop.folder / "data", self.loop.folder / "cache", self.loop.mails, self.loop.inbox.path)

    def _archived(self) -> bytes:
        return self.loop.inbox.run("git", f"--git-dir={self.loop.inbox.path}/git/0.git", "rev-parse", "HEAD")

    def again(self) -> None:
        """Back to before the command."""
        _copy_database(self.loop.database, keep=False)
        changed = self._archived() != self._head
        for folder in self._folders:
            if folder != self.loop.inbox.path or changed:
                shutil.rmtree(folder)
                shutil.copytree(self._kept / folder.relative_to(self.loop.folder), folder)
        if changed:
            self.loop.inbox.close()
            self.loop.inbox.serve(self.loop.inbox.port)  # it had the old files open

    def killed(self, point: Point, group: bool = False) -> Point:
        """Run the command until it is killed; where. `group`: with all that it has started.

        How often a run waits is another number every time: one that ended before the point is run again, to be killed
        at half its number.
        """
        ran = self._run(point, group)
        if ran == 0 and point.nth > 1:
            self.again()
            return self.killed(replace(point, nth=point.nth // 2, taken=False), group)
        assert ran == KILLED, ran
        return point

    def _run(self, point: Point, group: bool) -> int:
        if not group:
            return self.loop.run(*self.command, under=point.under, code=None).code
        with self.loop.begin(*self.command, under=point.under, alone=True) as process:
            # What it has started holds its pipes, so they are not read to their end.
            code = process.wait(timeout=120)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return code

    def without(self, program: str, pause: float) -> Ran:
        """Run the command to its end, and kill the first program of a name that it starts, a while after its start."""
        for _ in range(20):
            process = self.loop.begin(*self.command)
            hit = _kill_child(process, program, pause)
            out, err = process.communicate(timeout=120)
            if hit:
                return Ran(process.returncode, out, err)
            self.again()
            pause /= 2
        raise AssertionError(f"{program} was over each time, or never there")


def _kill_child(process: subprocess.Popen[str], program: str, pause: float) -> bool:
    """Whether it was there and could be killed."""
    while process.poll() is None:
        for pid in _descendants(process.pid):
            with contextlib.suppress(OSError):
                if program in Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "):
                    time.sleep(pause)
                    alive = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
                    os.kill(pid, signal.SIGKILL)
                    return alive
        time.sleep(0.001)
    return False


def _descendants(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [each for child in map(int, children) for each in (child, *_descendants(child))]
    return []


def _copy_database(url: str, keep: bool) -> None:
    """A database of a server beside itself, or back from there."""
    if not url:
        return
    made = sa.make_url(url)
    name, kept = made.database, f"kept_{made.database}"
    source, target = (name, kept) if keep else (kept, name)
    with psycopg.connect(made.set(database="postgres").render_as_string(), autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {target} WITH (FORCE)".encode())
        server.execute(f"CREATE DATABASE {target} TEMPLATE {source}".encode())


def state(loop: Loop) -> dict[str, Any]:
    """All that the store holds, but for times and for how a pass went.

    A server gives no number twice, and what was broken off has had some: there it is all but the numbers of rows.
    """
    without = {"series", "review", "finding", "superseded_by", "id", "batch"} if loop.database else set()
    found = {}
    with loop.store() as store, store.transaction() as connection:
        tables = sa.MetaData()
        tables.reflect(connection)
        for table in tables.sorted_tables:
            if table.name not in ("notes", "alembic_version", *(("tag_bits",) if loop.database else ())):
                found[table.name] = _rows(connection, table, without)
    return found


def _rows(connection: sa.Connection, table: sa.Table, without: set[str]) -> list[tuple[Any, ...]]:
    def kept(name: str) -> bool:
        return name not in ("at", "seconds", *without) and not name.endswith("_at")

    rows = connection.execute(sa.select(*(each for each in table.columns if kept(each.name)))).all()
    plain = [tuple(_without_numbers(each) if without else each for each in row) for row in rows]
    return sorted((row for row in plain if not str(row[0]).startswith("read:")), key=repr)  # when a list was


def _without_numbers(value: Any) -> Any:
    return re.sub(r"\b(letter|finding):\d+", r"\1:N", value) if isinstance(value, str) else value


def letters(loop: Loop) -> tuple[LetterRow, ...]:
    with loop.store() as store, store.look() as session:
        return session.outbox.waiting(*Letter)


def lost(loop: Loop, handed: bool) -> list[str]:
    """Numbers of letters of whose fate is said that nobody knows it, which the mail server was handed or was not."""
    there = {str(mail["Message-ID"]) for mail in loop.sent()}
    return [str(each.id) for each in letters(loop) if LOST in each.why and (f"<{each.msgid}>" in there) == handed]


def no_letter_is_doubled_or_lost(loop: Loop) -> None:
    """Each was handed over at most once; one of which that is not known is held and says so."""
    handed = Counter(str(mail["Message-ID"]) for mail in loop.sent())
    assert set(handed.values()) <= {1}, handed
    for letter in letters(loop):
        there = handed.pop(f"<{letter.msgid}>", 0)
        if letter.state is Letter.HELD:
            assert LOST in letter.why or not there, letter
        else:
            assert letter.state is (Letter.SENT if there else Letter.RELEASED), letter
    assert not handed, handed


def run_until_done(loop: Loop, chapter: Chapter, most: int = 3) -> int:
    """Run the command of a chapter again until a run did all there was to do, as a supervisor would; how often."""
    for number in range(1, most + 1):
        command = chapter.command(loop)
        ran = loop.run(*command, code=None) if command else None
        if ran is None or ran.code == 0:
            return number
    raise AssertionError(ran)
