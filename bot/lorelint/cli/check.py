"""``lorelint check``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lorelint.cli import CLEAN, FINDINGS, UNDONE
from lorelint.cli.common import JSON, RULE, STAGE, Page, common, desk, note, page, put, waiting
from lorelint.model.errors import LorelintError

if TYPE_CHECKING:
    from lorelint.desk import Desk, Outcome
    from lorelint.model.finding import Judged
    from lorelint.model.work import Work

FORMATS = ("terminal", "checkpatch", "b4", "b4-review", "json", "sarif", "diff")
LEVELS = ("new-note", "new-warning", "new-error", "any", "never")
CHECKOUT = click.option(
    "--tree", metavar="DIR", default="", help="The checkout [default: the one around the current folder]."
)


@click.command("check")
@click.argument("what", metavar="[RANGE|COMMIT|PATCH...|-]", nargs=-1)
@click.option("--staged", is_flag=True, help="What is staged, and nothing else.")
@click.option("--worktree", is_flag=True, help="What is not committed, staged or not, and nothing else.")
@CHECKOUT
@click.option("--format", "form", type=click.Choice(FORMATS), default="terminal", help="How to say it.")
@click.option(
    "--fail-on",
    type=click.Choice(LEVELS),
    default="new-warning",
    show_default=True,
    help="What makes the exit code 1: findings the work brings, this grave or graver; or any.",
)
@click.option("--series", is_flag=True, help="With -: check the whole series that the mail belongs to.")
@click.option("--tip", default="", hidden=True, help="Another tip than HEAD, whose start is to be found.")
@click.option("--rules-version", default="", hidden=True, help="Ignored: keeps b4's cache apart.")
@RULE
@STAGE
@JSON
@common
def command(
    what: tuple[str, ...],
    staged: bool,
    worktree: bool,
    tree: str,
    form: str,
    fail_on: str,
    series: bool,
    tip: str,
    rules_version: str,
    only: tuple[str, ...],
    stage: str | None,
    as_json: bool,
    config: str,
    color: str,
    width: int | None,
) -> int:
    """Check commits before they are sent: what they introduce, with proof.

    Without an argument: the commits of this branch that its upstream does not have (of a b4 branch its series), and
    what is not committed. RANGE and COMMIT are git's; patch files and - (a mail on standard input) are judged where the
    branch holds them, else on top of HEAD. Nothing in the checkout is changed.
    """
    if staged + worktree + bool(what) > 1:
        raise click.UsageError("name commits, or --staged, or --worktree")
    every = desk(config, tree, only, stage)
    every.prepare()
    form = "json" if as_json and form == "terminal" else form
    if "-" in what or any(Path(each).is_file() for each in what):
        return _mails(every, what, form, fail_on, series, page(color, width))
    if len(what) > 1:
        raise click.UsageError("one range or commit, or patch files that exist")
    work = _in_hand(every, what[0] if what else "", staged, worktree, tip)
    if not work.series.patches:
        note(f"nothing to check: {work.said}")
        return _tell(every, None, form, fail_on, page(color, width))
    _announce(work, form)
    with waiting("checking"):
        done = every.check(work)
    return _tell(every, done, form, fail_on, page(color, width))


def _in_hand(every: Desk, named: str, staged: bool, worktree: bool, tip: str) -> Work:
    """The work a user means. What is not committed is asked for by name, or goes with the whole branch."""
    if staged or worktree:
        index_file = os.environ.get("GIT_INDEX_FILE", "") if staged else ""
        return every.work(every.head(), "staged" if staged else "all", index_file)
    if named or tip:
        return every.work(every.span(named, tip))
    try:
        span = every.span()
    except LorelintError:
        alone = every.work(every.head(), "all")
        if alone.series.patches:
            return alone  # there is something to look at wherever the branch came from
        raise
    return every.work(span, "all")


def _announce(work: Work, form: str) -> None:
    """At once: what was taken for the author's work. b4 takes every line on stderr for a failure."""
    from lorelint.report.text import many

    if form in ("b4", "b4-review"):
        return
    pending = [patch.subject for patch in work.series.patches if not patch.msgid]
    commits = len(work.series.patches) - len(pending)
    parts = ([many(commits, "commit")] if commits else []) + pending
    note(f"checking {' and '.join(parts)}: {work.said}")


# -- mails -----------------------------------------------------------------------------------------------------


def _mails(every: Desk, what: tuple[str, ...], form: str, fail_on: str, series: bool, out: Page) -> int:
    """Patch files, or a mail: each patch where the branch holds it; what it does not hold, on top of HEAD."""
    threads = every.house.threads_of(what, sys.stdin.buffer if "-" in what else None)
    tracked = every.tracked(os.environ.get("B4_TRACKING_FILE", ""))
    done = []
    if not threads and series and tracked:  # a cover letter stands for its series
        done.append(every.check(every.work(every.span(tracked))))
    for thread in threads:
        found = every.mailed(thread, tracked)
        if found is None:
            done.append(every.review(thread))
            continue
        work, seq = found
        single = len(thread.series) == 1 and len(thread.series[0].patches) == 1 and not series
        _announce(work, form)
        done.append(every.check(work, seq if single else 0))
    if not done:
        return _tell(every, None, form, fail_on, out)  # a cover letter: nothing to say of it
    return max(_tell(every, each, form, fail_on, out) for each in done)


# -- telling ---------------------------------------------------------------------------------------------------


def _tell(every: Desk, done: Outcome | None, form: str, fail_on: str, out: Page) -> int:
    failing = _failing(done, fail_on) if done is not None else []
    put(_text(every, done, form, failing, out))
    if failing:
        return FINDINGS
    if done is None or done.checked.report.coverage.functions or done.checked.report.findings:
        return CLEAN
    from lorelint.jobs.review import undone

    why = undone(done.checked.report)
    if why is None:
        return CLEAN
    note(f"{why[0]} ({why[1]})")
    return UNDONE


def _failing(done: Outcome, fail_on: str) -> list[Judged]:
    from lorelint.jobs.check import fails
    from lorelint.model.finding import Severity

    if fail_on == "never":
        return []
    least = Severity.NOTE if fail_on == "any" else Severity(fail_on.removeprefix("new-"))
    return [each for each in done.checked.report.findings if fails(each, least, fail_on == "any")]


def _text(every: Desk, done: Outcome | None, form: str, failing: list[Judged], out: Page) -> str:
    from lorelint.report import checks, json, prose

    if form == "b4":
        return checks.b4_lines(failing)
    if done is None:
        return {"b4-review": "[]\n", "json": "{}\n", "sarif": json.dump(_sarif(every, None))}.get(form, "")
    report = done.checked.report
    if form == "b4-review":
        from lorelint.report.text import many

        looked = f"{many(report.coverage.functions, 'function')}, {many(len(report.coverage.rules), 'rule')}"
        lines = {at: done.line(each.patch, each.finding.path, each.finding.line) for at, each in enumerate(failing)}
        return checks.b4_review(failing, looked, {at: line for at, line in lines.items() if line is not None})
    if form == "checkpatch":
        return checks.checkpatch(each for each in report.findings if prose.counts(each))
    if form == "diff":
        from lorelint.report.fix import patch

        return patch((each for each in report.findings if prose.counts(each)), done.line)
    if form == "json":
        document = json.document(report)
        document["dismissed"] = [
            {**json.finding(each), "reason": done.reasons.get(each.finding.fingerprint, "")}
            for each in done.checked.dismissed
        ]
        return json.dump(document)
    if form == "sarif":
        return json.dump(_sarif(every, done))
    return _terminal(done, out)


def _sarif(every: Desk, done: Outcome | None) -> dict[str, object]:
    from lorelint import __version__
    from lorelint.model.finding import Report
    from lorelint.report.sarif import sarif

    if done is None:
        return sarif(Report("", None, None, (), ()), (), __version__)
    every_one = [*done.checked.report.findings, *done.checked.dismissed]
    names = sorted({each.finding.rule for each in every_one})
    return sarif(done.checked.report, every.helps(names), __version__, done.checked.dismissed, done.reasons)


def _terminal(done: Outcome, out: Page) -> str:
    from lorelint.report.author import epilogue
    from lorelint.report.terminal import terminal

    report = done.checked.report
    text = terminal(report, done.line, width=out.columns, colour=out.colour)
    return text + epilogue(report, done.checked.dismissed, done.reasons, out.columns, out.colour)
