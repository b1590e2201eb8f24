"""Work, counted in steps of code: what a rule may spend on one function, and what it did spend.

Whoever follows paths says how many steps that took (`spend`). Inside `metered` more than a limit raises `Spent`.
What is worked out once and asked for again costs whoever asks what it cost (`Sources.memo` sees to that), so that
where the budget of a function ends hangs on the code alone: not on who asked first, on how many processes there are,
or on what is still known from an earlier run. That of a file, which no code that was seen comes near, may end a few
functions earlier or later by these; what is cut by it is told, and not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Spent(Exception):
    """The budget is spent."""


class Meter:
    """own   steps since the innermost answer that is worked out was begun; left  steps until `Spent`"""

    __slots__ = ("left", "own")

    def __init__(self, limit: float = float("inf")) -> None:
        self.own = 0
        self.left = limit


_meter: ContextVar[Meter] = ContextVar("meter")


def spend(steps: int) -> None:
    """Say that so many steps were done. Raises `Spent` where that is more than may be spent."""
    running = _meter.get(None)
    if running is not None:
        running.own += steps
        running.left -= steps
        if running.left < 0:
            raise Spent


@contextmanager
def metered(limit: float = float("inf")) -> Iterator[Meter]:
    """Count what is spent inside, up to a limit."""
    running = Meter(limit)
    token = _meter.set(running)
    try:
        yield running
    finally:
        _meter.reset(token)


@contextmanager
def one_answer() -> Iterator[Meter]:
    """Count what an answer costs that is worked out inside: its `own` steps, without those of other answers."""
    running = _meter.get(None)
    if running is None:
        with metered() as running:
            yield running
        return
    before, running.own = running.own, 0
    try:
        yield running
    finally:
        running.own = before
