"""What a check of one commit costs its author, beside the mission rules in Coccinelle and semgrep, in one run.

Each commit changes one function of a checkout of all of linux 6.12, in five folders that share memory with user space;
the peers get the folder of the file. What is compared is the sum over the five.
"""

from __future__ import annotations

import os
import re
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

PLACES = (
    ("drivers/vfio/vfio_iommu_type1.c", "follow_fault_pfn"),
    ("virt/kvm/kvm_main.c", "hva_to_pfn_remapped"),
    ("mm/gup.c", "faultin_page"),
    ("drivers/iommu/iommufd/pages.c", "pfn_reader_user_pin"),
    ("drivers/dma-buf/dma-buf.c", "dma_buf_mmap"),
)
FOLDERS = tuple(file.rpartition("/")[0] for file, _ in PLACES)
PEERS = Path(__file__).parent / "peers"
COMMITS = 5  # of each place, none of them seen before


@pytest.fixture(scope="module")
def linux(
    tree_dir: Callable[[str], Path], make_checkout: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A checkout of 6.12 with commits beside one another, each with another text of the same defect."""
    path = tmp_path_factory.mktemp("check") / "linux"
    checkout = make_checkout(path, tree_dir("6.12"))
    checkout.git("tag", "v6.12", "main")
    for file, function in PLACES:
        text = (path / file).read_text()
        head = re.search(rf"^\w.*\b{function}\(", text, re.MULTILINE)
        assert head is not None
        old = list(re.finditer(r"return [^;]*;", text[head.start() : text.index("\n}\n", head.start())]))[-1]
        at, end = head.start() + old.start(), head.start() + old.end()
        for number in range(COMMITS + 1):
            checkout.git("checkout", "-q", "-f", "-B", f"{function}-{number}", "main")
            (path / file).write_text(f"{text[:at]}return -EAGAIN; /* {number} */{text[end:]}")
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
    first = PLACES[0][1]
    bare = Author(root, linux, tmp_path / "bare", bench)
    cost, said = bare.run("check", f"{first}-0", "--format", "checkpatch")
    assert "[unbounded-retry]" in said
    table.add("check of one commit on 6.12, cold, no index", cost)
    table.bar("cold check", cost.wall, 10)

    author = Author(root, linux, tmp_path / "indexed", bench)
    author.run("index", str(linux.path))
    os.sync()  # a gigabyte was written: nobody's time is to be taken while it goes to the disk
    mine = []
    for file, function in PLACES:
        author.run("check", f"{function}-0")  # the base was looked at before, by another commit
        costs = [author.run("check", f"{function}-{number}")[0] for number in range(1, COMMITS + 1)]
        middle = sorted(costs, key=lambda each: each.wall)[COMMITS // 2]
        mine.append(table.add(f"check of a commit never seen, index: {file}", middle).wall)
        table.bar(f"check of a commit never seen: {file}", middle.wall, 1)
    table.bar("its first output", statistics.median(author.first("check", f"{first}-1") for _ in range(5)), 0.3)

    spatch = shutil.which("spatch")
    assert spatch, "coccinelle is not installed (make tools)"
    scripts = sorted((PEERS / "coccinelle").glob("*.cocci"))
    spent = []
    for folder in FOLDERS:
        options = ["--no-includes", "--very-quiet", "-j", "2", "--dir", folder]
        each = [bench.measured([spatch, "--sp-file", str(one), *options], linux.path)[0].wall for one in scripts]
        spent.append(table.add(f"spatch -j 2, {len(scripts)} rules over {folder}", bench.Cost(sum(each), 0)).wall)
    table.bar("check, of spatch's time", sum(mine) / sum(spent), 1 / 5, "")

    semgrep = shutil.which("semgrep") or shutil.which("semgrep", path=os.environ.get("LORELINT_PEERS", ""))
    if semgrep is None:
        pytest.skip("semgrep is not installed (LORELINT_PEERS)")
    environment = {**os.environ, "PATH": f"{Path(semgrep).parent}{os.pathsep}{os.environ['PATH']}"}
    rules = [part for each in sorted((PEERS / "semgrep").glob("*.yaml")) for part in ("--config", str(each))]
    command = [semgrep, "scan", "--metrics=off", "--disable-version-check", "-q", "--no-git-ignore", *rules]
    other = [
        table.add(
            f"semgrep, 4 rules over {folder}",
            bench.measured([*command, folder], linux.path, environment, (0, 1))[0],
        ).wall
        for folder in FOLDERS
    ]
    table.bar("check, of semgrep's time", sum(mine) / sum(other), 1 / 10, "")
