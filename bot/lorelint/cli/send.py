"""``lorelint send``."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from lorelint.cli import CLEAN
from lorelint.cli.clock import now
from lorelint.cli.common import JSON, Page, common, note, outpost, page, put

if TYPE_CHECKING:
    from lorelint.jobs.checks import Posted
    from lorelint.jobs.send import Step
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
    sender = _Sender(every, server, identity, dry_run, as_json, page(color, width))
    with every.sending():
        while True:
            sender.turn(once)
            if once:
                return CLEAN
            time.sleep(POLL)


@dataclass(slots=True)
class _Sender:
    """One pass after another."""

    every: Outpost
    server: str
    identity: str
    dry_run: bool | None
    as_json: bool
    out: Page

    def turn(self, once: bool) -> None:
        """One pass; an error ends it, and the command only where it was to make no other."""
        from lorelint.jobs.policy.current import current
        from lorelint.model.errors import LorelintError

        at = now()
        policy, problem = current(self.every.policy)
        try:
            if problem:
                raise LorelintError(f"nothing is sent while the policy is broken: {problem}")
            told = self._pass(policy, at)
        except LorelintError as error:
            self._note(at, False, str(error))
            if once:
                raise
            note(str(error))
            return
        self._note(at, True, told)

    def _note(self, at: str, ok: bool, text: str) -> None:
        from lorelint.model.store import Note

        with self.every.store.begin() as session:
            session.notes.say(Note("send", at, ok, text))

    def _pass(self, policy: Policy, at: str) -> str:
        """Letters, then checks; what came of them in a few words."""
        from itertools import chain

        from lorelint.jobs.checks import post
        from lorelint.jobs.send import recover, send
        from lorelint.report import json

        mute = policy.dry_run or bool(self.dry_run)
        if policy.dry_run and self.dry_run is False:
            note(f"dry_run is on in {policy.where or 'the policy, for there is none'}: nothing is sent")
        every, means = self.every, self.every.means(policy, self.server, self.identity)
        before = () if mute else recover(every.store, means, at)
        done: list[dict[str, Any]] = []
        for step in chain(before, send(every.store, policy, means, at, dry_run=mute)):
            done.append(self._tell(step))
        opener = every.patchwork(os.environ.get("LORELINT_PATCHWORK_TOKEN", ""))
        for posted in post(every.store, policy, opener, at, stopped=means.stopped, dry_run=mute):
            done.append(self._tell_check(posted))
        if self.as_json:
            put(json.dump({"at": at, "dry_run": mute, "steps": done}))
        elif not done:
            note("nothing is released")
        kinds = [each["step"] for each in done]
        return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "nothing is released"

    def _tell(self, step: Step) -> dict[str, Any]:
        from lorelint.report import outbox

        if not self.as_json:
            put(outbox.step(step.what, step.letter, step.text, columns=self.out.columns, colour=self.out.colour))
        return {"step": step.what, "text": step.text, **outbox.document([step.letter])["letters"][0]}

    def _tell_check(self, posted: Posted) -> dict[str, Any]:
        from lorelint.report.text import words

        row = posted.check
        if not self.as_json:
            text = f": {posted.text}" if posted.text else ""
            put(words(f"check {row.state} of <{row.patch}> {posted.what}{text}") + "\n")
        return {
            "step": f"check {posted.what}",
            "text": posted.text,
            "patch": row.patch,
            "patchwork": row.url,
            "context": row.context,
            "state": row.state,
            "description": row.description,
        }
