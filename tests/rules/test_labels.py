"""The rules over labelled functions of public kernels: what was reached must not be lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lorelint.jobs.measure import Measurement, measure, render, to_json
from lorelint.rule.door import Rule
from lorelint.wire import measured_tree

TREES = ("5.10", "6.1", "6.12", "7.2")
#: Precision and recall that each rule has reached over the labels of confidence 0.65 and more.
REACHED = {
    "dmabuf-fd-ownership": (1.0, 1.0),
    "dmabuf-importer-contract": (1.0, 1.0),
    "dmabuf-resv-lock": (1.0, 1.0),
    "dmabuf-unwind": (1.0, 1.0),
    "errno-collapsed-to-retry": (1.0, 1.0),
    "fault-revoked-check": (1.0, 1.0),
    "gup-missing-dirty": (1.0, 1.0),
    "gup-missing-longterm": (1.0, 1.0),
    "gup-partial-pin": (1.0, 1.0),
    "gup-pin-leak": (1.0, 1.0),
    "gup-put-mismatch": (1.0, 1.0),
    "interrupted-wait-retried": (1.0, 1.0),
    "ioctl-errno-abi": (0.0, 0.0),  # the labels of this confidence are negative
    "mmap-range-unchecked": (1.0, 1.0),
    "mmu-notifier-retry-missing": (1.0, 1.0),
    "pfn-lifetime-escape": (1.0, 1.0),
    "pfnmap-start-end-balance": (1.0, 1.0),
    "pfnmap-vma-flags": (1.0, 1.0),
    "retry-no-fatal-signal": (1.0, 1.0),
    "retry-no-resched": (1.0, 0.83),
    "revoke-no-drain": (1.0, 1.0),
    "revoke-order": (1.0, 1.0),
    "revoke-without-unmap": (1.0, 1.0),
    "single-vma-check": (1.0, 1.0),
    "stored-vma-pointer": (1.0, 1.0),
    "unbounded-retry": (1.0, 0.83),
    "unmap-wrong-mapping": (1.0, 1.0),
    "vma-use-after-unlock": (1.0, 1.0),
}

pytestmark = [pytest.mark.needs_shared, pytest.mark.needs_tree(*TREES)]


@pytest.fixture(scope="module")
def measured(shared: Path, tree_dir: Callable[[str], Path], overlays_dir: Path, rules: dict[str, Rule]) -> Measurement:
    """All labels of the rules that are there; two processes, since each tree is read for itself."""
    text = (shared / "corpora" / "kernel" / "labels.jsonl").read_text()
    trees = {f"linux-source-{version}": str(tree_dir(version)) for version in TREES}

    def overlay(case: str) -> str:
        return str(overlays_dir / case) if (overlays_dir / case).is_dir() else ""

    return measure(text, trees, measured_tree, tuple(rules.values()), overlays=overlay, processes=2)


def test_nothing_is_lost(measured: Measurement, rules: dict[str, Rule]) -> None:
    print(render(measured))
    rows = to_json(measured)["rules"]
    assert isinstance(rows, list)
    scores = {row["rule"]: (row["precision"] or 0.0, row["recall"] or 0.0) for row in rows}
    assert set(scores) == set(rules), "each rule has labels"
    worse = {
        name: score
        for name, score in scores.items()
        if any(now < reached for now, reached in zip(score, REACHED[name], strict=True))
    }
    assert not worse, "\n" + render(measured)


def test_every_label_could_be_asked(measured: Measurement) -> None:
    assert not [case.id for case in measured.cases if case.failure], "no rule fails on labelled code"
    # Historic commits, of which no tree is to be had.
    assert {skip.reason for skip in measured.skipped} <= {"the label names no tree"}
    assert len(measured.skipped) <= 2
