"""A copy of this process on another processor, which hands a value back through a pipe; implements `model.aside`."""

from __future__ import annotations

import gc
import os
import pickle
import warnings
from collections.abc import Callable
from typing import TypeVar

from lorelint.model.aside import Draw

T = TypeVar("T")
MOST = 255  # tasks: each is one byte in a pipe


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fork(tasks: int, job: Callable[[Draw], T]) -> tuple[Draw, Callable[[], T | None]]:
    """See `model.aside.Aside`. With one processor, or none to be had, this process draws all tasks itself."""
    left = list(range(tasks))
    alone: tuple[Draw, Callable[[], T | None]] = (lambda: left.pop(0) if left else None, lambda: None)
    if processors() < 2 or not 1 < tasks <= MOST:
        return alone
    tokens, fill = os.pipe()
    os.write(fill, bytes(range(tasks)))
    os.close(fill)

    def draw() -> int | None:
        token = os.read(tokens, 1)
        return token[0] if token else None

    back, forth = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside the thread that shows the progress
        try:
            child = os.fork()
        except OSError:
            for each in (tokens, back, forth):
                os.close(each)
            return alone
    if not child:
        os.close(back)
        _work(job, draw, forth)
    os.close(forth)

    def result() -> T | None:
        os.close(tokens)
        with os.fdopen(back, "rb") as pipe:
            data = pipe.read()
        os.waitpid(child, 0)
        try:
            value: T = pickle.loads(data)
            return value
        except (pickle.UnpicklingError, EOFError):
            return None

    return draw, result


def _work(job: Callable[[Draw], T], draw: Draw, forth: int) -> None:
    """The other process. It ends here, whatever happens: what this one has open it must not close twice."""
    code = 1
    try:
        gc.disable()
        with os.fdopen(forth, "wb") as pipe:
            pipe.write(pickle.dumps(job(draw), pickle.HIGHEST_PROTOCOL))
        code = 0
    finally:
        os._exit(code)
