"""``lorelint sweep``."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from lorelint.cli import CLEAN, FINDINGS, INTERRUPTED, UNDONE
from lorelint.cli.clock import now
from lorelint.cli.common import JSON, RULE, STAGE, TREE, common, data, house, note, put

if TYPE_CHECKING:
    from lorelint.model.sweep import Progress, Tally
    from lorelint.wire_sweep import Sweeper


@click.command("sweep")
@click.option(
    "--inbox",
    "inboxes",
    metavar="PATH",
    multiple=True,
    required=True,
    help="A mailbox, Maildir, public-inbox (version 2), or a folder of these; may be given again.",
)
@TREE
@click.option("--since", metavar="DAY", default="", help="Series that were posted from this day on.")
@click.option("--until", metavar="DAY", default="", help="Series that were posted before this day.")
@click.option(
    "--executor",
    metavar="local|dask://HOST:PORT",
    default="local",
    show_default=True,
    help="Processes of this machine, or the scheduler of a Dask cluster.",
)
@click.option("--jobs", type=click.IntRange(1, 256), default=None, help="Processes of local [default: processors].")
@click.option("--store", metavar="URL|FILE", default="", help="Where results are kept [default: in the data folder].")
@click.option("--out", metavar="FILE", default="", help="Write all results here too: sorted JSON, one series a line.")
@RULE
@STAGE
@click.option("--time", "times", is_flag=True, help="Tell how long it took too: no two runs print the same.")
@JSON
@common
def command(
    inboxes: tuple[str, ...],
    tree: str,
    since: str,
    until: str,
    executor: str,
    jobs: int | None,
    store: str,
    out: str,
    only: tuple[str, ...],
    stage: str | None,
    times: bool,
    as_json: bool,
    config: str,
    color: str,
    width: int | None,
) -> int:
    """Review whole archives: every revision of every series in them, on one tree.

    Results are kept as they come, in a store of their own: the same command goes on where it ended, and `serve` and
    `triage` can look at it. Nothing is drafted and nothing sent. The results are the same bytes whoever worked, with
    however many.

    Exit codes: 0 done and nothing found, 1 findings, 2 it could not be done, 130 ended by a signal.
    """
    from lorelint.edge.aside import processors
    from lorelint.model.sweep import Period
    from lorelint.wire_sweep import Asked, Sweeper, bound

    period = Period(bound(since, "--since"), bound(until, "--until"))
    asked = Asked(inboxes, tree, period, executor, jobs or processors(), store, only, stage or "queue")
    sweeper = Sweeper(house(config), data(), asked)
    try:
        return _done(sweeper, out, times, as_json)
    finally:
        sweeper.close()


def _done(sweeper: Sweeper, out: str, times: bool, as_json: bool) -> int:
    from lorelint.model.errors import Stopped
    from lorelint.report import json
    from lorelint.report.sweep import render, to_json

    ending = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda number, frame: ending.set())
    screen = Screen()
    try:
        tally = sweeper.run(now(), screen.show, ending.is_set)
    except Stopped:
        screen.clear()
        note("ended; the same command goes on from here")
        return INTERRUPTED
    finally:
        screen.clear()
    note(_told(tally))
    made = sweeper.summary()
    if out:
        sweeper.export(Path(out).expanduser())
    if as_json:
        document = to_json(made, sweeper.store.mails(), sweeper.asked.period, sweeper.about(), tally)
        put(json.dump(document | (_run(tally) if times else {})))
    else:
        put(render(made, sweeper.store.mails(), tally))
    if tally.troubles or made.fates["missing"]:
        return UNDONE
    return FINDINGS if made.total.findings else CLEAN


def _told(tally: Tally) -> str:
    from lorelint.report.text import many

    seconds = tally.reading + tally.reviewing
    text = f"{many(tally.taken, 'mail')} read, {many(tally.series, 'series', 'series')} reviewed in {seconds:.0f} s"
    text += f"; {tally.failed} failed" if tally.failed else ""
    text += f"; {many(tally.retried, 'task')} given out again" if tally.retried else ""
    return text + (f"; {many(tally.lost, 'task')} lost with their workers, and given out again" if tally.lost else "")


def _run(tally: Tally) -> dict[str, Any]:
    facts = {"taken": tally.taken, "series": tally.series, "patches": tally.patches, "failed": tally.failed}
    seconds = {"reading": round(tally.reading, 2), "reviewing": round(tally.reviewing, 2)}
    return {"run": {**facts, "retried": tally.retried, "lost": tally.lost, **seconds}}


class Screen:
    """The line on a terminal that tells how far it is, how fast it goes, and how long it will take."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self._shown = 0.0
        self._terminal = sys.stderr.isatty()

    def show(self, progress: Progress) -> None:
        at = monotonic()
        start = self._began.setdefault(progress.phase, at)
        if not self._terminal or at - self._shown < 0.2:
            return
        self._shown = at
        columns = shutil.get_terminal_size((80, 24)).columns
        sys.stderr.write("\r" + told(progress, at - start)[: columns - 1] + "\x1b[K")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._terminal and self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = 0.0


def told(progress: Progress, seconds: float) -> str:
    """How far, how fast, how long still."""
    if progress.phase != "reviewing":
        what = "mails" if progress.phase == "reading" else "patches"
        rate = f", {progress.done / seconds:.0f} a second" if seconds >= 1 else ""
        return f"{progress.phase}: {progress.done:,} {what}{rate}"
    text = f"reviewing: {progress.done:,} of {progress.total:,} series"
    if seconds < 1 or not progress.patches:
        return text
    speed = progress.patches / seconds
    left = (progress.of_patches - progress.patches) / speed
    return f"{text}, {60 * speed:.0f} patches a minute, {_length(left)} left"


def _length(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 90:
        return f"{minutes:.0f} min"
    hours = minutes / 60
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
