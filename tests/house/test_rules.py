"""Every rule of ours is complete, and none goes to a list without evidence."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

from lorelint.rule.door import Rule, Stage
from lorelint.rule.explain import HEADINGS, doc, sections
from lorelint.rule.packs import load

COUNTS = {"tp", "fp", "fn", "tn"}


def ledger(root: Path) -> dict[str, dict[str, Any]]:
    entries = tomllib.loads((root / "corpora" / "ledger.toml").read_text()).get("entry", [])
    return {entry["rule"]: entry for entry in entries}


def complaints(rule: Rule, entry: dict[str, Any] | None) -> list[str]:
    """What keeps a rule from its stage."""
    said = [f"{rule.name}: nothing under '{each}'" for each in HEADINGS if not sections(rule.doc).get(each)]
    if not doc(rule).summary:
        said.append(f"{rule.name}: no summary")
    if "want:" not in rule.example:
        said.append(f"{rule.name}: the example never makes it speak")
    if rule.stage is Stage.LIST and (entry is None or not _earned(entry)):
        said.append(f"{rule.name}: stage 'list' without evidence in corpora/ledger.toml")
    return said


def _earned(entry: dict[str, Any]) -> bool:
    """At least 95 % precision over at least five findings on real functions."""
    real = entry["real"]
    found = int(real["tp"]) + int(real["fp"])
    return found >= 5 and real["tp"] / found >= 0.95


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


def test_no_rule_comes_to_the_list_for_nothing() -> None:
    rule = Rule("some-defect", run=lambda view: iter(()), since="0.1", stage=Stage.LIST)
    entry = {"real": {"tp": 18, "fp": 1, "fn": 3, "tn": 40}}
    assert any("without evidence" in each for each in complaints(rule, None))
    assert any("without evidence" in each for each in complaints(rule, entry))  # 18 of 19
    assert not any("without evidence" in each for each in complaints(rule, {"real": {**entry["real"], "fp": 0}}))


def test_the_ledger_is_well_formed(root: Path) -> None:
    text = (root / "corpora" / "ledger.toml").read_text()
    rules = {rule.name for rule in load()}
    seen: set[str] = set()
    for entry in tomllib.loads(text).get("entry", []):
        assert set(entry) == {"rule", "date", "command", "labels", "real", "synthetic", "explained"}, entry["rule"]
        assert entry["rule"] in rules and entry["rule"] not in seen
        seen.add(entry["rule"])
        date.fromisoformat(entry["date"])
        for part in ("real", "synthetic"):
            assert set(entry[part]) == COUNTS and all(isinstance(each, int) for each in entry[part].values())
        wrong = sum(entry[part][each] for part in ("real", "synthetic") for each in ("fp", "fn"))
        assert len(entry["explained"]) == wrong, f"{entry['rule']}: each miss and each false finding wants a line"
