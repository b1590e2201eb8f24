"""What a review and a scan cost, beside a raw parse and Coccinelle on the same files in the same run.

Figures of different machines cannot be compared, ratios can: each line of the table is measured here and now. Run by
`make bench` on a machine that has nothing else to do; nothing here is part of `make test`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.bench

CORE = ("mm", "virt/kvm", "drivers/vfio", "drivers/iommu", "drivers/dma-buf")
Run = Callable[..., Any]


def sources(tree: Path) -> list[Path]:
    return sorted(path for folder in CORE for path in (tree / folder).rglob("*.[ch]"))


def raw_parse(paths: list[Path], bench: SimpleNamespace) -> Any:
    """tree-sitter over whole files, one process, files in the page cache: nothing is asked of the result."""
    import tree_sitter
    import tree_sitter_c

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language()))
    texts = [path.read_bytes() for path in paths]
    start, cpu = time.perf_counter(), time.process_time()
    for text in texts:
        parser.parse(text)
    return bench.Cost(time.perf_counter() - start, time.process_time() - cpu)


def test_start(lorelint: Run, table: Any, bench: SimpleNamespace) -> None:
    """Before any work: a command that only has to load."""
    cost = table.add("lorelint --help", bench.median(lambda: lorelint("--help")))
    table.bar("start", cost.wall, 0.2)


def test_review_of_our_own_thread(root: Path, lorelint: Run, table: Any, bench: SimpleNamespace) -> None:
    thread, tree = str(root / "corpora/threads/dmamap-retry.mbox"), str(root / "corpora/trees/small")
    cost = table.add("review of our own thread", bench.median(lambda: lorelint("review", thread, "--tree", tree)))
    table.bar("review of our own thread", cost.wall, 1)


def test_one_rule_over_core(tree_dir: Callable[[str], Path], lorelint: Run, table: Any, bench: SimpleNamespace) -> None:
    """One rule with its token prefilter over mm, virt/kvm, drivers/vfio, drivers/iommu, drivers/dma-buf.

    Cold: nothing kept. Index: the tree was read into the index, the rule was never asked. Warm: asked before.
    """
    tree = tree_dir("6.12")
    paths = sources(tree)
    size = sum(path.stat().st_size for path in paths) / 1e6
    parse = table.add("raw tree-sitter parse of core", bench.best(lambda: raw_parse(paths, bench)))
    table.rows[-1] = (*table.rows[-1][:2], f"{len(paths)} files, {size:.1f} MB")
    lorelint("index", str(tree), cache="scan")
    for rule in ("unbounded-retry", "single-vma-check"):
        command = ("scan", *CORE, "--tree", str(tree), "--rule", rule)
        cold = table.add(f"scan of core, {rule}, cold", lorelint(*command, cache=f"cold-{rule}"))
        table.add(f"scan of core, {rule}, with an index", lorelint(*command, cache="scan"))
        warm = table.add(f"scan of core, {rule}, warm", bench.median(lambda: lorelint(*command, cache="scan")))  # noqa: B023
        table.rows[-3] = (*table.rows[-3][:2], f"{cold.cpu / parse.cpu:.1f} x the raw parse")
        table.bar(f"one rule over core, warm: {rule}", warm.wall, 0.6)


def test_spatch_over_core(
    root: Path, tree_dir: Callable[[str], Path], program: Callable[[str], str], table: Any, bench: SimpleNamespace
) -> None:
    """A simple SmPL rule for the same loop over the same folders, on two cores."""
    spatch, tree = program("spatch"), tree_dir("6.12")
    options = ["--sp-file", str(root / "tests" / "bench" / "retry.cocci"), "--no-includes", "--very-quiet"]

    def run() -> Any:
        wall = cpu = 0.0
        said = ""
        for folder in CORE:  # spatch takes one --dir
            command = [spatch, *options, "--use-coccigrep", "-j", "2", "--dir", folder]
            cost, text = bench.measured(command, tree)
            wall, cpu, said = wall + cost.wall, cpu + cost.cpu, said + text
        assert "virt/kvm/kvm_main.c" in said, "the rule finds the loop that it is here to find"
        return bench.Cost(wall, cpu)

    table.add("spatch -j 2 with a simple rule over core", bench.best(run, 2))


def test_review_on_a_kernel(
    shared: Path, tree_dir: Callable[[str], Path], lorelint: Run, table: Any, bench: SimpleNamespace
) -> None:
    """Cold: nothing kept, no index. Then with an index: a patch never seen, on a base where another was reviewed."""
    tree, seeds = str(tree_dir("6.12")), shared / "corpora" / "seeds"
    other = str(seeds / "001-vfio-type1-fault-pfnmap-v1.mbox")
    thread = str(seeds / "002-vfio-type1-retry-follow-pfnmap.mbox")
    cold = table.add(
        "review of seed 002 on 6.12, cold, no index", lorelint("review", thread, "--tree", tree, cache="none")
    )
    table.bar("cold review", cold.wall, 10)
    fresh = table.add(
        "review of seed 002, index, nothing reviewed before", lorelint("review", thread, "--tree", tree, cache="scan")
    )
    table.bar("review with an index, patch and base never seen", fresh.wall, 2)
    lorelint("review", other, "--tree", tree, cache="scan")
    again = table.add(
        "review of seed 002 once more", bench.median(lambda: lorelint("review", thread, "--tree", tree, cache="scan"))
    )
    table.bar("warm review", again.wall, 1)
