"""``lorelint baseline``."""

from __future__ import annotations

from datetime import date

import click

from lorelint.cli import CLEAN
from lorelint.cli.check import CHECKOUT
from lorelint.cli.common import RULE, STAGE, common, desk, note, waiting


@click.command("baseline")
@click.argument("what", metavar="[RANGE|COMMIT]", default="")
@CHECKOUT
@RULE
@STAGE
@common
def command(
    what: str, tree: str, only: tuple[str, ...], stage: str | None, config: str, color: str, width: int | None
) -> int:
    """Accept what stands: the findings a check has now are dismissed, and only new ones count from here.

    `lorelint dismiss` lists them, `lorelint dismiss --remove` counts one again.
    """
    from lorelint.report.text import many

    every = desk(config, tree, only, stage)
    work = every.work(every.span(what), "" if what else "all")
    note(f"taking {work.said}")
    with waiting("checking"):
        done = every.check(work)
    count = every.baseline(done.checked, date.today().isoformat())
    note(f"{many(count, 'finding')} accepted")
    return CLEAN
