"""``lorelint new``."""

from __future__ import annotations

from pathlib import Path

import click

from lorelint.cli import CLEAN
from lorelint.cli.common import JSON, put
from lorelint.model.errors import LorelintError


@click.group("new")
def command() -> None:
    """Write the skeleton of a new rule."""


@command.command("rule")
@click.argument("place", metavar="FAMILY/NAME")
@click.option(
    "--into", metavar="DIR", default="rules/lorelint_rules", show_default=True, help="The rule pack's folder."
)
@JSON
def rule(place: str, into: str, as_json: bool) -> int:
    """Write a rule and its example, to be filled in: FAMILY/NAME, lower-case words, as in retry/unbounded-retry."""
    from lorelint.report import json
    from lorelint.rule.skeleton import skeleton

    folder = Path(into)
    texts = skeleton(place)
    if not folder.is_dir():
        raise LorelintError(
            "no such folder", where=into, remedy="run it at the top of the checkout, or name a pack with --into"
        )
    taken = [name for name in sorted(texts) if (folder / name).exists() and not name.endswith("__init__.py")]
    if taken:
        raise LorelintError("is there already", where=str(folder / taken[0]), remedy="choose another name")
    written = []
    for name in sorted(texts):
        path = folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts[name], "utf-8")
            written.append(str(path))
    put(json.dump({"written": written}) if as_json else "".join(f"wrote {name}\n" for name in written))
    return CLEAN
