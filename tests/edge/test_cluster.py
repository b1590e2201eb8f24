"""Workers behind futures: what breaks one is an error of its task, and who has none left says so."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.sweeping import Cluster, children, cluster, command_of, environment, kill

from lorelint.edge.apart import SMALLEST
from lorelint.edge.cluster import Dask, Job, Local, Own
from lorelint.model.errors import LorelintError
from lorelint.model.sweep import Crew, Unfit


def make(setup: str) -> Callable[[str], tuple[str, int] | Unfit]:
    def work(task: str) -> tuple[str, int] | Unfit:
        if task == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if task == "hang":
            time.sleep(600)
        if task == "unfit":
            return Unfit("has no tree")
        return f"{setup} {task}", os.getpid()

    return work


def own(setup: str, mine: Own) -> str:
    return f"{setup} {mine.tree} {Path(mine.cache).name}"


JOB: Job[str, tuple[str, int]] = Job(make, "here", 9.0, SMALLEST, own)


@pytest.fixture(scope="module")
def dask(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with cluster(folder, {**environment(root, folder), "DASK_LORELINT__TREE": "/there"}, workers=2) as made:
        yield made


@dataclass
class At:
    crew: Crew[str, tuple[str, int]]
    word: str


@pytest.fixture(params=["local", "dask"])
def at(request: pytest.FixtureRequest) -> Iterator[At]:
    if request.param == "local":
        made = At(Local(JOB, 2), "here")
    else:
        made = At(Dask(JOB, request.getfixturevalue("dask").executor), "here /there lorelint")
    yield made
    made.crew.close()


def test_tasks_are_done_by_two_processes(at: At) -> None:
    assert at.crew.width == 2
    futures = [at.crew.submit(str(number)) for number in range(20)]
    wait(futures, timeout=60)
    answers = [future.result(0) for future in futures]
    assert [each[0] for each in answers if isinstance(each, tuple)] == [f"{at.word} {number}" for number in range(20)]
    assert len({each[1] for each in answers if isinstance(each, tuple)} - {os.getpid()}) == 2


def test_what_breaks_a_process_is_an_error_of_its_task(at: At) -> None:
    futures = [at.crew.submit(task) for task in ("a", "die", "hang", "b", "unfit", "c")]
    wait(futures, timeout=60)
    told = [str(error) if (error := future.exception(0)) else "" for future in futures]
    assert told[1].startswith("the process that did it ended: by SIGKILL")
    assert told[2] == "took more than 9 s, and was ended"
    assert [told[place] for place in (0, 3, 4, 5)] == [""] * 4
    assert futures[4].result(0) == Unfit("has no tree")
    errors = [future.exception(0) for future in futures]
    assert {type(error) for error in errors if error} == {LorelintError}


def test_nothing_is_left_behind() -> None:
    crew = Local(JOB, 2)
    futures = [crew.submit(str(number)) for number in range(4)] + [crew.submit("hang")]
    wait(futures[:4], timeout=60)
    start = time.monotonic()
    crew.close()
    assert time.monotonic() - start < 2.5  # what hangs is not waited for
    assert not [each for each in children(os.getpid()) if b"spawn_main" in command_of(each)]


def test_workers_that_do_not_come_back(root: Path, tmp_path: Path) -> None:
    with cluster(tmp_path, environment(root, tmp_path), workers=1) as made:
        crew = Dask(JOB, made.executor, patience=20.0)
        answer = crew.submit("a").result(60)
        assert isinstance(answer, tuple) and answer[0] == "here  lorelint a"
        for each in (*made.working(), made.workers[0].pid):
            kill(each)
        crew._patience = 1.0
        with pytest.raises(LorelintError, match="has no worker any more"):
            for _ in range(600):
                assert crew.watch(1.0)
                time.sleep(0.1)
        crew.close()


def test_a_scheduler_without_workers(root: Path, tmp_path: Path) -> None:
    with cluster(tmp_path, environment(root, tmp_path), workers=0) as made:
        with pytest.raises(LorelintError) as error:
            Dask(JOB, made.executor, patience=1.0)
        assert error.value.what == "the cluster has no worker" and error.value.where == made.executor
        assert "run the same command again" in error.value.remedy


@pytest.mark.parametrize("address", ["dask://127.0.0.1:1", "dask://nonsense", "dask://"])
def test_no_scheduler(address: str) -> None:
    with pytest.raises(LorelintError) as error:
        Dask(JOB, address)
    assert error.value.what == "the cluster does not answer" and error.value.where == address
