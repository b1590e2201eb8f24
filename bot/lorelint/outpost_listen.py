"""What ``lorelint listen`` is built of: the feeds of the lists, reviews in a process of their own, answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from lorelint.config import Config, InboxConfig
from lorelint.model.errors import LorelintError
from lorelint.outpost import Outpost
from lorelint.wire import House, lines_of

if TYPE_CHECKING:
    from lorelint.edge.apart import Apart
    from lorelint.jobs.due import Done, Due
    from lorelint.jobs.intake import Reader
    from lorelint.jobs.listen import Listening
    from lorelint.model.feed import Feed, Nature
    from lorelint.model.mail import Message, Thread
    from lorelint.model.proof import Prover


class Listener:
    """Follows the lists of an outpost."""

    def __init__(self, outpost: Outpost) -> None:
        self.outpost = outpost
        self._reviews: Apart[Setup, Due, Done] | None = None
        self._prover: Prover | None = None
        self._indexed: set[str] = set()  # trees that were read into the index since the start

    def close(self) -> None:
        """End what reviews; the outpost stays open."""
        if self._reviews is not None:
            self._reviews.close()
            self._reviews = None

    def feeds(self, only: str = "") -> tuple[Feed, ...]:
        """The lists that are followed, in the order of the settings. Raises LorelintError where there is none."""
        return tuple(self._feed(each) for each in self.outpost.inboxes(only))

    def _feed(self, inbox: InboxConfig) -> Feed:
        places = (inbox.url, *inbox.mirrors)
        if inbox.follow == "http":
            from lorelint.edge.feedhttp import HttpFeed

            return HttpFeed(inbox.name, places)
        from lorelint.edge.epochs import EpochFeed

        return EpochFeed(inbox.name, places, self.outpost.data / "inboxes" / inbox.name)

    def reader(self) -> Reader:
        """How mail is understood."""
        from lorelint.jobs.intake import Reader

        return Reader(_Understood(self.outpost), _threads)

    def listening(self, only: str = "", since: str = "", **given: Any) -> Listening:
        """What a pass over the lists takes; `given` are its `say` and `stop`. Raises LorelintError."""
        from time import monotonic

        from lorelint.jobs import draft
        from lorelint.jobs.life import Pace
        from lorelint.jobs.listen import Listening
        from lorelint.jobs.policy.current import current

        every = self.outpost
        settings = every.config.listen
        apart = self._apart(given.get("stop", lambda: False))

        def refresh(now: str) -> list[tuple[str, bool, str]]:
            every.trees().close()  # a clone of the user's may have moved on
            done = every.trees().refresh(now)
            told = [(each.name, each.ok, each.text) for each in done]
            told += self._index({each.name for each in done if each.ok})
            if told:
                apart.close()  # the next review opens the trees anew
                every.trees().close()
            return told

        return Listening(
            store=every.store,
            feeds=self.feeds(only),
            reader=self.reader(),
            refresh=refresh,
            trees=every.opened,
            review=apart,
            policy=lambda: current(every.policy),
            draft=lambda policy: draft.Help(every.people, every.stage, every.gate(policy)),
            source=lambda done: lines_of(done.trees()),
            obey=self.obey,
            pace=Pace(wait_hours=settings.wait_hours),
            version=every.house.version(),
            clock=monotonic,
            max_age_days=settings.max_age_days,
            keep_days=every.config.store.keep_days,
            since=since or settings.since,
            **given,
        )

    def obey(self, now: str) -> list[str]:
        """Deal with the answers that wait; a line about each. Raises LorelintError."""
        from lorelint.edge.b4.single import read_mail
        from lorelint.edge.dns import TextRecords
        from lorelint.edge.proof import MailProver
        from lorelint.jobs.answers import Help, obey
        from lorelint.jobs.policy.current import current
        from lorelint.jobs.standing import watch

        settings = self.outpost.config.answers
        if self._prover is None:
            self._prover = MailProver(TextRecords(settings.dns), settings.keyrings, settings.archive)
        asked = Help(
            prover=self._prover,
            read=lambda raw: read_mail(raw)[0],
            charge=self.outpost.charge,
            rules=frozenset(each.name for each in self.outpost.house.rules(stage="trial")),
            domain=current(self.outpost.policy)[0].domain,
            person=self.outpost.person,
        )
        done = obey(self.outpost.store, asked, now)
        told = [f"<{each.msgid}> {each.why or 'obeyed'}" for each in done]
        fallen = watch(self.outpost.store, current(self.outpost.policy)[0], now)
        return told + [f"{each.rule} is muted on {each.inbox}: persons found it wrong too often" for each in fallen]

    def _index(self, fresh: set[str]) -> list[tuple[str, bool, str]]:
        """Read trees that were fetched, and all when the process has just begun, into the index: whatever is asked of
        them is answered from there, and only what changed is read again."""
        from lorelint.edge.aside import processors

        told: list[tuple[str, bool, str]] = []
        for name in self.outpost.trees().trees:
            if name in self._indexed and name not in fresh:
                continue
            self._indexed.add(name)
            try:
                made = self.outpost.house.index(self.outpost.trees().spec(name), processors(), lambda done, total: None)
            except LorelintError as error:
                told.append((name, False, str(error)))
                continue
            if made.fresh:
                told.append((name, True, f"{made.fresh} of {made.files} files read into the index"))
        return told

    def _apart(self, stop: Callable[[], bool]) -> Apart[Setup, Due, Done]:
        """Reviews in a process of its own, ended with this."""
        from lorelint.edge.apart import Apart

        settings = self.outpost.config.listen
        if self._reviews is not None:
            self._reviews.close()
        every = self.outpost
        setup = Setup(every.config, every.house.cwd, every.house.cache, every.data, every.policy_file)
        limits = {"seconds": settings.review_seconds, "megabytes": settings.review_megabytes}
        self._reviews = Apart(reviewer, setup, **limits, stop=stop)
        return self._reviews

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Held by the one process that follows the lists into this store, by mirrors in this folder.

        Raises LorelintError where another does.
        """
        from lorelint.edge.onlyone import only_one
        from lorelint.edge.store.holding import held

        what = "follows the lists"
        with only_one(self.outpost.data / "listen.lock", what), held(self.outpost.store, "listen", what):
            yield


class _Understood:
    """The bytes of a mail -> headers and text, what it is, and why: what follows a list asks of every mail.

    Our own domain is asked for once: a policy that names another is for the next start.
    """

    def __init__(self, outpost: Outpost) -> None:
        from lorelint.jobs.policy.current import current

        self._domain = current(outpost.policy)[0].domain

    def __call__(self, raw: bytes) -> tuple[Message, Nature, str]:
        from lorelint.edge.b4.single import read_mail
        from lorelint.mail.nature import nature

        message, facts = read_mail(raw)
        return (message, *nature(message, facts, self._domain))


def _threads(mails: Sequence[bytes], named: str = "") -> tuple[Thread, ...]:
    from lorelint.edge.b4.threads import read_threads
    from lorelint.edge.mailbox import Mail

    return read_threads([Mail(each) for each in mails], named or "the list", named)


class Setup(Struct, frozen=True):
    """An outpost for another process."""

    config: Config
    cwd: Path
    cache: Path
    data: Path
    policy_file: Path


def reviewer(setup: Setup) -> Callable[[Due], Done]:
    """Reviews of series, for a process of their own; a function of the module for its sake."""
    from time import monotonic

    from lorelint.edge.patch import GnuPatch
    from lorelint.jobs.due import Bench, review_due

    house = House(setup.config, cwd=setup.cwd, cache=setup.cache)
    trees = Outpost(house, setup.data, setup.policy_file).trees()
    bench = Bench(
        trees=trees,
        threads=_threads,
        rules=house.rules(),
        patcher=GnuPatch(),
        version=house.version(),
        memory=house.index_file,
        stamp=house.stamp(),
        clock=monotonic,
        lay=house.layout,
    )

    def review(due: Due) -> Done:
        trees.close()  # a clone of the user's may have moved on
        return review_due(due, bench)

    return review
