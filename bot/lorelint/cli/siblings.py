"""``lorelint siblings``."""

from __future__ import annotations

import click

from lorelint.cli import CLEAN
from lorelint.cli.common import JSON, OVERLAY, TREE, common, house, page, put, searching, tree_of
from lorelint.cli.graph import NOTHING


@click.command("siblings")
@click.argument("function")
@TREE
@OVERLAY
@click.option("--format", "kind", type=click.Choice(("text", "json")), default="text", help="What to make of it.")
@JSON
@common
def command(
    function: str,
    tree: str,
    overlays: tuple[str, ...],
    kind: str,
    as_json: bool,
    config: str,
    color: str,
    width: int | None,
) -> int:
    """Group the callers of a function by what they do when it fails.

    FUNCTION is a name, or path:name where several files define it. The one caller that does as nobody else is where a
    review begins.

    \b
    lorelint siblings follow_pfnmap_start

    Exit codes: 0 found, 1 nobody calls it, 2 could not be done.
    """
    every = house(config)
    opened = tree_of(every, tree, overlays)
    with searching(every, opened, f"looking at the callers of {function}"):
        found = every.siblings(opened, function)
    if as_json or kind == "json":
        from lorelint.report import graph_json, json

        put(json.dump(graph_json.siblings(found)))
    else:
        from lorelint.report import graph_siblings

        out = page(color, width)
        put(graph_siblings.siblings(found, columns=out.columns, colour=out.colour))
    return CLEAN if found.shapes else NOTHING
