"""A sweep over all mail of the shared corpora against a whole kernel: the same bytes by one process, two, a cluster.

Tells how fast each was. `lorelint sweep --time --json` gives the figures under "run".
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.sweeping import PROGRAM, cluster, environment

pytestmark = [pytest.mark.prove, pytest.mark.needs_shared, pytest.mark.needs_tree("6.12")]
TIMES = 3  # mail files for each subject of a sample


def test_one_two_and_a_cluster(
    root: Path, shared: Path, tree_dir: Callable[[str], Path], sampled: Callable[..., list[Path]], tmp_path: Path
) -> None:
    corpus, archive, kernel = shared / "corpora", tmp_path / "mail", tree_dir("6.12")
    files = sorted(path for part in ("mail", "seeds") for path in (corpus / part).rglob("*") if path.is_file())
    for path in sampled(files, TIMES):
        to = archive / path.relative_to(corpus)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)
    for part in ("bot", "rules", "corpora/ledger.toml"):
        copy = shutil.copytree if (root / part).is_dir() else shutil.copyfile
        (tmp_path / "code" / part).parent.mkdir(parents=True, exist_ok=True)
        copy(root / part, tmp_path / "code" / part)
    user = environment(tmp_path / "code", tmp_path)
    # One index for all: what is measured is how reviews are shared out. Whatever is remembered from before is not.
    subprocess.run([*PROGRAM[:-1], "index", str(kernel)], env=user, check=True, capture_output=True)
    index = tmp_path / "cache" / "lorelint"
    shutil.copytree(index, tmp_path / "index")

    def sweep(name: str, *more: str) -> dict[str, Any]:
        out = tmp_path / f"{name}.jsonl"
        files = ["--store", str(tmp_path / f"{name}.sqlite"), "--out", str(out), "--json", "--time"]
        command = [*PROGRAM, "--inbox", str(archive), "--tree", str(kernel), *files, *more]
        done = subprocess.run(command, env=user, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 1), done.stderr
        made: dict[str, Any] = json.loads(done.stdout)
        run = made.pop("run")
        load = os.getloadavg()[0]
        rate = 60 * run["patches"] / max(run["reviewing"], 0.001)
        read = f"{run['taken']} mails in {run['reading']} s"
        reviewed = f"{run['series']} series of {run['patches']} patches in {run['reviewing']} s"
        print(f"\n{name}: {read}; {reviewed}, {rate:.0f} patches a minute; load {load:.1f}")
        return made

    def fresh(folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / "index", folder)

    one = sweep("one", "--jobs", "1")
    fresh(index)
    two = sweep("two", "--jobs", "2")
    with cluster(tmp_path, {**user, "DASK_LORELINT__CACHE": str(index)}) as dask:
        fresh(index)
        three = sweep("dask", "--executor", dask.executor)
    assert one == two == three
    assert one["failed"] == [] and one["troubles"] == [] and one["series"].get("reviewed", 0) > 0
    bytes_of = [(tmp_path / f"{name}.jsonl").read_bytes() for name in ("one", "two", "dask")]
    assert bytes_of[0] == bytes_of[1] == bytes_of[2]
