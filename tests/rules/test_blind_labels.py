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
SETS = ("blind-2.jsonl", "blind-3.jsonl")

#: Label -> why the rule is silent where it should speak.
MISSED = {
    "blind2-gup-missing-dirty-01": "the pages are written by a hypercall that is handed the array",
    "blind2-retry-no-fatal-signal-04": "a loop over a user's length that fails no call is no retry",
    "blind2-retry-no-resched-05": "how long the array of pages is, the callers were told by a user",
    "blind2-retry-no-resched-06": "the loop is a macro's, over what was pinned in another function",
    "blind2-retry-no-resched-07": "what goes round is a condition, and no call that failed",
    "blind2-retry-no-resched-08": "a loop over a user's length that neither pins nor fails a call",
    "blind2-revoke-without-unmap-04": "no marker by its name, and the handler that maps does not ask for the state",
    "blind2-revoke-without-unmap-05": "vmalloc memory, which is mapped page by page, is not followed to its vfree()",
    "blind2-revoke-without-unmap-06": "called through a table of the driver's own, for which objects is not followed",
    "blind2-unbounded-retry-05": "the callee sleeps until the peer is there before it says that it could not send",
    # the third set
    "blind3-dmabuf-resv-lock-01": "called through a table of the driver's own, by whom is not in sight: a doubt",
    "blind3-gup-missing-longterm-02": "the page is handed out as the address it has in the kernel",
    "blind3-retry-no-fatal-signal-03": "a loop over the blocks of a file that fails no call is no retry",
    "blind3-retry-no-fatal-signal-04": "the same",
    "blind3-retry-no-fatal-signal-05": "the same, over its extents",
    "blind3-retry-no-fatal-signal-07": "a loop over a user's sectors that fails no call is no retry",
    "blind3-retry-no-fatal-signal-08": "the same",
    "blind3-retry-no-fatal-signal-10": "a loop over a user's pages that pins none: what goes round has succeeded",
    "blind3-retry-no-resched-04": "a loop over the blocks of a file that neither pins nor fails a call",
    "blind3-retry-no-resched-05": "the same",
    "blind3-retry-no-resched-06": "a count that a user wrote into a proc file, in another function",
    "blind3-retry-no-resched-07": "how long the array of pages is, the callers were told by a user",
    "blind3-retry-no-resched-08": "a list as long as a user made it",
    "blind3-retry-no-resched-09": "the same, down to other lists",
    "blind3-retry-no-resched-10": "a user's range that is walked, not pinned",
    "blind3-retry-no-resched-11": "a user's range that is looked up, not pinned",
    "blind3-retry-no-resched-12": "how many it asks for, a user told; what goes round has succeeded",
    "blind3-retry-no-resched-13": "the extents of a user's range; what goes round has succeeded",
    "blind3-unbounded-retry-02": "firmware that is busy, and each pass sleeps: it has to be finished",
    "blind3-unbounded-retry-03": "the same",
    "blind3-unbounded-retry-15": "goes on only while a page is dirty: its refusal leaves the loop",
}


def lines(root: Path, name: str) -> list[str]:
    return (root / "corpora" / name).read_text().splitlines()


@pytest.fixture(scope="module", params=SETS)
def measured(
    request: pytest.FixtureRequest, root: Path, tree_dir: Callable[[str], Path], rules: dict[str, Rule]
) -> tuple[str, Measurement]:
    text = (root / "corpora" / request.param).read_text()
    trees = {f"linux-source-{version}": str(tree_dir(version)) for version in TREES}
    return text, measure(text, trees, measured_tree, tuple(rules.values()), processes=2)


@pytest.mark.prove  # it searches four whole trees
@pytest.mark.needs_tree(*TREES)
def test_each_label_could_be_asked(measured: tuple[str, Measurement]) -> None:
    text, result = measured
    every = labels(text)
    assert not result.skipped and not [case.id for case in result.cases if case.failure]
    assert len({each.id for each in every}) == len(every) == len(result.cases)


@pytest.mark.prove
@pytest.mark.needs_tree(*TREES)
def test_what_is_wrong_is_found_and_nothing_else(measured: tuple[str, Measurement]) -> None:
    text, result = measured
    assert [f"{case.id}: {case.findings}" for case in result.cases if case.verdict == "fp"] == []
    asked = {each.id for each in labels(text)}
    assert {case.id for case in result.cases if case.verdict == "fn"} == asked & set(MISSED)


def test_no_miss_is_told_of_a_label_that_is_not_there(root: Path) -> None:
    ids = {each.id for name in SETS for each in labels((root / "corpora" / name).read_text())}
    assert set(MISSED) <= ids


def test_a_function_stands_in_one_set(root: Path) -> None:
    """What was looked at for one set is not blind for the next."""
    second, third = ({json.loads(line)["source"]["function"] for line in lines(root, name)} for name in SETS)
    assert not second & third


@pytest.mark.parametrize("name", SETS)
def test_each_says_why(name: str, root: Path) -> None:
    """In words, no code; and a label that was wrong at first says what it had said."""
    for line in lines(root, name):
        label = json.loads(line)
        assert 10 < len(label["why"]) < 300 and ";\n" not in label["why"], line
        assert label.get("first", {}).get("label") != label["label"], line
