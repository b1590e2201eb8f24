"""``lorelint send``."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

from lorelint.cli import CLEAN
from lorelint.cli.clock import now
from lorelint.cli.common import JSON, Page, common, note, outpost, page, put

if TYPE_CHECKING:
    from lorelint.jobs.send import Means, Step
    from lorelint.model.policy import Policy
    from lorelint.outpost import Outpost

POLL = 60.0  # seconds between two passes


@click.command("send")
@click.option("--once", is_flag=True, help="One pass, then end.")
@click.option(
    "--dry-run/--for-real", "dry_run", default=None, help="Tell what would go, or send [default: the policy's]."
)
@click.option("--smtp-config", metavar="FILE", default="", help="The mail server; else LORELINT_SMTP, else git's.")
@click.option("--identity", metavar="NAME", default="", help="Of git's sendemail.NAME settings.")
@JSON
@common
def command(
    once: bool,
    dry_run: bool | None,
    smtp_config: str,
    identity: str,
    as_json: bool,
    config: str,
    color: str,
    width: int | None,
) -> int:
    """Send what is released, and nothing else.

    The only command that knows a mail server: run it as a user of its own. A letter is marked, handed over, and
    confirmed; one whose fate is not known after a crash is looked up in the archive, and else held for a person. While
    dry_run stands in the policy nothing is sent, whatever is asked here. The policy is read anew for each pass.
    """
    every = outpost(config)
    server = smtp_config or os.environ.get("LORELINT_SMTP", "")
    out = page(color, width)
    with every.sending():
        while True:
            _pass(every, server, identity, dry_run, as_json, out, once)
            if once:
                return CLEAN
            time.sleep(POLL)


def _pass(
    every: Outpost, server: str, identity: str, dry_run: bool | None, as_json: bool, out: Page, once: bool
) -> None:
    """One pass; an error ends it, and the command only where it was to make no other."""
    from lorelint.jobs.policy.current import current
    from lorelint.model.errors import LorelintError
    from lorelint.model.store import Note

    at = now()
    policy, problem = current(every.policy)
    steps: list[Step] = []
    try:
        if problem:
            raise LorelintError(f"nothing is sent while the policy is broken: {problem}")
        mute = policy.dry_run or bool(dry_run)
        if policy.dry_run and dry_run is False:
            note(f"dry_run is on in {policy.where or 'the policy, for there is none'}: nothing is sent")
        _steps(every, server, identity, mute, steps, as_json, out, at)
    except LorelintError as error:
        with every.store.begin() as session:
            session.notes.say(Note("send", at, False, str(error)))
        if once:
            raise
        note(str(error))
        return
    with every.store.begin() as session:
        session.notes.say(Note("send", at, True, _tally(steps)))


def _steps(
    every: Outpost, server: str, identity: str, mute: bool, steps: list[Step], as_json: bool, out: Page, at: str
) -> None:
    from itertools import chain

    from lorelint.jobs.send import recover, send
    from lorelint.report import json, outbox

    policy = every.policy()
    means = every.means(policy, server, identity)
    before = () if mute else recover(every.store, means, at)
    for step in chain(before, send(every.store, policy, means, at, dry_run=mute)):
        steps.append(step)
        if as_json:
            told = {"step": step.what, "text": step.text, **outbox.document([step.letter])["letters"][0]}
            put(json.dump(told))
        else:
            put(outbox.step(step.what, step.letter, step.text, columns=out.columns, colour=out.colour))
    posted = _checks(every, policy, means, mute, as_json, at)
    if not steps and not posted and not as_json:
        note("nothing is released")


def _checks(every: Outpost, policy: Policy, means: Means, mute: bool, as_json: bool, at: str) -> int:
    """Set the checks of Patchworks that are due; how many there were."""
    from lorelint.jobs.checks import post
    from lorelint.report import json
    from lorelint.report.text import words

    opener = every.patchwork(os.environ.get("LORELINT_PATCHWORK_TOKEN", ""))
    number = 0
    for done in post(every.store, policy, opener, at, stopped=means.stopped, dry_run=mute):
        number += 1
        row = done.check
        if as_json:
            told = {"step": f"check {done.what}", "text": done.text, "patch": row.patch, "patchwork": row.url}
            put(json.dump({**told, "context": row.context, "state": row.state, "description": row.description}))
        else:
            put(words(f"check {row.state} of <{row.patch}> {done.what}{': ' if done.text else ''}{done.text}") + "\n")
    return number


def _tally(steps: list[Step]) -> str:
    kinds = list(dict.fromkeys(step.what for step in steps))
    return ", ".join(f"{sum(step.what == kind for step in steps)} {kind}" for kind in kinds) or "nothing is released"
