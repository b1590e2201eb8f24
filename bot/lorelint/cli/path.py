"""``lorelint path``."""

from __future__ import annotations

import click

from lorelint.cli import CLEAN
from lorelint.cli.common import JSON, OVERLAY, TREE, common, house, page, put, searching, tree_of, unicode
from lorelint.cli.graph import NOTHING


@click.command("path")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@TREE
@OVERLAY
@click.option("--most", metavar="N", type=click.IntRange(1, 100), default=5, help="So many chains [default: 5].")
@click.option("--within", metavar="N", type=click.IntRange(1, 20), default=12, help="Calls between [default: 12].")
@click.option("--format", "kind", type=click.Choice(("text", "json")), default="text", help="What to make of it.")
@JSON
@common
def command(
    source: str,
    target: str,
    tree: str,
    overlays: tuple[str, ...],
    most: int,
    within: int,
    kind: str,
    as_json: bool,
    config: str,
    color: str,
    width: int | None,
) -> int:
    """Tell how one function comes to call another: the chains, shortest first, with the place of each call.

    FROM and TO are names, or path:name where several files define one; else all of them are tried. Calls through
    tables of functions are followed by the type of the table and marked.

    \b
    lorelint path vfio_fops_unl_ioctl follow_pfnmap_start

    Exit codes: 0 found, 1 no path, 2 could not be done.
    """
    every = house(config)
    opened = tree_of(every, tree, overlays)
    with searching(every, opened, f"looking for the way from {source} to {target}"):
        found = every.path(opened, source, target, most, within)
    if as_json or kind == "json":
        from lorelint.report import graph_json, json

        put(json.dump(graph_json.chains(found)))
    else:
        from lorelint.report.graph_paths import paths

        out = page(color, width)
        put(paths(found, columns=out.columns, colour=out.colour, unicode=unicode()))
    return CLEAN if found.chains else NOTHING
