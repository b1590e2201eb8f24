"""What persons judged is well-formed, about rules that are there, and gives reasons in words, not in code."""

from __future__ import annotations

from pathlib import Path

from lorelint.jobs.measure.judged import judgements
from lorelint.model.measurement import Judgement
from lorelint.rule.packs import load


def read(root: Path) -> dict[str, tuple[Judgement, ...]]:
    files = sorted((root / "corpora" / "kernel").glob("*.jsonl"))
    return {path.name: judgements(path.read_text(), path.name) for path in files}


def test_every_file_is_about_rules_that_are_there(root: Path) -> None:
    rules = {rule.name for rule in load()}
    found = read(root)
    assert found
    assert {each.rule for said in found.values() for each in said} <= rules


def test_a_place_is_judged_once(root: Path) -> None:
    for name, said in read(root).items():
        places = [(each.rule, each.tree, each.path, each.function, each.line) for each in said]
        assert len(places) == len(set(places)), name


def test_reasons_are_no_code(root: Path) -> None:
    for name, said in read(root).items():
        for each in said:
            assert "\n" not in each.reason and "\t" not in each.reason and ";\n" not in each.reason, name
            assert len(each.reason) >= 5, f"{name}: {each.function}: {each.reason}"
