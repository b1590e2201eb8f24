"""Budgets of steps: what an answer costs does not hang on who asked first."""

from __future__ import annotations

import pytest

from lorelint.code.reads import Sources
from lorelint.code.work import Spent, metered, spend
from lorelint.model.tree import EmptyTree


def _told(sources: Sources, *keys: str, limit: int = 100) -> int:
    """Ask for some answers, and add up what they cost."""

    def answer(key: str) -> int:
        spend(len(key))
        for part in key[1:]:
            sources.memo(part, lambda part=part: answer(part))
        return len(key)

    with sources.recording() as reads, metered(limit) as meter:
        for key in keys:
            sources.memo(key, lambda key=key: answer(key))
    return meter.own + sum(int(each[2]) for each in reads if each[0] == "work")


def test_an_answer_that_was_known_costs_what_it_cost():
    fresh, asked = Sources(EmptyTree()), Sources(EmptyTree())
    _told(asked, "b", "abc")
    assert _told(fresh, "abc", "dbc") == _told(asked, "abc", "dbc") == 3 + 3 + 1 + 1


def test_a_budget_ends_at_the_same_answer_whoever_asked_first():
    fresh = Sources(EmptyTree())
    with pytest.raises(Spent):
        _told(fresh, "abcd", limit=5)
    with pytest.raises(Spent):  # it is known that this does not do
        _told(fresh, "abcd", limit=5)
    assert _told(fresh, "abcd", limit=7) == 7


def test_nobody_counts_where_no_budget_is():
    spend(10**9)
    sources = Sources(EmptyTree())
    assert sources.memo("a", lambda: spend(3)) is None
    with sources.recording() as reads:
        sources.memo("a", lambda: None)
    assert reads == {("work", "0", "3")}
