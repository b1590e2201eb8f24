"""``lorelint review``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lorelint.cli import CLEAN, FINDINGS, UNDONE
from lorelint.cli.common import JSON, OVERLAY, RULE, STAGE, TREE, Page, common, house, note, page, put, waiting
from lorelint.model.errors import LorelintError
from lorelint.report.text import listed

if TYPE_CHECKING:
    from lorelint.model.finding import Report
    from lorelint.wire import Told


@click.command("review")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@TREE
@click.option("--base", metavar="REV", default="", help="Revision of the tree's repository that the series is for.")
@OVERLAY
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "reply", "json"]),
    default="terminal",
    help="terminal, the mails that would be sent, or JSON.",
)
@RULE
@STAGE
@click.option("--revision", type=click.IntRange(1), default=None, help="Version of the series [default: the newest].")
@click.option("--unanswered", is_flag=True, help="Review it as if nobody had answered: replies are not read.")
@JSON
@common
def command(
    sources: tuple[str, ...],
    tree: str,
    base: str,
    overlays: tuple[str, ...],
    form: str,
    only: tuple[str, ...],
    stage: str | None,
    revision: int | None,
    unanswered: bool,
    as_json: bool,
    config: str,
    color: str,
    width: int | None,
) -> int:
    """Review a thread: what its newest series introduces, with proof.

    SOURCE is a message-id, the address of a message in an archive, a mailbox (mbox, Maildir), a mail or patch file,
    or - for standard input. One mail piped from a mail reader brings its thread. Several patch files make one series.
    """
    if not all(each.strip() for each in sources):
        raise LorelintError("the name of a source is empty", remedy="name a message-id, an address or a file")
    every = house(config)
    with waiting(f"reading {sources[0]}"):
        threads = every.threads(sources, sys.stdin.buffer if "-" in sources else None)
    opened = every.tree(tree, base, overlays)
    if opened is None:
        note("no tree: only the lines of the patches are read (--tree DIR, or run it inside a kernel tree)")
    with waiting(f"reviewing {sources[0]}"):
        done = list(every.review(threads, opened, only, revision, stage or "queue", not unanswered))
    _print(done, form, as_json, page(color, width), _spec(tree, base), overlays)
    if form == "reply":
        drafted = _drafted([each.report for each in done]) - {rule.name for rule in every.rules(stage="list")}
        if drafted:
            note(f"a draft: what {listed(sorted(drafted))} says may not be mailed yet (--stage list leaves it out)")
    return _code(done)


def _spec(tree: str, base: str) -> str:
    """The tree at the revision, as one option names both; "" for the tree the user stands in."""
    return f"{tree or '.'}@{base}" if base else tree


def _print(done: list[Told], form: str, as_json: bool, out: Page, tree: str, overlays: tuple[str, ...]) -> None:
    if form == "reply":
        _print_replies(done, as_json, tuple(Path(each).resolve().name for each in overlays))
    elif form == "json" or as_json:
        from lorelint.report import json

        documents = [json.document(each.report) for each in done]
        put(json.dump(documents[0] if len(documents) == 1 else {"schema": json.SCHEMA, "reports": documents}))
    else:
        from lorelint.report.terminal import terminal
        from lorelint.report.text import argument

        named = [f"--tree {argument(tree)}"] if tree else []
        named += [f"--overlay {argument(each)}" for each in overlays]
        texts = [terminal(each.report, each.line, width=out.columns, colour=out.colour, tree=named) for each in done]
        put(("\n" + "=" * out.columns + "\n\n").join(texts))


def _print_replies(done: list[Told], as_json: bool, overlays: tuple[str, ...]) -> None:
    from lorelint.report import json
    from lorelint.report.reply import replies

    made = [(each.report, replies(each.report, each.line, overlays=overlays)) for each in done]
    if as_json:
        documents = [json.replies(report, letters) for report, letters in made]
        put(json.dump(documents[0] if len(documents) == 1 else {"schema": json.SCHEMA, "reports": documents}))
        return
    letters = [letter for _, each in made for letter in each]
    for number, letter in enumerate(letters):
        held = f", held: {'; '.join(letter.held)}" if letter.held else ""
        if len(letters) > 1 or held:
            put(("\n" if number else "") + f"---8<--- {number + 1}/{len(letters)}, answers <{letter.msgid}>{held}\n")
        put(letter.body)
    for text in _unsaid([report for report, _ in made]):
        note(text)
    if not letters:
        note(_why_none([report for report, _ in made]))


def _drafted(reports: list[Report]) -> set[str]:
    """The rules that the letters speak for."""
    from lorelint.report import prose

    worth = (concern for report in reports for concern in prose.concerns(report) if prose.deserves(concern))
    return {judged.finding.rule for concern in worth for judged in prose.cited(concern)}


def _why_none(reports: list[Report]) -> str:
    """Why there is no letter, and how to see one all the same."""
    from lorelint.report import people

    if not any(report.coverage.rules for report in reports):
        return "no rule may be mailed yet (--stage queue shows what the others would write)"
    if any(people.unmailed(report) for report in reports):
        return "no patch deserves a reply but for what people have said (--unanswered shows what it would be)"
    return "no patch deserves a reply"


def _unsaid(reports: list[Report]) -> Iterator[str]:
    """What no mail says, since people did."""
    from lorelint.report import people

    for judged in (each for report in reports for each in people.unmailed(report)):
        finding = judged.finding
        yield f"not mailed: {finding.rule} in {finding.function}(), {next(people.raisers(judged))}"
    other = sum(len(people.unseen(report)) for report in reports)
    if other:
        yield f"people said {other} other {'thing' if other == 1 else 'things'} (--format terminal tells)"


def _code(done: list[Told]) -> int:
    from lorelint.jobs.review import undone
    from lorelint.report.prose import found

    if any(found(each.report) for each in done):
        return FINDINGS
    code = CLEAN
    for each in done:
        why = undone(each.report)
        if why is not None:
            what, remedy = why
            note(f"{each.report.source}: {what} ({remedy})")
            code = UNDONE
    return code
