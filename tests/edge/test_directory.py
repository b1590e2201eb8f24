"""A plain directory: nothing outside of it, nothing hidden by git's settings, the same with and without git."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lorelint.edge import directory
from lorelint.edge.directory import DirectoryTree, overlay_files
from lorelint.model.errors import LorelintError
from lorelint.model.tree import OverlayTree, blob_id


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree within a git repository that ignores all of it and calls C binary."""
    outer = tmp_path / "outer"
    where = outer / "linux"
    (where / "mm").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(outer)], check=True)
    (outer / ".gitignore").write_text("*\n")
    (outer / ".gitattributes").write_text("*.c binary\n*.h -text -diff\n")
    (where / ".gitignore").write_text("*.c\nmm/\n")
    (where / ".gitattributes").write_text("*.c binary\n")
    (where / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 1\n")
    (where / "mm/pool.c").write_text("int pool_take(void)\n{\n\treturn pool_lock();\n}\n")
    (where / "mm/pool.h").write_text("int pool_take(void);\n")
    (where / "mm/odd name.c").write_text("int pool_odd;\n")
    (where / "mm/latin.c").write_bytes(b"/* M\xfcller: pool_odd */\n\0\n")
    (where / "top.c").write_text("int pool_takes;\n")
    (where / "doc.txt").write_text("pool_take\n")
    (where / ".git").mkdir()
    (where / ".git/hidden.c").write_text("int pool_take;\n")
    secret = tmp_path / "secret.c"
    secret.write_text("int pool_take;\n")
    (where / "mm/out.c").symlink_to(secret)
    (where / "mm/in.c").symlink_to("pool.c")
    (where / "away").symlink_to(tmp_path)
    return where


def test_reading_stays_within(source: Path) -> None:
    tree = DirectoryTree(source)
    assert tree.name == "linux"
    content = b"int pool_take(void);\n"
    assert tree.read("mm/pool.h") == content
    assert tree.blob("mm/pool.h") == blob_id(content)
    outside = ("mm/out.c", "mm/in.c", "away/secret.c", "../secret.c", "mm/../top.c", "/etc/passwd", "mm", "", "none.c",
               ".git/hidden.c", "mm/pool.h/x", "a\0b", "mm//pool.h", "./top.c")  # fmt: skip
    for path in outside:
        assert tree.read(path) is None, path
        assert tree.blob(path) is None, path


def test_a_pipe_or_a_file_too_large_is_no_file(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(source / "mm/pipe.c")
    tree = DirectoryTree(source)
    assert tree.read("mm/pipe.c") is None
    monkeypatch.setattr(directory, "MAX_OBJECT", 10)
    assert tree.read("mm/pool.h") is None


def test_files(source: Path) -> None:
    tree = DirectoryTree(source)
    mm = ("mm/latin.c", "mm/odd name.c", "mm/pool.c", "mm/pool.h")
    assert tree.files() == (*mm, "top.c")
    assert tree.files("mm") == tree.files("mm/") == mm
    assert tree.files("mm/pool.c") == ("mm/pool.c",)
    for prefix in ("m", "mm/in.c", "away", "..", "doc.txt", "none"):
        assert tree.files(prefix) == (), prefix


WORDS = ["pool_take", "pool_odd", "pool", "absent", "pool_lock"]
FOUND = {
    "pool_take": ("mm/pool.c", "mm/pool.h"),
    "pool_odd": ("mm/latin.c", "mm/odd name.c"),
    "pool": (),
    "absent": (),
    "pool_lock": ("mm/pool.c",),
}


def test_words_are_found_with_git_and_without(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert DirectoryTree(source).mentions(WORDS) == FOUND
    monkeypatch.setenv("PATH", "/nonexistent")
    assert shutil.which("git") is None
    assert DirectoryTree(source).mentions(WORDS) == FOUND


def test_words_are_remembered(source: Path) -> None:
    tree = DirectoryTree(source)
    tree.mentions(["pool_take"])
    (source / "mm/pool.c").write_text("")
    assert tree.mentions(["pool_take", "pool_lock"]) == {"pool_take": ("mm/pool.c", "mm/pool.h"), "pool_lock": ()}


def test_what_is_no_identifier_is_nowhere(source: Path) -> None:
    words = ["-e", "pool take", "", ".*", "--open-files-in-pager=true", "(", "9a"]
    assert DirectoryTree(source).mentions(words) == dict.fromkeys(words, ())


def test_no_such_directory(tmp_path: Path) -> None:
    with pytest.raises(LorelintError, match="no such directory"):
        DirectoryTree(tmp_path / "none")


def test_an_overlay_is_every_file_of_a_folder(source: Path, tmp_path: Path) -> None:
    over = tmp_path / "over"
    (over / "mm").mkdir(parents=True)
    (over / "mm/pool.c").write_text("int pool_give;\n")
    (over / "mm/link.c").symlink_to(source / "top.c")
    assert overlay_files(over) == {"mm/pool.c": b"int pool_give;\n"}
    tree = OverlayTree(DirectoryTree(source), overlay_files(over))
    assert tree.mentions(["pool_take", "pool_give"]) == {"pool_take": ("mm/pool.h",), "pool_give": ("mm/pool.c",)}


@pytest.mark.needs_tree("6.12")
def test_a_kernel_is_searched_the_same_by_git_and_by_reading(tree_dir: Callable[[str], Path]) -> None:
    """One directory by both ways; words of the kinds that rules ask for, hot and cold."""
    words = ["cond_resched", "follow_pfnmap_start", "unmap_mapping_range", "pin_user_pages", "kmalloc"]
    tree = DirectoryTree(tree_dir("6.12") / "mm", "mm")
    other = DirectoryTree(tree_dir("6.12") / "mm", "mm")
    assert tree.mentions(words) == {word: tuple(sorted(paths)) for word, paths in other._scan(words).items()}
    assert "gup.c" in tree.mentions(["pin_user_pages"])["pin_user_pages"]


@pytest.mark.bench
@pytest.mark.needs_tree("6.12")
def test_cost_of_a_search(tree_dir: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    tree = DirectoryTree(tree_dir("6.12"))
    for words in (["follow_pfnmap_start"], ["unmap_mapping_range", "cond_resched", "pin_user_pages", "mmap_read_lock"]):
        start = time.monotonic()
        found = tree.mentions(words)
        with capsys.disabled():
            print(f"\n{len(words)} words in 6.12: {time.monotonic() - start:.2f} s", {w: len(found[w]) for w in words})
