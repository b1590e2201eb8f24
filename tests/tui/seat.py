"""A person at a terminal before a store: threads of our own writing, taken in and reviewed for real."""

from __future__ import annotations

import mailbox
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from lorelint.config import parse
from lorelint.jobs.intake import assemble, take
from lorelint.jobs.life import Pace
from lorelint.jobs.listen import listen
from lorelint.model.feed import Arrival, Cursor
from lorelint.model.queue import Filter
from lorelint.outpost import Outpost
from lorelint.outpost_listen import Listener, Setup, reviewer
from lorelint.tui.app import Triage
from lorelint.tui.office import Office, Programs
from lorelint.wire import House

NOW = "2026-04-21T10:00:00Z"
THREADS = ("dmamap-retry", "aperture-mmap", "winview-bounded")
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
max_age_days = 300
"""


def outpost(folder: Path, tree: Path, cwd: Path | None = None) -> Outpost:
    """The folders of one; made where they are not there."""
    folder.mkdir(exist_ok=True)
    policy, config = folder / "policy.toml", folder / "config.toml"
    policy.write_text(POLICY)
    config.write_text(
        f'policy = "{policy}"\n[inbox.dmamap]\nurl = "{folder}"\naddress = "dmamap@lists.example.org"\n'
        f'[tree.small]\npath = "{tree}"\n[listen]\nmax_age_days = 36500\n'
    )
    house = House(parse(config.read_text(), str(config)), cwd=cwd or folder, cache=folder / "cache")
    return Outpost(house, folder / "data" / "lorelint", policy)


def arrive(every: Outpost, raw: bytes, number: int, at: str = NOW) -> None:
    arrival = Arrival(raw, Cursor("dmamap", 0, f"{number:040x}"), at)
    reader = Listener(every).reader()
    take(every.store, arrival, reader, now=at)
    assemble(every.store, reader, now=at, pace=Pace())


def filled(folder: Path, root: Path, threads: Sequence[str] = THREADS) -> Outpost:
    """A store with threads in it, reviewed in this process."""
    every = outpost(folder, root / "corpora" / "trees" / "small")
    every.upkeep().upgrade()
    number = 0
    for name in threads:
        for mail in mailbox.mbox(root / "corpora" / "threads" / f"{name}.mbox"):
            number += 1
            at = parsedate_to_datetime(mail["Date"]).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            arrive(every, mail.as_bytes(), number, at)
    review = reviewer(Setup(every.config, every.house.cwd, every.house.cache, every.data, every.policy_file))
    listener = Listener(every)
    done = listen(replace(listener.listening(), feeds=(), review=review), NOW)
    listener.close()
    assert done.reviewed and not done.failed
    every.close()
    return every


class Seat:
    """An outpost of its own, and the application on it. `edits` and `reads` are what the programs beside it do."""

    def __init__(self, made: Path, folder: Path, tree: Path) -> None:
        shutil.copytree(made / "data", folder / "data")
        self.outpost = outpost(folder, tree)
        self.now = NOW
        self.read: list[Sequence[bytes]] = []
        self.asked: list[str] = []
        self.edits: list[Callable[[str], str | None]] = []

    def _edit(self, text: str) -> str | None:
        self.asked.append(text)
        return self.edits.pop(0)(text)

    def app(self, wanted: Filter | None = None, reader: bool = True, who: str = "ida", **more: Any) -> Triage:
        programs = Programs(self.outpost.mail, self._edit, self.read.append if reader else None)
        office = Office(self.outpost.store, who, lambda: self.now, self.outpost.policy, self.outpost.gate, programs)
        return Triage(office, wanted or Filter(), **more)

    def states(self) -> dict[str, int]:
        found: dict[str, int] = {}
        with self.outpost.store.look() as session:
            for row in session.series.recent():
                for each in session.findings.of_series(row.id):
                    found[each.state.value] = found.get(each.state.value, 0) + 1
        return found
