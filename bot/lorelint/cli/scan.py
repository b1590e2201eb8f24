"""``lorelint scan``."""

from __future__ import annotations

import click

from lorelint.cli import CLEAN, FINDINGS, UNDONE
from lorelint.cli.common import JSON, OVERLAY, RULE, STAGE, TREE, common, house, note, page, put, waiting


@click.command("scan")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@TREE
@OVERLAY
@RULE
@STAGE
@JSON
@common
def command(
    paths: tuple[str, ...],
    tree: str,
    overlays: tuple[str, ...],
    only: tuple[str, ...],
    stage: str | None,
    as_json: bool,
    config: str,
    color: str,
    width: int | None,
) -> int:
    """Judge every function of files or folders as if it were new.

    PATH is a C file or a folder: of the tree, or a real one that lies in it. A lone C file works too; calls that lead
    out of it are looked up in the tree if there is one.
    """
    from lorelint.report.prose import found

    with waiting(f"scanning {' '.join(paths)}"):
        done = house(config).scan(paths, tree, overlays, only, stage or "queue")
    if as_json:
        from lorelint.report import json

        put(json.dump(json.document(done.report)))
    else:
        from lorelint.report.terminal import terminal

        out = page(color, width)
        put(terminal(done.report, done.line, width=out.columns, colour=out.colour))
    if found(done.report):
        return FINDINGS
    unread = [each for each in done.report.troubles if each.kind == "unreadable"]
    if unread and not done.report.coverage.functions:
        note(f"nothing could be looked at: {unread[0].where}: {unread[0].text}")
        return UNDONE
    return CLEAN
