"""Work spread over processes, its results in order; and the clock of each rule."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from time import process_time
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from lorelint.model.finding import Verdict
from lorelint.rule.door import Rule, TreeView

W = TypeVar("W")
R = TypeVar("R")


def spread(work: Sequence[W], do: Callable[[W], R], processes: int) -> Iterator[R]:
    """`do` for each piece of work, in order; in other processes where they can be handed it."""
    if processes <= 1 or len(work) <= 1 or not _travels((do, *work)):
        yield from map(do, work)
        return
    with ProcessPoolExecutor(min(processes, len(work)), mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(do, each) for each in work]
        for each in waiting:
            yield each.result()


def shares(work: Sequence[W], size: int) -> tuple[tuple[W, ...], ...]:
    """The work in pieces of some size, in order."""
    return tuple(tuple(work[at : at + size]) for at in range(0, len(work), size))


def _travels(value: object) -> bool:
    """Whether another process can be handed this: a stranger's rule may hold a function without a name."""
    try:
        pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True


class Clock(Struct):
    """Seconds of CPU that each rule took; what several share is on the first that asks."""

    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        return tuple(replace(rule, run=partial(self._run, rule)) for rule in rules)

    def _run(self, rule: Rule, view: TreeView) -> Iterator[Verdict]:
        start = process_time()
        try:
            yield from rule.run(view)
        finally:
            add(self.seconds, {rule.name: process_time() - start})


def add(seconds: dict[str, float], more: Mapping[str, float]) -> None:
    for name, value in more.items():
        seconds[name] = seconds.get(name, 0.0) + value
