"""What a review and a scan cost, beside a raw parse and Coccinelle on the same files in the same run.

Figures of different machines cannot be compared, ratios can: each line of the table is measured here and now, the
best of a few runs. Goals are held against CPU seconds, children included: they say the same on a busy machine, wall
time does not. Run by `make bench`; nothing here is part of `make test`.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench

CORE = ("mm", "virt/kvm", "drivers/vfio", "drivers/iommu", "drivers/dma-buf")


@dataclass(frozen=True)
class Cost:
    wall: float
    cpu: float  # seconds of the process and of what it started


class Table:
    """Measured costs by name, printed at the end."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Cost, str]] = []

    def add(self, name: str, cost: Cost, note: str = "", goal: float = 0.0) -> Cost:
        """`goal`: CPU seconds that must not be passed; 0 = none."""
        said = f"goal {goal} s: {'met' if cost.cpu <= goal else 'MISSED'}" if goal else ""
        self.rows.append((name, cost, "; ".join(filter(None, (note, said)))))
        return cost

    def text(self) -> str:
        lines = [f"{'':<52} {'wall s':>8} {'CPU s':>8}"]
        lines += [f"{name:<52} {cost.wall:8.2f} {cost.cpu:8.2f}  {note}".rstrip() for name, cost, note in self.rows]
        return "\n".join(lines)


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    made = Table()
    yield made
    print(f"\n\n{made.text()}\n")


@pytest.fixture
def lorelint(root: Path, tmp_path: Path) -> Callable[..., Cost]:
    """Runs the command line as a user's shell would; the cache starts empty for each test."""

    def run(*arguments: str) -> Cost:
        environment = {
            **os.environ,
            "PYTHONPATH": f"{root / 'bot'}{os.pathsep}{root / 'rules'}",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
        return measured([sys.executable, "-m", "lorelint", *arguments], root, environment, (0, 1))[0]

    return run


def measured(
    command: list[str], folder: Path, environment: dict[str, str] | None = None, good: tuple[int, ...] = (0,)
) -> tuple[Cost, str]:
    """What a command costs, and what it says."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode in good, done.stderr
    return Cost(wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime), done.stdout


def best(measure: Callable[[], Cost], runs: int = 3) -> Cost:
    return min((measure() for _ in range(runs)), key=lambda cost: cost.cpu)


def sources(tree: Path) -> list[Path]:
    return sorted(path for folder in CORE for path in (tree / folder).rglob("*.[ch]"))


def raw_parse(paths: list[Path]) -> Cost:
    """tree-sitter over whole files, one process, files in the page cache: nothing is asked of the result."""
    import tree_sitter
    import tree_sitter_c

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language()))
    texts = [path.read_bytes() for path in paths]
    start, cpu = time.perf_counter(), time.process_time()
    for text in texts:
        parser.parse(text)
    return Cost(time.perf_counter() - start, time.process_time() - cpu)


def test_start(lorelint: Callable[..., Cost], table: Table) -> None:
    """Before any work: a command that only has to load."""
    cost = table.add("lorelint --version", best(lambda: lorelint("--version"), 5), goal=0.2)
    assert cost.cpu <= 0.2


def test_review_of_our_own_thread(root: Path, lorelint: Callable[..., Cost], table: Table) -> None:
    thread, tree = str(root / "corpora/threads/dmamap-retry.mbox"), str(root / "corpora/trees/small")
    table.add("review of our own thread, cold", lorelint("review", thread, "--tree", tree))
    warm = table.add("review of our own thread, warm", best(lambda: lorelint("review", thread, "--tree", tree)), goal=1)
    assert warm.cpu <= 1


def test_review_on_a_kernel(
    shared: Path, tree_dir: Callable[[str], Path], lorelint: Callable[..., Cost], table: Table
) -> None:
    """Cold: no cache. Warm: the cache knows the tree from another thread, the patch is new to it."""
    tree, seeds = str(tree_dir("7.2")), shared / "corpora" / "seeds"
    other = str(seeds / "000-iommufd-check-vm-pfnmap.mbox")
    thread = str(seeds / "002-vfio-type1-retry-follow-pfnmap.mbox")
    table.add("review of seed 000 on 7.2, cold", lorelint("review", other, "--tree", tree))
    warm = table.add(
        "review of seed 002 on 7.2, warm, patch never seen", lorelint("review", thread, "--tree", tree), goal=1
    )
    table.add("review of seed 002 on 7.2, once more", lorelint("review", thread, "--tree", tree))
    assert warm.cpu <= 1


def test_one_rule_over_core(tree_dir: Callable[[str], Path], lorelint: Callable[..., Cost], table: Table) -> None:
    """One rule with its token prefilter over mm, virt/kvm, drivers/vfio, drivers/iommu, drivers/dma-buf."""
    tree = tree_dir("6.12")
    paths = sources(tree)
    size = sum(path.stat().st_size for path in paths) / 1e6
    parse = best(lambda: raw_parse(paths))
    table.add("raw tree-sitter parse of core", parse, f"{len(paths)} files, {size:.1f} MB")

    def scan() -> Cost:
        return lorelint("scan", *CORE, "--tree", str(tree), "--rule", "unbounded-retry")

    cold = scan()
    table.add("scan of core for unbounded-retry, cold", cold, f"{cold.cpu / parse.cpu:.1f} x the raw parse")
    warm = best(scan, 2)
    table.add("scan of core for unbounded-retry, warm", warm, f"{warm.cpu / parse.cpu:.1f} x the raw parse", goal=0.6)
    assert warm.cpu <= 0.6


def test_spatch_over_core(
    root: Path, tree_dir: Callable[[str], Path], program: Callable[[str], str], table: Table
) -> None:
    """A simple SmPL rule for the same loop over the same folders, on two cores."""
    spatch, tree = program("spatch"), tree_dir("6.12")
    options = ["--sp-file", str(root / "tests" / "bench" / "retry.cocci"), "--no-includes", "--very-quiet"]

    def run() -> Cost:
        wall = cpu = 0.0
        said = ""
        for folder in CORE:  # spatch takes one --dir
            cost, text = measured([spatch, *options, "--use-coccigrep", "-j", "2", "--dir", folder], tree)
            wall, cpu, said = wall + cost.wall, cpu + cost.cpu, said + text
        assert "virt/kvm/kvm_main.c" in said, "the rule finds the loop that it is here to find"
        return Cost(wall, cpu)

    table.add("spatch -j 2 with a simple rule over core", best(run, 2))
