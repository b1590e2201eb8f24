"""What a person may name as a tree, and the one clear line where it is none."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lorelint.edge.trees import open_tree
from lorelint.model.errors import LorelintError

MAKEFILE = "VERSION = 6\nPATCHLEVEL = {level}\nSUBLEVEL = 3\nEXTRAVERSION = -rc1\n"


def git(where: Path, *arguments: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *who, "-C", str(where), *arguments], capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.fixture
def linux(tmp_path: Path) -> Path:
    where = tmp_path / "linux"
    where.mkdir()
    git(where, "init", "-q", "-b", "master")
    for level in (11, 12):
        (where / "Makefile").write_text(MAKEFILE.format(level=level))
        (where / "a.c").write_text(f"int level_{level};\n")
        git(where, "add", "-A")
        git(where, "commit", "-q", "-m", str(level))
        git(where, "tag", f"v6.{level}.3-rc1")
    git(where, "branch", "topic/one", "v6.11.3-rc1")
    return where


def test_a_repository_at_its_head_and_at_a_revision(linux: Path) -> None:
    head = open_tree(str(linux))
    assert (head.version, head.release, head.named) == ((6, 12), "6.12.3-rc1", "")
    assert head.commit == git(linux, "rev-parse", "HEAD")
    assert head.name == "v6.12.3-rc1"
    assert head.repository is not None
    for spec in (f"{linux}@v6.11.3-rc1", f"{linux}:v6.11.3-rc1", f"{linux}@topic/one", f"{linux}@HEAD~1",
                 f"{linux}@HEAD@{{1}}", f"{linux}/.git@v6.11.3-rc1"):  # fmt: skip
        old = open_tree(spec)
        assert old.version == (6, 11), spec
        assert old.tree.read("a.c") == b"int level_11;\n"
        assert old.named and old.commit == git(linux, "rev-parse", "v6.11.3-rc1")


def test_the_work_tree_has_no_say(linux: Path) -> None:
    (linux / "a.c").write_text("int changed;\n")
    (linux / "Makefile").unlink()
    assert open_tree(str(linux)).tree.read("a.c") == b"int level_12;\n"


def test_a_plain_directory_and_one_within_a_repository(linux: Path, tmp_path: Path) -> None:
    inner = linux / "trees" / "small@home"
    inner.mkdir(parents=True)
    shutil.copy(linux / "Makefile", inner)
    (inner / "b.c").write_text("int b;\n")
    found = open_tree(str(inner))
    assert found.repository is None
    assert (found.name, found.version, found.commit) == ("small@home", (6, 12), "")
    assert found.tree.files() == ("b.c",)
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", str(linux), str(bare))
    assert open_tree(str(bare)).repository is not None


def test_overlays(linux: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.c").write_text(f"int {name};\n")
    found = open_tree(str(linux), overlays=[str(tmp_path / "one"), str(tmp_path / "two")])
    assert found.tree.read("a.c") == b"int two;\n"
    assert found.name == "v6.12.3-rc1+one+two"
    assert found.commit == ""


def test_one_clear_line(linux: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "unborn").mkdir()
    git(tmp_path / "unborn", "init", "-q")
    said = {
        str(tmp_path / "none"): "no such directory (name a kernel source",
        str(tmp_path / "none@v1"): "no such directory",
        "": "not a directory name",
        str(tmp_path / "empty"): "not a kernel tree: its Makefile sets no VERSION and PATCHLEVEL (name",
        str(tmp_path / "empty@v6.1"): "has no revision v6.1: it is a plain directory",
        str(linux / "Makefile"): "not a directory",
        f"{linux}@v5.0": "has no commit called v5.0 (git -C",
        f"{linux}@--help": "has no commit called --help",
        str(tmp_path / "unborn"): "has no commit yet",
        str(linux / ".git" / "refs"): "not a kernel tree",
    }
    for spec, text in said.items():
        with pytest.raises(LorelintError) as caught:
            open_tree(spec)
        assert text in str(caught.value), spec
        assert "\n" not in str(caught.value)
    with pytest.raises(LorelintError, match="no such directory"):
        open_tree(str(linux), overlays=[str(tmp_path / "none")])


@pytest.mark.parametrize("lost", ["Makefile", ""])
def test_a_damaged_repository_is_not_called_no_kernel(lost: str, linux: Path) -> None:
    """A file, or the tree itself, cannot be read."""
    name = git(linux, "rev-parse", f"HEAD:{lost}")
    path = linux / ".git" / "objects" / name[:2] / name[2:]
    path.chmod(0o644)
    path.write_bytes(b"damage")
    _says_what_is_not_there(linux)


def test_a_partial_clone_whose_origin_is_gone_is_not_called_no_kernel(linux: Path, tmp_path: Path) -> None:
    git(linux, "config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{linux}", str(partial))
    linux.rename(tmp_path / "gone")
    _says_what_is_not_there(partial)


def _says_what_is_not_there(repository: Path) -> None:
    with pytest.raises(LorelintError) as caught:
        open_tree(str(repository))
    said = str(caught.value)
    assert "git cannot read an object that is needed" in said and "not a kernel" not in said and "\n" not in said


def test_git_that_is_not_installed(linux: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(LorelintError, match="git is not installed"):
        open_tree(str(linux))


@pytest.mark.needs_tree("6.12", "7.2")
def test_real_kernels(tree_dir: Callable[[str], Path]) -> None:
    for name, version in (("6.12", (6, 12)), ("7.2", (7, 2))):
        found = open_tree(str(tree_dir(name)))
        assert (found.version, found.name) == (version, f"linux-source-{name}")
        assert found.release.startswith(name + ".")
