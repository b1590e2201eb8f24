"""Commits as trees: bare, shallow, partial and sparse clones and worktrees read the same, and nothing is changed."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lorelint.edge import search
from lorelint.edge.git import Git, Objects, scan_words
from lorelint.edge.repository import GitRepository, GitTree
from lorelint.model.errors import LorelintError
from lorelint.model.tree import LIMIT, OverlayTree

MAKEFILE = "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 3\nEXTRAVERSION =\n"
POOL = "struct pool;\nint pool_take(struct pool *p);\n"
TAKE = '#include "pool.h"\nint pool_take(struct pool *p)\n{\n\treturn pool_lock(p);\n}\n'


def git(where: Path, *arguments: str) -> str:
    dates = {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *who, "-c", "protocol.file.allow=always", "-C", str(where), *arguments]
    done = subprocess.run(command, capture_output=True, check=True, env={**os.environ, **dates})
    return done.stdout.decode().strip()


def write(where: Path, path: str, text: str) -> None:
    (where / path).parent.mkdir(parents=True, exist_ok=True)
    (where / path).write_text(text)


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """Two commits, v6.12.3 and then master; a link, a file that is not C, a name beyond ASCII."""
    where = tmp_path / "upstream"
    where.mkdir()
    git(where, "init", "-q", "-b", "master")
    git(where, "config", "uploadpack.allowFilter", "true")
    git(where, "config", "uploadpack.allowAnySHA1InWant", "true")
    write(where, "Makefile", MAKEFILE)
    write(where, "mm/pool.h", POOL)
    write(where, "mm/pool.c", TAKE)
    write(where, "mm/größe.c", "int pool_size;\n")
    write(where, "Documentation/pool.rst", "pool_take\n")
    (where / "mm/link.c").symlink_to("pool.c")
    (where / "dir").symlink_to("mm")
    git(where, "add", "-A")
    git(where, "commit", "-q", "-m", "first")
    git(where, "tag", "-a", "-m", "v6.12.3", "v6.12.3")
    write(where, "mm/pool.c", TAKE.replace("pool_lock", "pool_trylock"))
    write(where, "mm/late.c", "int late;\n")
    git(where, "add", "-A")
    git(where, "commit", "-q", "-m", "second")
    return where


def clone(upstream: Path, name: str, *options: str) -> Path:
    where = upstream.parent / name
    git(upstream.parent, "clone", "-q", *options, f"file://{upstream}", str(where))
    return where


def make(kind: str, upstream: Path) -> Path:
    if kind == "bare":
        return clone(upstream, kind, "--bare")
    if kind == "shallow":
        return clone(upstream, kind, "--depth=1")
    if kind == "partial":
        return clone(upstream, kind, "--filter=blob:none", "--no-checkout")
    if kind == "treeless":
        return clone(upstream, kind, "--filter=tree:0", "--no-checkout")
    if kind == "sparse":
        where = clone(upstream, kind, "--sparse")
        assert not (where / "mm").exists()
        return where
    if kind == "worktree":
        git(upstream, "worktree", "add", "-q", "--detach", str(upstream.parent / kind), "master")
        return upstream.parent / kind
    return upstream


@pytest.fixture
def opened() -> Iterator[list[GitRepository]]:
    kept: list[GitRepository] = []
    yield kept
    for each in kept:
        each.close()


KINDS = ("plain", "bare", "shallow", "partial", "treeless", "sparse", "worktree")


def snapshot(where: Path) -> dict[str, str]:
    """Every file of a repository's folder with its hash, so that a change shows."""
    found = {}
    for path in sorted(where.rglob("*")):
        if path.is_file() and not path.is_symlink():
            found[str(path.relative_to(where))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_clone_reads_the_same(kind: str, upstream: Path, opened: list[GitRepository]) -> None:
    where = make(kind, upstream)
    untouched = snapshot(where) if kind not in ("partial", "treeless") else None
    repository = GitRepository(where)
    opened.append(repository)
    commit = repository.resolve("HEAD")
    assert commit == git(upstream, "rev-parse", "master")
    tree = repository.tree(commit)
    assert tree.read("mm/pool.c") == TAKE.replace("pool_lock", "pool_trylock").encode()
    assert tree.blob("mm/pool.h") == git(upstream, "rev-parse", "master:mm/pool.h")
    assert tree.files() == ("mm/größe.c", "mm/late.c", "mm/pool.c", "mm/pool.h")
    assert tree.files("mm/pool.c") == ("mm/pool.c",)
    assert tree.files("mm/") == tree.files()
    assert tree.files("m") == ()
    for path in ("mm/link.c", "dir/pool.c", "mm", "mm/none.c", "../upstream/Makefile", "/etc/passwd", ""):
        assert tree.read(path) is None
        assert tree.blob(path) is None
    if kind not in ("partial", "treeless"):
        found = tree.mentions(["pool_take", "pool", "pool_lock", "absent"])
        assert found == {"pool_take": ("mm/pool.c", "mm/pool.h"), "pool": ("mm/pool.c", "mm/pool.h"), "pool_lock": (),
                         "absent": ()}  # fmt: skip
        assert snapshot(where) == untouched


@pytest.mark.parametrize("kind", KINDS)
def test_no_words_are_looked_for_in_large_files(kind: str, upstream: Path, opened: list[GitRepository]) -> None:
    most = "int pool_take(struct pool *p);".ljust(LIMIT)
    write(upstream, "mm/just.h", most)
    write(upstream, "mm/table.h", most + "\n")
    git(upstream, "add", "-A")
    git(upstream, "commit", "-q", "-m", "third")
    where = make(kind, upstream)
    opened.append(repository := GitRepository(where))
    tree = repository.tree(repository.resolve("HEAD") or "")
    assert "mm/table.h" in tree.files() and len(tree.read("mm/table.h") or b"") == LIMIT + 1
    assert tree.read("mm/just.h") == most.encode()
    if kind in ("partial", "treeless"):
        assert tree.mentions(["pool_take"]) == {"pool_take": ("mm/just.h",)}  # of what is here
        return
    assert tree.mentions(["pool_take"]) == {"pool_take": ("mm/just.h", "mm/pool.c", "mm/pool.h")}
    edited = OverlayTree(tree, {"mm/just.h": f"{most}\n".encode(), "mm/table.h": most.encode()})
    assert edited.mentions(["pool_take"]) == {"pool_take": ("mm/pool.c", "mm/pool.h", "mm/table.h")}


def test_folders_are_listed_without_the_rest(upstream: Path, opened: list[GitRepository]) -> None:
    opened.append(repository := GitRepository(upstream))
    tree = repository.tree(repository.resolve("v6.12.3") or "")
    assert tree.files("mm") == ("mm/größe.c", "mm/pool.c", "mm/pool.h")
    assert tree.files("mm/pool.h") == ("mm/pool.h",)
    assert tree.files("Documentation") == ()


def test_a_partial_clone_searches_what_it_has_and_says_what_it_lacks(
    upstream: Path, opened: list[GitRepository]
) -> None:
    where = make("partial", upstream)
    opened.append(repository := GitRepository(where))
    tree = repository.tree(repository.resolve("HEAD") or "", "master")
    assert tree.read("mm/pool.h") == POOL.encode()  # fetched, this one alone
    lacking = repository.missing(repository.resolve("HEAD") or "")
    assert len(lacking) > 2
    assert tree.mentions(["pool_take"]) == {"pool_take": ("mm/pool.h",)}
    assert [(each.kind, each.where, each.text) for each in repository.troubles()] == [
        ("partial-clone", "master", "3 source files are not in this clone and were not searched")
    ]
    after = subprocess.run(
        ["git", "-C", str(where), "rev-list", "--objects", "--all", "--missing=print"], capture_output=True, check=True
    )
    assert after.stdout.count(b"?") >= 3  # the search fetched nothing


def test_a_promisor_that_is_gone_is_a_trouble_and_the_rest_is_read(upstream: Path, opened: list[GitRepository]) -> None:
    where = make("partial", upstream)
    opened.append(repository := GitRepository(where))
    tree = repository.tree(repository.resolve("HEAD") or "")
    assert tree.read("mm/pool.h") == POOL.encode()
    blob = tree.blob("mm/pool.c")
    upstream.rename(upstream.parent / "gone")
    assert tree.read("mm/pool.c") is None
    assert tree.read("mm/pool.c") is None
    assert tree.read("mm/pool.h") == POOL.encode()
    assert [(each.kind, each.where) for each in repository.troubles()] == [("missing-object", blob)]
    assert repository.resolve("HEAD")  # the child was started again


def test_names_are_resolved_to_commits_and_nothing_else(upstream: Path, opened: list[GitRepository]) -> None:
    opened.append(repository := GitRepository(upstream))
    first, second = git(upstream, "rev-parse", "v6.12.3^{commit}"), git(upstream, "rev-parse", "master")
    assert repository.resolve("v6.12.3") == first
    assert repository.resolve(second[:9]) == second
    assert repository.resolve("HEAD~1") == first
    for name in ("", "none", "--help", "-h", "v6.12.3..master", "master:mm/pool.c", ":/first", "a\nb", "mm/pool.c"):
        assert repository.resolve(name) is None, name
    assert repository.tree(first).name == "v6.12.3"
    assert repository.tree(second).name == "master"
    assert [(ref.name, ref.commit) for ref in repository.refs()] == [("v6.12.3", first), ("master", second)]


def test_a_blob_by_an_abbreviated_id(upstream: Path, opened: list[GitRepository]) -> None:
    opened.append(repository := GitRepository(upstream))
    blob = git(upstream, "rev-parse", "v6.12.3:mm/pool.c")
    assert repository.content(blob[:9]) == TAKE.encode()
    git(upstream, "branch", blob[:9], "master")  # a branch called like it is not it
    assert repository.content(blob[:9]) is None
    assert repository.content(blob) == TAKE.encode()
    assert repository.content("0" * 12) is None
    assert repository.content("HEAD") is None
    assert repository.content(git(upstream, "rev-parse", "master")) is None


def test_the_child_survives_large_objects_and_odd_names(upstream: Path) -> None:
    objects = Objects(Git(upstream))
    assert objects.get("HEAD:mm/pool.h", limit=10) is None
    found = objects.get("HEAD:mm/pool.h")
    assert found is not None and found.data == POOL.encode()
    for name in ("", "a\nHEAD", "HEAD:größe", "\0", "@{99999}", "^"):
        assert objects.get(name) is None
    again = objects.get("HEAD:mm/pool.h")
    assert again == found
    objects.close()
    assert objects.get("HEAD:mm/pool.h") == found
    objects.close()


def test_a_forked_process_has_a_child_of_its_own(upstream: Path, opened: list[GitRepository]) -> None:
    opened.append(repository := GitRepository(upstream))
    tree = repository.tree(repository.resolve("HEAD") or "")
    assert tree.read("mm/pool.h") == POOL.encode()
    pid = os.fork()
    if not pid:
        ok = all(tree.read("mm/late.c") == b"int late;\n" for _ in range(3))
        os._exit(0 if ok else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert tree.read("mm/größe.c") == b"int pool_size;\n"


def test_the_environment_of_a_hook_does_not_lead_astray(
    upstream: Path, tmp_path: Path, opened: list[GitRepository], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    opened.append(repository := GitRepository(upstream))
    tree = repository.tree(repository.resolve("HEAD") or "")
    assert tree.mentions(["late"]) == {"late": ("mm/late.c",)}


def test_a_folder_within_a_repository_is_not_the_repository(upstream: Path) -> None:
    with pytest.raises(LorelintError, match="git cannot read the repository"):
        GitRepository(upstream / "mm")


def test_a_work_tree_is_searched_for_what_it_shares_with_the_commit(
    upstream: Path, opened: list[GitRepository], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Edited, deleted, staged, untracked and ignored files, and those git does not look at on disk, change nothing."""
    write(upstream, "mm/hidden.c", "int hidden_word;\n")
    write(upstream, "mm/taken.c", "int taken_word;\n")
    git(upstream, "add", "-A")
    git(upstream, "commit", "-q", "-m", "third")
    commit = git(upstream, "rev-parse", "HEAD")
    write(upstream, "mm/pool.c", "int edited_word;\n")
    (upstream / "mm/pool.h").unlink()
    write(upstream, "mm/staged.c", "int staged_word; int pool_take;\n")
    git(upstream, "add", "mm/staged.c")
    git(upstream, "rm", "-q", "--cached", "mm/late.c")
    write(upstream, "mm/untracked.c", "int late;\n")
    git(upstream, "update-index", "--skip-worktree", "mm/hidden.c")
    git(upstream, "update-index", "--assume-unchanged", "mm/taken.c")
    (upstream / "mm/hidden.c").unlink()
    write(upstream, "mm/taken.c", "int other;\n")
    untouched = snapshot(upstream)
    want = {
        "pool_take": ("mm/pool.c", "mm/pool.h"),
        "pool_trylock": ("mm/pool.c",),
        "late": ("mm/late.c",),
        "hidden_word": ("mm/hidden.c",),
        "taken_word": ("mm/taken.c",),
        "pool_size": ("mm/größe.c",),
        "edited_word": (),
        "staged_word": (),
        "other": (),
    }
    opened.append(repository := GitRepository(upstream))
    assert repository.has_work_tree
    tree = repository.tree(commit)
    assert isinstance(tree, GitTree)
    assert search._on_disk(tree, list(want)) is not None
    assert tree.mentions(want) == want
    assert snapshot(upstream) == untouched
    monkeypatch.setattr(search, "MAX_DIFFERENT", 0)
    opened.append(other := GitRepository(upstream))
    assert other.tree(commit).mentions(want) == want


def test_a_repository_with_sha_256_objects_names_blobs_as_mail_does(
    upstream: Path, opened: list[GitRepository]
) -> None:
    where = upstream.parent / "sha256"
    git(upstream.parent, "init", "-q", "--object-format=sha256", str(where))
    write(where, "mm/pool.h", POOL)
    git(where, "add", "-A")
    git(where, "commit", "-q", "-m", "first")
    opened.append(repository := GitRepository(where))
    commit = repository.resolve("HEAD") or ""
    assert len(commit) == 64
    tree = repository.tree(commit)
    assert tree.read("mm/pool.h") == POOL.encode()
    assert tree.blob("mm/pool.h") == git(upstream, "rev-parse", "v6.12.3:mm/pool.h")
    assert tree.mentions(["pool_take"]) == {"pool_take": ("mm/pool.h",)}
    assert tree.files() == ("mm/pool.h",)


def test_a_search_of_the_history_fetches_no_blob(upstream: Path, opened: list[GitRepository]) -> None:
    wanted = {"mm/pool.c": git(upstream, "rev-parse", "v6.12.3:mm/pool.c")[:12]}
    git(upstream, "tag", "-d", "v6.12.3")
    for kind in ("partial", "treeless"):
        where = make(kind, upstream)
        opened.append(repository := GitRepository(where))
        lacking = repository.missing(repository.resolve("HEAD~1") or "")
        held = repository.holding(wanted, "2026-02-01T00:00:00Z")
        if kind == "partial":
            assert held is not None and held.commit == repository.resolve("HEAD~1")
            again = GitRepository(where)
            opened.append(again)
            assert again.missing(again.resolve("HEAD~1") or "") == lacking
            assert lacking
        else:
            assert held is None
            assert [each.kind for each in repository.troubles()] == ["search-cut"]


def test_merge(upstream: Path, opened: list[GitRepository]) -> None:
    opened.append(repository := GitRepository(upstream))
    base = b"".join(b"line %d\n" % n for n in range(20))
    ours, theirs = base.replace(b"line 2\n", b"ours\n"), base.replace(b"line 15\n", b"theirs\n")
    assert repository.merge(base, ours, theirs) == ours.replace(b"line 15\n", b"theirs\n")
    assert repository.merge(base, ours, base.replace(b"line 2\n", b"theirs\n")) is None


def test_whole_words_only() -> None:
    assert scan_words(b"a pool_take(x) pooled _pool pool", ["pool", "pool_take", "take", "pooled"]) == [
        "pool", "pool_take", "pooled",
    ]  # fmt: skip
    assert scan_words(b"pooled _pool", ["pool"]) == []
