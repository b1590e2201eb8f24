"""How costs are measured, and the table of them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest


@dataclass(frozen=True)
class Cost:
    wall: float
    cpu: float  # seconds of the process and of what it started


class Table:
    """Measured costs by name, printed at the end; what missed its bar fails the run there, after all is measured."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Cost, str]] = []
        self.missed: list[str] = []

    def add(self, name: str, cost: Cost, note: str = "") -> Cost:
        self.rows.append((name, cost, note))
        return cost

    def bar(self, name: str, value: float, bar: float, unit: str = "s") -> None:
        """A value that must not be passed."""
        met = value <= bar
        self.rows.append((f"  {name}", Cost(0, 0), f"{value:.3g} {unit}, bar {bar:g}: {'met' if met else 'MISSED'}"))
        if not met:
            self.missed.append(f"{name}: {value:.3g} {unit}, bar {bar:g}")

    def text(self) -> str:
        lines = [f"{'':<58} {'wall s':>8} {'CPU s':>8}"]
        for name, cost, note in self.rows:
            figures = f"{cost.wall:8.2f} {cost.cpu:8.2f}" if cost.wall else f"{'':17}"
            lines.append(f"{name:<58} {figures}  {note}".rstrip())
        return "\n".join(lines)


@pytest.fixture(scope="session")
def table() -> Iterator[Table]:
    made = Table()
    yield made
    print(f"\n\n{made.text()}\n")
    assert not made.missed, "\n".join(made.missed)


def measured(
    command: list[str], folder: Path, environment: dict[str, str] | None = None, good: tuple[int, ...] = (0,)
) -> tuple[Cost, str]:
    """What a command costs, and what it says."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode in good, done.stderr
    return Cost(wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime), done.stdout


class Peak:
    """The most memory that a process and all it started held at once, looked at ten times a second."""

    def __init__(self) -> None:
        self.bytes = 0
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Peak:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._done.wait(0.1):
            self.bytes = max(self.bytes, _held(os.getpid()))


def _held(top: int) -> int:
    """Resident bytes of all descendants of a process, not shared ones twice (Pss where the kernel tells it)."""
    parents: dict[int, int] = {}
    for entry in (each.name for each in Path("/proc").iterdir()):
        if entry.isdigit():
            try:
                stat = Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            parents[int(entry)] = int(stat.rpartition(")")[2].split()[1])
    total = 0
    for pid in parents:
        at = pid
        while at in parents and at != top:
            at = parents[at]
        if at == top and pid != top:
            try:
                for line in Path("/proc", str(pid), "smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
            except OSError:
                continue
    return total


@pytest.fixture
def lorelint(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Cost]:
    """Runs the command line as a user's shell would. ``cache=NAME`` names one of several caches, empty at first."""
    caches = tmp_path_factory.getbasetemp() / "bench-caches"
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(root / "bot"), str(root / "rules")], check=True)

    def run(*arguments: str, cache: str = "empty") -> Cost:
        environment = {
            **os.environ,
            "PYTHONPATH": f"{root / 'bot'}{os.pathsep}{root / 'rules'}",
            "XDG_CACHE_HOME": str(caches / cache),
        }
        return measured([sys.executable, "-m", "lorelint", *arguments], root, environment, (0, 1))[0]

    return run


@pytest.fixture(scope="session")
def bench() -> SimpleNamespace:
    def best(measure: Callable[[], Cost], runs: int = 5) -> Cost:
        return min((measure() for _ in range(runs)), key=lambda cost: cost.wall)

    def median(measure: Callable[[], Cost], runs: int = 5) -> Cost:
        return sorted((measure() for _ in range(runs)), key=lambda cost: cost.wall)[runs // 2]

    return SimpleNamespace(Cost=Cost, measured=measured, best=best, median=median, Peak=Peak)
