"""A command line that runs in this process, in a folder of its own, with a cache of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lorelint.cli import run


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Done]:
    """`cli("rules")` is what `lorelint rules` does, run in an empty folder."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("LORELINT_CONFIG", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)

    def call(*arguments: object) -> Done:
        code = run([str(each) for each in arguments])
        caught = capsys.readouterr()
        return Done(code, caught.out, caught.err)

    return call


@pytest.fixture
def program_environment(root: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a real `python -m lorelint`."""
    return {
        **os.environ,
        "PYTHONPATH": f"{root / 'bot'}{os.pathsep}{root / 'rules'}",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
    }


@pytest.fixture
def real(program_environment: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`real("--help")` runs the program as its own process."""

    def call(
        *arguments: object, stdin: str | None = None, python: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *python, "-m", "lorelint", *(str(each) for each in arguments)],
            env=program_environment,
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    return call


@pytest.fixture
def small(root: Path) -> Path:
    """A kernel tree of our own making."""
    return root / "corpora" / "trees" / "small"


@pytest.fixture
def thread(root: Path) -> Path:
    """A thread of our own writing that holds a defect."""
    return root / "corpora" / "threads" / "dmamap-retry.mbox"
