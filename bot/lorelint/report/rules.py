"""The table of rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from lorelint.report.ink import Ink
from lorelint.report.text import clean, many, width, words, wrap


class RuleRow(Struct, frozen=True):
    """What the table says of one rule."""

    name: str
    stage: str  # trial, queue, list
    since: str
    need: str  # P, F, T, C
    pack: str
    summary: str
    earned: str = ""  # the furthest stage its evidence is enough for
    figures: str = ""  # the evidence in a few words


def table(rows: Iterable[RuleRow], *, columns: int = 80, colour: bool = False) -> str:
    """One line per rule, by pack when there are several."""
    ink = Ink(colour)
    every = sorted(rows, key=lambda row: (row.pack, row.name))
    if not every:
        return "no rules are installed\n"
    packs = list(dict.fromkeys(row.pack for row in every))
    names = max(width(clean(row.name)) for row in every)
    lines: list[str] = []
    for pack in packs:
        if len(packs) > 1:
            lines += ([""] if lines else []) + [ink(clean(pack), "title")]
        for row in (row for row in every if row.pack == pack):
            head = f"{clean(row.name):<{names}}"
            rest = f"  {clean(row.stage):<6} "
            told = wrap(row.summary, max(columns, names + 40), first=head + rest, rest=" " * width(head + rest))
            lines.append(f"{ink(head, 'bold')}{ink(rest, 'dim')}{told[0][len(head + rest) :]}")
            lines += told[1:]
            if row.figures:
                blank = " " * width(head + rest)
                lines += [ink(each, "dim") for each in wrap(row.figures, max(columns, names + 40), first=blank)]
    lines += ["", f"{many(len(every), 'rule')}; `lorelint explain RULE` tells more of one"]
    return "\n".join(lines) + "\n"


def document(rows: Iterable[RuleRow]) -> dict[str, Any]:
    """The table as plain values."""
    every = sorted(rows, key=lambda row: row.name)
    return {
        "rules": [
            {
                "rule": row.name,
                "stage": row.stage,
                "since": row.since,
                "need": row.need,
                "pack": row.pack,
                "summary": words(row.summary),
                "earned": row.earned,
                "figures": words(row.figures),
            }
            for row in every
        ]
    }
