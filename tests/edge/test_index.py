"""The index file: what goes in comes out, whoever writes with us, whenever we are ended, whatever the disk does."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from array import array
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorelint.code.facts import Role, decode
from lorelint.edge import pages
from lorelint.edge.harvester import Processes, batch
from lorelint.edge.index import Gone, IndexFile
from lorelint.edge.shrink import shrink
from lorelint.jobs.index import index
from lorelint.model.errors import LorelintError
from lorelint.model.index import Batch, Share, shares
from lorelint.model.tree import EmptyTree, OverlayTree, Tree, blob_id


def tree_of(count: int, seed: int = 1) -> OverlayTree:
    """Files of our own, each with a function, a call of its neighbour and a word of its own."""
    chance = random.Random(seed)
    files = {}
    for number in range(count):
        name = f"pool{number % 7}/take{number}.c"
        other = chance.randrange(count)
        files[name] = (
            f"int take_{number}(int how)\n{{\n\treturn take_{other}(how) + OWN_{number}_{seed};\n}}\n".encode()
        )
    return OverlayTree(EmptyTree("own"), files)


def filled(path: Path, tree: OverlayTree, size: int = 40) -> tuple[IndexFile, dict[str, str]]:
    keeper = IndexFile(path)
    files = tuple((each, blob_id(tree.read(each) or b"")) for each in tree.files())
    known = keeper.known()
    blobs = {}
    for share in shares(files, size):
        done = batch(tree, share, known)
        keeper.add(done)
        blobs.update(done.files)
    keeper.remember("own", blobs)
    return keeper, blobs


# -- pages


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(0, 60), st.sets(st.from_regex(rb"[a-z_]{1,6}", fullmatch=True), max_size=30)))
def test_every_word_is_found_where_it_is_and_nowhere_else(files: dict[int, set[bytes]]) -> None:
    numbers = array("Q")
    for number, words in files.items():
        numbers.extend(pages.postings(number, words, {word: Role.CALLED for word in words if len(word) == 3}))
    numbers = array("Q", sorted(numbers))
    width, nothing = pages.bits(len(numbers) * 40), pages.pack(array("Q"))
    kept = dict(pages.paged(numbers, width))
    for word in {word for words in files.values() for word in words} | {b"elsewhere"}:
        hashed = pages.hashed(word)
        found = dict(pages.matching(kept.get(pages.page_of(hashed, width), nothing), hashed))
        assert found == {n: Role.CALLED if len(word) == 3 else 0 for n, words in files.items() if word in words}


def test_words_are_those_git_grep_finds() -> None:
    raw = b'int a1 = 0x12ab /* pool_x */ "say pool_y" M\xfcller_z $d 9lives\0after'
    assert pages.words(raw) == {b"int", b"a1", b"pool_x", b"say", b"pool_y", b"M", b"ller_z", b"d", b"after"}


@pytest.mark.parametrize("data", [b"", b"\0" * 40, pages.pack(array("Q", range(9)))[:-4]])
def test_a_damaged_page_is_known(data: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        pages.unpack(data)


# -- the file


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    tree = tree_of(200)
    _, blobs = filled(tmp_path / "index.sqlite", tree)
    again = IndexFile(tmp_path / "index.sqlite")
    manifest = again.recall("own")
    assert manifest is not None and list(manifest.paths) == list(tree.files())
    assert again.known() == frozenset(blobs.values())
    where = dict(zip(manifest.numbers, manifest.paths, strict=True))
    for number in (0, 77, 199):
        found = again.find(f"OWN_{number}_1")
        assert [where[each] for each in found] == [f"pool{number % 7}/take{number}.c"]
        found = again.find(f"take_{number}")
        holding = tree.mentions([f"take_{number}"])[f"take_{number}"]
        assert sorted(where[each] for each in found) == sorted(holding)
        facts = decode(again.facts(next(iter(again.find(f"OWN_{number}_1")))) or b"")
        assert facts.functions[0].name == f"take_{number}"
    assert again.find("nowhere") == {} and again.facts(10**6) is None and again.recall("other") is None


def test_a_second_tree_costs_what_differs(tmp_path: Path) -> None:
    keeper, _ = filled(tmp_path / "index.sqlite", tree_of(200))
    changed = {f"pool0/take{7 * n}.c": b"int other(void) { return 1; }\n" + str(n).encode() for n in range(3)}
    tree = OverlayTree(tree_of(200), changed)
    files = tuple((each, blob_id(tree.read(each) or b"")) for each in tree.files())
    done = index("second", "second", files, keeper, lambda shares, known: (batch(tree, each, known) for each in shares))
    assert (done.files, done.fresh) == (200, 3)
    assert len(keeper.keys()) == 2


def test_two_words_of_one_hash_in_one_file(tmp_path: Path) -> None:
    one, other = b"w3c858ca4_1f9be4", b"w6f413921_b2271"
    assert pages.hashed(one) == pages.hashed(other)
    numbers = array("Q", sorted(pages.postings(0, {one, other}, {one: Role.DEFINED, other: Role.VALUE})))
    keeper = IndexFile(tmp_path / "index.sqlite")
    keeper.add(Batch((), (), (("0" * 40, b""),), 0, tuple(pages.paged(numbers, 0))))
    (roles,) = keeper.find(one.decode()).values()
    assert roles & Role.DEFINED and roles & Role.VALUE


def test_small_batches_are_put_together(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    tree = tree_of(120)
    keeper, _ = filled(path, tree, size=2)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM batch").fetchone()[0] < 60 / 2
    manifest = keeper.recall("own")
    assert manifest is not None
    where = dict(zip(manifest.numbers, manifest.paths, strict=True))
    for number in range(120):
        assert [where[each] for each in keeper.find(f"OWN_{number}_1")] == [f"pool{number % 7}/take{number}.c"]


def test_trees_read_longest_ago_go_when_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "index.sqlite"
    said: list[str] = []

    def read(name: str, tree: OverlayTree, made: float) -> IndexFile:
        keeper = IndexFile(path, said.append)
        files = tuple((each, blob_id(tree.read(each) or b"")) for each in tree.files())
        index(name, name, files, keeper, lambda shares, known: (batch(tree, each, known) for each in shares), made=made)
        return keeper

    # the third shares half of its files with the first
    shared = {each: tree_of(300).read(each) for each in tree_of(300).files()[:150]}
    trees = [tree_of(300), tree_of(300, seed=2), OverlayTree(tree_of(300, seed=3), shared)]
    read("0", trees[0], 1.0)
    first = read("1", trees[1], 2.0)
    assert first.find("OWN_5_1") and not said
    before = len(first.known())
    monkeypatch.setattr("lorelint.edge.index.shrink", lambda db, numbers: shrink(db, numbers, 1))
    last = read("2", trees[2], 3.0)
    assert last.keys() == ("2",) and len(last.known()) == 300 < before and "of 2 trees, read longest ago" in said[0]
    for hurt in (first, last):  # numbers of before may mean another blob
        with pytest.raises(Gone):
            hurt.find("OWN_5_1")
    again = IndexFile(path)
    manifest = again.recall("2")
    assert manifest is not None
    where = dict(zip(manifest.numbers, manifest.paths, strict=True))
    for number in range(300):
        for seed in (1, 2, 3):
            word = f"OWN_{number}_{seed}"
            assert [where[each] for each in again.find(word)] == list(trees[2].mentions([word])[word])
    # what was taken out comes back
    monkeypatch.undo()
    back = read("0", trees[0], 4.0)
    assert len(back.known()) == 450 and all(back.find(f"OWN_{number}_1") for number in range(300))


@pytest.mark.parametrize("damage", ["text", "middle", "short", "version", "empty"])
def test_a_file_that_is_no_index_is_made_anew(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "index.sqlite"
    keeper, _ = filled(path, tree_of(300))
    keeper.close()
    raw = path.read_bytes()
    if damage == "text":
        path.write_bytes(b"this is no database\n" * 500)
    elif damage == "middle":
        path.write_bytes(raw[: len(raw) // 4] + os.urandom(len(raw) // 2) + raw[3 * len(raw) // 4 :])
    elif damage == "short":
        path.write_bytes(raw[: len(raw) // 2])
    elif damage == "version":
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA user_version = 1")
    else:
        path.write_bytes(b"")
    hurt = IndexFile(path)
    try:
        manifest = hurt.recall("own")
        if manifest is not None:
            for number in range(300):  # what still answers, answers rightly
                at = {*hurt.find(f"OWN_{number}_1")}
                assert at <= {*manifest.numbers}
    except Exception as error:
        assert type(error).__name__ == "Gone", error
    with pytest.raises(Gone):  # numbers of another file mean nothing in this one
        filled(path, tree_of(300))
        hurt.find("OWN_5_1") if damage in ("text", "version") else IndexFile(path.with_name("none")).find("OWN_5_1")
    filled(path, tree_of(300))
    assert len(IndexFile(path).known()) == 300
    assert len(IndexFile(path).find("OWN_5_1")) == 1


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    keeper = IndexFile(tmp_path / "file" / "index.sqlite")
    assert keeper.known() == frozenset() and keeper.recall("own") is None
    with pytest.raises(LorelintError, match="cannot be written"):
        filled(tmp_path / "file" / "index.sqlite", tree_of(3))


def test_a_full_disk_keeps_what_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    keeper, _ = filled(path, tree_of(100))
    db = keeper._open(write=True)
    assert db is not None
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    tree = tree_of(2000, seed=2)
    done = batch(tree, Share(tuple((each, "") for each in tree.files())), frozenset())
    with pytest.raises(LorelintError, match=r"full.*make room"):
        keeper.add(done)
    assert len(IndexFile(path).known()) == 100
    assert len(IndexFile(path).find("OWN_5_1")) == 1


# -- processes


def _own(spec: str) -> Tree:
    return tree_of(int(spec))


def test_as_many_processes_as_there_are_the_same_batches() -> None:
    tree = tree_of(90)
    wanted = shares(tuple((each, "") for each in tree.files()), 20)
    one = list(Processes(_own, "90", 1)(wanted, frozenset()))
    assert one == list(Processes(_own, "90", 3)(wanted, frozenset()))


_WRITER = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from tests_index import filled, tree_of
print("on", flush=True)
filled(Path(sys.argv[1]), tree_of(400, seed=int(sys.argv[2])), 10)
"""


def _start(tmp_path: Path, seed: int) -> subprocess.Popen[str]:
    module = tmp_path / "tests_index.py"
    if not module.exists():  # once: another one may be importing it
        module.write_text(Path(__file__).read_text())
    program = _WRITER.format(path=[str(tmp_path), *sys.path])
    command = [sys.executable, "-c", program, str(tmp_path / "index.sqlite"), str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_that_write_at_once(tmp_path: Path) -> None:
    writers = [_start(tmp_path, seed) for seed in (1, 2, 1)]
    assert [each.wait(120) for each in writers] == [0, 0, 0]
    keeper = IndexFile(tmp_path / "index.sqlite")
    assert len(keeper.known()) == 800
    for seed in (1, 2):
        assert len({*keeper.find(f"OWN_399_{seed}")} & {*keeper.numbers(keeper.known()).values()}) == 1


def test_ended_at_any_point_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    chance = random.Random(3)
    kept = 0
    for _ in range(4):
        writer = _start(tmp_path, 1)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.4))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        now = len(IndexFile(path).known())
        assert now >= kept
        kept = now
    keeper, _ = filled(path, tree_of(400))
    assert len(keeper.known()) == 400
    alive = {*keeper.numbers(keeper.known()).values()}
    for number in range(400):
        assert len({*keeper.find(f"OWN_{number}_1")} & alive) == 1


def test_an_empty_batch_changes_nothing(tmp_path: Path) -> None:
    keeper = IndexFile(tmp_path / "index.sqlite")
    keeper.add(Batch((), (), (), 0, ()))
    assert keeper.size() == 0
