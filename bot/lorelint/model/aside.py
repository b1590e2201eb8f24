"""The port to another processor: part of a job done beside the rest of it. Nothing hangs on it but time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")
Draw = Callable[[], int | None]
"""The number of the next task, each given once to one of two processes; None when none is left."""


class Aside(Protocol):
    """Two processes share tasks."""

    def __call__(self, tasks: int, job: Callable[[Draw], T]) -> tuple[Draw, Callable[[], T | None]]:
        """Begin `job` in a copy of this process; gives what this one draws by, and what waits for the other's result.

        The result is None where there is no other process, or where it failed: then its tasks are not done.
        """
