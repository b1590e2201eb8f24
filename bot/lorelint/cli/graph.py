"""``lorelint graph``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lorelint.cli import CLEAN, FINDINGS
from lorelint.cli.common import JSON, OVERLAY, TREE, Page, common, house, page, put, searching, tree_of, unicode
from lorelint.model.errors import LorelintError

if TYPE_CHECKING:
    from lorelint.model.graph import Graph
    from lorelint.wire import House

NOTHING = FINDINGS  # the exit code for: it was looked for, and there is none
_PICTURES = ("tree", "dot", "svg", "graphml", "json")


@click.command("graph")
@click.argument("functions", metavar="[FUNCTION...]", nargs=-1)
@TREE
@OVERLAY
@click.option(
    "--callers",
    metavar="N",
    type=click.IntRange(0, 12),
    default=None,
    help="Levels upwards [default: 4, with --api 9].",
)
@click.option("--callees", metavar="N", type=click.IntRange(0, 8), default=None, help="Levels downwards [default: 0].")
@click.option("--api", metavar="FAMILY", default="", help="Who reaches a family of APIs: gup, dmabuf, pfnmap, ...")
@click.option("--entry", metavar="KIND", default="", help="Only what leads from there: ioctl, mmap, fault, work, ...")
@click.option("--format", "kind", type=click.Choice(_PICTURES), default="tree", help="What to make of it.")
@click.option("-o", "--output", metavar="FILE", default="", help="Write it to a file.")
@JSON
@common
def command(
    functions: tuple[str, ...],
    tree: str,
    overlays: tuple[str, ...],
    callers: int | None,
    callees: int | None,
    api: str,
    entry: str,
    kind: str,
    output: str,
    as_json: bool,
    config: str,
    color: str,
    width: int | None,
) -> int:
    """Draw who calls a function and what it calls, tables of functions and work items included.

    FUNCTION is a name, or path:name where several files define it. A climb over callers ends where the kernel is
    entered, and says through which table. What was not followed is said: names that are everywhere, fields whose
    structure is not known.

    \b
    lorelint graph follow_pfnmap_start --callers 4 --callees 2
    lorelint graph --api dmabuf --entry ioctl
    lorelint graph follow_pfnmap_start --format svg -o calls.svg

    Exit codes: 0 found, 1 nothing leads there, 2 could not be done.
    """
    every = house(config)
    if bool(functions) == bool(api):
        raise LorelintError(
            "name a function or an API family, one of the two",
            where="graph",
            remedy="lorelint graph FUNCTION, or lorelint graph --api gup",
        )
    opened = tree_of(every, tree, overlays)
    with searching(every, opened, f"following the calls of {api or ', '.join(functions)}"):
        if api:
            found = every.api_graph(opened, api, 9 if callers is None else callers, entry)
        else:
            up, down = 4 if callers is None else callers, callees or 0
            found = every.graph(opened, functions, up, down, entry)
        out = page(color if not output else "never", width)
        text = _drawn(every, found, "json" if as_json else kind, out, bool(api or entry))
    if output:
        _write(output, text)
    else:
        put(text)
    return NOTHING if (api or entry) and not found.nodes else CLEAN


def _drawn(every: House, found: Graph, kind: str, out: Page, from_entries: bool) -> str:
    match kind:
        case "json":
            from lorelint.report import graph_json, json

            return json.dump(graph_json.graph(found))
        case "dot":
            from lorelint.report.graph_dot import dot

            return dot(found)
        case "svg":
            from lorelint.report.graph_svg import svg

            return svg(found, every.layout(found))
        case "graphml":
            from lorelint.code.graphml import graphml

            return graphml(found)
    from lorelint.report.graph_tree import tree

    return tree(found, columns=out.columns, colour=out.colour, unicode=unicode(), from_entries=from_entries)


def _write(output: str, text: str) -> None:
    try:
        Path(output).write_text(text, "utf-8", errors="backslashreplace")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LorelintError(f"cannot be written: {reason}", where=output, remedy="name another file") from error
