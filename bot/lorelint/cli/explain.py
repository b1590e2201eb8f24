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
    """Tell all about one rule: what it sees, why it hurts, when it is silent, what to do instead, an example,
    what was measured of it."""
    from lorelint.report import json
    from lorelint.rule import packs
    from lorelint.rule.explain import doc, explain
    from lorelint.rule.figures import sentences, towards

    found = house(config).rules([rule])[0]
    entry = packs.ledger().get(found.name)
    measured, missing = sentences(entry), towards(found.stage, entry)
    limits = tuple(f"a label it gets wrong: {each}" for each in (entry.wrong if entry is not None else ()))
    if not as_json:
        put(explain(found, (*measured, *missing), limits))
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
                "measured": measured,
                "lacking": missing,
                "limits": limits,
            }
        )
    )
    return CLEAN
