"""Another processor: tasks are drawn once, its result comes back, and without it nothing is lost."""

from __future__ import annotations

import os

import pytest

from lorelint.code.program import Cache, Program
from lorelint.edge import aside
from lorelint.edge.aside import fork
from lorelint.kernel.load import knowledge
from lorelint.model.aside import Aside, Draw
from lorelint.rule.delta import Delta, delta
from lorelint.rule.examples import applied, parse
from lorelint.rule.packs import load

RULES = load()


def drawn(draw: Draw) -> list[int]:
    found = []
    while (at := draw()) is not None:
        found.append(at)
    return found


@pytest.mark.parametrize("tasks", [0, 1, 2, 7, 255, 300])
def test_each_task_is_drawn_once(tasks: int) -> None:
    draw, result = fork(tasks, drawn)
    mine = drawn(draw)
    theirs = result() or []
    assert sorted(mine + theirs) == list(range(tasks))


def test_the_other_process_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "processors", lambda: 2)
    _, result = fork(2, lambda draw: (os.getpid(), drawn(draw)))
    found = result()
    assert found is not None
    assert found[0] != os.getpid() and found[1] == [0, 1]


def test_with_one_processor_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "processors", lambda: 1)
    draw, result = fork(3, lambda draw: pytest.fail("it was started"))
    assert drawn(draw) == [0, 1, 2] and result() is None


def test_a_process_that_fails_has_no_result(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(aside, "processors", lambda: 2)

    def fails(draw: Draw) -> None:
        raise RuntimeError("no luck")

    _, result = fork(2, fails)
    assert result() is None
    assert capfd.readouterr() == ("", "")


def test_a_process_that_is_killed_has_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "processors", lambda: 2)
    _, result = fork(2, lambda draw: os.kill(os.getpid(), 9))
    assert result() is None


@pytest.mark.parametrize("rule", [rule.name for rule in RULES[::4]])
def test_two_processes_say_what_one_says(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "processors", lambda: 2)
    example = parse(next(each.example for each in RULES if each.name == rule))

    def said(beside: Aside | None) -> Delta:
        cache, know = Cache.empty(), knowledge(example.kernel)
        return delta(applied(example), RULES, lambda tree: Program(tree, know, cache), aside=beside)

    alone = said(None)
    assert alone.judged
    assert said(fork) == alone
