"""Each rule of the pack on the patch beside it."""

import pytest

from lorelint.rule.examples import problems
from lorelint.rule.packs import package_rules

RULES = package_rules("lorelint_tutorial")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_example(rule):
    assert problems(rule) == ()


def test_there_are_rules():
    assert [rule.name for rule in RULES] == ["copy-unchecked"]
