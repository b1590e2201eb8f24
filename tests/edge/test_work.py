"""Commits and what is not committed as patches between trees; nothing in the checkout is changed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.edge import work as laying
from lorelint.edge.repository import GitRepository
from lorelint.edge.span import find_span
from lorelint.edge.work import lay_out
from lorelint.model.base import Grade
from lorelint.model.errors import LorelintError
from lorelint.model.mail import Change
from lorelint.model.work import Span, Work

DEMO = "drivers/demo/a.c"
ONE = "int one(void)\n{\n\treturn 1;\n}\n"


def work(checkout: Any, named: str = "", pending: str = "") -> Work:
    repository = GitRepository(checkout.path)
    return lay_out(repository, find_span(repository, named), pending)


def head(checkout: Any, pending: str) -> Work:
    repository = GitRepository(checkout.path)
    commit = checkout.git("rev-parse", "HEAD")
    return lay_out(repository, Span(commit, commit, "HEAD", ""), pending)


def state(path: Path) -> str:
    """Everything in a folder: names, times, bytes."""
    rows = [
        (str(each), each.stat().st_mtime_ns, hashlib.sha256(each.read_bytes()).hexdigest())
        for each in sorted(path.rglob("*"))
        if each.is_file() and not each.is_symlink()
    ]
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def test_each_commit_between_its_trees(checkout: Any) -> None:
    checkout.write(DEMO, ONE)
    first = checkout.commit("demo: one\n\nBecause.\n\nSigned-off-by: Ann <ann@example.org>")
    checkout.swap(DEMO, "return 1", "return 2")
    second = checkout.commit("demo: two")
    done = work(checkout)
    patches = done.series.patches
    assert [patch.msgid for patch in patches] == [first, second] and done.series.expected == 2
    assert patches[0].subject == "demo: one" and patches[0].author == ("Ann Author", "ann@example.org")
    assert "Because." in patches[0].message and patches[0].diffs[0].change is Change.CREATE
    one, two = done.applied.snapshots
    assert one.before.read(DEMO) is None and one.after.read(DEMO) == ONE.encode()
    assert two.before.read(DEMO) == ONE.encode() and b"return 2" in (two.after.read(DEMO) or b"")
    assert done.applied.base.grade is Grade.EXACT and two.files[DEMO].grade is Grade.EXACT


def test_renames_deletions_and_modes(checkout: Any) -> None:
    checkout.write(DEMO, ONE)
    checkout.write("drivers/demo/b.c", ONE.replace("one", "two"))
    checkout.commit("both")
    checkout.git("mv", DEMO, "drivers/demo/c.c")
    checkout.git("rm", "-q", "drivers/demo/b.c")
    checkout.commit("move")
    (checkout.path / "drivers/demo/c.c").chmod(0o755)
    checkout.commit("mode")
    last = work(checkout).applied.snapshots[-1]
    assert last.after.read(DEMO) is None and last.after.read("drivers/demo/b.c") is None
    assert last.after.read("drivers/demo/c.c") == ONE.encode()


def test_a_merge_is_no_patch(checkout: Any) -> None:
    checkout.write(DEMO, ONE)
    checkout.commit("one")
    checkout.git("checkout", "-q", "-b", "side", "main")
    checkout.write("drivers/demo/side.c", ONE.replace("one", "side"))
    checkout.commit("side")
    checkout.git("checkout", "-q", "topic")
    checkout.git("merge", "-q", "--no-ff", "--no-edit", "side")
    done = work(checkout)
    assert sorted(patch.subject for patch in done.series.patches) == ["one", "side"]
    side = next(each for each in done.applied.snapshots if each.patch.subject == "side")
    assert side.after.read(DEMO) is None, "it was written on a tree without the other"


def test_staged_and_not_staged(checkout: Any) -> None:
    checkout.write(DEMO, ONE)
    checkout.commit("one")
    checkout.swap(DEMO, "return 1", "return 2")
    checkout.git("add", DEMO)
    checkout.swap(DEMO, "return 2", "return 3")
    staged, lying = head(checkout, "staged"), head(checkout, "all")
    assert b"return 2" in (staged.applied.snapshots[0].after.read(DEMO) or b"")
    assert b"return 3" in (lying.applied.snapshots[0].after.read(DEMO) or b"")
    assert staged.series.patches[0].subject == "staged changes"
    whole = work(checkout, pending="all")
    assert [patch.subject for patch in whole.series.patches] == ["one", "uncommitted changes"]


def test_nothing_in_hand(checkout: Any) -> None:
    assert not work(checkout, pending="all").series.patches
    assert not head(checkout, "staged").series.patches


def test_a_touched_file_is_no_change(checkout: Any) -> None:
    checkout.write(DEMO, ONE)
    checkout.commit("one")
    (checkout.path / DEMO).touch()
    found = head(checkout, "all").applied.snapshots
    assert all(each.before.read(DEMO) == each.after.read(DEMO) for each in found)


def test_a_link_is_not_followed(checkout: Any, tmp_path: Path) -> None:
    checkout.write(DEMO, ONE)
    checkout.commit("one")
    secret = tmp_path / "secret.c"
    secret.write_text("int secret;\n")
    (checkout.path / DEMO).unlink()
    (checkout.path / DEMO).symlink_to(secret)
    for each in head(checkout, "all").applied.snapshots:
        assert b"secret;" not in (each.after.read(DEMO) or b"")


def test_settings_of_the_user_change_nothing(checkout: Any) -> None:
    checkout.write(DEMO, ONE)
    checkout.commit("one")
    checkout.swap(DEMO, "return 1", "return 2")
    checkout.commit("two")
    plain = work(checkout)
    for key, value in (
        ("diff.noprefix", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("diff.context", "0"),
        ("diff.external", "false"),
        ("color.ui", "always"),
        ("core.abbrev", "5"),
        ("diff.renames", "false"),
        ("format.pretty", "oneline"),
    ):
        checkout.git("config", key, value)
    assert work(checkout).series == plain.series


def test_odd_names_and_bytes(checkout: Any) -> None:
    path = "drivers/demo/\u00e9 x.c"
    checkout.write(path, ONE)
    (checkout.path / "drivers/demo/latin.c").write_bytes(b"/* caf\xe9 */\nint x;\n")
    checkout.commit("odd \u00e9")
    last = work(checkout).applied.snapshots[-1]
    assert last.after.read(path) == ONE.encode()
    assert last.after.read("drivers/demo/latin.c") == b"/* caf\xe9 */\nint x;\n"


def test_a_message_that_looks_like_a_diff(checkout: Any) -> None:
    checkout.write(DEMO, ONE)
    first = checkout.commit("one")
    checkout.swap(DEMO, "return 1", "return 2")
    checkout.git("commit", "-q", "-a", "-m", f"two\n\n{first}\n{'0' * 40}\n")
    assert [len(patch.diffs) for patch in work(checkout).series.patches] == [1, 1]


def test_a_message_that_quotes_a_diff(checkout: Any) -> None:
    """What it quotes is no change of this commit, whatever git am(1) would make of the mail."""
    checkout.write(DEMO, ONE)
    checkout.commit("one")
    checkout.swap(DEMO, "return 1", "return 2")
    other = "drivers/misc/dmamap/dmamap.c"
    head = f"diff --git a/{other} b/{other}\nindex 1111111..2222222 100644\n"
    quoted = f"{head}--- a/{other}\n+++ b/{other}\n@@ -1 +1 @@\n-a\n+b\n"
    checkout.git("commit", "-q", "-a", "-m", f"two\n\nFrom: Somebody <else@example.org>\n\n---\n{quoted}")
    last = work(checkout).applied.snapshots[-1]
    assert [diff.path for diff in last.patch.diffs] == [DEMO] and last.patch.author[0] == "Ann Author"
    assert last.after.read(other) == last.before.read(other) != b""


def test_a_date_that_no_calendar_has(checkout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.write(DEMO, ONE)
    first = checkout.commit("one")
    kept = checkout.git("cat-file", "commit", first)
    odd = re.sub(r"(author .*> )\d+", r"\g<1>99999999999999", kept)
    commit = checkout.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=(odd + "\n").encode())
    assert work(checkout, f"{commit}^..{commit}").series.patches[0].mail.date.startswith("9999-")


def test_content_that_cannot_be_had_is_no_deletion(checkout: Any) -> None:
    checkout.write(DEMO, ONE)
    checkout.commit("one")
    checkout.swap(DEMO, "return 1", "return 2")
    checkout.commit("two")
    blob = checkout.git("rev-parse", f"HEAD:{DEMO}")
    (checkout.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    last = work(checkout).applied.snapshots[-1]  # git takes the file of the work tree for the diff; we read objects
    assert last.after.read(DEMO) == last.before.read(DEMO) == ONE.encode()
    assert "is not in this clone" in last.troubles[0].text


def test_a_file_of_the_work_tree_that_cannot_be_read(checkout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.write(DEMO, ONE)
    checkout.commit("one")
    checkout.swap(DEMO, "return 1", "return 2")
    monkeypatch.setattr(laying, "MAX_OBJECT", 5)
    (snapshot,) = head(checkout, "all").applied.snapshots
    assert snapshot.after.read(DEMO) == snapshot.before.read(DEMO) == ONE.encode()
    assert [trouble.where for trouble in snapshot.troubles] == [DEMO]
    assert snapshot.files[DEMO].grade is Grade.FRAGMENTS


@pytest.mark.parametrize("kind", ["worktree", "shallow", "partial", "sparse", "bare alternates"])
def test_every_kind_of_checkout(checkout: Any, make_checkout: Callable[..., Any], kind: str, tmp_path: Path) -> None:
    checkout.write(DEMO, ONE)
    checkout.commit("one")
    checkout.swap(DEMO, "return 1", "return 2")
    checkout.commit("two")
    checkout.git("config", "uploadpack.allowFilter", "true")
    other = tmp_path / "other"
    url = f"file://{checkout.path}"
    if kind == "worktree":
        checkout.git("worktree", "add", "-q", "-b", "wt", str(other), "topic")
    elif kind == "shallow":
        checkout.git("clone", "-q", "--depth=3", "-b", "topic", url, str(other))
    elif kind == "partial":
        checkout.git("clone", "-q", "--filter=blob:none", "-b", "topic", url, str(other))
    elif kind == "sparse":
        checkout.git("clone", "-q", "--sparse", "-b", "topic", url, str(other))
    else:
        checkout.git("clone", "-q", "--shared", "-b", "topic", str(checkout.path), str(other))
    there = make_checkout(other)
    before = state(other)
    done = work(there, "HEAD~2..HEAD", "all")
    after = [each.after.read(DEMO) for each in done.applied.snapshots]
    assert after[0] == ONE.encode() and b"return 2" in (after[1] or b"") and len(after) == 2
    if kind != "partial":  # git keeps what it had to fetch
        assert state(other) == before


def test_nothing_is_changed(checkout: Any) -> None:
    checkout.write(DEMO, ONE)
    checkout.commit("one")
    (checkout.path / DEMO).touch()
    checkout.write(DEMO, ONE + "\n")
    before = state(checkout.path)
    work(checkout, pending="all")
    head(checkout, "staged")
    assert state(checkout.path) == before


def test_too_many_commits_are_said(checkout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laying, "MAX_COMMITS", 3)
    for number in range(5):
        checkout.write(DEMO, f"int x = {number};\n")
        checkout.commit(str(number))
    with pytest.raises(LorelintError, match="more than 3 commits"):
        work(checkout)
