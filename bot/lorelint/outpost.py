"""What the commands for a list are built of: the store, the lists that are followed, trees, the policy.

Beside `desk.py`, which is for an author in a checkout. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorelint.config import Config, InboxConfig, TreeConfig
from lorelint.model.errors import LorelintError
from lorelint.wire import House, lines_of

if TYPE_CHECKING:
    from lorelint.edge.apart import Apart
    from lorelint.edge.remotes import Remotes
    from lorelint.edge.store.database import Database
    from lorelint.edge.store.upkeep import Upkeep
    from lorelint.jobs.due import Done, Due
    from lorelint.jobs.gate import Gate
    from lorelint.jobs.intake import Reader
    from lorelint.jobs.listen import Listening
    from lorelint.jobs.send import Means
    from lorelint.kernel.maintainers import Charge
    from lorelint.model.feed import Feed, Nature
    from lorelint.model.mail import Message, Patch, Thread
    from lorelint.model.patchwork import Patchwork
    from lorelint.model.policy import Policy
    from lorelint.model.post import Post
    from lorelint.model.proof import Prover
    from lorelint.model.source import OpenTree
    from lorelint.model.status import Status
    from lorelint.model.store import LetterRow
    from lorelint.report.site import RulePage


class Outpost:
    """A place from which lists are followed.

    data         the folder of the user's data that is ours: store, mirrors of archives and of trees
    policy_file  who may get which words; need not be there
    """

    def __init__(self, house: House, data: Path, policy_file: Path) -> None:
        self.house = house
        self.data = data
        self.policy_file = policy_file
        self._store: Database | None = None
        self._trees: Remotes | None = None
        self._reviews: Apart[Setup, Due, Done] | None = None
        self._prover: Prover | None = None
        self._indexed: set[str] = set()  # trees that were read into the index since the start
        self._stages: dict[str, str] | None = None
        self._rule_pages: dict[str, RulePage] | None = None

    @property
    def config(self) -> Config:
        return self.house.config

    @property
    def store(self) -> Database:
        """The store, opened when it is first needed. Raises LorelintError where that cannot be done."""
        if self._store is None:
            from lorelint.edge.store.database import Database

            self._store = Database(self.config.store.url, self.data)
        return self._store

    def upkeep(self) -> Upkeep:
        """The store as a whole, of whatever revision it is."""
        from lorelint.edge.store.upkeep import Upkeep

        return Upkeep(self.config.store.url, self.data)

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
        if self._trees is not None:
            self._trees.close()
            self._trees = None
        if self._reviews is not None:
            self._reviews.close()
            self._reviews = None

    def policy(self) -> Policy:
        """The policy as it stands in the file now; without a file nobody gets any words. Raises LorelintError."""
        from lorelint.jobs.policy.parse import parse
        from lorelint.model.policy import Policy
        from lorelint.wire import read

        if not self.policy_file.exists():
            return Policy()
        return parse(read(str(self.policy_file)).decode("utf-8", "replace"), str(self.policy_file))

    # -- what comes in ----------------------------------------------------------------------------------------

    def inboxes(self, only: str = "") -> tuple[InboxConfig, ...]:
        """The lists of the settings, or the one of a name. Raises LorelintError where there is none."""
        found = tuple(each for each in self.config.inboxes if only in ("", each.name))
        if not found:
            what = f"no list is called {only!a}" if only else "no list is followed"
            have = ", ".join(each.name for each in self.config.inboxes)
            remedy = f"there are {have}" if have else "add a table [inbox.NAME] with url and address to the settings"
            raise LorelintError(what, where="inbox", remedy=remedy)
        return found

    def feeds(self, only: str = "") -> tuple[Feed, ...]:
        """The lists that are followed, in the order of the settings. Raises LorelintError where there is none."""
        return tuple(self._feed(each) for each in self.inboxes(only))

    def _feed(self, inbox: InboxConfig) -> Feed:
        places = (inbox.url, *inbox.mirrors)
        if inbox.follow == "http":
            from lorelint.edge.feedhttp import HttpFeed

            return HttpFeed(inbox.name, places)
        from lorelint.edge.epochs import EpochFeed

        return EpochFeed(inbox.name, places, self.data / "inboxes" / inbox.name)

    def trees(self) -> Remotes:
        """What series are reviewed against."""
        if self._trees is None:
            from lorelint.edge.remotes import Remotes

            named = self.config.trees
            if not named and self.config.tree:
                named = (TreeConfig("tree", path=self.config.tree),)
            limit = self.config.listen.trees_gigabytes * 1e9
            self._trees = Remotes(named, self.data / "trees", limit, self._found, self.house.beside)
        return self._trees

    def _found(self, path: str) -> str:
        return self.house.find(str(Path(path).expanduser()) if path.startswith("~") else path)

    def reader(self) -> Reader:
        """How mail is understood."""
        from lorelint.jobs.intake import Reader

        return Reader(Understood(self), _threads)

    def listening(self, only: str = "", since: str = "", **given: Any) -> Listening:
        """What a pass over the lists takes; `given` are its `say` and `stop`. Raises LorelintError."""
        from lorelint.jobs import draft
        from lorelint.jobs.life import Pace
        from lorelint.jobs.listen import Listening
        from lorelint.jobs.policy.current import current

        settings = self.config.listen
        apart = self._apart(given.get("stop", lambda: False))

        def refresh(now: str) -> list[tuple[str, bool, str]]:
            self.trees().close()  # a clone of the user's may have moved on
            done = self.trees().refresh(now)
            told = [(each.name, each.ok, each.text) for each in done]
            told += self._index({each.name for each in done if each.ok})
            if told:
                apart.close()  # the next review opens the trees anew
                self.trees().close()
            return told

        return Listening(
            store=self.store,
            feeds=self.feeds(only),
            reader=self.reader(),
            refresh=refresh,
            review=apart,
            policy=lambda: current(self.policy),
            draft=lambda policy: draft.Help(self.people, self.stage, self.gate(policy)),
            source=lambda done: lines_of(done.trees()),
            obey=self.obey,
            pace=Pace(wait_hours=settings.wait_hours),
            version=self.house.version(),
            max_age_days=settings.max_age_days,
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

        settings = self.config.answers
        if self._prover is None:
            self._prover = MailProver(TextRecords(settings.dns), settings.keyrings, settings.archive)
        asked = Help(
            prover=self._prover,
            read=lambda raw: read_mail(raw)[0],
            charge=self.charge,
            rules=frozenset(each.name for each in self.house.rules(stage="trial")),
            domain=current(self.policy)[0].domain,
        )
        done = obey(self.store, asked, now)
        told = [f"<{each.msgid}> {each.why or 'obeyed'}" for each in done]
        fallen = watch(self.store, current(self.policy)[0], now)
        return told + [f"{each.rule} is muted on {each.inbox}: persons found it wrong too often" for each in fallen]

    def judgements(self) -> list[str]:
        """What persons made of findings, a line of JSON each."""
        from lorelint.jobs.standing import judgements

        with self.store.look() as session:
            return list(judgements(session))

    def status(self, now: str) -> Status:
        """How it stands. A list is stale where it was not read in three times the pause, and a review's longest."""
        import shutil

        from lorelint.jobs.policy.current import current
        from lorelint.jobs.status import Bounds, status

        settings = self.config.listen
        policy, wrong = current(self.policy)
        bounds = Bounds(3 * settings.poll_seconds + settings.review_seconds)
        names, store = [each.name for each in self.config.inboxes], self.store
        free = shutil.disk_usage(self.data).free if self.data.is_dir() else None
        return status(store, names, policy, wrong, bounds, now, free)

    def _index(self, fresh: set[str]) -> list[tuple[str, bool, str]]:
        """Read trees that were fetched, and all when the process has just begun, into the index: whatever is asked of
        them is answered from there, and only what changed is read again."""
        from lorelint.edge.aside import processors

        told: list[tuple[str, bool, str]] = []
        for name in self.trees().trees:
            if name in self._indexed and name not in fresh:
                continue
            self._indexed.add(name)
            try:
                made = self.house.index(self.trees().spec(name), processors(), lambda done, total: None)
            except LorelintError as error:
                told.append((name, False, str(error)))
                continue
            if made.fresh:
                told.append((name, True, f"{made.fresh} of {made.files} files read into the index"))
        return told

    def _apart(self, stop: Callable[[], bool]) -> Apart[Setup, Due, Done]:
        """Reviews in a process of its own, ended with this."""
        from lorelint.edge.apart import Apart

        settings = self.config.listen
        if self._reviews is not None:
            self._reviews.close()
        setup = Setup(self.config, self.house.cwd, self.house.cache, self.data, self.policy_file)
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
        with only_one(self.data / "listen.lock", what), held(self.store, "listen", what):
            yield

    # -- for the terminal -------------------------------------------------------------------------------------

    def annotate(self) -> tuple[tuple[str, str], ...]:
        """Put findings where `b4 review` reads them, in the checkout here: (branch, what became of it)."""
        from lorelint.edge.b4.reviewing import ReviewBranches
        from lorelint.jobs.annotate import review_files
        from lorelint.jobs.policy.current import current
        from lorelint.report.text import many

        policy = current(self.policy)[0]
        address = policy.sender or "lorelint@localhost"
        branches = ReviewBranches(self.house.cwd)
        done = []
        with self.store.look() as session:
            for each in branches.all():
                if address in each.known:
                    done.append((each.branch, "b4 has taken findings in already"))
                    continue
                name = policy.sender_name or "lorelint"
                files = review_files(session, each.patches, branches.diff, f"{name} <{address}>")
                patches = sum(name[:1].isdigit() for name in files)
                if files:
                    branches.write(each, files)
                told = f"findings in {many(patches, 'patch', 'patches')}: b4 shows them when the branch is opened next"
                done.append((each.branch, told if files else "nothing to tell of"))
        return tuple(done)

    def mail_reader(self, named: str) -> Callable[[Sequence[bytes]], None] | None:
        """Opens mails in the user's reader; None where there is none. Raises LorelintError for a name that is none."""
        from lorelint.edge.reader import reader

        return reader(named)

    # -- what goes out ----------------------------------------------------------------------------------------

    def gate(self, policy: Policy) -> Gate:
        """What is wrong with a letter under a policy."""
        from lorelint.edge.b4.trailers import harvested
        from lorelint.jobs.gate import gate

        return gate(policy, harvested)

    def means(self, policy: Policy, smtp_file: str, identity: str = "") -> Means:
        """What sending needs: the mail server of a file of its own, or that of git. Raises LorelintError."""
        from lorelint.jobs.send import Means

        stop = Path(policy.stop_file).expanduser() if policy.stop_file else None
        return Means(
            post=self._post(policy, smtp_file, identity),
            gate=self.gate(policy),
            archived=self.archived,
            stopped=lambda: stop is not None and stop.exists(),
        )

    def _post(self, policy: Policy, smtp_file: str, identity: str) -> Post:
        if smtp_file:
            from lorelint.edge.smtp import Smtp
            from lorelint.edge.smtpfile import smtp_file as read_file

            return Smtp(read_file(Path(smtp_file).expanduser()))
        from lorelint.edge.b4.post import GitPost

        return GitPost(policy.sender, identity)

    def sending(self) -> AbstractContextManager[None]:
        """Held by the one process of this machine that sends. Raises LorelintError where another holds it."""
        from lorelint.edge.onlyone import only_one

        return only_one(self.data / "send.lock", "is sending")

    def patchwork(self, token: str) -> Callable[[str], Patchwork]:
        """Opens the Patchwork of an address."""

        def at(url: str) -> Patchwork:
            from lorelint.edge.patchwork import PatchworkApi

            if not token:
                raise LorelintError("no token for its checks", where=url, remedy="set LORELINT_PATCHWORK_TOKEN")
            return PatchworkApi(url, token)

        return at

    def archived(self, msgid: str) -> bool | None:
        """Whether a message is in an archive of the lists that are followed; None where that cannot be told."""
        from lorelint.edge.archived import archived

        with self.store.look() as session:
            if session.mails.seen(msgid):
                return True
        return archived([each.url for each in self.config.inboxes], msgid)

    # -- what is looked at -------------------------------------------------------------------------------------

    def mail(self, raw: bytes) -> Message:
        """A mail as values."""
        from lorelint.edge.b4.single import read_mail

        return read_mail(raw)[0]

    def composed(self, row: LetterRow, policy: Policy, date: str) -> bytes:
        """A letter as the bytes of a mail. Raises LorelintError where it can be none."""
        from lorelint.mail.compose import compose

        return compose(row, policy, row.sent_at or date)

    def rule_pages(self) -> dict[str, RulePage]:
        """What is told of each rule, by name."""
        if self._rule_pages is None:
            from lorelint.jobs.docs import page
            from lorelint.rule import packs

            ledger = packs.ledger()
            self._rule_pages = {
                rule.name: page(rule, ledger.get(rule.name)) for rule in self.house.rules(stage="trial")
            }
        return self._rule_pages

    def first_tree(self) -> OpenTree | None:
        """The first tree of the settings that is there: what MAINTAINERS says is read in it."""
        trees = self.trees()
        for name in trees.order("", (), ()):
            try:
                return trees.open(name)
            except LorelintError:
                continue  # its error is told where series are reviewed against it
        return None

    def charge(self, paths: Sequence[str]) -> Charge:
        """Who is in charge of some files, in a tree of ours and never in one that a patch has changed."""
        from lorelint.kernel.maintainers import Charge, maintainers

        opened = self.first_tree()
        return Charge() if opened is None else maintainers(opened.tree).of(paths)

    def people(self, paths: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Whom MAINTAINERS names for some files."""
        charge = self.charge(paths)
        return (*charge.maintainers, *charge.reviewers)

    def stage(self, rule: str) -> str:
        """How far a rule has come; one that is not there any more is not to be spoken of."""
        if self._stages is None:
            self._stages = {each.name: each.stage.value for each in self.house.rules(stage="trial")}
        return self._stages.get(rule, "trial")

    def patch(self, msgid: str) -> Patch:
        """A patch of the store. Raises LorelintError where there is none of that Message-ID."""
        from lorelint.edge.b4.threads import read_threads
        from lorelint.edge.mailbox import Mail

        with self.store.look() as session:
            root = session.mails.root_of(msgid)
            kept = session.mails.thread(root) if root else ()
        for thread in read_threads([Mail(each.raw) for each in kept], msgid, named=msgid):
            for series in reversed(thread.series):
                for patch in series.patches:
                    if patch.msgid == msgid:
                        return patch
        what = "is no patch" if kept else "is not in the store"
        raise LorelintError(what, where=msgid, remedy="name the Message-ID of a patch that `lorelint listen` took in")


class Understood:
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


@dataclass(frozen=True, slots=True)
class Setup:
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
