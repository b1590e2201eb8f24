"""``lorelint hook``: what the hooks that `install-hook` writes run. Not listed: people run `lorelint check`."""

from __future__ import annotations

import sys

import click

from lorelint.cli import CLEAN, FINDINGS
from lorelint.cli.common import note


@click.command("hook", hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("kind")
@click.argument("rest", nargs=-1)
def command(kind: str, rest: tuple[str, ...]) -> int:
    """Run one hook (githooks(5)); 0 lets git go on. What cannot be checked is said, and stops nobody."""
    codes = [_check(arguments) for arguments in _runs(kind, rest)]
    if FINDINGS in codes:
        note("stopped; `lorelint check` shows the proof, `lorelint dismiss` lets one stand, --no-verify lets all pass")
        return FINDINGS
    return CLEAN


def _runs(kind: str, rest: tuple[str, ...]) -> list[list[str]]:
    """What is to be checked, as arguments of `lorelint check`."""
    if kind == "commit-msg":
        return [["--staged"]]
    if kind == "sendemail-validate":
        # git calls it for every mail; a cover letter holds no patch
        return [[rest[0]]] if rest else []
    runs = []
    for line in sys.stdin.read(1 << 20).splitlines():
        _, ours, _, theirs = (line.split(" ") + [""] * 4)[:4]
        if set(ours) <= {"0"}:
            continue  # a branch is being deleted
        new = set(theirs) <= {"0"}
        runs.append(["--tip", ours] if new else [f"{theirs}..{ours}"])
    return runs


def _check(arguments: list[str]) -> int:
    from lorelint.cli import run

    code = run(["check", "--format", "checkpatch", *arguments])
    return FINDINGS if code == FINDINGS else CLEAN
