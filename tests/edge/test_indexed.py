"""A tree with an index beside it answers as it does without: after edits, moves, with half of the index, with none."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lorelint.code.facts import Role
from lorelint.code.program import Program
from lorelint.edge import beside as module
from lorelint.edge.beside import beside, early, listed
from lorelint.edge.directory import DirectoryTree
from lorelint.edge.harvester import Processes
from lorelint.edge.index import IndexFile
from lorelint.edge.indexed import IndexedTree
from lorelint.edge.trees import open_tree
from lorelint.jobs.index import index
from lorelint.kernel.load import knowledge
from lorelint.model.tree import LIMIT, OverlayTree, Tree

WORDS = ("take", "give", "pool_ops", "fresh", "moved", "nowhere", "also")


def opener(spec: str) -> Tree:
    return open_tree(spec).tree


def build(tree: Tree, keeper: IndexFile) -> None:
    found = listed(tree)
    read = Processes(opener, found.opener, 1)
    index(tree.name, found.key, found.files, keeper, read, made=found.made, extra=found.extra)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "linux"
    for name, text in {
        "Makefile": "VERSION = 6\nPATCHLEVEL = 12\n",
        "mm/pool.c": "int take(void)\n{\n\treturn give();\n}\n",
        "mm/give.c": "#include <linux/pool.h>\nint give(void)\n{\n\treturn 0;\n}\n",
        "include/linux/pool.h": "struct pool_ops { int (*take)(void); };\nint give(void);\n",
        "drivers/a/one.c": "static struct pool_ops ops = { .take = take };\n",
        "drivers/a/same.c": "static struct pool_ops ops = { .take = take };\n",
        "drivers/b/two.c": "/* take */ int two(void)\n{\n\treturn take();\n}\n",
        "doc/notes.txt": "take\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def keeper(tmp_path: Path) -> IndexFile:
    return IndexFile(tmp_path / "cache" / "index.sqlite")


def same(root: Path, keeper: IndexFile, *, by_index: bool = True) -> IndexedTree:
    """The folder with the index says what it says without."""
    plain = DirectoryTree(root)
    tree = beside(DirectoryTree(root), IndexFile(keeper.path))
    assert isinstance(tree, IndexedTree)
    assert tree.files() == plain.files()
    assert tree.files("mm") == plain.files("mm") and tree.files("mm/pool.c") == plain.files("mm/pool.c")
    assert tree.mentions(WORDS) == plain.mentions(WORDS)
    assert (tree._view() is not None) == by_index
    one, other = Program(tree, knowledge((6, 12))), Program(plain, knowledge((6, 12)))
    for path in plain.files():
        assert one.facts(path) == other.facts(path)
        if by_index:
            assert (tree.kept(path) is None) == (len(plain.read(path) or b"") > LIMIT)
    for word in WORDS:
        for role in Role:
            assert one.playing(word, role) == other.playing(word, role), (word, role)
    return tree


def test_a_folder_as_it_was(folder: Path, keeper: IndexFile) -> None:
    build(DirectoryTree(folder), keeper)
    tree = same(folder, keeper)
    assert tree.mentions(["take"])["take"] == (
        "drivers/a/one.c", "drivers/a/same.c", "drivers/b/two.c", "include/linux/pool.h", "mm/pool.c",
    )  # fmt: skip
    assert tree.holding("take", Role.CALLED) == ("drivers/b/two.c",)


EDITS: dict[str, Callable[[Path], object]] = {
    "edited": lambda root: (root / "mm/give.c").write_text("int give(void)\n{\n\treturn fresh(take());\n}\n"),
    "grown too large": lambda root: (root / "mm/pool.c").write_text("int take(void);\n" + " " * LIMIT),
    "added": lambda root: (root / "mm/new.c").write_text("int fresh(void)\n{\n\treturn take();\n}\n"),
    "gone": lambda root: (root / "drivers/b/two.c").unlink(),
    "renamed": lambda root: (root / "mm/give.c").rename(root / "drivers/b/give.c"),
    "copied with its times": lambda root: shutil.copy2(root / "mm/pool.c", root / "mm/also.c"),
    "a folder gone": lambda root: shutil.rmtree(root / "drivers/a"),
    "a folder moved": lambda root: (root / "drivers/a").rename(root / "mm/a"),
    "a folder added": lambda root: shutil.copytree(root / "drivers/a", root / "drivers/c"),
    "times set back": lambda root: (
        (root / "mm/pool.c").write_text("int moved(void)\n{\n\treturn take();\n}\n"),
        os.utime(root / "mm/pool.c", (1, 1)),
    ),
    "a link instead": lambda root: ((root / "mm/pool.c").unlink(), (root / "mm/pool.c").symlink_to("give.c")),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_folder_that_changes(folder: Path, keeper: IndexFile, edit: str) -> None:
    build(DirectoryTree(folder), keeper)
    EDITS[edit](folder)
    same(folder, keeper)
    same(folder, keeper)  # and the second time, by what was remembered of the first
    (folder / "mm/last.c").write_text("int last(void)\n{\n\treturn take();\n}\n")
    same(folder, keeper)


def test_a_job_is_begun_on_what_lay_there(folder: Path, keeper: IndexFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Done once where nothing changed; an error that comes of old files is nobody's error."""
    monkeypatch.setattr("lorelint.edge.sweep.MARGIN", 0.1)
    time.sleep(0.2)
    build(DirectoryTree(folder), keeper)
    asked: list[tuple[str, ...]] = []
    known: list[bool] = []
    whole: list[Tree] = []

    def takers(tree: Tree) -> tuple[str, ...]:
        asked.append(tree.holding("take", Role.CALLED))
        known.append(isinstance(whole[-1], IndexedTree) and whole[-1].known)  # what a person is told who waits
        assert tree.read(asked[-1][0]) is not None
        return asked[-1]

    def tree() -> Tree:
        whole.append(beside(DirectoryTree(folder), IndexFile(keeper.path)))
        return whole[-1]

    assert early(tree(), takers) == ("drivers/b/two.c",) and len(asked) == 1
    (folder / "mm/new.c").write_text("int fresh(void)\n{\n\treturn take();\n}\n")
    assert early(tree(), takers) == ("drivers/b/two.c", "mm/new.c") and len(asked) == 3
    (folder / "drivers/b/two.c").unlink()
    assert early(tree(), takers) == ("mm/new.c",) and len(asked) == 5
    (folder / "mm/new.c").write_text("int fresh(void);\n")
    with pytest.raises(IndexError):
        early(tree(), takers)
    assert asked[-2:] == [("mm/new.c",), ()]
    with pytest.raises(IndexError):
        early(tree(), takers)
    assert asked[-1] == () and all(known)
    shutil.rmtree(keeper.path.parent)
    (folder / "mm/new.c").write_text("int fresh(void)\n{\n\treturn take();\n}\n")
    assert "mm/new.c" in early(tree(), takers)


def test_a_folder_of_any_name(folder: Path, keeper: IndexFile) -> None:
    odd = folder.with_name(os.fsdecode(b"linux \xff \xc3\xa9 '\"%"))
    folder.rename(odd)
    (odd / os.fsdecode(b"mm/fresh\xfe.c")).write_text("int fresh(void)\n{\n\treturn take();\n}\n")
    build(DirectoryTree(odd), keeper)
    same(odd, keeper)
    (odd / os.fsdecode(b"mm/moved\xfe.c")).write_text("int moved(void)\n{\n\treturn take();\n}\n")
    same(odd, keeper)


def test_a_folder_put_in_the_place_of_another(folder: Path, keeper: IndexFile, tmp_path: Path) -> None:
    """What is moved in keeps the times of its files; none of them is newer than the index."""
    other = tmp_path / "other"
    (other / "deep").mkdir(parents=True)
    (other / "one.c").write_text("int moved(void)\n{\n\treturn give();\n}\n")
    (other / "deep/also.c").write_text("int also(void)\n{\n\treturn give();\n}\n")
    build(DirectoryTree(folder), keeper)
    (folder / "drivers/a").rename(tmp_path / "away")
    other.rename(folder / "drivers/a")
    tree = same(folder, keeper)
    assert tree.mentions(["moved"])["moved"] == ("drivers/a/one.c",)


def test_the_whole_tree_replaced(folder: Path, keeper: IndexFile, tmp_path: Path) -> None:
    build(DirectoryTree(folder), keeper)
    folder.rename(tmp_path / "away")
    shutil.copytree(tmp_path / "away", folder)
    same(folder, keeper, by_index=False)


def test_too_many_changes_are_left_to_the_index_command(
    folder: Path, keeper: IndexFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(DirectoryTree(folder), keeper)
    monkeypatch.setattr(module, "FRESH", 1)
    for number in range(3):
        (folder / f"mm/new{number}.c").write_text(f"int fresh{number}(void)\n{{\n\treturn take();\n}}\n")
    same(folder, keeper, by_index=False)
    build(DirectoryTree(folder), keeper)
    same(folder, keeper)


def test_a_folder_of_which_the_index_lost_the_files(
    folder: Path, keeper: IndexFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made anew by another process while the folder was read into it: not each file is looked through."""
    build(DirectoryTree(folder), keeper)
    manifest = keeper.recall(module.key_of(DirectoryTree(folder)))
    made = keeper.made(module.key_of(DirectoryTree(folder)))
    assert manifest is not None and made is not None
    keeper.keep(module.key_of(DirectoryTree(folder)), manifest.paths, [0] * len(manifest.paths), made, manifest.extra)
    monkeypatch.setattr(module, "LOOSE", len(manifest.paths) - 1)
    same(folder, keeper, by_index=False)


def test_facts_that_are_damaged_are_made_anew(folder: Path, keeper: IndexFile) -> None:
    build(DirectoryTree(folder), keeper)
    with closing(sqlite3.connect(keeper.path)) as db:
        db.execute("UPDATE blob SET facts = substr(facts, 1, length(facts) / 2)")
        db.commit()
    same(folder, keeper)


def test_an_index_that_cannot_be_written_is_read(
    folder: Path, keeper: IndexFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(DirectoryTree(folder), keeper)
    (folder / "mm/new.c").write_text("int fresh(void)\n{\n\treturn take();\n}\n")

    def refuse(self: IndexFile, batch: object) -> None:
        raise module.LorelintError("the index cannot be written", where="here", remedy="none")

    monkeypatch.setattr(IndexFile, "add", refuse)
    tree = beside(DirectoryTree(folder), keeper)
    assert tree.mentions(["fresh"])["fresh"] == ("mm/new.c",)
    assert tree.holding("take", Role.CALLED) == ("drivers/b/two.c", "mm/new.c")
    assert tree.files("mm") == ("mm/give.c", "mm/new.c", "mm/pool.c")


def test_an_index_that_goes_away(folder: Path, keeper: IndexFile) -> None:
    build(DirectoryTree(folder), keeper)
    tree = beside(DirectoryTree(folder), keeper)
    assert tree.mentions(["take"])["take"]
    keeper.close()
    raw = bytearray(keeper.path.read_bytes())
    raw[4096:] = os.urandom(len(raw) - 4096)
    keeper.path.write_bytes(bytes(raw))
    plain = DirectoryTree(folder)
    for word in WORDS:
        assert tree.mentions([word]) == plain.mentions([word])
    assert tree.kept("mm/pool.c") is None
    assert tree.files() == plain.files()


# -- commits


def git(root: Path, *command: str) -> str:
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", "-C", str(root), *settings, *command], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_find_that_fails_leaves_none_behind(
    folder: Path, keeper: IndexFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(DirectoryTree(folder), keeper)
    find = tmp_path / "bin" / "find"
    find.parent.mkdir()
    find.write_text(f'#!/bin/sh\n[ "$3" = 2 ] && exit 1\necho $$ >> {tmp_path}/running\nexec sleep 60\n')
    find.chmod(0o755)
    monkeypatch.setenv("PATH", f"{find.parent}{os.pathsep}{os.environ['PATH']}")
    same(folder, keeper, by_index=False)
    for pid in (tmp_path / "running").read_text().split() if (tmp_path / "running").exists() else ():
        assert not Path("/proc", pid).exists()


@pytest.fixture
def history(folder: Path) -> Path:
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "one")
    (folder / "mm/new.c").write_text("int fresh(void)\n{\n\treturn take();\n}\n")
    (folder / "drivers/b/two.c").unlink()
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "two")
    return folder


def alike(root: Path, revision: str, keeper: IndexFile) -> IndexedTree:
    plain = open_tree(f"{root}@{revision}").tree
    tree = open_tree(f"{root}@{revision}", (), lambda tree: beside(tree, keeper)).tree
    assert isinstance(tree, IndexedTree)
    assert tree.files() == plain.files() and tree.files("drivers") == plain.files("drivers")
    assert tree.mentions(WORDS) == plain.mentions(WORDS)
    return tree


def test_a_second_commit_costs_its_changed_blobs(history: Path, keeper: IndexFile) -> None:
    build(open_tree(f"{history}@HEAD~1").tree, keeper)
    before = keeper.known()
    tree = alike(history, "HEAD", keeper)
    assert tree._view() is not None
    assert len(keeper.known() - before) == 1
    assert len(keeper.keys()) == 2
    alike(history, "HEAD", IndexFile(keeper.path))


def test_a_repository_of_which_nothing_is_indexed(history: Path, keeper: IndexFile) -> None:
    assert alike(history, "HEAD", keeper)._view() is None
    assert keeper.size() == 0


def test_half_an_index(history: Path, keeper: IndexFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some blobs are there, others are not and may not be read at once: they are looked through."""
    found = listed(open_tree(str(history)).tree)
    index("half", "half", found.files[:3], keeper, Processes(opener, found.opener, 1))
    monkeypatch.setattr(module, "FRESH", 0)
    assert alike(history, "HEAD", keeper)._view() is None
    keeper.remember(found.key, dict(found.files))
    tree = alike(history, "HEAD", keeper)
    view = tree._view()
    assert view is not None and len(view.loose) == len(found.files) - 3


def test_overlays_over_an_index(history: Path, keeper: IndexFile) -> None:
    build(open_tree(str(history)).tree, keeper)
    files = {"mm/pool.c": b"int other(void) { return fresh(); }\n", "mm/give.c": None, "mm/add.c": b"int take;\n"}
    plain = OverlayTree(open_tree(str(history)).tree, files)
    tree = OverlayTree(alike(history, "HEAD", keeper), files)
    assert tree.mentions(WORDS) == plain.mentions(WORDS)
    assert tree.files() == plain.files()
    assert tree.kept("mm/pool.c") is None and tree.kept("mm/new.c") is not None
    one, other = Program(tree, knowledge((6, 12))), Program(plain, knowledge((6, 12)))
    for word in WORDS:
        for role in Role:
            assert one.playing(word, role) == other.playing(word, role)
