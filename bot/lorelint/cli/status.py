"""``lorelint status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lorelint import __version__
from lorelint.cli import CLEAN, UNDONE
from lorelint.cli.clock import now
from lorelint.cli.common import JSON, common, outpost, page, put
from lorelint.model.errors import LorelintError

if TYPE_CHECKING:
    from lorelint.model.status import Status


@click.command("status")
@click.option("--health", is_flag=True, help="Print problems alone, and exit with 2 where there is one.")
@click.option("--verdicts", is_flag=True, help="Print what persons made of findings, for lorelint measure --judged.")
@click.option("--metrics", is_flag=True, help="Print numbers for Prometheus, in its text format.")
@JSON
@common
def command(
    health: bool, verdicts: bool, metrics: bool, as_json: bool, config: str, color: str, width: int | None
) -> int:
    """How it stands: lists and how far they were read, trees, series, letters, caps, mute rules, the last errors.

    Exit codes: 0; with --health 2 where something is stale or failed, for a supervisor.
    """
    from lorelint.report import json, status

    if verdicts:
        put("".join(f"{line}\n" for line in outpost(config).judgements()))
        return CLEAN
    found = outpost(config).status(now())
    if metrics:
        put(_exposition(found))
        return CLEAN
    if as_json:
        put(json.dump(status.document(found)))
    elif health:
        put("".join(f"{each}\n" for each in found.problems) or "healthy\n")
    else:
        out = page(color, width)
        put(status.table(found, columns=out.columns, colour=out.colour))
    return UNDONE if health and found.problems else CLEAN


def _exposition(found: Status) -> str:
    from lorelint.report.metrics import exposition

    try:
        return exposition(found, __version__)
    except ModuleNotFoundError as error:
        remedy = "install lorelint[metrics]"
        raise LorelintError(f"what metrics stand on is missing ({error.name})", where="status", remedy=remedy) from None
