"""``lorelint explain``."""

from __future__ import annotations

import click

from lorelint.cli import CLEAN
from lorelint.cli.common import JSON, common, house, put


@click.command("explain")
@click.argument("rule")
@JSON
@common
def command(rule: str, as_json: bool, config: str, color: str, width: int | None) -> int:
    """Tell all about one rule: what it sees, why it hurts, when it is silent, what to do instead, an example."""
    from lorelint.report import json
    from lorelint.rule.explain import doc, explain

    found = house(config).rules([rule])[0]
    if not as_json:
        put(explain(found))
        return CLEAN
    told = doc(found)
    put(
        json.dump(
            {
                "rule": told.name,
                "stage": found.stage.value,
                "since": found.since,
                "pack": found.origin,
                "summary": told.summary,
                "sees": told.sees,
                "hurts": told.hurts,
                "silent": told.silent,
                "instead": told.instead,
                "references": told.references,
                "example": found.example,
            }
        )
    )
    return CLEAN
