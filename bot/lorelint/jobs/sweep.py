"""Review whole archives: take all mail in, then every revision of every series. Pure over ports.

What is done is in the store, in batches, so a sweep that ends at any point goes on where it was. What is kept of a
series hangs on that series and its earlier versions alone: they are written in the order of the versions, whoever
reviewed them and whenever. What fails is given out again, as often as it may, then kept as failed; it stops nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import closing

from msgspec import Struct, field

from lorelint.jobs import intake, life
from lorelint.jobs.due import Done, Due
from lorelint.jobs.life import Pace
from lorelint.model.errors import LorelintError, Stopped
from lorelint.model.feed import Arrival, Cursor, Feed, Nature
from lorelint.model.store import Life, Note, ReviewRow, SeriesRow, Session, Store
from lorelint.model.sweep import LEFT_OUT, Crew, Period, Progress, SweepStore, Tally, Unfit

TRIES = 3  # that one series may have
LOSSES = 20  # times that answers may be lost with those who worked at them, with nothing done between
AHEAD = 3  # tasks for each worker that are given out: none waits for us
BATCH = 40  # series that are kept in one transaction
SECONDS = 15.0  # after which what is done is kept anyway
TICK = 1.0  # seconds between two looks at what came
MAILS = 500  # that are taken in in one transaction
AFTER_DAYS = 90  # mail that came so long after the period is read: answers to what was posted in it
EARLIEST = "1970-01-01T00:00:00Z"  # to a feed "" is now
MAX_MAILS = 2_000  # of one thread that go to a review


class Sweeping(Struct, frozen=True):
    """All that a sweep takes.

    left_out  files of the archives that hold no mail, and why; asked when they were read
    crew      started when there is something to review
    clock     seconds
    """

    store: SweepStore
    feeds: Sequence[Feed]
    reader: intake.Reader
    period: Period
    left_out: Callable[[], Mapping[str, str]]
    crew: Callable[[], Crew[Due, Done]]
    version: str
    clock: Callable[[], float]
    progress: Callable[[Progress], None] = field(default=lambda progress: None)
    stop: Callable[[], bool] = field(default=lambda: False)


def sweep(parts: Sweeping, now: str) -> Tally:
    """Do what is missing. Raises LorelintError where it cannot go on, Stopped where it was asked to end."""
    tally, start = Tally(), parts.clock()
    for feed in parts.feeds:
        _read(parts, feed, now, tally)
    _note_left_out(parts, now)
    _assemble(parts, now)
    tally.reading, start = parts.clock() - start, parts.clock()
    series, patches = parts.store.left(parts.period)
    if series:
        crew = parts.crew()
        try:
            _Reviews(parts, crew, now, tally, series, patches).run()
        finally:
            crew.close()
    tally.reviewing = parts.clock() - start
    return tally


# -- archives ------------------------------------------------------------------------------------------------


def _read(parts: Sweeping, feed: Feed, now: str, tally: Tally) -> None:
    """Take in what an archive has of the period, in batches. One that is damaged is told, and the others are read."""
    with parts.store.look() as session:
        cursors = session.mails.cursors(feed.inbox)
    with closing(_arrivals(feed, cursors, parts.period.since, tally)) as arrivals:
        while _some(parts, arrivals, now, tally):
            parts.progress(Progress("reading", tally.taken))


def _arrivals(feed: Feed, cursors: tuple[Cursor, ...], since: str, tally: Tally) -> Generator[Arrival, None, None]:
    try:
        feed.refresh()
        yield from feed.arrivals(cursors or feed.start(since or EARLIEST))
    except LorelintError as error:
        tally.troubles.append(str(error))


def _some(parts: Sweeping, arrivals: Iterator[Arrival], now: str, tally: Tally) -> bool:
    """Take in a batch; whether there may be more."""
    last: Cursor | None = None
    until = life.later(parts.period.until, 24 * AFTER_DAYS) if parts.period.until else ""
    wanted = Period(parts.period.since, until)
    more = False
    with parts.store.batch() as store:
        for number, arrival in enumerate(arrivals, 1):
            if parts.stop():
                raise Stopped
            last = arrival.cursor
            if wanted.holds(arrival.at):
                intake.take(store, arrival, parts.reader, now=now)
                tally.taken += 1
            if number == MAILS:
                more = True
                break
        if last is not None:
            with store.begin() as session:
                session.mails.move(last)
    return more


_PACE = Pace(attempts=TRIES)


def _assemble(parts: Sweeping, now: str) -> None:
    """Put the series together, now that all their mails are there."""
    count, some = 0, 1
    while some:
        if parts.stop():
            raise Stopped
        with parts.store.batch() as store:
            some = intake.assemble(store, parts.reader, now=now, pace=_PACE)
        count += some
        parts.progress(Progress("assembling", count))


def _note_left_out(parts: Sweeping, now: str) -> None:
    with parts.store.begin() as session:
        for name, why in sorted(parts.left_out().items()):
            session.notes.say(Note(LEFT_OUT + name, now, False, why[:1000]))


# -- reviews -------------------------------------------------------------------------------------------------


class _Family(Struct):
    """The versions of a series that are under way, and what came of each: a result, or why there is none."""

    members: tuple[SeriesRow, ...]
    results: dict[int, Done | str] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return len(self.results) == len(self.members)


class _Task(Struct):
    family: _Family
    row: SeriesRow
    tries: int = 0


class _Reviews:
    """The reviews of one run."""

    def __init__(
        self, parts: Sweeping, crew: Crew[Due, Done], now: str, tally: Tally, series: int, patches: int
    ) -> None:
        self._parts, self._crew, self._now, self._tally = parts, crew, now, tally
        self._series, self._patches = series, patches
        self._running: dict[Future[Done | Unfit], _Task] = {}
        self._again: list[_Task] = []
        self._ready: list[_Family] = []
        self._kept_at = self._came_at = parts.clock()
        self._losses = self._done = self._patches_done = 0

    def run(self) -> None:
        try:
            for members in self._parts.store.missing(self._parts.period):
                family = _Family(members)
                for row in members:
                    self._give(_Task(family, row))
                while len(self._running) >= AHEAD * self._crew.width:
                    self._step()
            while self._running:
                self._step()
        finally:
            self._keep()

    def _give(self, task: _Task) -> None:
        with self._parts.store.look() as session:
            due = due_of(session, task.row)
        self._running[self._crew.submit(due)] = task

    def _step(self) -> None:
        """Wait for what comes next, and deal with it."""
        if self._parts.stop():
            raise Stopped
        came, _ = wait(self._running, TICK, FIRST_COMPLETED)
        idle = self._parts.clock() - self._came_at
        if came:
            self._came_at = self._parts.clock()
        elif not self._crew.watch(idle):
            came = set(self._running)  # none of them will come
        lost = [self._running[each] for each in came if not self._took(each)]
        for each in came:
            del self._running[each]
        self._lost(lost)
        for task in self._again:
            self._give(task)
        self._again.clear()
        if sum(len(each.members) for each in self._ready) >= BATCH or self._parts.clock() - self._kept_at > SECONDS:
            self._keep()

    def _took(self, answer: Future[Done | Unfit]) -> bool:
        """Whether a task has ended, well or not; it is given out again where it may be."""
        task = self._running[answer]
        if not answer.done() or answer.cancelled():
            return False
        try:
            result = answer.result()
        except Stopped:
            raise
        except CancelledError:
            return False
        except Exception as error:
            task.tries += 1
            if task.tries < TRIES:
                self._tally.retried += 1
                self._again.append(task)
            else:
                self._end(task, told(error))
            return True
        if isinstance(result, Unfit):
            raise LorelintError(result.why, where="worker", remedy=result.remedy)
        self._losses = 0
        self._end(task, result)
        return True

    def _lost(self, tasks: Sequence[_Task]) -> None:
        """Answers that went with those who worked at them: find workers again, and give the tasks out anew."""
        if not tasks:
            return
        self._losses += 1
        self._tally.lost += len(tasks)
        if self._losses > LOSSES:
            raise LorelintError("workers are lost again and again", where="sweep", remedy="look into their logs")
        self._crew.mend()
        # What else was given out went the same way.
        tasks = [*tasks, *self._running.values()]
        self._running.clear()
        self._again += tasks
        self._came_at = self._parts.clock()

    def _end(self, task: _Task, result: Done | str) -> None:
        task.family.results[task.row.id] = result
        self._done += 1
        self._patches_done += task.row.have
        self._parts.progress(Progress("reviewing", self._done, self._series, self._patches_done, self._patches))
        if task.family.whole:
            self._ready.append(task.family)

    def _keep(self) -> None:
        """Write what is done. What cannot be written of one series is why that one failed."""
        if self._ready:
            with self._parts.store.batch() as store:
                for family in self._ready:
                    for row in family.members:
                        self._write(store, row, family.results[row.id])
            self._ready.clear()
        self._kept_at = self._parts.clock()

    def _write(self, store: Store, row: SeriesRow, result: Done | str) -> None:
        self._tally.series += 1
        self._tally.patches += row.have
        if not isinstance(result, str):
            try:
                with store.begin() as session:
                    _keep_one(session, row, result, self._parts.version, self._now)
                return
            except LorelintError:
                raise
            except Exception as error:
                result = told(error)
        self._tally.failed += 1
        with store.begin() as session:
            review = ReviewRow(0, row.id, self._now, self._parts.version, "", "", "", (), 0.0, result[:1000])
            session.series.reviewed(review)
            session.series.move(row.id, Life.FAILED, result[:1000])


def due_of(session: Session, row: SeriesRow) -> Due:
    """The task of reviewing a series."""
    thread = session.mails.thread(row.root)[-MAX_MAILS:]
    mails = [kept.raw for kept in thread if kept.nature is not Nature.BROKEN]
    if all(kept.msgid != row.first for kept in thread):
        first = session.mails.get(row.first)
        mails += [first.raw] if first is not None else []
    return Due(row.first, (), tuple(mails))


def _keep_one(session: Session, row: SeriesRow, result: Done, version: str, now: str) -> None:
    if result.report is None:
        session.series.move(row.id, Life.MUTED, result.applied)
        return
    review = ReviewRow(
        id=0,
        series=row.id,
        at=now,
        version=version,
        tree=result.tree,
        commit=result.commit,
        grade=result.grade,
        tried=result.tried,
        seconds=result.seconds,
        report=result.document,
        subsystems=result.subsystems,
    )
    life.reviewed(session, row, result.report, review, now)


def told(error: BaseException) -> str:
    """Why a series failed, in words that are the same wherever it did."""
    if isinstance(error, LorelintError):
        return error.what
    if type(error).__name__ == "KilledWorker":
        return "the workers that did it were lost"
    return f"a bug of ours: {type(error).__name__}: {error}"[:500]
