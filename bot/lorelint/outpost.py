"""What the commands for a list are built of: the store, the lists that are followed, trees, the policy.

Beside `desk.py`, which is for an author in a checkout. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lorelint.config import Config, InboxConfig
from lorelint.model.errors import LorelintError
from lorelint.wire import House

if TYPE_CHECKING:
    from lorelint.edge.remotes import Remotes
    from lorelint.edge.store.database import Database
    from lorelint.edge.store.upkeep import Upkeep
    from lorelint.model.feed import Feed
    from lorelint.model.policy import Policy


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

            self._trees = Remotes(self.config, self.data / "trees", self.house.find, self.house.beside)
        return self._trees
