"""What an author is told below the report of a check: what was dismissed, and how to let a finding stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lorelint.model.finding import Judged, Report
from lorelint.report import prose
from lorelint.report.ink import Ink
from lorelint.report.text import many, shell, wrap

LISTED = 8


def epilogue(
    report: Report, dismissed: Sequence[Judged], reasons: Mapping[str, str], width: int = 80, colour: bool = False
) -> str:
    """Lines that end with a line feed; "" where there is nothing to add."""
    return "".join(f"{line}\n" for line in _lines(report, dismissed, reasons, max(40, width), Ink(colour)))


def _lines(
    report: Report, dismissed: Sequence[Judged], reasons: Mapping[str, str], columns: int, ink: Ink
) -> Iterator[str]:
    if dismissed:
        yield f"{many(len(dismissed), 'finding')} dismissed:"
    for judged in dismissed[:LISTED]:
        finding = judged.finding
        why = reasons.get(finding.fingerprint, "")
        text = f"{prose.place(finding)}: {prose.statement(finding)} [{finding.rule}]: {why}"
        yield from wrap(text, columns, first="  ", rest="      ")
    if len(dismissed) > LISTED:
        yield f"  and {len(dismissed) - LISTED} more"
    live = [judged.finding for judged in report.findings if prose.counts(judged)]
    if live:
        yield "to let one stand:"
    for finding in live[:LISTED]:
        command = ("lorelint", "dismiss", finding.fingerprint, '--reason "..."')
        yield from (ink(f"  {line}", "dim") for line in shell(command, columns - 2))
    if len(live) > LISTED:
        yield f"  and {len(live) - LISTED} more: lorelint check --json names them all"
