"""A list of our own writing in a store, by the way mail really takes: archive, intake, review, letters."""

from __future__ import annotations

import mailbox
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lorelint.config import parse
from lorelint.jobs.listen import listen
from lorelint.outpost import Outpost
from lorelint.outpost_listen import Listener
from lorelint.wire import House

NOW = "2026-04-09T10:00:00Z"
THREADS = ("dmamap-retry", "dmamap-answered", "aperture-mmap", "winview-bounded")
POLICY = """
sender = "bot@bot.example.org"
domain = "bot.example.org"
contact = "ida@example.org"
dry_run = false
[list.dmamap]
address = "dmamap@lists.example.org"
asked_by = "Odile Brandt"
asked_on = 2026-01-02
audience = "list"
stage = "queue"
minimum_confidence = 0.5
max_age_days = 365
embargo_hours = 1
"""


class World:
    """An outpost in a folder, its list an archive on this machine."""

    def __init__(self, folder: Path, tree: Path, inbox: Any, policy: str = POLICY) -> None:
        self.folder = folder
        self.inbox = inbox
        self.config = folder / "config.toml"
        self.policy = folder / "policy.toml"
        self.policy.write_text(policy)
        self.config.write_text(
            f'policy = "{self.policy}"\n[inbox.dmamap]\nurl = "{inbox.path}"\naddress = "dmamap@lists.example.org"\n'
            f'[tree.small]\npath = "{tree}"\n[listen]\npoll_seconds = 0.2\nmax_age_days = 36500\n'
        )
        config = parse(self.config.read_text(), str(self.config))
        house = House(config, cwd=folder, cache=folder / "cache")
        self.outpost = Outpost(house, folder / "data" / "lorelint", self.policy)

    def take(self, mails: Sequence[bytes], now: str = NOW) -> None:
        """Deliver mails to the archive, and make a pass over it."""
        self.inbox.deliver(*mails)
        listener = Listener(self.outpost)
        try:
            listen(listener.listening(since="2026-01-01", say=lambda event, **facts: None), now)
        finally:
            listener.close()

    def close(self) -> None:
        self.outpost.close()


def mails(root: Path, name: str) -> list[bytes]:
    return [mail.as_bytes() for mail in mailbox.mbox(root / "corpora" / "threads" / f"{name}.mbox")]


def second(mail: bytes) -> bytes:
    """The patch of `dmamap-retry` as its author would send it again: another word in a comment, nothing else."""
    changed = (
        mail.replace(b"[PATCH]", b"[PATCH v2]").replace(b"-v1-1-", b"-v2-1-").replace(b"02 Apr 2026", b"05 Apr 2026")
    )
    return changed.replace(b"The fault went well", b"The fault was good").replace(b"Thu, 05", b"Sun, 05")
