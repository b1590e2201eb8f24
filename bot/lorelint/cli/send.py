"""``lorelint send``."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct, field

from lorelint.cli import CLEAN
from lorelint.cli.clock import now
from lorelint.cli.common import JSON, Page, common, note, outpost, page, put
from lorelint.cli.logs import LOG, Say, log

if TYPE_CHECKING:
    from lorelint.jobs.checks import Posted
    from lorelint.jobs.send import Means, Step
    from lorelint.model.policy import Policy
    from lorelint.outpost import Outpost
    from lorelint.outpost_send import Sender

POLL = 60.0  # seconds between two passes


@click.command("send")
@click.option("--once", is_flag=True, help="One pass, then end.")
@click.option(
    "--dry-run/--for-real", "dry_run", default=None, help="Tell what would go, or send [default: the policy's]."
)
@click.option("--smtp-config", metavar="FILE", default="", help="The mail server; else LORELINT_SMTP, else git's.")
@click.option("--identity", metavar="NAME", default="", help="Of git's sendemail.NAME settings.")
@LOG
@JSON
@common
def command(
    once: bool,
    dry_run: bool | None,
    smtp_config: str,
    identity: str,
    form: str,
    as_json: bool,
    config: str,
    color: str,
    width: int | None,
) -> int:
    """Send what is released, and nothing else.

    The only command that knows a mail server: run it as a user of its own. A letter is marked, handed over, and
    confirmed; one whose fate is not known after a crash is looked up in the archive, and else held for a person. While
    dry_run stands in the policy nothing is sent, whatever is asked here. The policy is read anew for each pass.

    With --once what was done is printed. Else it is told on stderr, one line each, and SIGTERM and SIGINT end it after
    the letter that is on its way.
    """
    from lorelint.outpost_send import Sender

    every = outpost(config)
    way = Sender(every)
    server = smtp_config or os.environ.get("LORELINT_SMTP", "")
    sender = _Passes(every, way, server, identity, dry_run, as_json, page(color, width), None if once else log(form))
    if not once:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda number, frame: sender.ending.set())
    with way.alone():
        while True:
            sender.turn()
            if once or sender.ending.wait(POLL):
                break
    if sender.say is not None:
        sender.say("end")
    every.close()
    return CLEAN


class _Passes(Struct):
    """One pass after another.

    way     the mail server, Patchworks, archives
    say     where it is told while it goes on; None for one pass, whose steps are printed
    ending  the letter that is on its way is the last
    told    what was said of letters and checks that still wait, which is said once
    """

    every: Outpost
    way: Sender
    server: str
    identity: str
    dry_run: bool | None
    as_json: bool
    out: Page
    say: Say | None
    ending: threading.Event = field(default_factory=threading.Event)
    told: dict[tuple[str, int], str] = field(default_factory=dict)

    def turn(self) -> None:
        """One pass; an error ends it, and the command only where it was to make no other."""
        from lorelint.jobs.policy.current import current
        from lorelint.model.errors import LorelintError

        at = now()
        policy, problem = current(self.every.policy)
        try:
            if problem:
                raise LorelintError(f"nothing is sent while the policy is broken: {problem}")
            told = self._pass(policy, at)
            self._note(at, True, told)
        except LorelintError as error:
            if self.say is None:
                self._note(at, False, str(error))
                raise
            self.say("error", text=str(error))
            self._failed(at, str(error))

    def _note(self, at: str, ok: bool, text: str) -> None:
        from lorelint.model.store import Note

        with self.every.store.begin() as session:
            session.notes.say(Note("send", at, ok, text))

    def _failed(self, at: str, text: str) -> None:
        """Keep why a pass failed; where the store itself fails, the log has it."""
        from lorelint.model.errors import LorelintError

        try:
            self._note(at, False, text)
        except LorelintError as error:
            assert self.say is not None
            if str(error) != text:
                self.say("error", text=str(error))

    def _pass(self, policy: Policy, at: str) -> str:
        """Letters, then checks; what came of them in a few words."""
        from lorelint.report import json

        mute = policy.dry_run or bool(self.dry_run)
        if policy.dry_run and self.dry_run is False and self.say is None:
            note(f"dry_run is on in {policy.where or 'the policy, for there is none'}: nothing is sent")
        means = self.way.means(policy, self.server, self.identity)
        done = list(self._steps(policy, means, at, mute))
        if self.as_json:
            put(json.dump({"at": at, "dry_run": mute, "steps": done}))
        elif not done and self.say is None:
            note("nothing is released")
        kinds = [each["step"] for each in done]
        return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "nothing is released"

    def _steps(self, policy: Policy, means: Means, at: str, mute: bool) -> Iterator[dict[str, Any]]:
        """Letters, then checks, each told when it is done; none after the end was asked for."""
        from itertools import chain

        from lorelint.jobs.checks import post
        from lorelint.jobs.send import recover, send

        store = self.every.store
        before = () if mute else recover(store, means, at)
        for step in chain(before, send(store, policy, means, at, dry_run=mute)):
            yield self._tell(step)
            if self.ending.is_set():
                return
        opener = self.way.patchwork(os.environ.get("LORELINT_PATCHWORK_TOKEN", ""))
        for posted in post(store, policy, opener, at, stopped=means.stopped, dry_run=mute):
            yield self._tell_check(posted)
            if self.ending.is_set():
                return

    def _tell(self, step: Step) -> dict[str, Any]:
        from lorelint.report import outbox

        row = step.letter
        if self.say is not None:
            facts = {"letter": row.id, "msgid": row.msgid, "patch": row.patch, "lists": ",".join(row.inboxes)}
            self._log("letter", row.id, step.what, step.text, facts)
        elif not self.as_json:
            put(outbox.step(step.what, row, step.text, columns=self.out.columns, colour=self.out.colour))
        return {"step": step.what, "text": step.text, **outbox.document([row])["letters"][0]}

    def _tell_check(self, posted: Posted) -> dict[str, Any]:
        from lorelint.report.text import words

        row = posted.check
        if self.say is not None:
            facts = {"check": row.state, "patch": row.patch, "patchwork": row.url}
            self._log("check", row.id, posted.what, posted.text, facts)
        elif not self.as_json:
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

    def _log(self, kind: str, number: int, what: str, text: str, facts: dict[str, Any]) -> None:
        """What waits is told once, and again when something else is so."""
        assert self.say is not None
        so = f"{what}: {text}"
        if self.told.get((kind, number)) != so:
            self.say(kind, step=what, **facts, text=text)
        self.told[kind, number] = so
