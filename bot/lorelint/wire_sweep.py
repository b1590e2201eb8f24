"""What ``lorelint sweep`` is built of: archives, a store of its own, workers; and what those build on their side."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from lorelint.config import Config
from lorelint.edge.hush import hush
from lorelint.model.errors import LorelintError
from lorelint.model.sweep import Crew, Period, Progress, SweptSeries, Tally, Unfit
from lorelint.wire import House

if TYPE_CHECKING:
    from lorelint.edge.cluster import Job, Own
    from lorelint.edge.store.sweeps import SweepDatabase
    from lorelint.jobs.due import Done, Due
    from lorelint.model.mail import Message, Thread
    from lorelint.model.source import OpenTree
    from lorelint.report.sweep import Summary

LOCAL = "local"
ALWAYS = Period()


class Asked(Struct, frozen=True):
    """A sweep as it is asked for.

    inboxes   files and folders
    executor  "local", or ``dask://HOST:PORT``; processes: of local
    store     URL or file, "" for one in the data folder that goes by what is asked for
    only      rules by name; stage: else those that have come so far
    """

    inboxes: tuple[str, ...]
    tree: str = ""
    period: Period = ALWAYS
    executor: str = LOCAL
    processes: int = 1
    store: str = ""
    only: tuple[str, ...] = ()
    stage: str = "queue"


class Setup(Struct, frozen=True):
    """What a worker is told. `tree` is absolute; `commit`, `release` and `code` are what it must find there.

    index  read the tree into the index first, where it is not there yet
    """

    config: Config
    cwd: Path
    cache: Path
    tree: str
    commit: str
    release: str
    code: str
    only: tuple[str, ...]
    stage: str
    index: bool = False


class Sweeper:
    """One sweep. `data` is the folder of the user's data that is ours."""

    def __init__(self, house: House, data: Path, asked: Asked) -> None:
        hush()
        self.house = house
        self.asked = asked
        self._data = data
        opened = house.tree(asked.tree)
        if opened is None:
            raise LorelintError("no tree to review against", where=str(house.cwd), remedy="add --tree DIR")
        self._opened: OpenTree = opened
        self._rules = tuple(rule.name for rule in house.rules(asked.only, asked.stage))
        self._code = _code()
        self._left_out: dict[str, str] = {}
        self.store = self._store()

    def about(self) -> dict[str, Any]:
        """What a sweep is of, as it is told."""
        tree = {"name": self._opened.name, "commit": self._opened.commit, "release": self._opened.release}
        return {"version": self.house.version(), "tree": tree}

    def run(self, now: str, progress: Callable[[Progress], None], stop: Callable[[], bool]) -> Tally:
        """Do what is missing. Raises LorelintError, and Stopped where it was asked to end."""
        from lorelint.edge.inboxes import feeds
        from lorelint.jobs.intake import Reader
        from lorelint.jobs.sweep import Sweeping, sweep

        asked = self.asked
        places = [str(self.house.cwd / Path(each).expanduser()) for each in asked.inboxes]
        found = feeds(places, self._data / "sweeps", self._left_out.__setitem__)
        with self._alone():
            self.store.claim(json.dumps(self._identity() | {"inboxes": [each.inbox for each in found]}, sort_keys=True))
            parts = Sweeping(
                store=self.store,
                feeds=found,
                reader=Reader(_understood, _threads),
                period=asked.period,
                left_out=lambda: self._left_out,
                crew=self._crew,
                version=self.house.version(),
                clock=monotonic,
                progress=progress,
                stop=stop,
            )
            return sweep(parts, now)

    def summary(self) -> Summary:
        from lorelint.report.sweep import summary

        return summary(self.swept())

    def swept(self) -> Iterator[SweptSeries]:
        return self.store.swept(self.asked.period)

    def export(self, path: Path) -> int:
        """Write all series as sorted lines of JSON; how many. Raises LorelintError where it cannot be written."""
        from lorelint.report.sweep import line

        beside, count = path.with_name(path.name + ".new"), 0
        try:
            with beside.open("w", encoding="ascii") as out:
                for series in self.swept():
                    out.write(line(series))
                    count += 1
            beside.replace(path)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise LorelintError(f"cannot be written: {reason}", where=str(path), remedy="name another file") from error
        return count

    def close(self) -> None:
        self.store.close()

    # -- parts ------------------------------------------------------------------------------------------------

    def _identity(self) -> dict[str, Any]:
        """All that the results hang on."""
        opened = self._opened
        tree = opened.commit or f"{self._root()} {opened.release}"
        return {"tree": tree, "rules": self._rules, "code": self._code, "period": to_builtins(self.asked.period)}

    def _root(self) -> str:
        """Where the tree is, and its revision."""
        spec = self.asked.tree or self.house.config.tree
        if not spec:
            return str(self.house.around(self.house.cwd))
        path, mark, revision = self.house.find(spec).partition("@")
        return f"{(self.house.cwd / Path(path).expanduser()).resolve()}{mark}{revision}"

    def _store(self) -> SweepDatabase:
        from lorelint.edge.store.sweeps import SweepDatabase

        url = self.asked.store
        if not url:
            places = sorted(str((self.house.cwd / Path(each).expanduser()).resolve()) for each in self.asked.inboxes)
            named = json.dumps([places, self._root(), to_builtins(self.asked.period), self._rules])
            url = str(self._data / "sweeps" / f"{hashlib.sha256(named.encode()).hexdigest()[:12]}.sqlite")
        elif "://" not in url:
            url = str((self.house.cwd / Path(url).expanduser()).resolve())
        return SweepDatabase(url, self._data)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        from lorelint.edge.store.holding import held

        with held(self.store.database, "sweep", "sweeps into this store"):
            yield

    def job(self) -> Job[Due, Done]:
        """What workers do."""
        from lorelint.edge.cluster import Job

        house, asked, limits = self.house, self.asked, self.house.config.listen
        setup = Setup(
            config=house.config,
            cwd=house.cwd,
            cache=house.cache,
            tree=self._root(),
            commit=self._opened.commit,
            release=self._opened.release,
            code=self._code,
            only=asked.only,
            stage=asked.stage,
        )
        return Job(worker, setup, limits.review_seconds, limits.review_megabytes, on_its_own)

    def _crew(self) -> Crew[Due, Done]:
        from lorelint.edge.cluster import SCHEME, Dask, Local

        asked, job = self.asked, self.job()
        if asked.executor.startswith(SCHEME):
            return Dask(job, asked.executor)
        if asked.executor != LOCAL:
            remedy = f"it is local, or {SCHEME}HOST:PORT"
            raise LorelintError("no such executor", where=asked.executor, remedy=remedy)
        self.house.index(self._root().partition("@")[0], asked.processes, lambda done, total: None)
        return Local(job, asked.processes)


def bound(day: str, where: str) -> str:
    """A day or a time as RFC 3339 in UTC. Raises LorelintError where it is neither."""
    try:
        moment = datetime.fromisoformat(day) if day else None
    except ValueError:
        raise LorelintError("is no day", where=f"{where} {day}", remedy="write 2026-03-17") from None
    if moment is None:
        return ""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _code() -> str:
    from lorelint.edge.stamp import same_code
    from lorelint.rule import packs

    return same_code([Path(__file__).parent, *packs.folders()])


def _understood(raw: bytes) -> tuple[Message, Any, str]:
    from lorelint.edge.b4.single import read_mail
    from lorelint.mail.nature import nature

    message, facts = read_mail(raw)
    return (message, *nature(message, facts))


def _threads(mails: Any, named: str = "") -> tuple[Thread, ...]:
    from lorelint.edge.b4.threads import read_threads
    from lorelint.edge.mailbox import Mail

    return read_threads([Mail(each) for each in mails], named or "the archives", named)


# -- what workers call: functions of the module ----------------------------------------------------------------


def on_its_own(setup: Setup, own: Own) -> Setup:
    """The setup of a worker elsewhere: a cache of its own, with an index."""
    return replace(setup, cache=Path(own.cache), tree=own.tree or setup.tree, cwd=Path("/"), index=True)


def worker(setup: Setup) -> Callable[[Due], Done | Unfit]:
    """Reviews of series. What cannot work here says so to every task, so that no series is blamed."""
    from lorelint.edge.patch import GnuPatch
    from lorelint.jobs.sweepone import Bench, sweep_one
    from lorelint.kernel.maintainers import maintainers

    house = House(setup.config, cwd=setup.cwd, cache=setup.cache)
    try:
        if _code() != setup.code:
            raise LorelintError("has another version of lorelint", remedy="install the same one on all machines")
        if setup.index and not house.index_file.size():
            house.index(setup.tree.partition("@")[0], 1, lambda done, total: None)
        source = house.tree(setup.tree)
        if source is None or (source.commit, source.release) != (setup.commit, setup.release):
            raise LorelintError("has another tree there", where=setup.tree, remedy="bring it to the same commit")
        rules = house.rules(setup.only, setup.stage)
    except LorelintError as error:
        unfit = Unfit(f"{error.where}: {error.what}" if error.where else error.what, error.remedy)
        return lambda due: unfit
    bench = Bench(
        source=source,
        maintainers=maintainers(source.tree),
        threads=_threads,
        rules=rules,
        patcher=GnuPatch(),
        version=house.version(),
        memory=house.index_file,
        stamp=house.stamp(),
        clock=monotonic,
    )
    return lambda due: sweep_one(due, bench)
