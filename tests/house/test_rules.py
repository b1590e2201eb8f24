"""Every rule of ours is complete, and none goes further than its evidence carries it."""

from __future__ import annotations

import re
from pathlib import Path

from lorelint.jobs.measure.judged import judgements
from lorelint.jobs.measure.ledger import entries, render
from lorelint.model.measurement import Measurement
from lorelint.rule.door import Rule, Stage
from lorelint.rule.explain import HEADINGS, doc, sections
from lorelint.rule.ledger import Entry, lacking, parse
from lorelint.rule.packs import load


def ledger(root: Path) -> dict[str, Entry]:
    return parse((root / "corpora" / "ledger.toml").read_text(), "corpora/ledger.toml")


def complaints(rule: Rule, entry: Entry | None) -> list[str]:
    """What keeps a rule from being complete, and from its stage."""
    said = [f"{rule.name}: nothing under '{each}'" for each in HEADINGS if not sections(rule.doc).get(each)]
    if not doc(rule).summary:
        said.append(f"{rule.name}: no summary")
    if "want:" not in rule.example:
        said.append(f"{rule.name}: the example never makes it speak")
    return said + [f"{rule.name}: stage '{rule.stage}' without evidence: {each}" for each in lacking(entry, rule.stage)]


def test_every_rule_is_complete(root: Path) -> None:
    rules = load()
    assert rules
    known = ledger(root)
    assert not [said for rule in rules for said in complaints(rule, known.get(rule.name))]


def test_every_example_holds_a_near_miss() -> None:
    """More functions than wants: something in each example must stay silent."""
    for rule in load():
        functions = len(re.findall(r"(?m)^[ +-]?\w[^;]*?\)\n[ +-]\{", rule.example))
        assert functions > rule.example.count("want:"), rule.name


def test_no_rule_comes_further_for_nothing() -> None:
    """The bars themselves are tried in tests/jobs/test_measure_ledger.py."""
    for stage in (Stage.QUEUE, Stage.LIST):
        rule = Rule("some-defect", run=lambda view: iter(()), since="0.1", stage=stage)
        assert any("without evidence" in each for each in complaints(rule, None))
        assert any("without evidence" in each for each in complaints(rule, Entry("some-defect")))
    trial = Rule("some-defect", run=lambda view: iter(()), since="0.1", stage=Stage.TRIAL)
    assert not any("without evidence" in each for each in complaints(trial, None))


def test_the_ledger_is_as_measure_writes_it(root: Path) -> None:
    """By no hand; about rules that are there; with the judgements that lie beside it counted."""
    text = (root / "corpora" / "ledger.toml").read_text()
    found = parse(text)
    assert render(found) == text
    rules = {rule.name for rule in load()}
    assert set(found) <= rules
    said = tuple(
        each for path in sorted((root / "corpora" / "kernel").glob("*.jsonl")) for each in judgements(path.read_text())
    )
    names = tuple(sorted({each.rule for each in said} & set(found)))
    counted = entries(found, Measurement(judgements=said, rules=names))
    stale = [name for name in names if counted[name].sweep != found[name].sweep]
    assert not stale, "lorelint measure --judged corpora/kernel --ledger corpora/ledger.toml"
