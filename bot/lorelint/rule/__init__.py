"""THE DOOR: all that a rule pack may import.

    from lorelint.rule import Rule, TreeView, Finding, ..., ir, worlds, summary

The modules named are those of `lorelint.code` that analyses are made of; the names below are the contract.
"""

from lorelint.code import bounds, codes, entries, flow, ir, locks, marks, measures, races, summary, tables, worlds
from lorelint.model.placed import placed
from lorelint.model.regex import regex
from lorelint.rule.door import (
    Analysis,
    ChangeView,
    Doubt,
    Edit,
    Finding,
    Fix,
    Kind,
    Need,
    Rule,
    Severity,
    Sibling,
    Silence,
    Stage,
    Step,
    Tokens,
    TreeView,
    Verdict,
    Vocabulary,
)

__all__ = [
    "Analysis",
    "ChangeView",
    "Doubt",
    "Edit",
    "Finding",
    "Fix",
    "Kind",
    "Need",
    "Rule",
    "Severity",
    "Sibling",
    "Silence",
    "Stage",
    "Step",
    "Tokens",
    "TreeView",
    "Verdict",
    "Vocabulary",
    "bounds",
    "codes",
    "entries",
    "flow",
    "ir",
    "locks",
    "marks",
    "measures",
    "placed",
    "races",
    "regex",
    "summary",
    "tables",
    "worlds",
]
