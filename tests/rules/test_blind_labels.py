"""The rules over functions of the kernel that were labelled from the catalogue before any rule was run on them.

What is not reached is missed for a reason that stands beside its label.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from lorelint.jobs.measure import Measurement, labels, measure
from lorelint.rule.door import Rule
from lorelint.wire import measured_tree

TREES = ("5.10", "6.1", "6.12", "7.2")
SETS = ("blind-2.jsonl", "blind-3.jsonl", "blind-4.jsonl")

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
    "blind3-retry-no-resched-12": "how many it asks for, a user told; what goes round has succeeded",
    "blind3-retry-no-resched-13": "the extents of a user's range; what goes round has succeeded",
    "blind3-unbounded-retry-02": "firmware that is busy, and each pass sleeps: it has to be finished",
    "blind3-unbounded-retry-03": "the same",
    "blind3-unbounded-retry-15": "goes on only while a page is dirty: its refusal leaves the loop",
    # the fourth
    "blind4-dmabuf-importer-contract-01": "test code of the exporter: its attach op accepts everybody, by a table whose importers are not told apart",
    "blind4-dmabuf-unwind-01": "one put too many: of a reference that is only taken further down",
    "blind4-dmabuf-unwind-03": "which planes of an array have been attached, a field of each says",
    "blind4-dmabuf-unwind-09": "an error pointer is left in a field, and whoever cleans up there takes it for a dma-buf",
    "blind4-fault-revoked-check-01": "the driver unplugs its device by drm_dev_unplug(), which revokes in the core",
    "blind4-fault-revoked-check-02": "an mmap handler that does not ask for the flag which a reset sets",
    "blind4-fault-revoked-check-04": "what is mapped is changed under a lock in another file",
    "blind4-gup-missing-dirty-01": "the release alone is asked about; the pages are taken in another file",
    "blind4-gup-missing-dirty-02": "the same, and whether they are written to is a flag",
    "blind4-gup-missing-dirty-03": "the same; written to by a GPU, through a table made elsewhere",
    "blind4-gup-missing-dirty-04": "the same",
    "blind4-gup-missing-longterm-04": "a library of mm/: who releases what it takes is in the drivers",
    "blind4-gup-missing-longterm-06": "pinned by a library of another folder",
    "blind4-gup-missing-longterm-08": "the same",
    "blind4-gup-missing-longterm-13": "the handlers of the ioctl are called by names that a macro pastes",
    "blind4-gup-missing-longterm-14": "the function that pins lets go of what the object had before, too",
    "blind4-gup-missing-longterm-17": "the arrays are parameters, in objects that two callers above keep",
    "blind4-gup-missing-longterm-18": "released where a buffer object is freed, whoever does that",
    "blind4-gup-pin-leak-03": "bytes reckoned into pages, without those before the first",
    "blind4-interrupted-wait-retried-01": "it runs in a kthread: no signals there",
    "blind4-ioctl-errno-abi-13": "an ioctl that refuses what it gave before: no tree holds both",
    "blind4-mmap-range-unchecked-01": 'the lookup that admits an address compares by an "and" for an "or"',
    "blind4-mmap-range-unchecked-10": "a fault handler that inserts all pages of the VMA, whose length nobody compares",
    "blind4-mmap-range-unchecked-11": "the same",
    "blind4-mmap-range-unchecked-23": "the offset is the PFN: a window to all memory, perhaps meant so",
    "blind4-mmu-notifier-retry-missing-01": "no table of pages, a field of the VMCS gets the address",
    "blind4-mmu-notifier-retry-missing-03": "the check is a callee of a callee, and what it answers is thrown away",
    "blind4-pfn-lifetime-escape-01": "kept in a map of the caller, by memremap()",
    "blind4-pfnmap-vma-flags-13": "which handler inserts, the object chooses at run time",
    "blind4-retry-no-fatal-signal-01": "a loop over the blocks of a directory that fails no call is no retry",
    "blind4-retry-no-fatal-signal-03": "the same, over the extents of a file",
    "blind4-retry-no-fatal-signal-05": "the same, over those of a range",
    "blind4-retry-no-fatal-signal-09": "a loop over the sectors of a device that fails no call is no retry",
    "blind4-retry-no-fatal-signal-11": "it starts over after each device that was removed: that is progress",
    "blind4-retry-no-fatal-signal-19": "a loop over the pages of a dump that fails no call is no retry",
    "blind4-retry-no-resched-01": "how many buckets there are, a user told in another function",
    "blind4-retry-no-resched-03": "the same, slots of a map",
    "blind4-retry-no-resched-05": "the same, buckets of a table",
    "blind4-retry-no-resched-07": "the same",
    "blind4-retry-no-resched-09": "what goes round is that a program has shown nothing",
    "blind4-retry-no-resched-11": "as many tasks as there are: an iterator ends by itself",
    "blind4-retry-no-resched-13": "a loop over the blocks of a directory that neither pins nor fails a call",
    "blind4-retry-no-resched-15": "the same, over the extents of a file",
    "blind4-retry-no-resched-18": "the retry code is an enumerator of the driver: such names say too little of what they stand for",
    "blind4-retry-no-resched-20": "as many steps as a memory region has, told in another function",
    "blind4-retry-no-resched-22": "a list as long as a user made it",
    "blind4-retry-no-resched-24": "a list as long as what was written",
    "blind4-retry-no-resched-26": "as many pages as an area has",
    "blind4-retry-no-resched-30": "a list as long as users made it",
    "blind4-retry-no-resched-32": "a count that an ioctl was given, over work that neither pins nor fails",
    "blind4-revoke-order-01": "the mapping is of another device, and what is changed are fields of a source",
    "blind4-revoke-order-08": "no marker: pages are taken out of a table behind the unmap",
    "blind4-revoke-without-unmap-01": "a reset that turns no marker and calls no API of a list",
    "blind4-revoke-without-unmap-03": "registers that are unmapped in one file and mapped by users through others",
    "blind4-revoke-without-unmap-05": "told of drm_dev_unplug() itself, once, and not of its callers",
    "blind4-revoke-without-unmap-07": "the same",
    "blind4-revoke-without-unmap-09": "the same",
    "blind4-revoke-without-unmap-16": "the handler of a frame buffer stands in its table by a macro",
    "blind4-revoke-without-unmap-17": "the same",
    "blind4-revoke-without-unmap-18": "the same",
    "blind4-revoke-without-unmap-19": "the same",
    "blind4-revoke-without-unmap-27": "the card is unregistered by devres, behind the removal",
    "blind4-revoke-without-unmap-28": "the handler of a frame buffer stands in its table by a macro",
    "blind4-revoke-without-unmap-29": "the same",
    "blind4-revoke-without-unmap-31": "no marker by its name, and the handler that maps does not ask for the state",
    "blind4-unbounded-retry-01": "a poll of a bit: no call failed",
    "blind4-unbounded-retry-06": "the retry code is one of a driver: such names say too little of what they stand for",
    "blind4-unbounded-retry-07": "the same",
    "blind4-unbounded-retry-11": "asks again in a loop whose condition is the answer of a server, after a sleep",
    "blind4-unbounded-retry-12": "the answer of firmware is a field of the request",
    "blind4-unmap-wrong-mapping-01": "files of another driver map the same registers in their own address_space",
    "blind4-unmap-wrong-mapping-06": "which objects have been moved to the file of shmem, a flag says",
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
    ids = [each.id for name in SETS for each in labels((root / "corpora" / name).read_text())]
    assert set(MISSED) <= set(ids)
    assert len(set(ids)) == len(ids)


def test_a_function_stands_in_one_set(root: Path) -> None:
    """What was looked at for one set is not blind for the next."""
    sets = [{json.loads(line)["source"]["function"] for line in lines(root, name)} for name in SETS]
    assert not any(one & other for one, other in combinations(sets, 2))


@pytest.mark.parametrize("name", SETS)
def test_each_says_why(name: str, root: Path) -> None:
    """In words, no code; and a label that was wrong at first says what it had said."""
    for line in lines(root, name):
        label = json.loads(line)
        assert 10 < len(label["why"]) < 300 and ";\n" not in label["why"], line
        assert label.get("first", {}).get("label") != label["label"], line
