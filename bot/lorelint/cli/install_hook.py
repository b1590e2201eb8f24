"""``lorelint install-hook``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from lorelint.cli import CLEAN
from lorelint.cli.check import CHECKOUT
from lorelint.cli.common import common, desk, note

KINDS = ("pre-push", "commit-msg", "sendemail-validate", "b4")


@click.command("install-hook")
@click.argument("kind", type=click.Choice(KINDS))
@CHECKOUT
@click.option("--remove", is_flag=True, help="Take back what was installed.")
@common
def command(kind: str, tree: str, remove: bool, config: str, color: str, width: int | None) -> int:
    """Run the check from git or b4. It writes what it says, and nothing of others.

    \b
    pre-push            the commits that are about to be pushed
    commit-msg          what is being committed
    sendemail-validate  the mails that git send-email is about to send
    b4                  b4 prep --check, and the checks of b4 review
    """
    every = desk(config, tree)
    done = every.remove(kind) if remove else every.install(kind, program())
    for line in done:
        note(f"{'removed' if remove else 'wrote'} {line}")
    if not done:
        note("there was nothing of ours")
    return CLEAN


def program() -> list[str]:
    """How this very program is started, whatever folder a hook runs in."""
    begun = sys.argv[0]
    found = shutil.which(begun)
    if found and Path(begun).name == "lorelint":
        return [str(Path(found).absolute())]
    return [sys.executable, "-m", "lorelint"]
