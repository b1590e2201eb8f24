"""Hooks of a git repository, and the check commands of b4: written, and taken back. What others wrote stays."""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from lorelint.edge.git import text
from lorelint.edge.repository import GitRepository
from lorelint.model.errors import LorelintError

#: Hooks of git that can run a check (githooks(5)).
HOOKS = ("pre-push", "commit-msg", "sendemail-validate")
_MARK = "# written by: lorelint install-hook"
#: What b4 (0.16) runs when it is told nothing else; a command of our own would take its place.
_PREP = "b4.prep-perpatch-check-cmd"
_OURS = "lorelint.set-checkpatch"  # there as long as checkpatch stands among b4's commands by our doing
_CHECKPATCH = "scripts/checkpatch.pl -q --terse --no-summary --mailback --showfile"


def hook_text(kind: str, program: Sequence[str]) -> str:
    """The hook's whole script."""
    gone = "echo 'lorelint is gone: remove this hook, or install it again' >&2; exit 0"
    return (
        f"#!/bin/sh\n{_MARK} {kind}\n"
        f"command -v {shlex.quote(program[0])} >/dev/null || {{ {gone}; }}\n"
        f'exec {shlex.join(program)} hook {kind} "$@"\n'
    )


class Hooks:
    """The hooks folder git uses for a checkout, linked work trees and core.hooksPath included."""

    def __init__(self, repository: GitRepository) -> None:
        self.repository = repository
        named = repository.git.run("rev-parse", "--git-path", "hooks")
        if named.code != 0:
            raise LorelintError(f"git cannot say where its hooks are: {named.err[:200]}", where=str(repository.path))
        self.folder = repository.path / text(named.out).rstrip("\n")

    def install(self, kind: str, program: Sequence[str]) -> Path:
        """Write a hook. Raises LorelintError where another stands there, or it cannot be written."""
        path = self.folder / kind
        if path.is_symlink() or (path.exists() and not self.ours(path)):
            line = f'{shlex.join(program)} hook {kind} "$@"'
            remedy = f"it was left as it is; add this line to it: {line}"
            raise LorelintError("there is a hook already", where=str(path), remedy=remedy)
        fresh = path.with_name(f".{kind}.lorelint")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            fresh.write_text(hook_text(kind, program))
            fresh.chmod(fresh.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
            fresh.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink()
            remedy = "check the folder and its owner"
            what = f"cannot be written: {(error.strerror or '').lower()}"
            raise LorelintError(what, where=str(path), remedy=remedy) from error
        return path

    def remove(self, kind: str) -> Path | None:
        """Take a hook of ours back; None where there is none. Raises LorelintError where it is another's."""
        path = self.folder / kind
        if not path.exists():
            return None
        if not self.ours(path):
            raise LorelintError("that hook is not ours", where=str(path), remedy="it was left as it is")
        path.unlink()
        return path

    def ours(self, path: Path) -> bool:
        try:
            return not path.is_symlink() and _MARK in path.read_text("utf-8", "replace")
        except OSError:
            return False


def b4_commands(program: Sequence[str], rules: str) -> Mapping[str, str]:
    """Setting of b4 -> command. The version of the rules is in it, since b4 keeps answers by the command line."""
    begin = f"{shlex.join(program)} check --rules-version {rules} -"
    return {
        _PREP: f"{begin} --format b4",
        "b4.review-perpatch-check-cmd": f"{begin} --format b4-review",
        "b4.review-series-check-cmd": f"{begin} --format b4-review --series",
    }


class B4Settings:
    """b4's check commands in the configuration of a repository."""

    def __init__(self, repository: GitRepository) -> None:
        self.git = repository.git
        self.path = repository.path

    def install(self, commands: Mapping[str, str]) -> list[tuple[str, str]]:
        """Add ours beside what is there; a command of ours from before is replaced. Gives what was set."""
        self.remove()
        done = []
        if not self._values(_PREP) and self._checkpatch():  # else b4 would run it no longer
            self._git("config", "--local", _OURS, "true")
            done.append((_PREP, _CHECKPATCH))
        done += commands.items()
        for key, command in done:
            self._git("config", "--local", "--add", key, command)
        return done

    def remove(self) -> list[str]:
        """Take ours back, and checkpatch where we had set it. Gives the settings that were changed.

        Each value is taken out by itself: whatever happens meanwhile, those of others stay.
        """
        gone = []
        for key in b4_commands(("lorelint",), "0"):
            ours = [value for value in self._values(key) if _is_ours(value)]
            if key == _PREP and self._values(_OURS):
                ours += [value for value in self._values(key) if value == _CHECKPATCH]
                self._git("config", "--local", "--unset-all", _OURS)
            for value in dict.fromkeys(ours):
                self._git("config", "--local", "--fixed-value", "--unset-all", key, value)
            gone += [key] if ours else []
        return gone

    def _values(self, key: str) -> list[str]:
        done = self.git.run("config", "--local", "-z", "--get-all", key)
        return [each for each in text(done.out).split("\0") if each]

    def _checkpatch(self) -> bool:
        return os.access(self.path / "scripts" / "checkpatch.pl", os.X_OK)

    def _git(self, *arguments: str) -> None:
        done = self.git.run(*arguments)
        if done.code != 0:
            raise LorelintError(f"git config failed: {done.err[:200]}", where=str(self.path))


def _is_ours(command: str) -> bool:
    return " check --rules-version " in command and "lorelint" in command
