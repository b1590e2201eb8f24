"""``lorelint policy``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lorelint.cli import CLEAN
from lorelint.cli.clock import now, who
from lorelint.cli.common import JSON, common, outpost, page, put

if TYPE_CHECKING:
    from lorelint.outpost import Outpost


@click.group("policy", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Look at the policy: who may get which words.

    \b
    lorelint policy check deploy/policy.toml     is it well formed, and what does it let out?
    lorelint policy explain MESSAGE-ID           who would get what about a patch, and which line says so?
    lorelint policy mute RULE --why REASON       a rule says nothing more on the lists; unmute lets it speak again
    """


@command.command("check")
@click.argument("file", metavar="[FILE]", required=False, default="")
@JSON
@common
def check(file: str, as_json: bool, config: str, color: str, width: int | None) -> int:
    """Tell what a policy FILE lets out [default: the one that is in force].

    An unknown key, a value of the wrong kind, a list that is to get mail and has asked for none: each is an error with
    its file and line, and exit code 2. What runs takes up a new file by itself; an error in it keeps everything mute.
    """
    from msgspec import to_builtins

    from lorelint.jobs.policy.parse import parse
    from lorelint.report import json, policy
    from lorelint.wire import read

    path = Path(file).expanduser() if file else outpost(config).policy_file
    read_one = parse(read(str(path)).decode("utf-8", "replace"), file or str(path))
    if as_json:
        put(json.dump(to_builtins(read_one)))
    else:
        out = page(color, width)
        put(policy.summary(read_one, columns=out.columns, colour=out.colour))
    return CLEAN


@command.command("explain")
@click.argument("msgid", metavar="MESSAGE-ID")
@JSON
@common
def explain_one(msgid: str, as_json: bool, config: str, color: str, width: int | None) -> int:
    """Tell who would get what about a patch, and which line of the policy says so.

    MESSAGE-ID is that of a patch that `lorelint listen` took in. Where nothing was found in it, it is told what a sure
    finding would bring about.
    """
    from lorelint.jobs.policy.explain import explain
    from lorelint.report import json, policy
    from lorelint.report.outbox import person, when

    every = outpost(config)
    in_force = every.policy()
    patch = every.patch(msgid.strip().strip("<>"))
    with every.store.look() as session:
        told = explain(session, patch, in_force, now(), people=every.people, stage=every.stage)
    if as_json:
        put(json.dump(policy.document(patch.mail.subject, told.supposed, told.decision, in_force.where, told.unsaid)))
        return CLEAN
    matter, letter = told.matter, told.letter
    about = [
        f"<{patch.msgid}>, by {person(matter.author)}, {when(matter.posted)}",
        f"it came over {', '.join(matter.inboxes)}" if matter.inboxes else "it came over no list",
        *(f"given in an answer: {each}" for each in patch.followups),
        *([f"letter {letter.id} about it is {letter.state}"] if letter else []),
        *(policy.unsaid(each) for each in told.unsaid),
    ]
    out = page(color, width)
    text = policy.explained(
        patch.mail.subject,
        about,
        told.supposed,
        told.decision,
        in_force.where,
        columns=out.columns,
        colour=out.colour,
    )
    put(text)
    return CLEAN


RULE = click.argument("rule", metavar="RULE")
INBOX = click.option("--inbox", "inbox", metavar="NAME", default="", help="On this list alone [default: on all].")


@command.command("mute")
@RULE
@INBOX
@click.option("--why", required=True, help="Why; kept, and told to nobody outside.")
@JSON
@common
def mute_one(rule: str, inbox: str, why: str, as_json: bool, config: str, color: str, width: int | None) -> int:
    """Let RULE say nothing more on a list: no letter with it goes out, those that are released neither.

    It takes effect at once. The rule is still asked, and what it says is in the queue. `lorelint status` shows what is
    mute.
    """
    from lorelint.jobs.muting import mute

    every, lists = _lists(config, rule, inbox)
    with every.store.begin() as session:
        done = mute(session, rule, lists, who(), why, now())
    return _told(rule, "mute", "mute already", lists, done, as_json)


@command.command("unmute")
@RULE
@INBOX
@JSON
@common
def unmute_one(rule: str, inbox: str, as_json: bool, config: str, color: str, width: int | None) -> int:
    """Let RULE speak again on a list, whoever muted it: a person, an answer of a maintainer, or the floor.

    Letters that were ended meanwhile stay so; it counts for what is reviewed from now on.
    """
    from lorelint.jobs.muting import unmute

    every, lists = _lists(config, rule, inbox)
    with every.store.begin() as session:
        done = unmute(session, rule, lists, who(), now())
    return _told(rule, "heard again", "not mute", lists, done, as_json)


def _lists(config: str, rule: str, inbox: str) -> tuple[Outpost, tuple[str, ...]]:
    """The lists that are meant. Raises LorelintError for a rule or a list that is none."""
    import difflib

    from lorelint.model.errors import LorelintError

    every = outpost(config)
    known = sorted(each.name for each in every.house.rules(stage="trial"))
    if rule not in known:
        near = difflib.get_close_matches(rule, known, n=1)
        remedy = f"did you mean {near[0]}?" if near else "`lorelint rules` lists them"
        raise LorelintError("no rule of that name", where=rule, remedy=remedy)
    return every, tuple(each.name for each in every.inboxes(inbox))


def _told(rule: str, so: str, before: str, lists: tuple[str, ...], done: tuple[str, ...], as_json: bool) -> int:
    from lorelint.report import json

    if as_json:
        put(json.dump({"rule": rule, "lists": list(lists), "changed": list(done)}))
    else:
        put("".join(f"{rule} is {so if each in done else before} on {each}\n" for each in lists))
    return CLEAN
