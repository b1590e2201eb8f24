"""Work done in a process of its own, so that what a stranger sent can break that process and nothing else.

The child is warm: it does one task after another. It has a limit of memory, each task one of time; a child that dies,
hangs or runs out is replaced, and the task is a failure with a reason. Should the parent die, the child ends.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any, Generic, TypeVar

from lorelint.model.errors import LorelintError, Stopped

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")
SLICE = 0.2  # seconds between two looks whether to stop
SMALLEST = 256  # megabytes: less, and Python itself does not start


class Apart(Generic[S, T, R]):
    """Calls ``make(setup)(task)`` in a child.

    make       a function of a module; what it gives is kept for all tasks of one child
    setup      what it is told; both have to go through pickle, as tasks and answers
    seconds    for one task; megabytes: of memory, for the child
    stop       asked while a task runs
    """

    def __init__(
        self,
        make: Callable[[S], Callable[[T], R]],
        setup: S,
        *,
        seconds: float,
        megabytes: float,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._make = make
        self._setup = setup
        self.seconds = seconds
        self.megabytes = max(megabytes, SMALLEST)
        self._stop = stop
        self._child: multiprocessing.process.BaseProcess | None = None
        self._line: Connection | None = None

    def __call__(self, task: T) -> R:
        """The answer. Raises LorelintError where there is none, `Stopped` where nobody waits for it any more."""
        line = self._running()
        try:
            line.send(task)
            answer = self._answer(line)
        except (EOFError, OSError):
            raise LorelintError(f"the process that did it ended: {self._ended()}") from None
        if isinstance(answer, _Raised):
            if answer.spent:
                self.close()  # what it holds is not what the next task shall start with
            raise LorelintError(answer.what, where=answer.where, remedy=answer.remedy)
        result: R = answer
        return result

    def close(self) -> None:
        """End the child. The next task gets another."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._child is not None:
            self._child.kill()
            self._child.join()
            self._child.close()
            self._child = None

    def _answer(self, line: Connection) -> Any:
        end = monotonic() + self.seconds
        while not line.poll(SLICE):
            if self._stop():
                self.close()
                raise Stopped
            if monotonic() > end:
                self.close()
                raise LorelintError(f"took more than {self.seconds:g} s, and was ended")
        return line.recv()

    def _running(self) -> Connection:
        if self._line is not None and self._child is not None and self._child.is_alive():
            return self._line
        self.close()
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        child = context.Process(
            target=_work, args=(theirs, self._make, self._setup, int(self.megabytes) << 20), daemon=True
        )
        child.start()
        theirs.close()
        self._line, self._child = ours, child
        return ours

    def _ended(self) -> str:
        child = self._child
        if child is None:
            return "it is gone"
        child.join(timeout=10)
        code = child.exitcode
        self.close()
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"by {name}" + (", as the system does where memory runs out" if name == "SIGKILL" else "")
        return f"with exit code {code}"


class _Raised:
    """What a task raised, as far as it can be told. `spent`: the child is not to be used again."""

    def __init__(self, error: BaseException) -> None:
        self.spent = not isinstance(error, LorelintError)
        self.where = error.where if isinstance(error, LorelintError) else ""
        self.remedy = error.remedy if isinstance(error, LorelintError) else ""
        self.what = error.what if isinstance(error, LorelintError) else _told(error)


def _told(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "ran out of the memory it is allowed"
    if isinstance(error, RecursionError):
        return "went too deep"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" in {os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else ""  # noqa: PTH119
    return f"{type(error).__name__}{place}: {str(error)[:200]}"


def _work(line: Connection, make: Callable[[Any], Callable[[Any], Any]], setup: Any, memory: int) -> None:
    """The child. A signal for the whole group is the parent's to act upon."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Not the address space: git and SQLite map large files, which costs nothing.
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    tasks: list[Any] = []
    there = threading.Semaphore(0)
    threading.Thread(target=_listen, args=(line, tasks, there), daemon=True).start()
    work: Callable[[Any], Any] | None = None
    while True:
        there.acquire()
        try:
            work = work or make(setup)
            answer = work(tasks.pop())
        except BaseException as error:
            answer = _Raised(error)
        try:
            line.send(answer)
        except (TypeError, AttributeError, ValueError) as error:
            line.send(_Raised(error))


def _listen(line: Connection, tasks: list[Any], there: threading.Semaphore) -> None:
    """Takes tasks, and ends the process, whatever it does, when the parent is gone."""
    while True:
        try:
            tasks.append(line.recv())
        except (EOFError, OSError):
            os.kill(os.getpid(), signal.SIGKILL)
        there.release()
