"""Every rule on the patch beside it: it speaks where the patch says so, and nowhere else."""

from __future__ import annotations

import pytest

from lorelint.rule.door import Rule
from lorelint.rule.examples import problems
from lorelint.rule.packs import load


@pytest.mark.parametrize("rule", load(), ids=lambda rule: rule.name)
def test_example(rule: Rule) -> None:
    assert problems(rule) == ()
