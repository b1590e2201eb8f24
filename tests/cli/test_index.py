"""``lorelint index``: what it says, that it is resumed, that nothing else says anything different for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lorelint.edge.index import NAME

Cli = Callable[..., Any]


def test_a_tree_is_read_once(cli: Cli, small: Path, tmp_path: Path) -> None:
    tree = shutil.copytree(small, tmp_path / "linux")
    first = cli("index", tree, "--jobs", "1")
    assert first.code == 0 and first.err == ""
    files = len([*tree.rglob("*.[ch]")])
    assert first.out.startswith(f"linux: {files} files, {files} read now\n")
    assert f"{NAME}: " in first.out
    (tree / "mm" / "more.c").write_text("int more(void)\n{\n\treturn 1;\n}\n")
    second = json.loads(cli("index", tree, "--jobs", "2", "--json").out)
    assert (second["files"], second["read"], second["skipped"]) == (files + 1, 1, [])
    assert second["index"] == str(tmp_path / "cache" / "lorelint" / NAME) and second["bytes"] > 0


def test_a_large_file_is_kept_for_its_words(cli: Cli, small: Path, tmp_path: Path) -> None:
    tree = shutil.copytree(small, tmp_path / "linux")
    (tree / "include" / "registers.h").write_text("#define REG_A 1\n" + "/* register */\n" * 80_000)
    assert "1 over 1 MB not read" in cli("index", tree, "--jobs", "1").out


def test_a_review_says_the_same(cli: Cli, small: Path, thread: Path) -> None:
    without = cli("review", thread, "--tree", small, "--json")
    assert without.code == 1
    cli("index", small, "--jobs", "1")
    for _ in range(2):  # the second time, of outcomes that were kept
        assert cli("review", thread, "--tree", small, "--json") == without
    scanned = cli("scan", "mm", "--tree", small)
    assert cli("scan", "mm", "--tree", small) == scanned


def test_the_tree_around(cli: Cli, small: Path, tmp_path: Path, monkeypatch: Any) -> None:
    tree = shutil.copytree(small, tmp_path / "linux")
    monkeypatch.chdir(tree / "mm")
    assert cli("index", "--jobs", "1").out.startswith("linux: ")


def test_what_cannot_be_indexed(cli: Cli, tmp_path: Path, small: Path) -> None:
    for arguments, said in (
        (("index", tmp_path / "none"), "no such directory"),
        (("index",), "no tree to index"),
        (("index", tmp_path), "not a kernel tree"),
    ):
        done = cli(*arguments)
        assert (done.code, done.out) == (2, "") and said in done.err and done.err.count("\n") == 1
    (tmp_path / "cache").write_text("")  # where the cache would be
    done = cli("index", small, "--jobs", "1")
    assert done.code == 2 and "the index cannot be written" in done.err


def test_a_damaged_index_is_said_and_made_anew(cli: Cli, real: Cli, small: Path, tmp_path: Path) -> None:
    assert real("index", small, "--jobs", "1").returncode == 0  # another process: nothing of it is open in this one
    index = tmp_path / "cache" / "lorelint" / NAME
    index.write_bytes(b"no database at all, " * 400)
    done = cli("index", small, "--jobs", "1")
    assert done.code == 0 and "made anew: it was damaged" in done.err
