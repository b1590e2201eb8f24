"""A sweep as a job: a mail that kills whoever reviews it, workers that cannot work, archives that cannot be read."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import replace
from tests.sweeping import archive, cluster, copied, damage, environment, epochs

from lorelint.config import Config
from lorelint.edge.cluster import Job, Local, Own
from lorelint.edge.mailbox import split
from lorelint.jobs.due import Done, Due
from lorelint.jobs.sweep import TRIES
from lorelint.model.errors import LorelintError, Stopped
from lorelint.model.sweep import Crew, Period, Progress, Tally, Unfit
from lorelint.wire import House
from lorelint.wire_sweep import Asked, Setup, Sweeper, on_its_own, worker

NOW = "2026-05-01T00:00:00Z"
POISON = "20260414-aperture-mmap-v1-0-91be3c07aa52@n1.example.org"
RAISES = "20260420-winview-bounded-v2-1-5e0c88d1f3b6@n0.example.org"


class Poisoned(Struct, frozen=True):
    """A worker's setup, and a file in which it notes each time that it was killed."""

    setup: Setup
    log: str


def poisoned(given: Poisoned) -> Callable[[Due], Done | Unfit]:
    """The real thing, but that one series kills its process, and one is a bug of ours."""
    real = worker(given.setup)

    def work(due: Due) -> Done | Unfit:
        if due.first == POISON:
            with Path(given.log).open("a") as log:
                log.write("killed\n")
            os.kill(os.getpid(), signal.SIGKILL)
        if due.first == RAISES:
            raise KeyError("not expected")
        return real(due)

    return work


def poisoned_own(given: Poisoned, own: Own) -> Poisoned:
    return replace(given, setup=on_its_own(given.setup, own))


class Poison(Sweeper):
    """A sweep with that in its workers."""

    log = ""

    def job(self) -> Job[Due, Done]:
        real = super().job()
        return replace(real, make=poisoned, setup=Poisoned(real.setup, self.log), own=poisoned_own)


@dataclass(frozen=True)
class Place:
    root: Path
    folder: Path

    def asked(self, **more: object) -> Asked:
        inbox, tree = str(self.folder / "archive"), str(self.root / "corpora" / "trees" / "small")
        asked = Asked((inbox,), tree, only=("unbounded-retry",), store=str(self.folder / "store.sqlite"))
        return replace(asked, **more)  # type: ignore[arg-type]

    def house(self) -> House:
        return House(Config(), cwd=self.folder, cache=self.folder / "cache")

    def sweeper(self, kind: type[Sweeper] = Sweeper, **more: object) -> Sweeper:
        return kind(self.house(), self.folder / "data", self.asked(**more))


@pytest.fixture
def place(root: Path, tmp_path: Path) -> Place:
    archive(root / "corpora" / "threads", tmp_path / "archive", 2)
    return Place(root, tmp_path)


def run(sweeper: Sweeper, stop: Callable[[], bool] = lambda: False) -> Tally:
    return sweeper.run(NOW, lambda progress: None, stop)


@pytest.fixture(params=["local", "dask"])
def executor(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> Iterator[str]:
    if request.param == "local":
        yield "local"
        return
    with cluster(tmp_path, environment(place.root, tmp_path), workers=2) as made:
        yield made.executor


def test_a_poisoned_mail(place: Place, executor: str) -> None:
    sweeper = place.sweeper(Poison, executor=executor, processes=2)
    assert isinstance(sweeper, Poison)
    sweeper.log = str(place.folder / "killed.log")
    tally = run(sweeper)
    assert Path(sweeper.log).read_text().count("killed") == TRIES
    assert (tally.series, tally.failed, tally.retried, tally.lost) == (10, 2, 2 * (TRIES - 1), 0)
    fates = {each.first: (each.fate, each.why) for each in sweeper.swept()}
    assert fates.pop(POISON) == (
        "failed",
        "the process that did it ended: by SIGKILL, as the system does where memory runs out",
    )
    fate, why = fates.pop(RAISES)
    assert fate == "failed" and why.startswith("KeyError in test_sweep.py:") and why.endswith("'not expected'")
    assert set(fates.values()) == {("reviewed", "")} and len(fates) == 8
    assert sweeper.summary().failed == [(POISON, "the process that did it ended: by SIGKILL, as the system does "
                                         "where memory runs out"), (RAISES, why)]  # fmt: skip
    again = run(sweeper)
    assert again.series == 0  # what failed as often as it may is not tried again
    sweeper.close()


class Unable(Sweeper):
    """Whose workers have another tree."""

    def job(self) -> Job[Due, Done]:
        real = super().job()
        return replace(real, setup=replace(real.setup, release="9.9.9"))


def test_workers_that_cannot_work(place: Place) -> None:
    """End the sweep, and no series is blamed for it."""
    sweeper = place.sweeper(Unable)
    with pytest.raises(LorelintError) as error:
        run(sweeper)
    assert error.value.what.endswith("small: has another tree there")
    assert {each.fate for each in sweeper.swept()} == {"missing"}
    sweeper.close()
    sweeper = place.sweeper()
    assert run(sweeper).series == 10
    sweeper.close()


class Losing:
    """A crew whose answers are lost with those who worked at them, at first or always."""

    def __init__(self, crew: Crew[Due, Done], times: int) -> None:
        self.crew, self.times, self.mended = crew, times, 0
        self.width = 2

    def submit(self, task: Due) -> Future[Done | Unfit]:
        if self.mended < self.times:
            lost: Future[Done | Unfit] = Future()
            lost.cancel()
            lost.set_running_or_notify_cancel()
            return lost
        return self.crew.submit(task)

    def watch(self, idle: float) -> bool:
        return self.crew.watch(idle)

    def mend(self) -> None:
        self.mended += 1

    def close(self) -> None:
        self.crew.close()


class Lossy(Sweeper):
    times = 0

    def _crew(self) -> Crew[Due, Done]:
        return Losing(Local(self.job(), 2), self.times)


def test_answers_that_are_lost(place: Place) -> None:
    sweeper = place.sweeper(Lossy)
    assert isinstance(sweeper, Lossy)
    sweeper.times = 3
    tally = run(sweeper)
    assert tally.series == 10 and tally.failed == 0 and tally.lost >= 3
    sweeper.close()


def test_answers_that_are_lost_for_ever(place: Place) -> None:
    sweeper = place.sweeper(Lossy)
    assert isinstance(sweeper, Lossy)
    sweeper.times = 1 << 30
    with pytest.raises(LorelintError, match="lost again and again"):
        run(sweeper)
    sweeper.close()


def test_it_ends_where_it_is_asked_to(place: Place) -> None:
    sweeper = place.sweeper()
    with pytest.raises(Stopped):
        run(sweeper, lambda: True)
    assert not list(sweeper.swept())
    sweeper.close()


def test_a_period(place: Place) -> None:
    """What was posted in it is reviewed; answers that came later are read, and older mail is not."""
    period = Period("2026-04-02T12:00:00Z", "2026-04-20T00:00:00Z")
    sweeper = place.sweeper(period=period)
    phases: list[Progress] = []
    tally = sweeper.run(NOW, phases.append, lambda: False)
    found = [each for each in sweeper.swept() if each.fate == "reviewed"]
    assert {(each.version, each.at[:10]) for each in found} == {(2, "2026-04-12"), (1, "2026-04-14")}
    assert tally.series == len(found) == 4
    assert (phases[-1].done, phases[-1].total) == (4, 4) and phases[-1].patches == phases[-1].of_patches == 6
    sweeper.close()


def test_the_order_of_mail_is_no_matter(place: Place) -> None:
    """Series are put together when all mail is there: a mailbox may come before what it follows upon."""
    mails: list[bytes] = []
    for path in sorted((place.folder / "archive").glob("*.mbox")):
        with path.open("rb") as lines:
            mails += [mail.raw for mail in split(lines)]
    found = []
    for number, order in enumerate((mails, mails[::-1])):
        folder = place.folder / f"order-{number}"
        for name in ("cur", "new"):
            (folder / name).mkdir(parents=True)
        for at, mail in enumerate(order):
            (folder / "cur" / f"{at:03}").write_bytes(mail)
        sweeper = place.sweeper(inboxes=(str(folder),), store=str(place.folder / f"{number}.sqlite"))
        assert run(sweeper).series == 10
        found.append(list(sweeper.swept()))
        sweeper.close()
    assert found[0] == found[1] and sum(each.version == 2 for each in found[0]) == 4


def test_what_cannot_be_read(place: Place) -> None:
    (place.folder / "archive" / "README").write_text("no mail at all\n")
    (place.folder / "archive" / "zero.mbox").write_bytes(b"")
    broken = b"From x Thu Apr  2 08:12:41 2026\nSubject: =?utf-8?b?//8=?=\nMessage-ID: <\0>\n\n\0\xff\n"
    (place.folder / "archive" / "odd.mbox").write_bytes(broken)
    sweeper = place.sweeper()
    tally = run(sweeper)
    assert tally.series == 10
    mails = sweeper.store.mails()
    assert dict(mails.left_out) == {
        "archive/README": "holds neither a mail nor a diff",
        "archive/zero.mbox": "holds nothing",
    }
    assert dict(mails.natures)["broken"] == 1
    sweeper.close()


def test_epochs_of_lists(place: Place) -> None:
    """As a mirror has them, read from their beginning; an archive that is damaged is told, and the others are read."""
    every = []
    for path in sorted((place.folder / "archive").glob("*.mbox")):
        with path.open("rb") as lines:
            every += [mail.raw for mail in split(lines)]
    epochs(place.folder / "lists" / "whole", every)
    damage(epochs(place.folder / "lists" / "damaged", [copied(mail, 7) for mail in every]) / "git" / "1.git")
    sweeper = place.sweeper(inboxes=(str(place.folder / "lists"),), store=str(place.folder / "lists.sqlite"))
    tally = run(sweeper)
    (trouble,) = tally.troubles
    assert "the archive is damaged" in trouble and "damaged/git/1.git" in trouble
    assert tally.taken == 2 * len(every) - 1
    assert 10 < tally.series < 20 and tally.failed == 0
    again = run(sweeper)
    assert (again.taken, again.series, again.troubles) == (0, 0, tally.troubles)  # it is looked at each time
    sweeper.close()


def test_postgresql_holds_the_same(place: Place, postgresql: Callable[[], str]) -> None:
    found = []
    for store in (str(place.folder / "store.sqlite"), postgresql()):
        sweeper = place.sweeper(store=store)
        assert run(sweeper).series == 10
        found.append((list(sweeper.swept()), sweeper.store.mails()))
        assert run(sweeper).series == 0
        sweeper.close()
    assert found[0] == found[1]


def test_a_store_of_lists_that_are_followed(place: Place) -> None:
    from lorelint.edge.store.database import Database
    from lorelint.model.store import Note

    store = Database(str(place.folder / "store.sqlite"), place.folder)
    with store.begin() as session:
        session.notes.say(Note("listen", NOW, True, "a pass"))
    store.close()
    sweeper = place.sweeper()
    with pytest.raises(LorelintError, match="lists that are followed"):
        run(sweeper)
    sweeper.close()
