"""The rules over functions of the kernel that were labelled from the catalogue before any rule was run on them.

What is not reached is missed for a reason that stands beside its label.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lorelint.jobs.measure import Measurement, labels, measure
from lorelint.rule.door import Rule
from lorelint.wire import measured_tree

TREES = ("5.10", "6.1", "6.12", "7.2")

#: Label -> why the rule is silent where it should speak.
MISSED = {
    "blind2-fault-revoked-check-01": "nothing unmaps the object that is revoked: there is no unmap to slip behind",
    "blind2-gup-missing-dirty-01": "the pages are written by a hypercall that is handed the array",
    "blind2-retry-no-fatal-signal-04": "a loop over a user's length that fails no call is no retry",
    "blind2-retry-no-resched-05": "how long the array of pages is, the callers were told by a user",
    "blind2-retry-no-resched-06": "the loop is a macro's, over what was pinned in another function",
    "blind2-retry-no-resched-07": "what goes round is a condition, and no call that failed",
    "blind2-retry-no-resched-08": "a loop over a user's length that neither pins nor fails a call",
    "blind2-revoke-without-unmap-04": "no marker by its name, and the handler that maps does not ask for the state",
    "blind2-revoke-without-unmap-05": "vmalloc memory, which is mapped page by page, is not followed to its vfree()",
    "blind2-unbounded-retry-05": "the callee sleeps until the peer is there before it says that it could not send",
}


@pytest.fixture(scope="module")
def measured(root: Path, tree_dir: Callable[[str], Path], rules: dict[str, Rule]) -> Measurement:
    text = (root / "corpora" / "blind-2.jsonl").read_text()
    trees = {f"linux-source-{version}": str(tree_dir(version)) for version in TREES}
    return measure(text, trees, measured_tree, tuple(rules.values()), processes=2)


@pytest.mark.prove  # it searches four whole trees
@pytest.mark.needs_tree(*TREES)
def test_each_label_could_be_asked(measured: Measurement, root: Path) -> None:
    every = labels((root / "corpora" / "blind-2.jsonl").read_text())
    assert not measured.skipped and not [case.id for case in measured.cases if case.failure]
    assert len({each.id for each in every}) == len(every) == len(measured.cases)


@pytest.mark.prove
@pytest.mark.needs_tree(*TREES)
def test_what_is_wrong_is_found_and_nothing_else(measured: Measurement) -> None:
    assert [f"{case.id}: {case.findings}" for case in measured.cases if case.verdict == "fp"] == []
    assert {case.id for case in measured.cases if case.verdict == "fn"} == set(MISSED)


def test_each_says_why(root: Path) -> None:
    """In words, no code; and a label that was wrong at first says what it had said."""
    for line in (root / "corpora" / "blind-2.jsonl").read_text().splitlines():
        label = json.loads(line)
        assert 10 < len(label["why"]) < 300 and ";\n" not in label["why"], line
        assert label.get("first", {}).get("label") != label["label"], line
