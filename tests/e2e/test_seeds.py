"""What a review says about the seed threads: real mail against the kernels that are at hand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.needs_shared

Review = Callable[..., dict[str, Any]]
DMABUF = "drivers/vfio/pci/vfio_pci_dmabuf.c"


@pytest.fixture
def printed(root: Path, tmp_path: Path) -> Callable[..., str]:
    def run(thread: Path, tree: Path, *options: str) -> str:
        command = [sys.executable, "-m", "lorelint", "review", str(thread), "--tree", str(tree), *options]
        paths = {"PYTHONPATH": f"{root / 'bot'}{os.pathsep}{root / 'rules'}", "XDG_CACHE_HOME": str(tmp_path)}
        done = subprocess.run(command, env={**os.environ, **paths}, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 1), done.stderr
        return done.stdout

    return run


@pytest.fixture
def review(printed: Callable[..., str]) -> Review:
    def run(thread: Path, tree: Path, *options: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(printed(thread, tree, "--json", *options))
        assert not document["failures"]
        return document

    return run


@pytest.fixture
def seed(shared: Path) -> Callable[[str], Path]:
    def find(number: str) -> Path:
        (path,) = (shared / "corpora" / "seeds").glob(f"{number}-*.mbox")
        return path

    return find


def new(document: dict[str, Any], kind: str = "defect") -> dict[tuple[str, str], str]:
    """(rule, function) -> severity of what the series brings."""
    found = [each for each in document["findings"] if each["status"] == "new" and each["kind"] == kind]
    return {(each["rule"], each["function"]): each["severity"] for each in found}


@pytest.mark.parametrize(
    ("kernel", "grade", "resched"),
    [
        pytest.param("7.2", "clean", "note", marks=pytest.mark.needs_tree("7.2")),
        pytest.param("6.12", "approximate", "warning", marks=pytest.mark.needs_tree("6.12")),
    ],
)
def test_a_callee_that_turns_all_into_eagain(
    kernel: str, grade: str, resched: str, review: Review, seed: Callable[[str], Path], tree_dir: Callable[[str], Path]
) -> None:
    document = review(seed("002"), tree_dir(kernel))
    assert document["base"]["grade"] == grade
    assert new(document) == {
        ("errno-collapsed-to-retry", "follow_fault_pfn"): "warning",
        ("unbounded-retry", "vaddr_get_pfns"): "warning",
        ("retry-no-resched", "vaddr_get_pfns"): resched,
    }
    (remark,) = (each for each in document["findings"] if each["kind"] == "remark")
    assert remark["rule"] == "retry-no-fatal-signal" and remark["steps"]
    assert "fixup_user_fault() looks at fatal signals" in remark["message"]
    loop = next(each for each in document["findings"] if each["rule"] == "unbounded-retry")
    assert any("mmap_lock is held" in fact for fact in loop["facts"])
    assert len(document["concerns"]) == 1
    siblings = {each["path"] for one in document["findings"] for each in one["siblings"]}
    assert {"virt/kvm/kvm_main.c", "arch/s390/pci/pci_mmio.c"} <= siblings


@pytest.mark.needs_tree("6.12")
def test_it_is_asked_once_and_shown_where_the_like_is_done(
    printed: Callable[..., str], seed: Callable[[str], Path], tree_dir: Callable[[str], Path]
) -> None:
    letter = printed(seed("002"), tree_dir("6.12"), "--format", "reply", "--stage", "queue", "--unanswered")
    told = " ".join(letter.split())
    assert told.count("Would it work to") == 1 and "mmap_lock is held over every pass." in told
    like = told[told.index("Elsewhere, ") : told.index("Would it work to")]
    assert "hva_to_pfn_remapped() (virt/kvm/kvm_main.c:" in like and "(arch/s390/pci/pci_mmio.c:" in like
    assert all(len(line) <= 76 for line in letter.splitlines() if not line.startswith(">"))


def without_unmaps(mail: str) -> str:
    """The thread of 003 without the two hunks of 3/7 that unmap; 5/7 loses the lines of context they gave it."""
    one, two = mail.index("@@ -345,6 +554,14 @@"), mail.index("-- \n", mail.index("@@ -366,6 +583,8 @@"))
    mail = mail[:one] + mail[two:]
    one, two, three = (mail.index(f"@@ -{at}") for at in ("549,9 +564,11 @@", "580,7 +597,7 @@", "590,3 +607,28 @@"))
    move, cleanup = mail[one:two], mail[two:three]
    assert move.endswith("\n \n")
    cleanup = re.sub(r"(?m)^ \t\tunmap_mapping_range.*$", " \t\tvfio_device_put_registration(&vdev->vdev);", cleanup)
    return mail[:one] + move[:-2] + " \t\t}\n" + cleanup + mail[three:]


@pytest.mark.needs_tree("7.2")
def test_a_revocation_that_leaves_the_mappings(
    review: Review, seed: Callable[[str], Path], tree_dir: Callable[[str], Path], overlays_dir: Path, tmp_path: Path
) -> None:
    base = ("--overlay", str(overlays_dir / "base-seed-003"), "--rule", "revoke-without-unmap")
    assert new(review(seed("003"), tree_dir("7.2"), *base)) == {}  # as posted
    broken = tmp_path / "broken.mbox"
    text = seed("003").read_text("utf-8", "surrogateescape")
    broken.write_text(without_unmaps(text), "utf-8", "surrogateescape")
    document = review(broken, tree_dir("7.2"), *base)
    functions = ("vfio_pci_dma_buf_move", "vfio_pci_dma_buf_cleanup")
    assert set(new(document)) == {("revoke-without-unmap", function) for function in functions}
    found = [each for each in document["findings"] if each["status"] == "new"]
    assert {each["path"] for each in found} == {DMABUF} and {each["patch"] for each in found} == {3}
    for each in found:
        # cleanup() is below all that the series adds: its line has to be the one after the patch.
        first = 540 if each["function"] == "vfio_pci_dma_buf_move" else 560
        assert first < each["line"] < first + 30
        assert any(".mmap = vfio_pci_dma_buf_mmap" in step["text"] for step in each["steps"])


@pytest.mark.needs_tree("7.2")
def test_one_vma_for_a_range(review: Review, seed: Callable[[str], Path], tree_dir: Callable[[str], Path]) -> None:
    document = review(seed("000"), tree_dir("7.2"))
    assert set(new(document)) == {("single-vma-check", "iommufd_check_vm_pfnmap")}
    assert any("iommufd_ioas_map() holds a length" in fact for fact in document["findings"][0]["facts"])


@pytest.mark.needs_tree("7.2")
def test_a_series_that_did_not_come_whole(
    review: Review, seed: Callable[[str], Path], tree_dir: Callable[[str], Path]
) -> None:
    document = review(seed("001"), tree_dir("7.2"))
    assert "incomplete-series" in {each["kind"] for each in document["troubles"]}
    assert document["base"]["grade"] == "fragments" and document["coverage"]["functions"] > 0
