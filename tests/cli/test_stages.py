"""Which rules run, by how far they have come."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from lorelint.rule import packs
from lorelint.rule.door import Rule, Stage

Cli = Callable[..., Any]
STAGES = {"unbounded-retry": Stage.LIST, "retry-no-resched": Stage.QUEUE}  # every other one is on trial


@pytest.fixture(autouse=True)
def staged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules at stages of this test's choice, whatever they have earned."""
    load = packs.load

    def loaded(only: Sequence[str] = ()) -> tuple[Rule, ...]:
        return tuple(replace(rule, stage=STAGES.get(rule.name, Stage.TRIAL)) for rule in load(only))

    monkeypatch.setattr(packs, "load", loaded)


def asked(done: Any) -> set[str]:
    return set(json.loads(done.out)["coverage"]["rules"])


@pytest.mark.parametrize("stage", ["", "trial", "queue", "list"])
def test_a_stage_brings_those_beyond_it(stage: str, cli: Cli, thread: Path, small: Path) -> None:
    more = ("--stage", stage) if stage else ()
    every = {rule.name for rule in packs.load()}
    wanted = {"trial": every, "list": {"unbounded-retry"}}.get(stage, set(STAGES))
    assert asked(cli("review", thread, "--tree", small, "--json", *more)) == wanted
    assert asked(cli("scan", "drivers", "--tree", small, "--json", *more)) == wanted


def test_a_rule_that_is_named_runs_wherever_it_is(cli: Cli, thread: Path, small: Path) -> None:
    name = "errno-collapsed-to-retry"
    assert asked(cli("review", thread, "--tree", small, "--json", "--rule", name)) == {name}
    assert asked(cli("scan", "drivers", "--tree", small, "--json", "--rule", name, "--stage", "list")) == {name}
    assert cli("why-not", name, "dmamap_ioctl", "--tree", small).code == 0


def test_a_mail_speaks_for_no_rule_below_the_list(cli: Cli, thread: Path, small: Path) -> None:
    ask = ("review", thread, "--tree", small, "--format", "reply")
    told = cli(*ask, "--stage", "list")
    assert told.code == 1 and "unbounded-retry" in told.out and "retry-no-resched" not in told.out
    assert "a draft" not in told.err
    for more in ((), ("--rule", "retry-no-resched")):
        draft = cli(*ask, *more)
        assert draft.code == 1 and "retry-no-resched" in draft.out
        assert (
            "lorelint: a draft: what " in draft.err and "retry-no-resched" in draft.err and "unbounded" not in draft.err
        )


def test_no_rule_may_be_mailed(cli: Cli, thread: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STAGES, "unbounded-retry", Stage.QUEUE)
    done = cli("review", thread, "--tree", small, "--format", "reply", "--stage", "list")
    assert (done.code, done.out) == (0, "") and "no rule may be mailed yet (--stage queue" in done.err


def test_people_have_said_it(cli: Cli, thread: Path, small: Path) -> None:
    """How the letter is seen all the same is told where there would be one, and nowhere else."""
    ask = ("--tree", small, "--format", "reply", "--rule", "unbounded-retry")
    said = cli("review", thread.with_name("dmamap-answered.mbox"), *ask)
    assert said.out == "" and "but for what people have said (--unanswered" in said.err
    assert cli("review", thread.with_name("dmamap-answered.mbox"), *ask, "--unanswered").out
    clean = cli("review", thread.with_name("winview-bounded.mbox"), *ask)
    assert (clean.code, clean.out, clean.err) == (0, "", "lorelint: no patch deserves a reply\n")


def test_all_stages_are_listed(cli: Cli) -> None:
    rows = json.loads(cli("rules", "--json").out)["rules"]
    assert {row["rule"] for row in rows} == {rule.name for rule in packs.load()}
    assert {row["stage"] for row in rows} == {"trial", "queue", "list"}
