"""``lorelint docs``."""

from __future__ import annotations

import click

from lorelint.cli import CLEAN
from lorelint.cli.common import common, house, note


@click.command("docs")
@click.argument("folder", metavar="DIR")
@click.option(
    "--judged", metavar="FILE|DIR", multiple=True, help="What persons made of findings, for the known limits."
)
@common
def command(folder: str, judged: tuple[str, ...], config: str, color: str, width: int | None) -> int:
    """Write the pages about the rules: a page for each, an index by family. Plain files; open index.html."""
    from lorelint.wire_measure import write_docs

    count = write_docs(house(config), folder, judged)
    note(f"{count} files in {folder}")
    return CLEAN
