"""What a sweep over archives works through, the ports it needs, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from msgspec import Struct, field

from lorelint.model.store import SeriesRow, Store

LEFT_OUT = "left out:"  # what the notes about files that are no mail begin with
T_contra = TypeVar("T_contra", contravariant=True)
R = TypeVar("R")


class Period(Struct, frozen=True):
    """Series are reviewed whose first mail came from `since` on and before `until` (RFC 3339; "" for no bound)."""

    since: str = ""
    until: str = ""

    def holds(self, at: str) -> bool:
        return self.since <= at and (not self.until or at < self.until)


class Unfit(Struct, frozen=True):
    """What a worker answers that cannot do this sweep at all: other code, no tree. No series is to blame for it."""

    why: str
    remedy: str = ""


class Crew(Protocol[T_contra, R]):
    """Workers, wherever they are: processes of this machine, or a cluster."""

    @property
    def width(self) -> int:
        """How many tasks run at the same time."""

    def submit(self, task: T_contra) -> Future[R | Unfit]:
        """The answer; cancelled where it was lost with those who worked at it, through no fault of the task."""

    def watch(self, idle: float) -> bool:
        """Asked when nothing came for so many seconds; False where what was submitted will not come any more.

        Raises LorelintError where there is nobody left to work.
        """

    def mend(self) -> None:
        """Find the workers again after answers were lost. Raises LorelintError where that cannot be done."""

    def close(self) -> None: ...


class SweptFinding(Struct, frozen=True):
    """A finding of a sweep, and what became of it in later versions and in the thread."""

    patch: str  # message-id
    fingerprint: str
    rule: str
    path: str
    function: str
    line: int
    status: str  # of model.finding.Status
    severity: str
    confidence: float
    grade: str
    mailable: bool
    message: str
    since: int  # version of the series that had it first
    fixed_in: int = 0  # version in which it is gone, 0 for none
    raised_by: str = ""  # who has said it in the thread, "" for nobody


class SweptSeries(Struct, frozen=True):
    """One revision of a series, and what a sweep made of it; the same whoever did it, and in whatever order.

    fate     "reviewed"; "failed" as often as it may; "left out", it is not for this kernel or holds no C; "missing"
    why      of a fate other than reviewed
    patches  that touch C
    """

    first: str  # message-id of the cover, or of the first patch
    at: str  # when its first mail came
    key: str  # names the series over its versions
    version: int
    subject: str
    have: int
    expected: int
    fate: str
    why: str = ""
    grade: str = ""  # of the base
    commit: str = ""
    patches: int = 0
    functions: int = 0  # that were judged
    subsystems: tuple[str, ...] = ()
    findings: tuple[SweptFinding, ...] = ()


class Mails(Struct, frozen=True):
    """The mails of a sweep: (what they are, how many), and (file, why) of what was no mail; both sorted."""

    natures: tuple[tuple[str, int], ...]
    left_out: tuple[tuple[str, str], ...]


class SweepStore(Store, Protocol):
    """A store, and what a sweep asks of it beside."""

    def batch(self) -> AbstractContextManager[Store]:
        """A store whose transactions are parts of one: each is done whole or not at all, and all are kept at the end of
        the block, or none."""

    def missing(self, period: Period) -> Iterator[tuple[SeriesRow, ...]]:
        """What is to be reviewed still: the versions of one series at a time, the earliest first."""

    def left(self, period: Period) -> tuple[int, int]:
        """How many (series, patches) that are."""

    def swept(self, period: Period) -> Iterator[SweptSeries]:
        """All series of a period, by time and message-id."""

    def mails(self) -> Mails:
        """What was read."""


class Progress(Struct, frozen=True):
    """How far a sweep is.

    phase    "reading" archives, "assembling" series, "reviewing" them
    done     mails, patches, series
    total    of series; 0 where it is not known
    patches  of the series that are done; `of_patches` of all
    """

    phase: str
    done: int
    total: int = 0
    patches: int = 0
    of_patches: int = 0


class Tally(Struct):
    """What one run of a sweep did; `retried`, `lost` and the seconds hang on the day, and stand in no result."""

    taken: int = 0  # mails that were read
    series: int = 0
    patches: int = 0
    failed: int = 0
    retried: int = 0  # tasks that were given out again because they failed
    lost: int = 0  # because their worker was lost
    reading: float = 0.0  # seconds
    reviewing: float = 0.0
    troubles: list[str] = field(default_factory=list)  # archives that could not be read
