"""What the commands for lists and the two faces are built of: the store, the policy, trees, what is looked at.

Beside `desk.py`, which is for an author in a checkout. What follows the lists stands in `outpost_listen.py`, what sends
in `outpost_send.py`: nobody who only looks and decides has either. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lorelint.config import Config, InboxConfig, TreeConfig
from lorelint.model.errors import LorelintError
from lorelint.wire import House

if TYPE_CHECKING:
    from lorelint.edge.remotes import Remotes
    from lorelint.edge.store.database import Database
    from lorelint.edge.store.upkeep import Upkeep
    from lorelint.jobs.gate import Gate
    from lorelint.kernel.maintainers import Charge
    from lorelint.model.mail import Message, Patch
    from lorelint.model.policy import Policy
    from lorelint.model.source import OpenTree
    from lorelint.model.status import Status
    from lorelint.model.store import LetterRow
    from lorelint.report.site import RulePage


class Outpost:
    """A place from which lists are followed, as far as one looks and decides.

    data         the folder of the user's data that is ours: store, mirrors of archives and of trees
    policy_file  who may get which words; need not be there
    """

    def __init__(self, house: House, data: Path, policy_file: Path) -> None:
        self.house = house
        self.data = data
        self.policy_file = policy_file
        self._store: Database | None = None
        self._trees: Remotes | None = None
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

    def policy(self) -> Policy:
        """The policy as it stands in the file now; without a file nobody gets any words. Raises LorelintError."""
        from lorelint.jobs.policy.parse import parse
        from lorelint.model.policy import Policy
        from lorelint.wire import read

        if not self.policy_file.exists():
            return Policy()
        return parse(read(str(self.policy_file)).decode("utf-8", "replace"), str(self.policy_file))

    # -- what is set up ---------------------------------------------------------------------------------------

    def inboxes(self, only: str = "") -> tuple[InboxConfig, ...]:
        """The lists of the settings, or the one of a name. Raises LorelintError where there is none."""
        found = tuple(each for each in self.config.inboxes if only in ("", each.name))
        if not found:
            what = f"no list is called {only!a}" if only else "no list is followed"
            have = ", ".join(each.name for each in self.config.inboxes)
            remedy = f"there are {have}" if have else "add a table [inbox.NAME] with url and address to the settings"
            raise LorelintError(what, where="inbox", remedy=remedy)
        return found

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

    def gate(self, policy: Policy) -> Gate:
        """What is wrong with a letter under a policy."""
        from lorelint.edge.b4.trailers import harvested
        from lorelint.jobs.gate import gate

        return gate(policy, harvested)

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

    def opened(self) -> tuple[tuple[str, OpenTree], ...]:
        """The trees of the settings that are there, as they are now; of the others it is told where they are reviewed
        against."""
        trees = self.trees()
        trees.close()  # a clone of the user's may have moved on
        found = []
        for name in trees.order("", (), ()):
            with suppress(LorelintError):
                found.append((name, trees.open(name)))
        return tuple(found)

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

    def person(self, address: str) -> str:
        """The address that stands for all of its person's, by .mailmap of a tree of ours."""
        from lorelint.kernel.mailmap import mailmap

        opened = self.first_tree()
        return address.lower() if opened is None else mailmap(opened.tree).person(address)

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
