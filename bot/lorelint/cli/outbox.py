"""``lorelint outbox``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from lorelint.cli import CLEAN, UNDONE
from lorelint.cli.clock import now, who
from lorelint.cli.common import JSON, common, note, outpost, page, put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lorelint.jobs.outbox import Done
    from lorelint.model.errors import LorelintError
    from lorelint.model.store import LetterRow
    from lorelint.outpost import Outpost

NUMBERS = click.argument("numbers", metavar="N...", type=int, nargs=-1, required=True)


@click.group("outbox", invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--all", "every", is_flag=True, help="Letters that are sent, dropped, cancelled, refused or bounced too.")
@JSON
@common
@click.pass_context
def command(ctx: click.Context, every: bool, as_json: bool, config: str, color: str, width: int | None) -> int:
    """What waits to be sent, why, and to whom.

    A letter that is held needs a person; one that is released is sent by `lorelint send` when it is its turn. Nothing
    is sent from here. Each step is kept with who took it.
    """
    if ctx.invoked_subcommand is not None:
        return CLEAN
    from lorelint.model.store import Letter
    from lorelint.report import json, outbox

    with outpost(config).store.look() as session:
        rows = session.outbox.waiting(*(tuple(Letter) if every else (Letter.HELD, Letter.RELEASED, Letter.SENDING)))
        counts = session.outbox.counts()
    if as_json:
        put(json.dump(outbox.document(rows)))
    else:
        out = page(color, width)
        put(outbox.table(rows, counts, columns=out.columns, colour=out.colour))
    return CLEAN


@command.command("show")
@click.argument("number", metavar="N", type=int)
@click.option("--raw", is_flag=True, help="The bytes as they would be sent, to pipe into a mail reader.")
@JSON
@common
def show(number: int, raw: bool, as_json: bool, config: str, color: str, width: int | None) -> int:
    """Show letter N as its reader would see it."""
    from lorelint.report import json, outbox

    every = outpost(config)
    row, policy = _one(every, number), every.policy()
    if raw:
        from lorelint.mail.compose import compose

        put(compose(row, policy, row.sent_at or now()).decode("utf-8", "replace"))
    elif as_json:
        put(json.dump(outbox.document([row])))
    else:
        out = page(color, width)
        put(outbox.letter(row, policy, every.gate(policy)(row), columns=out.columns, colour=out.colour))
    return CLEAN


@command.command("release")
@NUMBERS
@JSON
@common
def release(numbers: tuple[int, ...], as_json: bool, config: str, color: str, width: int | None) -> int:
    """Let letters N out: `lorelint send` sends them when their embargo ends and the caps allow it.

    A letter that is no good mail (no quote, a line that looks like a trailer, ...) stays held; exit code 2 then.
    """
    from lorelint.jobs.outbox import release

    every = outpost(config)
    gate = every.gate(every.policy())
    with every.store.begin() as session:
        done = release(session, numbers, who(), now(), gate)
    return _told(done, "released", as_json)


@command.command("drop")
@NUMBERS
@click.option("--why", required=True, help="Why they are not to be sent; kept, and told to nobody outside.")
@JSON
@common
def drop(numbers: tuple[int, ...], why: str, as_json: bool, config: str, color: str, width: int | None) -> int:
    """Never send letters N. What they say is not said about later versions of the patch either."""
    from lorelint.jobs.outbox import drop

    with outpost(config).store.begin() as session:
        done = drop(session, numbers, who(), now(), why)
    return _told(done, "dropped", as_json)


@command.command("edit")
@click.argument("number", metavar="N", type=int)
@JSON
@common
def edit(number: int, as_json: bool, config: str, color: str, width: int | None) -> int:
    """Change the text of letter N in $EDITOR; a person has to release it then.

    The text is checked as it was when it was written. What does not pass is not taken, and is put beside for another
    attempt.
    """
    from lorelint.jobs.outbox import edit, mark

    every = outpost(config)
    row, gate = _one(every, number), every.gate(every.policy())
    body = click.edit(row.body, extension=".txt", require_save=False)
    if body is None:
        note("nothing was changed")
        return CLEAN
    body = body if body.endswith("\n") else body + "\n"
    with every.store.begin() as session:
        done = edit(session, number, body, who(), now(), gate, mark(row.body))
    if done.refused and body != row.body:
        note(f"your text is in {_beside(body)}")
    return _told([done], "changed, and held", as_json)


@command.command("bounced")
@JSON
@common
def bounce(as_json: bool, config: str, color: str, width: int | None) -> int:
    """Put a mail server's report, on standard input, to the letter that did not arrive.

    For the delivery of the bot's own mailbox (~/.forward, procmail, sieve). Any other mail is let pass, exit code 0,
    and nothing is said.
    """
    from lorelint.jobs.bounces import bounced
    from lorelint.mail.bounce import LARGEST
    from lorelint.report import json, outbox

    raw = sys.stdin.buffer.read(LARGEST)
    with outpost(config).store.begin() as session:
        row = bounced(session, raw, now())
    if as_json:
        put(json.dump(outbox.document([row] if row else [])))
    elif row is not None:
        note(f"letter {row.id} bounced: {row.why[0]}")
    return CLEAN


def _beside(body: str) -> str:
    """A file that keeps a text which was not taken."""
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile("w", prefix="lorelint-letter-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(body)
    return file.name


def _one(every: Outpost, number: int) -> LetterRow:
    with every.store.look() as session:
        row = session.outbox.get(number)
    if row is None:
        raise _no_such(number)
    return row


def _no_such(number: int) -> LorelintError:
    from lorelint.model.errors import LorelintError

    return LorelintError("there is no such letter", where=str(number), remedy="`lorelint outbox --all` lists them")


def _told(done: Sequence[Done], what: str, as_json: bool) -> int:
    """One line a letter, and 2 where one of them stays as it was."""
    from lorelint.report import json
    from lorelint.report.text import words

    if as_json:
        rows = [
            {"letter": each.id, "state": each.letter.state.value if each.letter else "", "refused": each.refused}
            for each in done
        ]
        put(json.dump({"letters": rows}))
    for each in done:
        subject = f": {words(each.letter.subject)}" if each.letter else ""
        if each.refused:
            note(f"letter {each.id} stays as it is: {words(each.refused)}")
        elif not as_json:
            put(f"letter {each.id} {what}{subject}\n")
    return UNDONE if any(each.refused for each in done) else CLEAN
