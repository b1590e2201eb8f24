"""What ``lorelint send`` is built of: a mail server, Patchworks, the archives, and that one process sends at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lorelint.model.errors import LorelintError
from lorelint.outpost import Outpost

if TYPE_CHECKING:
    from lorelint.jobs.send import Means
    from lorelint.model.patchwork import Patchwork
    from lorelint.model.policy import Policy
    from lorelint.model.post import Post


class Sender:
    """Sends what an outpost has released."""

    def __init__(self, outpost: Outpost) -> None:
        self.outpost = outpost

    def means(self, policy: Policy, smtp_file: str, identity: str = "") -> Means:
        """What sending needs: the mail server of a file of its own, or that of git. Raises LorelintError."""
        from lorelint.jobs.send import Means

        stop = Path(policy.stop_file).expanduser() if policy.stop_file else None
        return Means(
            post=self._post(policy, smtp_file, identity),
            gate=self.outpost.gate(policy),
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

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Held by the one process that sends from this store, wherever it runs.

        Raises LorelintError where another does.
        """
        from lorelint.edge.store.holding import held

        with held(self.outpost.store, "send", "is sending"):
            yield

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

        with self.outpost.store.look() as session:
            if session.mails.seen(msgid):
                return True
        return archived([each.url for each in self.outpost.config.inboxes], msgid)
