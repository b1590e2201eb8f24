"""``lorelint rules``."""

from __future__ import annotations

import click

from lorelint.cli import CLEAN
from lorelint.cli.common import JSON, common, house, page, put


@click.command("rules")
@JSON
@common
def command(as_json: bool, config: str, color: str, width: int | None) -> int:
    """List the rules: how far each has come, and on what evidence."""
    from lorelint.report import json, rules
    from lorelint.rule import packs
    from lorelint.rule.explain import doc
    from lorelint.rule.figures import brief
    from lorelint.rule.ledger import earned

    ledger = packs.ledger()
    rows = [
        rules.RuleRow(
            name=rule.name,
            stage=rule.stage.value,
            since=rule.since,
            need=rule.need.value,
            pack=rule.origin,
            summary=doc(rule).summary,
            earned=earned(ledger.get(rule.name)).value,
            figures=brief(ledger.get(rule.name)),
        )
        for rule in house(config).rules(stage="trial")
    ]
    if as_json:
        put(json.dump(rules.document(rows)))
    else:
        out = page(color, width)
        put(rules.table(rows, columns=out.columns, colour=out.colour))
    return CLEAN
