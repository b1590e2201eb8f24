"""``lorelint measure``."""

from __future__ import annotations

import click

from lorelint.cli import CLEAN
from lorelint.cli.common import JSON, RULE, common, house, put, waiting


@click.command("measure")
@click.option("--labels", metavar="FILE", required=True, help="Labelled functions, one JSON object per line.")
@click.option("--tree", "trees", metavar="NAME=DIR", multiple=True, required=True, help="A tree the labels name.")
@click.option("--overlays", metavar="DIR", default="", help="Folder of the cases' overlays.")
@RULE
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@JSON
@common
def command(
    labels: str,
    trees: tuple[str, ...],
    overlays: str,
    only: tuple[str, ...],
    jobs: int,
    as_json: bool,
    config: str,
    color: str,
    width: int | None,
) -> int:
    """Precision and recall of the rules over labelled functions; labels of trees not given are skipped and counted."""
    from lorelint.jobs.measure import render, to_json
    from lorelint.report import json

    named = dict(_named(each) for each in trees)
    with waiting(f"measuring over {labels}"):
        done = house(config).measure(labels, named, overlays, only, jobs)
    put(json.dump(to_json(done)) if as_json else render(done))
    return CLEAN


def _named(text: str) -> tuple[str, str]:
    """``NAME=DIR``; a bare ``DIR`` goes by its last part."""
    name, equals, folder = text.partition("=")
    if not equals:
        return text.rstrip("/").rpartition("/")[2], text
    if not name or not folder:
        raise click.BadParameter(f"{text!a} is not NAME=DIR", param_hint="--tree")
    return name, folder
