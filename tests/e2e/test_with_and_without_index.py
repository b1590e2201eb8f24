"""A review says the same, byte for byte, with an index of the whole kernel, without one, with half of one, and when
outcomes were kept from other runs.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lorelint.edge.index import NAME

pytestmark = [pytest.mark.needs_shared, pytest.mark.needs_tree("7.2")]

Say = Callable[[str, str], bytes]


@pytest.fixture(scope="module")
def caches(root: Path, tree_dir: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Caches with the index of linux 7.2 (whole), with half of its blobs (half), of a run that was ended (ended)."""
    folder = tmp_path_factory.mktemp("caches")
    run(root, folder / "whole", "index", str(tree_dir("7.2")))
    index = folder / "whole" / "lorelint" / NAME
    for name, statements in {
        "half": ("DELETE FROM blob WHERE number % 2",),
        "ended": ("DELETE FROM tree", "DELETE FROM batch WHERE first % 3 = 0"),
    }.items():
        there = folder / name / "lorelint"
        there.mkdir(parents=True)
        for each in index.parent.glob(f"{NAME}*"):
            shutil.copy2(each, there / each.name)
        with closing(sqlite3.connect(there / NAME)) as db:
            for statement in statements:
                db.execute(statement)
            db.commit()
    return folder


def run(root: Path, cache: Path, *arguments: str) -> bytes:
    paths = {"PYTHONPATH": f"{root / 'bot'}{os.pathsep}{root / 'rules'}", "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-m", "lorelint", *arguments]
    done = subprocess.run(command, env={**os.environ, **paths}, capture_output=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.parametrize(("seed", "overlay"), [("002", ""), ("003", "base-seed-003")])
def test_the_same_bytes(
    seed: str,
    overlay: str,
    root: Path,
    caches: Path,
    shared: Path,
    tree_dir: Callable[[str], Path],
    overlays_dir: Path,
    tmp_path: Path,
) -> None:
    (thread,) = (shared / "corpora" / "seeds").glob(f"{seed}-*.mbox")
    over = ["--overlay", str(overlays_dir / overlay)] if overlay else []
    command = ["review", str(thread), "--tree", str(tree_dir("7.2")), "--json", *over]
    without = run(root, tmp_path / "none", *command)
    assert b'"findings"' in without
    for name in ("whole", "half", "ended"):
        assert run(root, caches / name, *command) == without, name
    assert run(root, caches / "whole", *command) == without, "outcomes that were kept"
    if not overlay:
        with closing(sqlite3.connect(caches / "whole" / "lorelint" / NAME)) as db:
            assert db.execute("SELECT count(*) FROM answer").fetchone()[0], "and there were some"


def test_a_scan_says_the_same(root: Path, caches: Path, tree_dir: Callable[[str], Path], tmp_path: Path) -> None:
    command = ["scan", "drivers/vfio", "virt/kvm", "--tree", str(tree_dir("7.2")), "--json"]
    without = run(root, tmp_path / "none", *command)
    for _ in range(2):
        assert run(root, caches / "whole", *command) == without
    assert run(root, caches / "half", *command) == without
