"""The author's dismissals on disk: whole or not at all, whoever writes, whatever is in them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.edge.dismissals import MAX_SEEN, DismissalFile, dump, parse, remember
from lorelint.model.errors import LorelintError
from lorelint.model.work import Dismissal


def one(number: int, reason: str = "bounded by hardware") -> Dismissal:
    return Dismissal(f"{number:016x}", reason, date="2026-11-25", rule="unbounded-retry", path="a.c", function="f")


def test_there_and_back(tmp_path: Path) -> None:
    file = DismissalFile(tmp_path / "deep" / "data")
    assert file.read() == {}
    file.change(lambda known: known.update({each.fingerprint: each for each in (one(2), one(1))}))
    assert list(file.read().values()) == [one(1), one(2)]
    assert parse(dump(list(file.read().values())).encode(), "export") == file.read()


@given(st.text(max_size=50), st.text(max_size=50))
def test_any_reason_survives(reason: str, path: str) -> None:
    said = Dismissal(
        "0" * 16, reason.encode("utf-8", "replace").decode(), path=path.encode("utf-8", "replace").decode()
    )
    assert parse(dump([said]).encode(), "x") == {said.fingerprint: said}


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        parse(raw, "dismissed.jsonl")
    except LorelintError as error:
        assert "dismissed.jsonl:" in str(error)


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "3", '{"reason": "x"}', '{"fingerprint": "xyz", "reason": "x"}', '{"fingerprint": 3}', "[" * 9999],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "dismissed.jsonl").write_text(dump([one(1)]) + line + "\n")
    with pytest.raises(LorelintError, match=r"dismissed\.jsonl:2"):
        DismissalFile(tmp_path).read()


WRITER = """
import sys
from pathlib import Path
from lorelint.edge.dismissals import DismissalFile
from lorelint.model.work import Dismissal
file = DismissalFile(Path(sys.argv[1]))
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    one = Dismissal(f"{number:016x}", "reason " * 40)
    file.change(lambda known: known.__setitem__(one.fingerprint, one))
    print(number, flush=True)
"""


def writer(root: Path, folder: Path, first: int, last: int) -> subprocess.Popen[str]:
    path = os.pathsep.join((str(root / "bot"), str(root / "rules")))
    command = [sys.executable, "-c", WRITER, str(folder), str(first), str(last)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True)


def test_two_who_write_at_once(root: Path, tmp_path: Path) -> None:
    both = [writer(root, tmp_path, 0, 40), writer(root, tmp_path, 40, 80)]
    assert [each.wait(60) for each in both] == [0, 0]
    assert len(DismissalFile(tmp_path).read()) == 80
    assert sorted(each.name for each in tmp_path.iterdir()) == ["dismissed.jsonl", "dismissed.lock"]


def test_one_that_is_killed(root: Path, tmp_path: Path) -> None:
    process = writer(root, tmp_path, 0, 1_000_000)
    assert process.stdout is not None
    done = [process.stdout.readline() for _ in range(20)]
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert len(done) == 20 and len(DismissalFile(tmp_path).read()) >= 20


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(LorelintError, match="cannot be"):
        DismissalFile(tmp_path / "file").change(lambda known: None)
    remember(tmp_path / "file", [one(1)])  # what a check has shown is kept where it can be, and else not


def test_what_was_shown_is_bounded(tmp_path: Path) -> None:
    remember(tmp_path, [one(number) for number in range(MAX_SEEN + 50)])
    assert len(DismissalFile(tmp_path, "found.jsonl").read()) == MAX_SEEN
