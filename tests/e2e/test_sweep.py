"""`lorelint sweep` over an archive: the same bytes whoever works, and whatever is killed on the way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.sweeping import PROGRAM, Cluster, archive, children, cluster, command_of, environment, kill

COPIES = 12  # of each thread: 60 series
KEPT = 40  # series of one transaction, see `jobs.sweep.BATCH`
RULES = ("--rule", "unbounded-retry")


class Place:
    """A user, an archive, and sweeps over it, each with a store of its own."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        # The code as it stands now: a sweep does not go on with what somebody has edited meanwhile.
        for part in ("bot", "rules"):
            shutil.copytree(root / part, folder / "code" / part, ignore=shutil.ignore_patterns("__pycache__"))
        self.environment = environment(folder / "code", folder)
        self.tree = root / "corpora" / "trees" / "small"
        self.archive = archive(root / "corpora" / "threads", folder / "archive", COPIES)

    def command(self, name: str, *more: str) -> list[str]:
        files = ["--store", str(self.folder / f"{name}.sqlite"), "--out", str(self.folder / f"{name}.jsonl")]
        return [*PROGRAM, "--inbox", str(self.archive), "--tree", str(self.tree), *RULES, *files, *more]

    def start(self, name: str, *more: str) -> subprocess.Popen[str]:
        command = self.command(name, "--json", "--time", *more)
        out = subprocess.PIPE
        return subprocess.Popen(command, env=self.environment, stdout=out, stderr=out, text=True, cwd=self.folder)

    def sweep(self, name: str, *more: str, code: int = 1) -> dict[str, Any]:
        return self.end(self.start(name, *more), code)

    def end(self, child: subprocess.Popen[str], code: int = 1) -> dict[str, Any]:
        out, err = child.communicate(timeout=300)
        assert child.returncode == code, err
        made: dict[str, Any] = json.loads(out)
        return made

    def bytes(self, name: str) -> bytes:
        return (self.folder / f"{name}.jsonl").read_bytes()

    def kept(self, name: str) -> int:
        """Reviews in a store so far."""
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(self.folder / f"{name}.sqlite")) as db:
            return int(db.execute("SELECT count(*) FROM reviews").fetchone()[0])
        return 0

    def read(self, name: str) -> int:
        """Mails in a store so far."""
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(self.folder / f"{name}.sqlite")) as db:
            return int(db.execute("SELECT count(*) FROM messages").fetchone()[0])
        return 0

    def wait_for(self, name: str, child: subprocess.Popen[str], reviews: int) -> None:
        """Until so many are kept, the sweep still going on."""
        while self.kept(name) < reviews:
            assert child.poll() is None, child.communicate()
            time.sleep(0.005)


@pytest.fixture(scope="module")
def place(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """With one sweep done, by one process: ``one``."""
    made = Place(root, tmp_path_factory.mktemp("sweep"))
    made.one = made.sweep("one", "--jobs", "1")  # type: ignore[attr-defined]
    return made


@pytest.fixture(scope="module")
def dask(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Cluster]]:
    """A cluster of three on the loopback, started when it is first asked for."""
    with cluster(tmp_path_factory.mktemp("dask"), place.environment) as made:
        yield lambda: made


def test_what_is_found(place: Place) -> None:
    made = place.one  # type: ignore[attr-defined]
    assert made["series"] == {"reviewed": 5 * COPIES}
    (rule,) = made["rules"]
    # One patch brings the defect, posted twice and answered once; its second version is without it.
    assert (rule["rule"], rule["findings"], rule["said"]) == ("unbounded-retry", COPIES, COPIES)
    assert (rule["fixed"], rule["raised"], rule["noise"]) == (COPIES, COPIES, 0)
    assert made["mails"]["patch"] == 6 * COPIES and made["failed"] == []
    lines = [json.loads(line) for line in place.bytes("one").splitlines()]
    assert [(each["at"], each["first"]) for each in lines] == sorted((each["at"], each["first"]) for each in lines)
    assert sum(len(each["findings"]) for each in lines) == 2 * COPIES


def test_two_processes(place: Place) -> None:
    made = place.sweep("two", "--jobs", "2")
    assert place.bytes("two") == place.bytes("one")
    assert {**made, "run": 0} == {**place.one, "run": 0}  # type: ignore[attr-defined]


def test_a_cluster(place: Place, dask: Callable[[], Cluster]) -> None:
    made = place.sweep("dask", "--executor", dask().executor)
    assert made["run"]["series"] == 5 * COPIES
    assert place.bytes("dask") == place.bytes("one")
    left = [each for pid in dask().working() for each in children(pid)]
    assert not [each for each in left if b"spawn_main" in command_of(each)]  # what it had in the workers has ended


def test_done_is_done(place: Place) -> None:
    again = place.sweep("one", "--jobs", "2")
    assert (again["run"]["taken"], again["run"]["series"]) == (0, 0)
    assert {**again, "run": 0} == {**place.one, "run": 0}  # type: ignore[attr-defined]


def test_the_whole_is_killed(place: Place) -> None:
    child = place.start("killed", "--jobs", "2")
    place.wait_for("killed", child, 1)
    child.kill()
    child.communicate()
    kept = place.kept("killed")
    made = place.sweep("killed", "--jobs", "2")
    assert (made["run"]["taken"], made["run"]["series"]) == (0, 5 * COPIES - kept)
    assert place.bytes("killed") == place.bytes("one")


def test_it_is_asked_to_end(place: Place) -> None:
    child = place.start("ended", "--jobs", "2")
    place.wait_for("ended", child, 1)
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130 and "the same command goes on" in err
    place.sweep("ended", "--jobs", "1")
    assert place.bytes("ended") == place.bytes("one")


def test_a_worker_is_killed(place: Place) -> None:
    child = place.start("worker", "--jobs", "2")
    killed: set[int] = set()
    while len(killed) < 3 and child.poll() is None:
        for each in children(child.pid):
            if b"spawn_main" in command_of(each) and each not in killed and len(killed) < 3:
                time.sleep(0.3)
                kill(each)
                killed.add(each)
        time.sleep(0.02)
    made = place.end(child)
    assert len(killed) == 3 and made["failed"] == []
    assert place.bytes("worker") == place.bytes("one")


def test_a_worker_of_the_cluster_is_killed(place: Place, dask: Callable[[], Cluster]) -> None:
    child = place.start("lost", "--executor", dask().executor)
    place.wait_for("lost", child, 1)
    kill(dask().working()[0])
    made = place.end(child)
    assert made["failed"] == [] and place.bytes("lost") == place.bytes("one")


def test_the_scheduler_is_started_again(place: Place, tmp_path: Path) -> None:
    """In the middle of it; where the sweep was faster than we, once more."""
    for attempt in range(5):
        folder, name = tmp_path / str(attempt), f"scheduler-{attempt}"
        folder.mkdir()
        with cluster(folder, place.environment) as dask:
            child = place.start(name, "--executor", dask.executor)
            place.wait_for(name, child, 1)
            child.send_signal(signal.SIGSTOP)  # or it may be done before the scheduler is dead
            kill(dask.scheduler.pid)
            for each in dask.workers:
                each.terminate()
            child.send_signal(signal.SIGCONT)
            dask.start(2)
            made = place.end(child)
        assert made["failed"] == [] and place.bytes(name) == place.bytes("one")
        if made["run"]["lost"]:
            return
    pytest.fail("it was done each time")


def test_a_cluster_that_is_not_there(place: Place) -> None:
    done = subprocess.run(
        place.command("nobody", "--executor", "dask://127.0.0.1:9"),
        env=place.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "dask://127.0.0.1:9: the cluster does not answer (" in done.stderr


def test_another_sweep_is_not_mixed_in(place: Place) -> None:
    command = [each for each in place.command("one") if each not in RULES]
    done = subprocess.run(command, env=place.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "holds a sweep with another rules (go on as it was begun, or name another --store)" in done.stderr


def test_no_two_at_a_time(place: Place) -> None:
    child = place.start("twice", "--jobs", "1")
    while not place.read("twice"):
        assert child.poll() is None
        time.sleep(0.02)
    done = subprocess.run(place.command("twice"), env=place.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "another process sweeps into this store" in done.stderr
    os.kill(child.pid, signal.SIGINT)
    child.communicate(timeout=60)
