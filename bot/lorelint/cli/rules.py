"""``lorelint rules``."""

from __future__ import annotations

import click

from lorelint.cli import CLEAN
from lorelint.cli.common import JSON, common, house, page, put


@click.command("rules")
@JSON
@common
def command(as_json: bool, config: str, color: str, width: int | None) -> int:
    """List the rules."""
    from lorelint.report import json, rules
    from lorelint.rule.explain import doc

    rows = [
        rules.RuleRow(rule.name, rule.stage.value, rule.since, rule.need.value, rule.origin, doc(rule).summary)
        for rule in house(config).rules(stage="trial")
    ]
    if as_json:
        put(json.dump(rules.document(rows)))
    else:
        out = page(color, width)
        put(rules.table(rows, columns=out.columns, colour=out.colour))
    return CLEAN
