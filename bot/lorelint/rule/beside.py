"""Verdicts of one patch on two processors: whole families of rules at a time, since those share what they work out.

What comes of it is what one process would say: outcomes are gathered first, and then told in their fixed order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from lorelint.model.aside import Aside, Draw
from lorelint.rule.door import Rule
from lorelint.rule.engine import Judge
from lorelint.rule.onepatch import OnePatch
from lorelint.rule.outcome import Outcome
from lorelint.rule.reach import Subject

Gathered = list[tuple[bool, str, int, Outcome]]
"""(of the tree after, rule, number of the subject, outcome) of all that was worked out."""


def families(rules: Iterable[Rule]) -> tuple[tuple[Rule, ...], ...]:
    """Rules by the package they lie in, those of which there are most first."""

    def family(rule: Rule) -> str:
        return rule.module.rpartition(".")[0]

    groups = [tuple(group) for _, group in groupby(sorted(rules, key=family), family)]
    return tuple(sorted(groups, key=len, reverse=True))


def judge_beside(
    one: OnePatch, rules: Sequence[Rule], asked: Sequence[tuple[Subject, frozenset[str]]], aside: Aside
) -> None:
    """Have all outcomes that `one` will ask for worked out by two processes.

    asked  subjects, each with the names of the rules that may have a say about it
    """
    subjects = [subject for subject, _ in asked]
    tasks = families(rules)
    named = {rule.name: rule for rule in rules}

    def job(draw: Draw) -> Gathered:
        numbers = {id(fn): at for at, each in enumerate(subjects) for fn in (each.before, each.after) if fn is not None}
        gathered: Gathered = []
        for after, judge in ((False, one.before), (True, one.after)):
            judge.heard = lambda rule, fn, outcome, after=after: gathered.append(
                (after, rule.name, numbers[id(fn)], outcome)
            )
        work(draw)
        return gathered

    def work(draw: Draw) -> None:
        while (at := draw()) is not None:
            for subject, names in asked:
                for rule in tasks[at]:
                    if rule.name in names:
                        one.ask(rule, subject)

    draw, result = aside(len(tasks), job)
    work(draw)
    for after, name, number, outcome in result() or ():
        judge: Judge = one.after if after else one.before
        fn = subjects[number].after if after else subjects[number].before
        if fn is not None:
            judge.learn(named[name], fn, outcome)
