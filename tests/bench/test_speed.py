"""What a review and a scan cost, beside a raw parse and Coccinelle on the same files in the same run.

Figures of different machines cannot be compared, ratios can: each line of the table is measured here and now, the
best of a few runs. Run by `make bench`; nothing here is part of `make test`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench

CORE = ("mm", "virt/kvm", "drivers/vfio", "drivers/iommu", "drivers/dma-buf")
PROGRAM = "from lorelint.cli import main; main()"


class Table:
    """Measured seconds by name, printed at the end."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, str]] = []

    def add(self, name: str, seconds: float, note: str = "") -> float:
        self.rows.append((name, seconds, note))
        return seconds

    def text(self) -> str:
        return "\n".join(f"{name:<58} {seconds:8.2f} s  {note}" for name, seconds, note in self.rows)


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    made = Table()
    yield made
    print(f"\n\n{made.text()}\n")


@pytest.fixture
def lorelint(root: Path, tmp_path: Path) -> Callable[..., tuple[float, int, str]]:
    """Runs the command line as a user's shell would; the cache starts empty for each test."""

    def run(*arguments: str) -> tuple[float, int, str]:
        environment = {
            **os.environ,
            "PYTHONPATH": f"{root / 'bot'}{os.pathsep}{root / 'rules'}",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - start
        assert done.returncode in (0, 1), done.stderr
        return seconds, done.returncode, done.stdout

    return run


def best(measure: Callable[[], float], runs: int = 3) -> float:
    return min(measure() for _ in range(runs))


def sources(tree: Path) -> list[Path]:
    return sorted(path for folder in CORE for path in (tree / folder).rglob("*.[ch]"))


def raw_parse(paths: list[Path]) -> float:
    """tree-sitter over whole files, one process, files in the page cache: nothing is asked of the result."""
    import tree_sitter
    import tree_sitter_c

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language()))
    texts = [path.read_bytes() for path in paths]
    start = time.perf_counter()
    for text in texts:
        parser.parse(text)
    return time.perf_counter() - start


def test_start(lorelint: Callable[..., tuple[float, int, str]], table: Table) -> None:
    """Before any work: a command that only has to load."""
    seconds = table.add("lorelint --version", best(lambda: lorelint("--version")[0], 5))
    assert seconds < 1.0


def test_review_of_our_own_thread(root: Path, lorelint: Callable[..., tuple[float, int, str]], table: Table) -> None:
    thread, tree = root / "corpora/threads/dmamap-retry.mbox", root / "corpora/trees/small"
    times = [lorelint("review", str(thread), "--tree", str(tree))[0] for _ in range(4)]
    table.add("review of our own thread, cold", times[0])
    table.add("review of our own thread, warm", min(times[1:]))


def test_review_on_a_kernel(
    shared: Path, tree_dir: Callable[[str], Path], lorelint: Callable[..., tuple[float, int, str]], table: Table
) -> None:
    """Cold: no cache. Warm: the cache knows the tree from another thread, the patch is new to it."""
    tree, seeds = str(tree_dir("7.2")), shared / "corpora" / "seeds"
    other = str(seeds / "000-iommufd-check-vm-pfnmap.mbox")
    thread = str(seeds / "002-vfio-type1-retry-follow-pfnmap.mbox")
    cold = table.add("review of seed 000 on 7.2, cold", lorelint("review", other, "--tree", tree)[0])
    warm = table.add("review of seed 002 on 7.2, warm, patch never seen", lorelint("review", thread, "--tree", tree)[0])
    times = [lorelint("review", thread, "--tree", tree)[0] for _ in range(3)]
    table.add("review of seed 002 on 7.2, again", statistics.median(times))
    assert warm <= cold * 1.5


def test_one_rule_over_core(
    tree_dir: Callable[[str], Path],
    lorelint: Callable[..., tuple[float, int, str]],
    table: Table,
) -> None:
    """One rule with its token prefilter over mm, virt/kvm, drivers/vfio, drivers/iommu, drivers/dma-buf."""
    tree = tree_dir("6.12")
    paths = sources(tree)
    size = sum(path.stat().st_size for path in paths)
    parse = table.add(
        "raw tree-sitter parse of core", best(lambda: raw_parse(paths)), f"{len(paths)} files, {size / 1e6:.1f} MB"
    )

    def scan() -> float:
        return lorelint("scan", *CORE, "--tree", str(tree), "--rule", "unbounded-retry")[0]

    first = scan()
    table.add("scan of core for unbounded-retry, cold", first, f"{first / parse:.1f} of the raw parse")
    again = best(scan)
    table.add("scan of core for unbounded-retry", again, f"{again / parse:.1f} of the raw parse")


def test_spatch_over_core(
    root: Path, tree_dir: Callable[[str], Path], program: Callable[[str], str], table: Table
) -> None:
    """A simple SmPL rule for the same loop over the same folders, on two cores."""
    spatch, tree = program("spatch"), tree_dir("6.12")
    rule = str(root / "tests" / "bench" / "retry.cocci")

    def run() -> float:
        start = time.perf_counter()
        said = ""
        for folder in CORE:  # spatch takes one --dir
            done = subprocess.run(
                [
                    spatch,
                    "--sp-file",
                    rule,
                    "--no-includes",
                    "--very-quiet",
                    "--use-coccigrep",
                    "-j",
                    "2",
                    "--dir",
                    folder,
                ],
                cwd=tree,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            said += done.stdout
        assert "virt/kvm/kvm_main.c" in said, "the rule finds the loop that it is here to find"
        return time.perf_counter() - start

    table.add("spatch -j 2 with a simple rule over core", best(run, 2))
