"""What a check of one commit costs its author, beside the mission rules in Coccinelle and semgrep, in one run.

The commit changes one file of a checkout of all of linux 6.12; the peers get the folder of that file.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = [pytest.mark.bench, pytest.mark.needs_tree("6.12")]

FOLDER, FILE = "drivers/vfio", "drivers/vfio/vfio_iommu_type1.c"
PEERS = Path(__file__).parent / "peers"
COMMITS = 5


@pytest.fixture(scope="module")
def linux(
    tree_dir: Callable[[str], Path], make_checkout: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A checkout of 6.12 with commits beside one another, each with another text of the same defect."""
    path = tmp_path_factory.mktemp("check") / "linux"
    checkout = make_checkout(path, tree_dir("6.12"))
    checkout.git("tag", "v6.12", "main")
    text = (path / FILE).read_text()
    at = text.index("static int follow_fault_pfn")
    old = "\t\t\treturn ret;"
    at = text.rindex(old, at, text.index("\n}\n", at))
    for number in range(COMMITS + 1):
        checkout.git("checkout", "-q", "-B", f"try-{number}", "main")
        new = f"\t\t\treturn -EAGAIN; /* {number} */"
        (path / FILE).write_text(text[:at] + new + text[at + len(old) :])
        checkout.git("commit", "-q", "-a", "-m", f"try {number}")
    return checkout


class Author:
    """Runs `lorelint check` as a user's shell would."""

    def __init__(self, root: Path, checkout: Any, home: Path, bench: SimpleNamespace) -> None:
        self.checkout, self.bench = checkout, bench
        self.environment = {
            **os.environ,
            "PYTHONPATH": f"{root / 'bot'}{os.pathsep}{root / 'rules'}",
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_DATA_HOME": str(home / "data"),
        }

    def run(self, *arguments: str) -> Any:
        command = [sys.executable, "-m", "lorelint", *arguments]
        return self.bench.measured(command, self.checkout.path, self.environment, (0, 1))

    def first(self, *arguments: str) -> float:
        """Seconds until something is said."""
        command = [sys.executable, "-m", "lorelint", *arguments]
        start = time.perf_counter()
        with subprocess.Popen(
            command, cwd=self.checkout.path, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            assert process.stderr is not None and process.stderr.readline()
            return time.perf_counter() - start


def test_check(root: Path, linux: Any, table: Any, bench: SimpleNamespace, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(root / "bot"), str(root / "rules")], check=True)
    bare = Author(root, linux, tmp_path / "bare", bench)
    cost, said = bare.run("check", "try-0", "--format", "checkpatch")
    assert "[unbounded-retry]" in said
    table.add("check of one commit on 6.12, cold, no index", cost)
    table.bar("cold check", cost.wall, 10)

    author = Author(root, linux, tmp_path / "indexed", bench)
    author.run("index", str(linux.path))
    author.run("check", "try-0")  # the base was looked at before, by another commit
    costs = [author.run("check", f"try-{number}")[0] for number in range(1, COMMITS + 1)]
    mine = table.add("check of a commit never seen, index", sorted(costs, key=lambda each: each.wall)[COMMITS // 2])
    table.bar("check of a commit never seen", mine.wall, 1)
    table.bar("its first output", statistics.median(author.first("check", "try-1") for _ in range(5)), 0.3)

    folder = linux.path
    spatch = shutil.which("spatch")
    assert spatch, "coccinelle is not installed (make tools)"
    options = ["--no-includes", "--very-quiet", "-j", "2", "--dir", FOLDER]
    scripts = sorted((PEERS / "coccinelle").glob("*.cocci"))
    spent = [bench.measured([spatch, "--sp-file", str(each), *options], folder)[0].wall for each in scripts]
    table.add(f"spatch -j 2, {len(scripts)} rules over {FOLDER}", bench.Cost(sum(spent), 0))
    table.bar("check, of spatch's time", mine.wall / sum(spent), 1 / 5, "")

    semgrep = shutil.which("semgrep") or shutil.which("semgrep", path=os.environ.get("LORELINT_PEERS", ""))
    if semgrep is None:
        pytest.skip("semgrep is not installed (LORELINT_PEERS)")
    environment = {**os.environ, "PATH": f"{Path(semgrep).parent}{os.pathsep}{os.environ['PATH']}"}
    rules = [part for each in sorted((PEERS / "semgrep").glob("*.yaml")) for part in ("--config", str(each))]
    command = [semgrep, "scan", "--metrics=off", "--disable-version-check", "-q", "--no-git-ignore", *rules, FOLDER]
    other = table.add(f"semgrep, 4 rules over {FOLDER}", bench.measured(command, folder, environment, (0, 1))[0])
    table.bar("check, of semgrep's time", mine.wall / other.wall, 1 / 10, "")
