"""Every mail of the shared corpora is read, and what cannot be used says why; the figures are of their READMEs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from lorelint.edge.thread import open_thread
from lorelint.mail.render import render_hunk
from lorelint.model.errors import LorelintError
from lorelint.model.mail import Patch, Thread

pytestmark = pytest.mark.needs_shared

# mailbox: messages, version, patches, expected, cover, whether a base-commit is named
SEEDS = {
    "000-iommufd-check-vm-pfnmap": (4, 1, 1, 1, False, False),
    "001-vfio-type1-fault-pfnmap-v1": (5, 1, 1, 3, True, False),
    "002-vfio-type1-retry-follow-pfnmap": (6, 1, 1, 1, False, True),
    "003-vfio-pci-mmap-dmabuf-rfc": (23, 1, 7, 7, True, False),
    "004a-dma-buf-interconnects-rfc-v2": (26, 2, 8, 8, True, False),
    "004b-iommufd-dmabuf": (12, 1, 8, 8, True, True),
    "004c-vfio-pci-dma-buf-export-v5": (54, 5, 9, 9, True, False),
}


def seed(shared: Path, name: str) -> Thread:
    (thread,) = open_thread(str(shared / "corpora" / "seeds" / f"{name}.mbox"))
    return thread


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_seeds(shared: Path, name: str) -> None:
    messages, version, patches, expected, cover, based = SEEDS[name]
    thread = seed(shared, name)
    (series,) = thread.series
    assert len(thread.messages) == messages
    assert (series.version, len(series.patches), series.expected) == (version, patches, expected)
    assert (series.cover is not None, bool(series.hint.base_commit)) == (cover, based)
    assert [patch.troubles for patch in series.patches] == [()] * patches


def test_seed_001_is_incomplete(shared: Path) -> None:
    (series,) = seed(shared, "001-vfio-type1-fault-pfnmap-v1").series
    (trouble,) = series.troubles
    assert (trouble.kind, trouble.text) == ("incomplete-series", "2 of 3 patches are missing: 2-3")
    assert not series.complete


def test_seed_002_names_its_base_and_itself(shared: Path) -> None:
    (series,) = seed(shared, "002-vfio-type1-retry-follow-pfnmap").series
    assert series.hint.base_commit == "96ca4caf9066f5ebd35b561a521af588a8eb0215"
    assert series.key == series.hint.change_id == "20260317-retry-pin-on-reclaimed-pud-dfb9e26eb8cf"
    (file,) = series.patches[0].diffs
    assert (file.path, file.old_blob) == ("drivers/vfio/vfio_iommu_type1.c", "5167bec14")


def test_seed_004c_trailer_of_a_reply(shared: Path) -> None:
    """b4 puts it on 4/9 (seeds/README.md); 6/9 is another author's, who stands in the body."""
    (series,) = seed(shared, "004c-vfio-pci-dma-buf-export-v5").series
    assert [(patch.seq, patch.followups) for patch in series.patches if patch.followups] == [
        (4, ("Nacked-by: Christoph Hellwig <hch@lst.de>",))
    ]
    assert series.patches[5].author == ("Vivek Kasireddy", "vivek.kasireddy@intel.com")
    assert series.patches[5].mail.from_addr == "leon@kernel.org"


def traced(patch: Patch) -> int:
    """All lines of a patch stand in the mail where they say, numbered without a gap; returns its hunks."""
    body = patch.body.split("\n")
    hunks = 0
    for file in patch.diffs:
        assert body[file.mail_line - 1].startswith(("diff --git ", "--- "))
        for hunk in file.hunks:
            hunks += 1
            text = render_hunk(hunk)
            assert body[hunk.mail_line - 1 : hunk.mail_line - 1 + len(text)] == list(text)
            old = [line.old_line for line in hunk.lines if line.op != "+"]
            new = [line.new_line for line in hunk.lines if line.op != "-"]
            assert old == list(range(hunk.old_start, hunk.old_start + hunk.old_count)) or not old
            assert new == list(range(hunk.new_start, hunk.new_start + hunk.new_count)) or not new
            assert (len(old), len(new)) == (hunk.old_count, hunk.new_count)
            assert all(body[line.mail_line - 1] == line.op + line.text for line in hunk.lines)
    return hunks


def test_all_hunks_of_the_seeds(shared: Path) -> None:
    patches = [patch for name in SEEDS for patch in seed(shared, name).series[0].patches]
    assert len(patches) == 35
    assert sum(traced(patch) for patch in patches) == 221


def test_every_file_of_the_corpus(shared: Path) -> None:
    corpus = shared / "corpora" / "mail"
    files = sorted(path for path in corpus.rglob("*") if path.is_file())
    assert len(files) == 619
    count: Counter[str] = Counter()
    for path in files:
        try:
            threads = open_thread(str(path))
        except LorelintError as error:
            assert error.what and error.where == str(path) and error.remedy, path
            count["refused"] += 1
            continue
        assert threads, path
        count["read"] += 1
        for thread in threads:
            assert thread.messages, path
            assert thread.series or "no-patch" in [trouble.kind for trouble in thread.troubles], path
            for patch in (patch for series in thread.series for patch in series.patches):
                count["patches"] += 1
                assert patch.diffs or patch.troubles, path
                assert patch.body == patch.mail.body
    assert count["read"] + count["refused"] == 619
    # READMEs, HTML pages, JSON and the expected outputs of others' tests are what is refused.
    assert count["refused"] == 55
    assert count["patches"] >= 490


def test_every_maildir_and_folder_of_the_corpus(shared: Path) -> None:
    folders = sorted(path for path in (shared / "corpora" / "mail").rglob("*") if path.is_dir())
    read = 0
    for folder in folders:
        try:
            threads = open_thread(str(folder))
        except LorelintError as error:
            assert error.where == str(folder) and error.remedy
            continue
        read += 1
        assert threads
    assert read >= 25


def test_the_list_of_kernel_threads(shared: Path) -> None:
    """Against the index of the list's threads, which was made with other means.

    It differs where b4 alone mixes two postings of one version, or counts a patch for another
    version; and where a notice that quotes nothing but carries a patch is one to b4.
    """
    folder = shared / "corpora" / "mail" / "linaro-mm-sig"
    rows = json.loads((folder / "index.json").read_text())
    assert len(rows) == 190
    other = []
    for row in rows:
        (thread,) = open_thread(str(folder / row["file"]))
        assert len(thread.messages) == row["messages"], row["file"]
        ours = Counter((series.version, len(series.patches), series.expected) for series in thread.series)
        theirs = Counter((series["ver"], series["have"], series["total"]) for series in row["series"])
        if ours != theirs:
            other.append(row["file"])
            assert sum(len(series.patches) for series in thread.series) >= row["patches"], row["file"]
    assert len(other) <= 8


def test_all_patches_of_the_list_are_traceable(shared: Path) -> None:
    folder = shared / "corpora" / "mail" / "linaro-mm-sig" / "threads"
    whole = damaged = 0
    for path in sorted(folder.iterdir()):
        for thread in open_thread(str(path)):
            for patch in (patch for series in thread.series for patch in series.patches):
                if any(trouble.kind == "mangled" and ":" in trouble.where for trouble in patch.troubles):
                    damaged += 1
                    continue
                whole += traced(patch) > 0
    assert whole >= 260
    assert damaged <= 8


def test_bodies_of_git_mailinfo(shared: Path) -> None:
    """Authors and messages as git-mailinfo(1) tells them from its own samples, where it reads them as we do."""
    folder = shared / "corpora" / "mail" / "git" / "t5100"
    patches = [
        patch for thread in open_thread(str(folder / "sample.mbox")) for each in thread.series for patch in each.patches
    ]
    expected = {
        path.read_text(encoding="utf-8", errors="replace").strip()
        for path in sorted(folder.glob("msg00??"))
        if path.stat().st_size
    }
    messages = {patch.message.strip() for patch in patches}
    assert len(messages & expected) >= 10
    authors = {patch.author for patch in patches}
    assert ("F U Bar", "f.u.bar@example.com") in authors
    assert ("YOSHIFUJI Hideaki / \u5409\u85e4\u82f1\u660e", "yoshfuji@linux-ipv6.org") in authors
    assert ("Another Thor", "a.thor@example.com") in authors


def test_twice_the_same(shared: Path) -> None:
    for folder in ("patchwork", "b4", "notmuch/broken", "public-inbox"):
        for path in sorted((shared / "corpora" / "mail" / folder).rglob("*")):
            if not path.is_file():
                continue
            try:
                first = open_thread(str(path))
            except LorelintError:
                continue
            assert first == open_thread(str(path)), path
