"""The rules over functions written for them: shapes that a defect takes, and near misses, without a kernel tree.

The labels were written from the catalogue of rules before any rule was run on them. What a rule does not reach here it
misses for a reason that stands beside its name.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from lorelint.jobs.measure import Measurement, labels, measure
from lorelint.rule.door import Rule
from lorelint.wire import measured_tree

#: Label -> why the rule is silent where it should speak.
MISSED = {
    "own-dmabuf-fd-ownership-03": "a use of the private object is arguable: it may have references of its own",
    "own-errno-collapsed-to-retry-01": "without a tree, what is only tested in place may be a predicate",
    "own-gup-partial-pin-03": "arguable: no kernel gives 0 for pages that were asked for",
    "own-gup-pin-leak-01": "without a tree, a function that is handed the pages may keep them",
    "own-retry-no-resched-18": "a pass that succeeded goes back by the same edge as one whose index was set back",
    "own-revoke-without-unmap-18": "a zap on some way behind the marker is believed to be there where it matters",
    "own-unbounded-retry-13": "the loop is in a macro",
    "own-unbounded-retry-25": "a pass that succeeded goes back by the same edge as one whose index was set back",
    "own-unbounded-retry-27": "a code that lies in a field is not followed to its test",
}
#: Of these a whole kernel tree shows what is needed.
SEEN_IN_A_TREE = {"own-errno-collapsed-to-retry-01", "own-gup-pin-leak-01"}


def _measured(root: Path, rules: dict[str, Rule], trees: dict[str, str]) -> Measurement:
    own = root / "corpora" / "own"
    text = (own / "labels.jsonl").read_text()
    found = measure(text, trees, measured_tree, tuple(rules.values()), overlays=lambda case: str(own / case))
    assert not [case.id for case in found.cases if case.failure]
    return found


@pytest.fixture(scope="module")
def alone(root: Path, rules: dict[str, Rule]) -> Measurement:
    own = root / "corpora" / "own"
    return _measured(root, rules, {"own-6.12": str(own / "6.12"), "own-7.2": str(own / "7.2")})


def test_each_label_is_asked(alone: Measurement, root: Path, rules: dict[str, Rule]) -> None:
    every = labels((root / "corpora" / "own" / "labels.jsonl").read_text())
    assert not alone.skipped
    assert len({each.id for each in every}) == len(every) == len(alone.cases)
    kinds = Counter((each.rule, each.positive) for each in every)
    assert all(kinds[name, True] >= 2 and kinds[name, False] >= 2 for name in rules)


def test_what_is_wrong_is_found_and_nothing_else(alone: Measurement) -> None:
    assert [f"{case.id}: {case.findings}" for case in alone.cases if case.verdict == "fp"] == []
    assert {case.id for case in alone.cases if case.verdict == "fn"} == set(MISSED)


def test_each_says_why(root: Path) -> None:
    for line in (root / "corpora" / "own" / "labels.jsonl").read_text().splitlines():
        assert len(json.loads(line)["why"]) > 4, line


@pytest.mark.prove
@pytest.mark.needs_tree("6.12", "7.2")
def test_the_same_in_a_kernel_tree(root: Path, rules: dict[str, Rule], tree_dir: Callable[[str], Path]) -> None:
    """With all of the kernel around them, but for those that are about a change: their base is not in it."""
    trees = {f"own-{version}": str(tree_dir(version)) for version in ("6.12", "7.2")}
    found = [case for case in _measured(root, rules, trees).cases if case.rule != "ioctl-errno-abi"]
    assert [case.id for case in found if case.verdict == "fp"] == []
    assert {case.id for case in found if case.verdict == "fn"} == set(MISSED) - SEEN_IN_A_TREE
