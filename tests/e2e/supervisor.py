"""Keeps processes running, kills them at random, remembers what became of each: systemd's part, and misfortune's."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Part:
    """One process that is to run all the time.

    delay   seconds until it is started again
    memory  megabytes of its own that it had, each with its age in seconds; a new process begins a new list
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    delay: float = 1.0
    process: subprocess.Popen[bytes] | None = None
    since: float = 0.0  # when it was started, or disturbed
    again: float = 0.0  # when it is to be started
    kills: int = 0
    starts: int = 0
    ended: list[str] = field(default_factory=list)  # by itself
    memory: list[list[tuple[float, float]]] = field(default_factory=list)

    @property
    def pid(self) -> int:
        return self.process.pid if self.process is not None else 0


class Supervisor:
    """The parts by name; `turn` is to be called a few times a second, by the thread that has made it."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.parts: dict[str, Part] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def add(self, part: Part) -> None:
        self.parts[part.name] = part

    def turn(self) -> None:
        """Start what is not running and whose time has come."""
        for part in self.parts.values():
            self._look(part)

    def _look(self, part: Part) -> None:
        now = time.monotonic()
        if part.process is not None and part.process.poll() is not None:
            if part.process.returncode != -signal.SIGKILL:
                part.ended.append(f"exit code {part.process.returncode}")
            part.process, part.again = None, now + part.delay
        if part.process is None and now >= part.again:
            with (self.logs / f"{part.name}.log").open("ab") as log:
                part.process = subprocess.Popen(
                    part.command,
                    env=part.environment,
                    cwd=part.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            part.since, part.starts = now, part.starts + 1
            part.memory.append([])

    def kill(self, name: str, choice: random.Random) -> None:
        """SIGKILL for a part; of the database, every other time for one of its workers, after which it recovers."""
        part = self.parts[name]
        workers = children(part.pid) if name == "database" and choice.random() < 0.5 else []
        with contextlib.suppress(ProcessLookupError):
            os.kill(choice.choice(workers) if workers else part.pid, signal.SIGKILL)
            part.kills, part.since = part.kills + 1, time.monotonic()

    def settled(self, names: Sequence[str], seconds: float) -> bool:
        """Whether parts have been left alone for a while."""
        parts = [self.parts[name] for name in names]
        now = time.monotonic()
        return all(each.process is not None and now - each.since >= seconds for each in parts)

    def measure(self) -> None:
        """Remember what memory each part has now."""
        now = time.monotonic()
        for part in self.parts.values():
            if part.process is not None and part.process.poll() is None:
                every = [part.pid, *(children(part.pid) if part.name == "database" else [])]
                part.memory[-1].append((now - part.since, sum(map(resident, every))))

    def close(self) -> None:
        for part in reversed(self.parts.values()):
            if part.process is not None and part.process.poll() is None:
                part.process.send_signal(signal.SIGINT if part.name == "database" else signal.SIGTERM)
        for part in self.parts.values():
            if part.process is not None:
                try:
                    part.process.wait(timeout=60)
                except subprocess.TimeoutExpired:
                    part.process.kill()
                    part.process.wait(timeout=10)

    def told(self) -> Counter[str]:
        """What is wrong in the logs, by part."""
        words = (b"Traceback (most recent call last)", b"a bug of ours")
        texts = {path.stem: path.read_bytes() for path in self.logs.glob("lorelint-*.log")}
        return Counter({name: count for name, text in texts.items() if (count := sum(map(text.count, words)))})


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def resident(pid: int) -> float:
    """Megabytes of a process that are not shared with others as memory (a database's cache is, and is given a size)."""
    with contextlib.suppress(OSError):
        found = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        if "VmRSS" in found:
            return (int(found["VmRSS"].split()[0]) - int(found["RssShmem"].split()[0])) / 1024
    return 0.0
