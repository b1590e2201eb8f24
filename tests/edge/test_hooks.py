"""Hooks are written, taken back, and never instead of somebody else's; b4's settings likewise."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.edge.hooks import B4Settings, Hooks, b4_commands, hook_text
from lorelint.edge.repository import GitRepository
from lorelint.model.errors import LorelintError

PROGRAM = ("/opt/my tools/lorelint",)


def hooks(checkout: Any) -> Hooks:
    return Hooks(GitRepository(checkout.path))


def test_written_and_taken_back(checkout: Any) -> None:
    path = hooks(checkout).install("pre-push", PROGRAM)
    assert path == checkout.path / ".git" / "hooks" / "pre-push" and os.access(path, os.X_OK)
    assert path.read_text() == hook_text("pre-push", PROGRAM)
    assert "exec '/opt/my tools/lorelint' hook pre-push" in path.read_text()
    assert hooks(checkout).install("pre-push", PROGRAM) == path, "ours may be written anew"
    assert hooks(checkout).remove("pre-push") == path and not path.exists()
    assert hooks(checkout).remove("pre-push") is None


@pytest.mark.parametrize("link", [False, True])
def test_anothers_hook_stays(checkout: Any, link: bool, tmp_path: Path) -> None:
    path = checkout.path / ".git" / "hooks" / "pre-push"
    path.parent.mkdir(exist_ok=True)
    if link:
        (tmp_path / "script").write_text("#!/bin/sh\n")
        path.symlink_to(tmp_path / "script")
    else:
        path.write_text("#!/bin/sh\nexit 0\n")
    before = path.read_text()
    with pytest.raises(LorelintError, match=r"there is a hook already.*add this line"):
        hooks(checkout).install("pre-push", PROGRAM)
    with pytest.raises(LorelintError, match="not ours"):
        hooks(checkout).remove("pre-push")
    assert path.read_text() == before and path.is_symlink() == link


def test_where_git_looks_for_hooks(checkout: Any, make_checkout: Callable[..., Any], tmp_path: Path) -> None:
    checkout.git("worktree", "add", "-q", str(tmp_path / "wt"))
    there = make_checkout(tmp_path / "wt")
    assert hooks(there).install("commit-msg", PROGRAM).resolve() == (checkout.path / ".git" / "hooks" / "commit-msg")
    checkout.git("config", "core.hooksPath", str(tmp_path / "shared"))
    assert hooks(checkout).install("pre-push", PROGRAM) == tmp_path / "shared" / "pre-push"


def test_b4_keeps_what_others_set(checkout: Any) -> None:
    settings = B4Settings(GitRepository(checkout.path))
    key = "b4.prep-perpatch-check-cmd"
    checkout.git("config", "--add", key, "./scripts/mine.sh")
    before = checkout.git("config", "--local", "-l")
    settings.install(b4_commands(PROGRAM, "1"))
    settings.install(b4_commands(PROGRAM, "2"))
    values = checkout.git("config", "--get-all", key).splitlines()
    assert values == ["./scripts/mine.sh", "'/opt/my tools/lorelint' check --rules-version 2 - --format b4"]
    assert len(settings.remove()) == 3
    assert checkout.git("config", "--local", "-l") == before


def test_b4_goes_on_running_checkpatch(checkout: Any) -> None:
    """A command of one's own takes the place of b4's default."""
    checkout.write("scripts/checkpatch.pl", "#!/bin/sh\n")
    (checkout.path / "scripts/checkpatch.pl").chmod(0o755)
    settings = B4Settings(GitRepository(checkout.path))
    before = checkout.git("config", "--local", "-l")
    settings.install(b4_commands(PROGRAM, "1"))
    values = checkout.git("config", "--get-all", "b4.prep-perpatch-check-cmd").splitlines()
    assert len(values) == 2 and values[0].startswith("scripts/checkpatch.pl -q --terse")
    settings.remove()
    assert checkout.git("config", "--local", "-l") == before


def test_checkpatch_that_its_user_has_set_stays(checkout: Any) -> None:
    """The very command that we would have set."""
    checkout.write("scripts/checkpatch.pl", "#!/bin/sh\n")
    (checkout.path / "scripts/checkpatch.pl").chmod(0o755)
    key = "b4.prep-perpatch-check-cmd"
    checkout.git("config", "--add", key, "scripts/checkpatch.pl -q --terse --no-summary --mailback --showfile")
    before = checkout.git("config", "--local", "-l")
    settings = B4Settings(GitRepository(checkout.path))
    settings.install(b4_commands(PROGRAM, "1"))
    assert len(checkout.git("config", "--get-all", key).splitlines()) == 2
    settings.remove()
    assert checkout.git("config", "--local", "-l") == before


def test_a_folder_where_nothing_can_be_written(checkout: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    checkout.git("config", "core.hooksPath", str(tmp_path / "file" / "hooks"))
    with pytest.raises(LorelintError, match=r"cannot be written.*check the folder"):
        hooks(checkout).install("pre-push", PROGRAM)
