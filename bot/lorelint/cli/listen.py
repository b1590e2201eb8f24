"""``lorelint listen``."""

from __future__ import annotations

import signal
import threading
from typing import Any

import click

from lorelint.cli import CLEAN, UNDONE
from lorelint.cli.clock import now
from lorelint.cli.common import outpost
from lorelint.cli.logs import LOG, Say, log
from lorelint.model.errors import LorelintError


@click.command("listen")
@click.option("--once", is_flag=True, help="Do what there is to do now, then end.")
@click.option("--since", metavar="DAY", default="", help="Where the first start begins: 2026-03-17 [default: now].")
@click.option("--inbox", "inbox", metavar="NAME", default="", help="Only this list of the settings.")
@click.option("--config", metavar="FILE", default="", help="Settings [default: ~/.config/lorelint/config.toml].")
@LOG
def command(once: bool, since: str, inbox: str, config: str, form: str) -> int:
    """Follow the lists of the settings: take mail in, review series, write what may be said into the outbox.

    Nothing is sent: `lorelint send` is a process of its own, and `lorelint outbox` shows what waits. A list that is
    followed for the first time begins at now, or at DAY. The process may be ended at any time and goes on where it was;
    SIGTERM and SIGINT end it after the step that is being done. What it does is told on stderr, one line each.

    Exit codes: 0 ended, or with --once all was done; 2 with --once something could not be done, which is told.
    """
    _check(since)
    from lorelint.outpost_listen import Listener

    place, say = outpost(config), log(form)
    listener = Listener(place)
    ending = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda number, frame: ending.set())
    try:
        with listener.alone():
            parts = listener.listening(inbox, since, say=say, stop=ending.is_set)
            return _passes(parts, say, once, place.config.listen.poll_seconds, ending)
    finally:
        listener.close()
        place.close()


def _passes(parts: Any, say: Say, once: bool, seconds: float, ending: threading.Event) -> int:
    """Pass after pass; a store that fails is asked again, as a database may be started anew."""
    from lorelint.jobs.listen import listen

    bad = False
    while True:
        try:
            done = listen(parts, now())
        except LorelintError as error:
            if once:
                raise
            say("error", text=str(error))
            done = None
        bad |= done is None or done.errors > 0 or done.failed > 0
        more = done is not None and done.more and not ending.is_set()
        if once and not more:
            return UNDONE if bad else CLEAN
        if not once and (ending.is_set() or (not more and ending.wait(seconds))):
            say("end")
            return CLEAN


def _check(since: str) -> None:
    from datetime import datetime

    try:
        if since:
            datetime.fromisoformat(since)
    except ValueError:
        raise LorelintError("is no day", where=f"--since {since}", remedy="write 2026-03-17") from None
