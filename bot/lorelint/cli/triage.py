"""``lorelint triage``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lorelint.cli import CLEAN
from lorelint.cli.clock import now, who
from lorelint.cli.common import common, note, outpost, page, put

if TYPE_CHECKING:
    from lorelint.outpost import Outpost
    from lorelint.tui.app import Triage


@click.command("triage")
@click.argument("limit", nargs=-1)
@click.option("--mbox", metavar="FILE", default="", help="Write the letters that wait into a mailbox; - for stdout.")
@click.option(
    "--b4-review", "b4_review", is_flag=True, help="Put findings where `b4 review` reads them, in the checkout here."
)
@click.option(
    "--mine",
    metavar="NAME",
    multiple=True,
    help='Keep a list or subsystem as yours, for the limit "mine", beside files that MAINTAINERS names you for; '
    '"" takes all away.',
)
@click.option("--theme", type=click.Choice(["dark", "light", "terminal"]), default="dark", help="Colours.")
@common
def command(
    limit: tuple[str, ...],
    mbox: str,
    b4_review: bool,
    mine: tuple[str, ...],
    theme: str,
    config: str,
    color: str,
    width: int | None,
) -> int:
    """The queue: which series need eyes, why, and what would be said.

    LIMIT is what the key l takes: open, all, error, v2, list:kvm, sub:..., rule:..., mine, by:newest, or words. Keys
    are those of mutt and of `b4 review`; ? lists them. Each decision is kept with who took it, and u takes it back.
    Nothing is sent from here.
    """
    from lorelint.report.text import words

    every = outpost(config)
    if mbox:
        return _mbox(every, mbox)
    if b4_review:
        return _b4_review(every)
    if mine:
        with every.store.begin() as session:
            session.steps.set_area(who(), [each for each in mine if each])
            area = session.steps.area(who())
        note(f"yours: {', '.join(map(words, area)) or 'nothing'}")
        if not limit:
            return CLEAN
    if not sys.stdout.isatty() or not sys.stdin.isatty():
        raise click.UsageError("the queue needs a terminal; `lorelint status` and `lorelint outbox` do not")
    app = _app(every, limit, theme, page(color, width).colour)
    app.run()
    return CLEAN


def _app(every: Outpost, limit: tuple[str, ...], theme: str, colour: bool) -> Triage:
    from lorelint.tui.app import Triage
    from lorelint.tui.office import Office, Programs
    from lorelint.tui.typed import limit as wanted

    mailer = every.config.triage.mailer or os.environ.get("MAILER", "")
    programs = Programs(parse=every.mail, edit=_edit, read=every.mail_reader(mailer))
    office = Office(every.store, who(), now, every.policy, every.gate, programs)
    return Triage(office, wanted(" ".join(limit), office.area(), office.by.name), theme=theme, colour=colour)


def _edit(text: str) -> str | None:
    """In $VISUAL or $EDITOR. Raises LorelintError where that cannot be run."""
    from lorelint.model.errors import LorelintError

    try:
        return click.edit(text, extension=".txt", require_save=False)
    except click.ClickException as error:
        raise LorelintError(
            error.format_message(), where="editor", remedy="set $EDITOR to one that is there"
        ) from error


def _mbox(every: Outpost, file: str) -> int:
    """The letters that wait, as their readers would get them, in one mailbox."""
    from lorelint.mail.compose import compose
    from lorelint.mail.mboxrd import mboxrd
    from lorelint.model.store import Letter
    from lorelint.report.text import many

    policy = every.policy()
    with every.store.look() as session:
        rows = session.outbox.waiting(Letter.HELD, Letter.RELEASED)
    box = mboxrd((row.created_at, compose(row, policy, row.created_at)) for row in rows)
    if file == "-":
        sys.stdout.buffer.write(box)
    else:
        Path(file).write_bytes(box)
        note(f"{many(len(rows), 'letter')} in {file}; nothing was sent")
    return CLEAN


def _b4_review(every: Outpost) -> int:
    """A line a review branch of this checkout: what b4 will show of it when it is opened next."""
    from lorelint.report.text import words

    done = every.annotate()
    for branch, what in done:
        put(f"{words(branch)}: {words(what)}\n")
    if not done:
        note("no branch here is one of b4 review; `b4 review` makes them of series that are tracked")
    return CLEAN
