"""Work in a process of its own: what breaks it is a failure with a reason, and the next task is done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lorelint.edge.apart import Apart
from lorelint.model.errors import LorelintError, Stopped


def recurse(depth: int) -> int:
    return recurse(depth + 1) + 1


def make(setup: str) -> Callable[[str], object]:
    """What a child does: by the word it is given."""
    done: list[str] = []

    def work(task: str) -> object:
        done.append(task)
        if task == "hang":
            time.sleep(60)
        if task == "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        if task == "eat":
            return len([bytearray(1 << 20) for _ in range(4096)])
        if task == "deep":
            return recurse(0)
        if task == "raise":
            raise LorelintError("no such thing", where="x", remedy="look again")
        if task == "bug":
            raise KeyError("oh")
        if task == "lambda":
            return lambda: 1
        return (setup, os.getpid(), tuple(done))

    return work


@pytest.fixture
def apart() -> Iterator[Apart[str, str, object]]:
    child: Apart[str, str, object] = Apart(make, "set up", seconds=20, megabytes=512)
    yield child
    child.close()


def test_one_child_does_one_task_after_another(apart: Apart[str, str, object]) -> None:
    first, second = apart("a"), apart("b")
    assert isinstance(first, tuple) and isinstance(second, tuple)
    assert first[0] == "set up" and first[1] == second[1] != os.getpid()
    assert second[2] == ("a", "b")


@pytest.mark.parametrize(
    ("task", "why"),
    [
        ("die", "SIGSEGV"),
        ("eat", "memory"),
        ("deep", "too deep"),
        ("bug", r"KeyError in test_apart.py:\d+: 'oh'"),
        ("lambda", "pickle"),
    ],
)
def test_what_breaks_is_told_and_the_next_is_done(task: str, why: str, apart: Apart[str, str, object]) -> None:
    with pytest.raises(LorelintError, match=why):
        apart(task)
    answer = apart("next")
    assert isinstance(answer, tuple) and answer[2] == ("next",)  # by another child


def test_an_error_with_a_remedy_is_that_error(apart: Apart[str, str, object]) -> None:
    with pytest.raises(LorelintError) as caught:
        apart("raise")
    assert str(caught.value) == "x: no such thing (look again)"
    answer = apart("next")
    assert isinstance(answer, tuple) and answer[2] == ("raise", "next")  # by the same child


def test_what_hangs_is_ended() -> None:
    child: Apart[str, str, object] = Apart(make, "", seconds=0.5, megabytes=512)
    try:
        with pytest.raises(LorelintError, match=r"more than 0\.5 s"):
            child("hang")
        child.seconds = 20
        assert child("next")
    finally:
        child.close()


def test_who_is_told_to_stop_waits_for_nothing() -> None:
    child: Apart[str, str, object] = Apart(make, "", seconds=20, megabytes=512, stop=lambda: True)
    start = time.monotonic()
    with pytest.raises(Stopped):
        child("hang")
    assert time.monotonic() - start < 10


def test_no_child_outlives_its_parent(tmp_path: Path) -> None:
    """Even where the parent is killed in the midst of a task."""
    program = tmp_path / "parent.py"
    program.write_text(
        f"import sys\nsys.path[:0] = [{str(Path(__file__).parent)!r}, *{sys.path!r}]\n"
        "import test_apart\nfrom lorelint.edge.apart import Apart\n"
        "if __name__ == '__main__':\n"
        "    child = Apart(test_apart.make, '', seconds=60, megabytes=512)\n"
        "    print(child('x')[1], flush=True)\n"
        "    child('hang')\n"
    )
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    for _ in range(100):
        if not _runs(pid):
            return
        time.sleep(0.05)
    pytest.fail("the child is still there")


def _runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
