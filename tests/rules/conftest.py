"""Our rules over small programs of our own, and over kernel trees."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

import lorelint_rules
from lorelint.code.program import Cache, Program
from lorelint.kernel.load import knowledge
from lorelint.model.finding import Finding, Kind, Verdict
from lorelint.model.tree import EmptyTree, OverlayTree
from lorelint.rule.door import Rule
from lorelint.rule.engine import Judge
from lorelint.rule.outcome import Outcome


@dataclass(frozen=True)
class Said:
    """What one rule said of one function."""

    outcome: Outcome

    @property
    def fires(self) -> bool:
        return bool(self.outcome.defects)

    @property
    def finding(self) -> Finding:
        (found,) = self.outcome.defects
        return found

    @property
    def remarks(self) -> tuple[Finding, ...]:
        return tuple(each for each in self.outcome.findings if each.kind is Kind.REMARK)

    @property
    def reasons(self) -> str:
        """Why it is silent, one reason a line."""
        return "\n".join(each.reason for each in self.outcome.silences)


def _program(files: str | Mapping[str, str], version: tuple[int, int] = (6, 12), cache: Cache | None = None) -> Program:
    named = {"drivers/demo/a.c": files} if isinstance(files, str) else files
    tree = OverlayTree(EmptyTree("small"), {path: text.encode() for path, text in named.items()})
    return Program(tree, knowledge(version), cache)


def _judge(program: Program, rule: Rule, name: str, path: str = "drivers/demo/a.c") -> Said:
    fn = program.function(path, name)
    assert fn is not None, f"{name}() was not read"
    outcome = Judge(program).judge(rule, fn)
    assert outcome.failure is None, outcome.failure
    return Said(outcome)


def _verdicts(said: Said) -> Sequence[Verdict]:
    return said.outcome.verdicts


@pytest.fixture(scope="session")
def rules() -> dict[str, Rule]:
    """Our rules, by name."""
    names = sorted(each.name for each in pkgutil.walk_packages(lorelint_rules.__path__, "lorelint_rules."))
    found = (getattr(importlib.import_module(name), "RULE", None) for name in names)
    return {rule.name: rule for rule in found if isinstance(rule, Rule)}


@pytest.fixture(scope="session")
def ask(rules: dict[str, Rule]) -> Callable[..., Said]:
    """``ask(rule, text, function, version)``: what a rule says of a function of a small program."""

    def asked(rule: str, files: str | Mapping[str, str], name: str = "f", version: tuple[int, int] = (6, 12)) -> Said:
        return _judge(_program(files, version), rules[rule], name)

    return asked


@pytest.fixture(scope="session")
def desk() -> SimpleNamespace:
    return SimpleNamespace(program=_program, judge=_judge, Said=Said, verdicts=_verdicts)
