"""The same series by mail and as commits of a checkout: the same findings, with the same fingerprints."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.cli import run

THREADS = ("aperture-mmap", "dmamap-retry", "winview-bounded")
#: Parts of a kernel in which the seeds' code lies: a checkout of all of it takes minutes to make.
PARTS = ("Makefile", "include/linux", "mm", "drivers/vfio", "drivers/iommu/iommufd", "drivers/dma-buf")

Verdicts = set[tuple[str, str, str]]


def verdicts(text: str) -> Verdicts:
    """(fingerprint, status, rule) of every finding, remarks too."""
    findings = json.loads(text)["findings"]
    return {(each["fingerprint"], each["status"], each["rule"]) for each in findings}


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Verdicts]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*arguments: object) -> Verdicts:
        code = run([*(str(each) for each in arguments), "--json", "--stage", "trial"])
        caught = capsys.readouterr()
        assert code in (0, 1), caught.err
        return verdicts(caught.out)

    return call


def both(ask: Callable[..., Verdicts], checkout: Any, mailbox: Path) -> tuple[Verdicts, Verdicts]:
    checkout.git("branch", "before")
    mailed = ask("review", mailbox, "--tree", checkout.path, "--base", "before")
    checkout.am(mailbox)
    return mailed, ask("check", "before..HEAD", "--tree", checkout.path)


@pytest.mark.parametrize("name", THREADS)
def test_our_threads(ask: Callable[..., Verdicts], checkout: Any, root: Path, name: str) -> None:
    mailed, committed = both(ask, checkout, root / "corpora" / "threads" / f"{name}.mbox")
    assert mailed == committed
    assert mailed or name == "winview-bounded"


@pytest.mark.needs_shared
@pytest.mark.needs_tree("7.2")
@pytest.mark.parametrize("seed", ["000-iommufd-check-vm-pfnmap", "002-vfio-type1-retry-follow-pfnmap"])
def test_seeds(
    ask: Callable[..., Verdicts],
    make_checkout: Callable[..., Any],
    shared: Path,
    tree_dir: Callable[[str], Path],
    tmp_path: Path,
    seed: str,
) -> None:
    source = tmp_path / "parts"
    for part in PARTS:
        there = tree_dir("7.2") / part
        if there.is_dir():
            shutil.copytree(there, source / part, symlinks=True)
        else:
            source.mkdir(exist_ok=True)
            shutil.copy(there, source / part)
    os.environ.pop("GIT_DIR", None)
    mailed, committed = both(
        ask, make_checkout(tmp_path / "linux", source), shared / "corpora" / "seeds" / f"{seed}.mbox"
    )
    assert mailed == committed
    assert any(status == "new" for _, status, _ in mailed)
