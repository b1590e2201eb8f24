"""Our own threads apply to our own tree, on exactly the blobs their index lines name."""

from __future__ import annotations

import email
import mailbox
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lorelint.model.tree import blob_id

THREADS = ("aperture-mmap.mbox", "dmamap-answered.mbox", "dmamap-retry.mbox", "winview-bounded.mbox")
INDEX = re.compile(r"^diff --git a/(\S+) b/(\S+)\nindex ([0-9a-f]+)\.\.([0-9a-f]+)", re.M)


def patches(path: Path) -> list[str]:
    """The bodies of the mails that carry a patch of their own, in order."""
    bodies = [str(mail.get_payload()) for mail in mailbox.mbox(path, factory=email.message_from_binary_file)]
    return [body for body in bodies if body.find("\ndiff --git ") >= 0]


def test_all_threads_are_here(root: Path) -> None:
    assert tuple(sorted(path.name for path in (root / "corpora" / "threads").glob("*.mbox"))) == THREADS


@pytest.mark.parametrize("name", THREADS)
def test_patches_apply_exactly(name: str, root: Path, tmp_path: Path, program: Callable[[str], str]) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(root / "corpora" / "trees" / "small", tree)
    found = patches(root / "corpora" / "threads" / name)
    assert found
    for body in found:
        indexed = INDEX.findall(body)
        assert indexed, "a patch without index lines"
        for old, _, before, _ in indexed:
            assert blob_id((tree / old).read_bytes()).startswith(before), (
                f"{name}: {old} is another blob: make the patch anew"
            )
        applied = subprocess.run(
            [program("git"), "apply", "-"], cwd=tree, input=body, text=True, capture_output=True, check=False
        )
        assert applied.returncode == 0, applied.stderr
        for _, new, _, after in indexed:
            assert blob_id((tree / new).read_bytes()).startswith(after), f"{name}: {new} after the patch"


def test_people_and_places_are_invented(root: Path) -> None:
    for path in (root / "corpora" / "threads").glob("*.mbox"):
        hosts = set(re.findall(r"[\w.+-]+@([\w.-]+)", path.read_text())) - {"z"}
        assert all(host == "example.org" or host.endswith(".example.org") for host in hosts), (path.name, hosts)
