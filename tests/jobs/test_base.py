"""Every rung of the base ladder, on real repositories and on the kernels the seed threads were written for."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lorelint.edge.patch import GnuPatch
from lorelint.edge.thread import open_thread
from lorelint.edge.trees import open_tree
from lorelint.jobs.base import climb
from lorelint.model.base import Applied, BaseStep, FileBase, Grade
from lorelint.model.mail import Series
from lorelint.model.tree import blob_id

POOL = "".join(f"\tstep_{n}();\n" for n in range(1, 41))
RING = "".join(f"\tring_{n}();\n" for n in range(1, 41))


class Repo:
    """A small kernel with a history of its own making."""

    def __init__(self, where: Path) -> None:
        self.where = where
        where.mkdir(parents=True)
        self.git("init", "-q", "-b", "master")
        self.git("config", "uploadpack.allowFilter", "true")
        self.git("config", "uploadpack.allowAnySHA1InWant", "true")
        self.clock = 1767225600  # 2026-01-01: commits are an hour apart

    def git(self, *arguments: str, stdin: str = "") -> str:
        date = f"{getattr(self, 'clock', 0)} +0000"
        env = {**os.environ, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "protocol.file.allow=always"]
        command = ["git", *who, "-C", str(self.where), *arguments]
        done = subprocess.run(command, capture_output=True, check=True, env=env, input=stdin.encode())
        return done.stdout.decode().strip("\n")

    def commit(self, subject: str, tag: str = "", **files: str | None) -> str:
        """Files by name, "__" for "/" and a final "_c" for ".c"; None takes one away."""
        for name, text in files.items():
            path = self.where / name.replace("__", "/").replace("_c", ".c").replace("_h", ".h")
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self.clock += 3600
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject)
        if tag:
            self.git("tag", "-a", "-m", tag, tag)
        return self.git("rev-parse", "HEAD")

    def start(self, level: int = 12) -> str:
        makefile = f"VERSION = 6\nPATCHLEVEL = {level}\nSUBLEVEL = 0\nEXTRAVERSION =\n"
        return self.commit("start", f"v6.{level}", Makefile=makefile, mm__pool_c=POOL, mm__ring_c=RING)

    def mail(self, span: str, *options: str, edit: Callable[[str], str] = lambda text: text) -> Series:
        text = edit(self.git("format-patch", "--stdout", "--thread", *options, span))
        path = self.where.parent / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.mbox"
        path.write_text(text + "\n")
        return open_thread(str(path))[0].series[-1]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "linux")


def changed(text: str, number: int, new: str = "\tnew();\n") -> str:
    lines = text.splitlines(keepends=True)
    return "".join([*lines[: number - 1], new, *lines[number:]])


def no_index(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("index "))


def taken(applied: Applied) -> list[str]:
    return [step.rung for step in applied.base.steps if step.taken]


def step(applied: Applied, rung: str) -> BaseStep:
    return next(each for each in applied.base.steps if each.rung == rung)


def file(applied: Applied, path: str, patch: int = 1) -> FileBase:
    return applied.snapshots[patch - 1].files[path]


def on(repo: Repo, series: Series, revision: str = "", *, pinned: bool = False) -> Applied:
    source = open_tree(f"{repo.where}@{revision}" if revision else str(repo.where))
    try:
        return climb(series, source, GnuPatch(), pinned=pinned)
    finally:
        assert source.repository is not None
        source.repository.close()  # type: ignore[attr-defined]


def everything(where: Path) -> dict[str, bytes]:
    return {str(path.relative_to(where)): path.read_bytes() for path in sorted(where.rglob("*")) if path.is_file()}


# base-commit


def test_the_base_commit_the_mail_names(repo: Repo) -> None:
    base = repo.start()
    repo.git("checkout", "-q", "-b", "topic")
    repo.commit("pool: new", mm__pool_c=changed(POOL, 20))
    series = repo.mail("master..topic", f"--base={base}")
    repo.git("checkout", "-q", "master")
    repo.commit("pool: other", mm__pool_c=changed(POOL, 21, "\tother();\n"))
    repo.git("branch", "-q", "-D", "topic")
    before = everything(repo.where)
    applied = on(repo, series)
    assert everything(repo.where) == before
    assert (applied.base.grade, applied.base.commit, applied.base.tree) == (Grade.EXACT, base, "v6.12")
    assert taken(applied) == ["base-commit"]
    assert step(applied, "base-commit").text == "in the repository, 1 file: 1 exact"
    (snapshot,) = applied.snapshots
    assert snapshot.before.read("mm/pool.c") == POOL.encode()
    assert snapshot.after.read("mm/pool.c") == changed(POOL, 20).encode()
    assert snapshot.before.mentions(["new", "ring_3"]) == {"new": (), "ring_3": ("mm/ring.c",)}
    assert snapshot.after.mentions(["new"]) == {"new": ("mm/pool.c",)}
    assert file(applied, "mm/pool.c").text.startswith("blob ")
    assert file(applied, "mm/pool.c").text.endswith("as named")
    assert applied.troubles == ()


def test_without_index_lines_all_of_the_base_commit_is_exact(repo: Repo) -> None:
    base = repo.start()
    repo.commit("pool: new", mm__pool_c=changed(POOL, 20))
    series = repo.mail("-1", f"--base={base}", edit=no_index)
    applied = on(repo, series)
    assert (applied.base.grade, applied.base.commit) == (Grade.EXACT, base)
    assert file(applied, "mm/pool.c").text == "file of the base commit, every hunk lies at its place"


def prerequisite(repo: Repo) -> tuple[str, Series]:
    """A base, and a series of one patch that needs another patch first."""
    base = repo.start()
    repo.git("checkout", "-q", "-b", "topic")
    repo.commit("pool: needed", mm__pool_c=changed(POOL, 18, "\tneeded();\n"), mm__extra_c="int extra;\n")
    repo.commit("pool: new", mm__pool_c=changed(changed(POOL, 18, "\tneeded();\n"), 20))
    return base, repo.mail("-1", f"--base={base}")


def test_prerequisites_are_found_by_patch_id_and_laid_over_the_base(repo: Repo) -> None:
    base, series = prerequisite(repo)
    assert len(series.hint.prerequisites) == 1
    repo.git("checkout", "-q", "master")
    repo.commit("ring: other", mm__ring_c=changed(RING, 5))
    repo.git("checkout", "-q", "-b", "queue")
    repo.git("cherry-pick", "topic~1")
    # One more on top, so that no commit of the queue holds the blob the patch names.
    repo.git("branch", "-q", "-D", "topic")
    applied = on(repo, series, "master")
    assert (applied.base.grade, applied.base.commit) == (Grade.EXACT, base)
    assert applied.base.tree == "v6.12 with 1 of 1 prerequisites"
    assert step(applied, "base-commit").text == "in the repository, 1 of 1 prerequisites found, 1 file: 1 exact"
    before = applied.snapshots[0].before
    assert before.read("mm/pool.c") == changed(POOL, 18, "\tneeded();\n").encode()
    assert before.read("mm/extra.c") == b"int extra;\n"
    assert before.read("mm/ring.c") == RING.encode()


def test_a_prerequisite_that_is_not_here_is_said(repo: Repo) -> None:
    base, series = prerequisite(repo)
    repo.git("checkout", "-q", "master")
    repo.git("branch", "-q", "-D", "topic")
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")
    applied = on(repo, series)
    assert [(each.kind, each.where) for each in applied.troubles] == [("missing-prerequisite", base[:12])]
    assert "0 of 1 prerequisites found" in step(applied, "base-commit").text
    assert applied.base.grade is Grade.APPROXIMATE  # line 18 is context of line 20: one line of fuzz
    assert taken(applied) == ["fuzzy"]


def test_a_base_commit_is_an_id_and_no_other_revision(repo: Repo) -> None:
    base = repo.start()
    repo.commit("pool: new", mm__pool_c=changed(POOL, 20))
    series = repo.mail(
        "-1", f"--base={base}", edit=lambda text: text.replace(f"base-commit: {base}", "base-commit: HEAD")
    )
    applied = on(repo, series)
    assert (applied.base.grade, applied.base.commit) == (Grade.EXACT, base)
    assert taken(applied) == ["blobs"]  # HEAD holds the patch already: the commit before it is the better base


# blobs


def test_the_blobs_of_the_index_lines_are_found_in_a_history_of_point_releases(repo: Repo) -> None:
    repo.start()
    pool, commits = POOL, []
    for point in range(1, 9):
        pool = changed(pool, point * 4, f"\tfix_{point}();\n")
        commits.append(
            repo.commit(f"6.12.{point}", mm__pool_c=pool, mm__ring_c=changed(RING, 3, f"\tr_{point // 3}();\n"))
        )
    repo.git("tag", "v6.12.8")
    repo.git("checkout", "-q", "-b", "topic", commits[3])
    repo.commit("pool: new", mm__pool_c=changed(repo.git("show", "HEAD:mm/pool.c") + "\n", 17),
                mm__ring_c=changed(repo.git("show", "HEAD:mm/ring.c") + "\n", 30))  # fmt: skip
    series = repo.mail("-1", "--no-base")
    repo.git("checkout", "-q", "master")
    repo.git("branch", "-q", "-D", "topic")
    applied = on(repo, series)
    assert (applied.base.grade, applied.base.commit) == (Grade.EXACT, commits[3])
    assert applied.base.tree == commits[3][:12]
    assert taken(applied) == ["blobs"]
    texts = [(each.tried, each.text) for each in applied.base.steps if each.rung == "blobs"]
    assert texts == [
        ("v6.12.8", "0 of 2 files are the blob the patch names"),
        (commits[3][:12], "2 of 2 files are the blob the patch names"),
    ]


def test_blobs_that_meet_only_in_a_merge(repo: Repo) -> None:
    repo.start()
    repo.git("checkout", "-q", "-b", "one")
    repo.commit("one", mm__pool_c=changed(POOL, 2))
    repo.git("checkout", "-q", "-b", "two", "master")
    repo.commit("two", mm__ring_c=changed(RING, 2))
    repo.git("checkout", "-q", "master")
    repo.git("merge", "-q", "--no-ff", "-m", "merge", "one", "two")
    merge = repo.git("rev-parse", "HEAD")
    repo.commit("both", mm__pool_c=changed(changed(POOL, 2), 30), mm__ring_c=changed(changed(RING, 2), 30))
    series = repo.mail("-1")
    repo.commit("more", mm__pool_c=POOL, mm__ring_c=RING)
    applied = on(repo, series)
    assert (applied.base.grade, applied.base.commit) == (Grade.EXACT, merge)


def test_a_tag_that_holds_the_blobs_is_called_by_its_name(repo: Repo) -> None:
    repo.start(11)
    repo.commit("pool: new", mm__pool_c=changed(POOL, 20))
    series = repo.mail("-1")
    repo.commit("pool: other", mm__pool_c=changed(POOL, 21, "\tother();\n"))
    applied = on(repo, series)
    assert (applied.base.grade, applied.base.tree) == (Grade.EXACT, "v6.11")


# the tree the user names


def test_a_named_base_is_exact_by_its_blobs_and_clean_without(repo: Repo) -> None:
    repo.start()
    stable = repo.commit("pool: stable", mm__pool_c=changed(POOL, 2, "\tone();\n\ttwo();\n"))
    repo.git("tag", "v6.12.1")
    repo.git("checkout", "-q", "-b", "topic", "v6.12")
    repo.commit("pool: new", mm__pool_c=changed(POOL, 20))
    series = repo.mail("-1", edit=lambda text: text.replace("index ", "index 1234567", 1))
    repo.git("checkout", "-q", "master")
    repo.git("branch", "-q", "-D", "topic")
    applied = on(repo, series, "v6.12.1")
    assert (applied.base.grade, applied.base.commit, applied.base.tree) == (Grade.CLEAN, stable, "v6.12.1")
    assert taken(applied) == ["named"]
    assert "hunk 1 moved by +1 line" in file(applied, "mm/pool.c").text
    assert (
        applied.snapshots[0].after.read("mm/pool.c") == changed(changed(POOL, 2, "\tone();\n\ttwo();\n"), 21).encode()
    )


def test_pinned_to_a_tree_no_other_is_looked_for(repo: Repo) -> None:
    base = repo.start()
    repo.commit("pool: new", mm__pool_c=changed(POOL, 20))
    series = repo.mail("-1", f"--base={base}")
    repo.git("reset", "-q", "--hard", "HEAD~1")
    head = repo.commit("pool: top", mm__pool_c="/* top */\n" + POOL)
    applied = on(repo, series, pinned=True)
    assert (applied.base.grade, applied.base.commit) == (Grade.CLEAN, head)
    assert "only the tree that was named counts" in step(applied, "base-commit").text
    assert on(repo, series).base.commit == base


# tags


def test_the_newest_tag_on_which_it_applies(repo: Repo) -> None:
    repo.start()
    for point in (1, 2):
        repo.commit(f"6.12.{point}", f"v6.12.{point}", mm__pool_c=changed(POOL, 1, f"\tpoint_{point}();\n"))
    repo.commit("6.12.3", "v6.12.3", mm__pool_c=changed(POOL, 20, "\telse();\n"))
    repo.git("checkout", "-q", "-b", "topic", "v6.12")
    repo.commit("pool: new", mm__pool_c=changed(POOL, 20))
    series = repo.mail("-1", edit=no_index)
    repo.git("checkout", "-q", "master")
    repo.git("branch", "-q", "-D", "topic")
    applied = on(repo, series)
    assert (applied.base.grade, applied.base.tree) == (Grade.CLEAN, "v6.12.2")
    assert taken(applied) == ["tags"]
    assert step(applied, "tags").text == "the newest of 2 on which it applies, 1 file: 1 with full context"


# three-way, fuzzy, fragments


def loose_blob(repo: Repo) -> Series:
    """A patch whose old blob is in the repository, though no commit that is looked at holds it."""
    repo.start()
    old = changed(POOL, 19, "\tlost();\n")
    repo.git("hash-object", "-w", "--stdin", stdin=old)
    author = Repo(repo.where.parent / "author")
    author.commit("start", mm__pool_c=old)
    author.commit("pool: new", mm__pool_c=changed(old, 20))
    return author.mail("-1")


def test_three_way_by_the_blob_the_patch_names(repo: Repo) -> None:
    series = loose_blob(repo)
    repo.commit("pool: on and on", mm__pool_c=changed(changed(POOL, 19, "\tlost();\n"), 17, "\tnear();\n"))
    before = everything(repo.where)
    applied = on(repo, series)
    assert everything(repo.where) == before
    # Line 17 is context of the hunk; a merge needs no context.
    assert applied.base.grade is Grade.MERGED
    assert taken(applied) == ["three-way"]
    want = changed(changed(changed(POOL, 19, "\tlost();\n"), 17, "\tnear();\n"), 20)
    assert applied.snapshots[0].after.read("mm/pool.c") == want.encode()
    assert "merged three-way from blob" in file(applied, "mm/pool.c").text


def test_a_merge_with_conflicts_lays_the_blob_over_the_tree(repo: Repo) -> None:
    series = loose_blob(repo)
    repo.commit("pool: another way", mm__pool_c=changed(POOL, 20, "\tanother();\n"))
    repo.git("tag", "-d", "v6.12")
    repo.git("checkout", "-q", "--orphan", "alone")
    repo.commit("alone")
    repo.git("branch", "-q", "-D", "master")
    applied = on(repo, series)
    assert applied.base.grade is Grade.MERGED
    assert "the merge has conflicts" in file(applied, "mm/pool.c").text
    assert applied.snapshots[0].before.read("mm/pool.c") == changed(POOL, 19, "\tlost();\n").encode()


def plain(tmp_path: Path, **files: str) -> Path:
    where = tmp_path / "source"
    (where / "mm").mkdir(parents=True)
    (where / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 1\n")
    for name, text in files.items():
        (where / "mm" / f"{name}.c").write_text(text)
    return where


def test_fuzz_is_called_approximate_and_its_lines_are_marked(repo: Repo, tmp_path: Path) -> None:
    repo.start()
    repo.commit("pool: new", mm__pool_c=changed(POOL, 20), mm__ring_c=changed(RING, 20))
    series = repo.mail("-1")
    tree = open_tree(str(plain(tmp_path, pool=changed(POOL, 17, "\tother();\n"), ring=RING)))
    applied = climb(series, tree, GnuPatch())
    assert (applied.base.grade, applied.base.tree, applied.base.commit) == (Grade.APPROXIMATE, "source", "")
    assert taken(applied) == ["fuzzy"]
    assert step(applied, "fuzzy").text == "mm/pool.c"
    assert file(applied, "mm/ring.c").grade is Grade.EXACT
    pool = file(applied, "mm/pool.c")
    assert (pool.grade, pool.text) == (Grade.APPROXIMATE, "hunk 1 placed with fuzz 1")
    ((start, end),) = pool.fuzzed
    assert start <= 20 <= end
    assert applied.snapshots[0].after.read("mm/pool.c") == changed(changed(POOL, 17, "\tother();\n"), 20).encode()
    # Without GNU patch the same file is but fragments.
    assert climb(series, tree).base.grade is Grade.FRAGMENTS


def test_a_fuzzed_range_moves_with_the_patches_that_follow(repo: Repo, tmp_path: Path) -> None:
    repo.start()
    repo.commit("pool: new", mm__pool_c=changed(POOL, 20))
    repo.commit("pool: above", mm__pool_c=changed(changed(POOL, 20), 5, "\ta();\n\tb();\n\tc();\n"))
    series = repo.mail("-2")
    applied = climb(series, open_tree(str(plain(tmp_path, pool=changed(POOL, 17, "\tother();\n")))), GnuPatch())
    first, second = file(applied, "mm/pool.c", 1), file(applied, "mm/pool.c", 2)
    assert second.grade is Grade.APPROXIMATE
    assert second.fuzzed == tuple((start + 2, end + 2) for start, end in first.fuzzed)


def test_one_file_that_fails_does_not_spoil_the_others(repo: Repo, tmp_path: Path) -> None:
    repo.start()
    repo.commit("both", mm__pool_c=changed(POOL, 20), mm__ring_c=changed(RING, 20), mm__new_c="int new;\n")
    repo.commit("pool", mm__pool_c=changed(changed(POOL, 20), 35))
    series = repo.mail("-2")
    elsewhere = "".join(f"\tother_{n}();\n" for n in range(30)) + "".join(POOL.splitlines(keepends=True)[30:])
    applied = climb(series, open_tree(str(plain(tmp_path, pool=elsewhere, ring=RING))), GnuPatch())
    assert applied.base.grade is Grade.FRAGMENTS
    first, second = applied.snapshots
    assert {path: each.grade for path, each in first.files.items()} == {
        "mm/new.c": Grade.EXACT,
        "mm/pool.c": Grade.FRAGMENTS,
        "mm/ring.c": Grade.EXACT,
    }
    assert [(each.kind, each.where) for each in first.troubles] == [("does-not-apply", "mm/pool.c")]
    # Of the file that failed: the lines of the hunk at their numbers, before and after.
    lines = (first.after.read("mm/pool.c") or b"").split(b"\n")
    assert (lines[16], lines[19], lines[20], lines[0]) == (b"\tstep_17();", b"\tnew();", b"\tstep_21();", b"")
    assert (first.before.read("mm/pool.c") or b"").split(b"\n")[19] == b"\tstep_20();"
    assert first.after.read("mm/ring.c") == changed(RING, 20).encode()
    # The next patch finds its place in the tree's file: not as sure as it looks, and it says so.
    assert file(applied, "mm/pool.c", 2).grade is Grade.APPROXIMATE
    assert "an earlier patch of the series could not be placed" in file(applied, "mm/pool.c", 2).text
    assert (second.before.read("mm/pool.c") or b"").startswith(b"\tother_0();")


def test_a_patch_that_applies_nowhere_is_its_hunks(repo: Repo, tmp_path: Path) -> None:
    repo.start()
    repo.commit("pool: new", mm__pool_c=changed(POOL, 20))
    series = repo.mail("-1")
    applied = climb(series, open_tree(str(plain(tmp_path, ring=RING))), GnuPatch())
    assert (applied.base.grade, applied.base.tree, applied.base.commit) == (Grade.FRAGMENTS, "", "")
    assert taken(applied) == ["fragments"]
    assert [each.kind for each in applied.troubles] == ["does-not-apply"]
    assert applied.snapshots[0].after.files() == ("mm/pool.c",)
    assert applied.snapshots[0].after.read("mm/ring.c") is None


def test_without_a_tree_there_are_the_hunks_and_new_files(repo: Repo) -> None:
    repo.start()
    repo.commit("pool: new", mm__pool_c=changed(POOL, 20), mm__new_c="int new;\n")
    applied = climb(repo.mail("-1"), None)
    assert applied.base.grade is Grade.FRAGMENTS
    assert [each.kind for each in applied.troubles] == ["no-tree"]
    (snapshot,) = applied.snapshots
    assert snapshot.troubles == ()
    assert snapshot.after.read("mm/new.c") == b"int new;\n"
    assert file(applied, "mm/pool.c").text == "the hunks alone: there is no tree"


# series


def test_each_patch_starts_from_those_before_it(repo: Repo) -> None:
    repo.start()
    one, two = changed(POOL, 10), changed(changed(POOL, 10), 11, "\tsecond();\n")
    repo.commit("1", mm__pool_c=one)
    repo.commit("2", mm__pool_c=two, mm__new_c="int a;\n")
    repo.commit("3", mm__new_c="int a;\nint b;\n", mm__ring_c=None)
    repo.git("mv", "mm/new.c", "mm/moved.c")
    repo.commit("4")
    series = repo.mail("-4", "-M")
    repo.git("checkout", "-q", "v6.12")
    repo.git("branch", "-q", "-D", "master")
    applied = on(repo, series)
    assert applied.base.grade is Grade.CLEAN  # a pure rename has no index line to meet
    files = [(s.before.read("mm/pool.c"), s.after.read("mm/pool.c")) for s in applied.snapshots]
    assert files[:2] == [(POOL.encode(), one.encode()), (one.encode(), two.encode())]
    assert files[3] == (two.encode(), two.encode())
    third, fourth = applied.snapshots[2:]
    assert (third.before.read("mm/ring.c"), third.after.read("mm/ring.c")) == (RING.encode(), None)
    assert (third.before.read("mm/new.c"), third.after.read("mm/new.c")) == (b"int a;\n", b"int a;\nint b;\n")
    assert (fourth.after.read("mm/new.c"), fourth.after.read("mm/moved.c")) == (None, b"int a;\nint b;\n")
    assert fourth.before.read("mm/moved.c") is None
    named = [file(applied, "mm/pool.c", n).text for n in (1, 2)]
    assert f"the result is blob {blob_id(two.encode())[:7]}" in named[1]


def test_a_series_the_tree_already_holds_is_taken_back(repo: Repo, tmp_path: Path) -> None:
    repo.start()
    repo.commit("1", mm__pool_c=changed(POOL, 10), mm__new_c="int a;\n")
    repo.commit("2", mm__pool_c=changed(changed(POOL, 10), 12))
    series = repo.mail("-2")
    after = changed(changed(POOL, 10), 12)
    where = plain(tmp_path, pool=after, new="int a;\nint later;\n")
    applied = climb(series, open_tree(str(where)), GnuPatch())
    assert applied.base.grade is Grade.EXACT
    assert applied.snapshots[0].before.read("mm/pool.c") == POOL.encode()
    assert applied.snapshots[0].before.read("mm/new.c") is None
    assert applied.snapshots[1].after.read("mm/pool.c") == after.encode()
    assert "the tree already holds the change: it was taken back" in file(applied, "mm/pool.c").text
    assert "the tree has a file of this name already" in file(applied, "mm/new.c").text


def test_a_mail_whose_text_is_not_what_was_sent(repo: Repo) -> None:
    repo.start()
    repo.commit("pool: new", mm__pool_c=changed(POOL, 20))
    series = repo.mail("-1", edit=lambda text: text.replace("+\tnew();", "+\tnew( );"))
    applied = on(repo, series, "v6.12")
    assert applied.base.grade is Grade.EXACT
    assert [(each.kind, each.where) for each in applied.snapshots[0].troubles] == [("mangled", "mm/pool.c")]


def test_a_binary_change_is_said_and_the_rest_is_applied(repo: Repo) -> None:
    repo.start()
    (repo.where / "logo.bin").write_bytes(bytes(range(256)))
    repo.commit("both", mm__pool_c=changed(POOL, 20))
    applied = on(repo, repo.mail("-1", "--no-binary"), "v6.12")
    assert applied.snapshots[0].after.read("mm/pool.c") == changed(POOL, 20).encode()
    assert applied.base.grade is Grade.EXACT


def test_the_same_every_time(repo: Repo, tmp_path: Path) -> None:
    repo.start()
    repo.commit("both", mm__pool_c=changed(POOL, 20), mm__ring_c=changed(RING, 20))
    series = repo.mail("-1")
    where = plain(tmp_path, pool=changed(POOL, 17, "\tother();\n"), ring=RING)
    one, two = (climb(series, open_tree(str(where)), GnuPatch()) for _ in range(2))
    assert (one.base, one.troubles) == (two.base, two.troubles)
    assert [s.files for s in one.snapshots] == [s.files for s in two.snapshots]


@pytest.mark.parametrize("kind", ["bare", "shallow", "partial", "sparse", "worktree"])
def test_the_ladder_on_every_kind_of_clone(repo: Repo, tmp_path: Path, kind: str) -> None:
    base = repo.start()
    repo.commit("pool: new", mm__pool_c=changed(POOL, 20))
    series = repo.mail("-1")
    repo.git("checkout", "-q", "-b", "older", base)
    where = tmp_path / kind
    options = {
        "bare": ["--bare"],
        "shallow": ["--depth=1", "--branch=older"],
        "partial": ["--filter=blob:none", "--no-checkout"],
        "sparse": ["--sparse"],
    }
    if kind == "worktree":
        repo.git("worktree", "add", "-q", "--detach", str(where), base)
    else:
        repo.git("clone", "-q", *options[kind], f"file://{repo.where}", str(where))
    source = open_tree(str(where))
    applied = climb(series, source, GnuPatch())
    assert (applied.base.grade, applied.base.commit) == (Grade.EXACT, base)
    assert applied.snapshots[0].after.read("mm/pool.c") == changed(POOL, 20).encode()
    assert source.repository is not None
    source.repository.close()  # type: ignore[attr-defined]


# the seed threads on the kernels they were written for


def seed(shared: Path, name: str) -> Series:
    (path,) = (shared / "corpora" / "seeds").glob(f"{name}-*.mbox")
    return open_thread(str(path))[0].series[-1]


@pytest.mark.needs_shared
@pytest.mark.needs_tree("6.12", "7.2")
@pytest.mark.parametrize("name", ["000", "002"])
def test_seeds_with_full_context_on_7_2_and_approximate_on_6_12(
    name: str, shared: Path, tree_dir: Callable[[str], Path]
) -> None:
    series = seed(shared, name)
    new = climb(series, open_tree(str(tree_dir("7.2"))), GnuPatch())
    assert new.base.grade is Grade.CLEAN  # every hunk with all of its context; the blob is another
    assert taken(new) == ["named"]
    old = climb(series, open_tree(str(tree_dir("6.12"))), GnuPatch())
    assert old.base.grade is Grade.APPROXIMATE
    assert taken(old) == ["fuzzy"]
    (file,) = old.snapshots[0].files.values()
    assert "with fuzz 1" in file.text


@pytest.mark.needs_shared
@pytest.mark.needs_tree("7.2")
def test_seed_003_is_exact_through_the_series(
    shared: Path, tree_dir: Callable[[str], Path], overlays_dir: Path
) -> None:
    tree = open_tree(str(tree_dir("7.2")), [str(overlays_dir / "base-seed-003")])
    applied = climb(seed(shared, "003"), tree, GnuPatch())
    path = "drivers/vfio/pci/vfio_pci_dmabuf.c"
    blobs = ["46ab64fbeb19", "bebb496bd0f2", "af30ca205f31", "d66a918e9934"]
    for patch, blob in zip((1, 3, 5, 6), blobs, strict=True):
        at = applied.snapshots[patch - 1]
        assert at.files[path].grade is Grade.EXACT
        assert at.files[path].text.endswith(f"the result is blob {blob} as named")
        assert (at.after.blob(path) or "").startswith(blob)
    assert applied.base.grade is Grade.CLEAN


@pytest.mark.needs_shared
@pytest.mark.needs_tree("5.10", "6.12", "7.2")
@pytest.mark.parametrize("name", ["000", "001", "002", "003", "004a", "004b", "004c"])
@pytest.mark.parametrize("kernel", ["5.10", "6.12", "7.2"])
def test_every_seed_comes_to_a_base_that_is_explained(
    name: str, kernel: str, shared: Path, tree_dir: Callable[[str], Path]
) -> None:
    series = seed(shared, name)
    applied = climb(series, open_tree(str(tree_dir(kernel))), GnuPatch())
    assert len(applied.snapshots) == len(series.patches)
    assert taken(applied)
    for patch, at in zip(series.patches, applied.snapshots, strict=True):
        assert set(at.files) == {diff.path for diff in patch.diffs}
        for diff in patch.diffs:
            kept = at.files[diff.path]
            assert kept.text
            if kept.grade is Grade.EXACT and diff.new_blob and diff.hunks:
                assert (at.after.blob(diff.path) or "").startswith(diff.new_blob), diff.path
