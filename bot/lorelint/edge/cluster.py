"""Workers behind `concurrent.futures`: processes of this machine, or a Dask cluster. The only home of distributed.

The same on both: a thread that takes tasks has a process of its own beside it (`edge.apart`) which does them, with
limits of memory and time; what breaks that process is an error of one task. Only who has those threads differs.
"""

from __future__ import annotations

import logging
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from multiprocessing import current_process
from time import monotonic
from typing import Any, Generic, TypeVar

from msgspec import Struct

from lorelint.edge.apart import Apart
from lorelint.model.errors import LorelintError
from lorelint.model.sweep import Unfit

T = TypeVar("T")
R = TypeVar("R")
SCHEME = "dask://"
PATIENCE = 120.0  # seconds for workers or a scheduler to come back
ATTEMPT = 5.0  # seconds for one attempt to reach a scheduler
TASKS = 500  # of one process; then another begins, with nothing left over


class Job(Struct, Generic[T, R], frozen=True):
    """What is to be done, for any process: ``make(setup)(task)``, as `edge.apart.Apart` has it.

    own  what a worker puts in the place of ``setup``, given what it has of its own; a function of a module
    """

    make: Callable[[Any], Callable[[T], R | Unfit]]
    setup: Any
    seconds: float
    megabytes: float
    own: Callable[[Any, Own], Any]


class Own(Struct, frozen=True):
    """What a worker of a cluster has of its own, by Dask's settings there (DASK_LORELINT__CACHE, DASK_LORELINT__TREE).

    cache  a folder; that of the worker where nothing is said
    tree   where it lies there, "" for the same place as everywhere
    """

    cache: str
    tree: str = ""


class Seats(Generic[T, R]):
    """A process for each thread that asks."""

    def __init__(self, job: Job[T, R]) -> None:
        self._job = job
        self._mine = threading.local()
        self._all: list[Apart[Any, T, R | Unfit]] = []
        self._ending = threading.Event()

    def __call__(self, task: T) -> R | Unfit:
        apart: Apart[Any, T, R | Unfit] | None = getattr(self._mine, "apart", None)
        if apart is None:
            job = self._job
            limits = {"seconds": job.seconds, "megabytes": job.megabytes}
            apart = self._mine.apart = Apart(job.make, job.setup, **limits, stop=self._ending.is_set)
            self._mine.tasks = 0
            self._all.append(apart)
        answer = apart(task)
        self._mine.tasks += 1
        if self._mine.tasks % TASKS == 0:
            apart.close()
        return answer

    def end(self) -> None:
        """Let nothing more be done; who works stops at once."""
        self._ending.set()

    def close(self) -> None:
        """End the processes; nobody asks any more."""
        for each in self._all:
            each.close()


class Local(Generic[T, R]):
    """Some processes of this machine; implements `lorelint.model.sweep.Crew`."""

    def __init__(self, job: Job[T, R], processes: int) -> None:
        self.width = processes
        self._seats = Seats(job)
        self._pool: Executor = ThreadPoolExecutor(processes)

    def submit(self, task: T) -> Future[R | Unfit]:
        return self._pool.submit(self._seats, task)

    def watch(self, idle: float) -> bool:
        """See `Crew.watch`. Each task has its own limit of time here."""
        return True

    def mend(self) -> None:
        """Nothing is ever lost here: a process that dies is an error of its task."""

    def close(self) -> None:
        self._seats.end()
        self._pool.shutdown(cancel_futures=True)
        self._seats.close()


class Dask(Generic[T, R]):
    """A cluster; implements `lorelint.model.sweep.Crew`.

    address  of its scheduler, ``dask://HOST:PORT``. Raises LorelintError where none answers, or it has no workers.
    """

    def __init__(self, job: Job[T, R], address: str, patience: float = PATIENCE) -> None:
        self.address = address
        self._patience = patience
        self._job = pickle.dumps(job)
        self._client: Any = None
        self._pool: Executor | None = None
        self._empty_since = 0.0
        for name in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what is lost is told by us, once
        self._join(ATTEMPT)

    @property
    def width(self) -> int:
        return max(1, self._threads())

    def submit(self, task: T) -> Future[R | Unfit]:
        assert self._pool is not None
        try:
            return self._pool.submit(_seated, self._job, task)
        except (OSError, RuntimeError, TimeoutError):  # it has just lost its scheduler
            lost: Future[R | Unfit] = Future()
            lost.cancel()
            lost.set_running_or_notify_cancel()
            return lost

    def watch(self, idle: float) -> bool:
        """See `Crew.watch`."""
        if self._client.status != "running":
            return idle < ATTEMPT  # it is looking for its scheduler; then so do we
        if self._threads():
            self._empty_since = 0.0
            return True
        self._empty_since = self._empty_since or monotonic()
        if monotonic() - self._empty_since > self._patience:
            raise self._error("has no worker any more")
        return True

    def mend(self) -> None:
        """Come back to the scheduler, or to the one that took its place."""
        self._leave()
        self._join(self._patience)

    def close(self) -> None:
        if self._client is not None and self._client.status == "running":
            try:
                self._client.run(_rise, on_error="ignore")
            except Exception:
                pass  # workers that went meanwhile have ended what they had themselves
        self._leave()

    def _join(self, patience: float) -> None:
        from distributed import Client

        connect: Any = Client  # it is typed in part
        end = monotonic() + patience
        while True:
            try:
                self._client = connect(_tcp(self.address), timeout=ATTEMPT, set_as_default=False)
                self._client.wait_for_workers(1, timeout=self._patience)
                self._pool = self._client.get_executor(pure=False)
                self._empty_since = 0.0
                return
            except (OSError, TimeoutError, ValueError) as error:
                reached = self._client is not None
                self._leave()
                if isinstance(error, ValueError) or monotonic() >= end:
                    raise self._error("has no worker" if reached else "does not answer") from None

    def _leave(self) -> None:
        if self._client is not None:
            try:
                self._client.close(timeout=ATTEMPT)
            except Exception:
                pass  # it lost its scheduler: there is nobody to tell
            self._client = None

    def _threads(self) -> int:
        workers = self._client.scheduler_info(n_workers=-1).get("workers", {})
        return sum(each.get("nthreads", 1) for each in workers.values())

    def _error(self, what: str) -> LorelintError:
        remedy = "what was done is kept: start the cluster and run the same command again"
        return LorelintError(f"the cluster {what}", where=self.address, remedy=remedy)


def _tcp(address: str) -> str:
    return "tcp://" + address.removeprefix(SCHEME)


# -- in a worker of a cluster ------------------------------------------------------------------------------

_lock = threading.Lock()
_seats: dict[bytes, Seats[Any, Any]] = {}  # of the job that is being done here


def _seated(packed: bytes, task: Any) -> Any:
    """Do a task of a job; processes stay from one to the next."""
    with _lock:
        if packed not in _seats:
            _rise()
            if current_process().daemon:
                current_process().daemon = False  # Dask's nanny made it one, and such a one may have no child
            job = pickle.loads(packed)
            setup = job.own(job.setup, _own())
            _seats[packed] = Seats(Job(job.make, setup, job.seconds, job.megabytes, job.own))
    return _seats[packed](task)


def _rise() -> None:
    """End the processes of the job that was done here."""
    for each in list(_seats.values()):
        each.end()
        each.close()
    _seats.clear()


def _own() -> Own:
    from dask import config
    from distributed import get_worker

    cache = config.get("lorelint.cache", "") or f"{get_worker().local_directory}/lorelint"
    return Own(str(cache), str(config.get("lorelint.tree", "")))
