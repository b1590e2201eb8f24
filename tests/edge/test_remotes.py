"""Trees to review against: a real remote on this machine, clones, folders; their order for a series."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.config import TreeConfig
from lorelint.edge.remotes import Remotes
from lorelint.model.errors import LorelintError

NOW = "2026-04-02T10:00:00Z"
LATER = "2026-04-02T17:00:00Z"


@pytest.fixture
def remote(checkout: Any) -> Any:
    """A repository that is fetched from: the small kernel."""
    checkout.git("checkout", "-q", "main")
    return checkout


@pytest.fixture
def make(tmp_path: Path, root: Path) -> Callable[..., Remotes]:
    def remotes(*trees: TreeConfig, limit: float = 1e9) -> Remotes:
        return Remotes(trees, tmp_path / "trees", limit, lambda path: path, lambda tree: tree)

    return remotes


def url(checkout: Any) -> str:
    return f"file://{checkout.path}"


def test_a_remote_is_mirrored_and_read(make: Any, remote: Any) -> None:
    trees = make(TreeConfig("mainline", url=url(remote)))
    (done,) = trees.refresh(NOW)
    tip = remote.git("rev-parse", "HEAD")
    assert (done.name, done.ok, done.text) == ("mainline", True, f"new..{tip[:12]}")
    opened = trees.open("mainline")
    assert opened.commit == tip and opened.tree.read("Makefile")
    trees.close()


def test_it_is_fetched_when_its_time_has_come(make: Any, remote: Any) -> None:
    trees = make(TreeConfig("mainline", url=url(remote), fetch_hours=6))
    trees.refresh(NOW)
    before = remote.git("rev-parse", "HEAD")
    remote.write("drivers/new.c", "int x;\n")
    after = remote.commit("more")
    assert trees.refresh("2026-04-02T15:00:00Z") == ()
    assert trees.open("mainline").commit == before
    assert [each.text for each in trees.refresh(LATER)] == [f"{before[:12]}..{after[:12]}"]
    assert trees.open("mainline").commit == after
    trees.close()


def test_two_remotes_share_what_they_have_in_common(make: Any, remote: Any, tmp_path: Path) -> None:
    remote.git("checkout", "-q", "-b", "next")
    remote.write("drivers/new.c", "int x;\n")
    tip = remote.commit("in next")
    trees = make(
        TreeConfig("mainline", url=url(remote), branch="main"), TreeConfig("next", url=url(remote), branch="next")
    )
    assert [each.ok for each in trees.refresh(NOW)] == [True, True]
    assert trees.open("mainline").tree.read("drivers/new.c") is None
    assert trees.open("next").tree.read("drivers/new.c") == b"int x;\n"
    assert trees.open("next").tree.name == "next/next"
    assert trees.order(tip, (), ()) == ("next", "mainline")
    assert [path.name for path in (tmp_path / "trees").glob("*.git")] == ["linux.git"]
    trees.close()


def test_old_history_is_left_out(make: Any, remote: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for year in (2020, 2025, 2026):
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"{year}-04-01T00:00:00Z")
        remote.write("drivers/new.c", f"int x = {year};\n")
        remote.commit(f"in {year}")
    trees = make(TreeConfig("mainline", url=url(remote), history_days=400))
    assert [each.ok for each in trees.refresh(NOW)] == [True]
    mirror = remote.__class__(tmp_path / "trees" / "linux.git")
    assert mirror.git("log", "--all", "--format=%s") == "in 2026\nin 2025"
    assert [each.ok for each in trees.refresh("2027-04-02T10:00:00Z")] == [True]
    assert mirror.git("log", "--all", "--format=%s") == "in 2026"
    assert [each.ok for each in trees.refresh("2037-04-02T10:00:00Z")] == [True]  # the tree rests
    assert trees.open("mainline").tree.read("drivers/new.c") == b"int x = 2026;\n"
    trees.close()


def test_an_error_is_told_and_the_others_go_on(make: Any, remote: Any) -> None:
    trees = make(TreeConfig("gone", url="http://127.0.0.1:9/linux.git"), TreeConfig("mainline", url=url(remote)))
    gone, mainline = trees.refresh(NOW)
    assert not gone.ok and "git cannot fetch it" in gone.text and mainline.ok
    with pytest.raises(LorelintError, match="not mirrored yet"):
        trees.open("gone")
    assert trees.refresh("2026-04-02T10:30:00Z") == ()
    assert [each.name for each in trees.refresh("2026-04-02T11:30:00Z")] == ["gone"]  # after an hour, not after six


def test_the_disk_is_bounded(make: Any, remote: Any) -> None:
    trees = make(TreeConfig("mainline", url=url(remote)), limit=10)
    (first,) = trees.refresh(NOW)
    assert first.ok
    (second,) = trees.refresh(LATER)
    assert not second.ok and "are allowed" in second.text
    assert trees.open("mainline").tree.read("Makefile")
    trees.close()


@pytest.mark.parametrize("address", ["ext::sh -c touch% {}", "git://127.0.0.1/x", "ssh://127.0.0.1/x"])
def test_no_other_protocol_is_spoken(make: Any, address: str, tmp_path: Path) -> None:
    (done,) = make(TreeConfig("x", url=address.format(tmp_path / "ran"))).refresh(NOW)
    assert not done.ok and not (tmp_path / "ran").exists()


def test_clones_and_folders_are_taken_as_they_are(make: Any, remote: Any, root: Path) -> None:
    folder = root / "corpora" / "trees" / "small"
    trees = make(
        TreeConfig("folder", path=str(folder)),
        TreeConfig("clone", path=str(remote.path), branch="topic", lists=("kvm",)),
    )
    assert trees.refresh(NOW) == ()
    assert trees.open("folder").repository is None
    assert trees.open("clone").commit == remote.git("rev-parse", "topic")
    trees.close()


def test_the_order_for_a_series(make: Any, remote: Any, root: Path) -> None:
    folder = str(root / "corpora" / "trees" / "small")
    trees = make(
        TreeConfig("next", path=folder),
        TreeConfig("sound", url="https://git.example/pub/tiwai/sound.git"),
        TreeConfig("mine", path=str(remote.path)),
        TreeConfig("kvm", path=folder, lists=("kvm",)),
    )
    assert trees.order("", (), ()) == ("next", "sound", "mine", "kvm")
    assert trees.order("", ("lkml", "kvm"), ()) == ("kvm", "next", "sound", "mine")
    named = ("git git://git.example/pub/scm/linux/kernel/git/tiwai/sound.git for-next",)
    assert trees.order("", ("kvm",), named) == ("kvm", "sound", "next", "mine")
    base = remote.git("rev-parse", "HEAD")
    assert trees.order(base, ("kvm",), named)[0] == "mine"
    assert trees.order("HEAD", (), ()) == trees.order("--all", (), ()) == ("next", "sound", "mine", "kvm")
    trees.close()


def test_a_marker_that_is_damaged_counts_for_nothing(make: Any, remote: Any, tmp_path: Path) -> None:
    trees = make(TreeConfig("mainline", url=url(remote)))
    trees.refresh(NOW)
    (tmp_path / "trees" / "mainline.json").write_text(json.dumps({"at": 5}))
    assert [each.ok for each in trees.refresh(NOW)] == [True]
