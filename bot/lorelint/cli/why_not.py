"""``lorelint why-not``."""

from __future__ import annotations

import sys

import click

from lorelint.cli import CLEAN
from lorelint.cli.common import JSON, OVERLAY, TREE, common, house, page, put, waiting
from lorelint.model.errors import LorelintError
from lorelint.wire import lines_in


@click.command("why-not")
@click.argument("rule")
@click.argument("function")
@TREE
@OVERLAY
@click.option("--path", metavar="FILE", default="", help="The file that defines the function, where several do.")
@click.option(
    "--review", "source", metavar="SOURCE", default="", help="Ask after this series instead of the tree alone."
)
@click.option(
    "--patch", metavar="N", type=click.IntRange(1), default=None, help="After patch N of it [default: the last]."
)
@JSON
@common
def command(
    rule: str,
    function: str,
    tree: str,
    overlays: tuple[str, ...],
    path: str,
    source: str,
    patch: int | None,
    as_json: bool,
    config: str,
    color: str,
    width: int | None,
) -> int:
    """Tell what made a rule silent on a function."""
    from lorelint.report import json, why_not

    every = house(config)
    name = f"{path}:{function}" if path and source else function
    opened = every.tree(tree, overlays=overlays)
    with waiting(f"asking {rule} about {function}"):
        if source:
            thread = every.threads([source], sys.stdin.buffer if source == "-" else None)[0]
            answer = every.why_not_after(rule, name, thread, opened, patch or 0)
        elif opened is None:
            raise LorelintError("no tree to look in", where=function, remedy="add --tree DIR, or --review SOURCE")
        else:
            answer = every.why_not(rule, function, opened, path)
    if not answer.judged:
        raise LorelintError(
            answer.notes[0] if answer.notes else "no function of that name",
            where=function,
            remedy="; ".join(answer.notes[1:]) or "check the name, and --tree",
        )
    if as_json:
        put(json.dump(why_not.document(answer)))
        return CLEAN
    out = page(color, width)
    lines = lines_in(None if source or opened is None else opened.tree)
    put(why_not.text(answer, lines, columns=out.columns, colour=out.colour))
    return CLEAN
