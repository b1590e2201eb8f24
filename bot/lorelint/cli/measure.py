"""``lorelint measure``."""

from __future__ import annotations

import click

from lorelint.cli import CLEAN
from lorelint.cli.common import JSON, RULE, common, house, put, waiting


@click.command("measure")
@click.option("--labels", metavar="FILE", multiple=True, help="Labelled functions, one JSON object per line.")
@click.option("--tree", "trees", metavar="NAME=DIR", multiple=True, help="A tree, by the labels' name.")
@click.option("--overlays", metavar="DIR", default="", help="Folder of the labelled cases' overlays.")
@click.option(
    "--mail", metavar="MBOX|DIR", multiple=True, help="Review every series in it that applies to the first tree."
)
@click.option(
    "--between",
    metavar="A B",
    nargs=2,
    multiple=True,
    help="Judge each file in which two of the trees differ as a patch of its own.",
)
@click.option(
    "--mutate", metavar="FOLDER", multiple=True, help="Take checks out of correct functions of the first tree."
)
@click.option(
    "--sample", metavar="N", type=click.IntRange(1), default=None, help="N files of a pair, N checks of a kind."
)
@click.option(
    "--judged", metavar="FILE|DIR", multiple=True, help="What persons made of findings, one JSON object per line."
)
@click.option(
    "--concerns", metavar="DIR", default="", help="Threads whose reviewers' concerns are labelled (labels.json)."
)
@click.option("--catalogue", metavar="FILE", default="", help="What the rules make of those concerns (TOML, by id).")
@click.option("--ledger", metavar="FILE", default="", help="Write the figures into this ledger.")
@click.option("--time", "times", is_flag=True, help="Tell each rule's seconds of CPU too: no two runs print the same.")
@RULE
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@JSON
@common
def command(
    labels: tuple[str, ...],
    trees: tuple[str, ...],
    overlays: str,
    mail: tuple[str, ...],
    between: tuple[tuple[str, str], ...],
    mutate: tuple[str, ...],
    sample: int | None,
    judged: tuple[str, ...],
    concerns: str,
    catalogue: str,
    ledger: str,
    times: bool,
    only: tuple[str, ...],
    jobs: int,
    as_json: bool,
    config: str,
    color: str,
    width: int | None,
) -> int:
    """Measure the rules: all of them, whatever their stage.

    Precision and recall over labelled functions (labels of trees not given are skipped and counted); what is said per
    100 patches over mail and between trees, right or wrong as persons judged it; whether a rule speaks once a check is
    taken out of a function it was silent about. Or, alone: what became of the concerns that reviewers raised.
    """
    from lorelint.report import json
    from lorelint.report.measure import render, to_json
    from lorelint.wire_measure import Wanted, measure, write_ledger

    named = dict(_named(each) for each in trees)
    for name in (name for pair in between for name in pair if name not in named):
        raise click.BadParameter(f"{name!a} is no --tree", param_hint="--between")
    if concerns:
        return _concerns(config, concerns, catalogue, named, overlays, only, as_json)
    if not (labels or mail or between or mutate or judged):
        raise click.UsageError("nothing to measure: name --labels, --mail, --between, --mutate, --judged or --concerns")
    wanted = Wanted(named, labels, overlays, mail, between, mutate, sample or 0, judged, only, jobs)
    with waiting("measuring"):
        done = measure(house(config), wanted)
    if ledger:
        write_ledger(ledger, done)
    put(json.dump(to_json(done, times=times)) if as_json else render(done, times=times))
    return CLEAN


def _concerns(
    config: str, folder: str, catalogue: str, trees: dict[str, str], overlays: str, only: tuple[str, ...], as_json: bool
) -> int:
    from lorelint.report import json
    from lorelint.report.concerns import render, to_json
    from lorelint.wire_measure import measure_concerns

    with waiting(f"measuring over {folder}"):
        done = measure_concerns(house(config), folder, catalogue, trees, overlays, only)
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
