"""Findings as lines for editors and for `b4 prep --check`, and as what `b4 review` asks of a check command.

b4 (0.16) takes every line on standard output for a warning, and for a failure where it holds ``ERROR:``; silence is
success. Of `b4 review` it takes JSON: objects of strings, and in ``details`` again JSON, one row a finding, as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from lorelint.model.finding import Judged, Severity
from lorelint.report import prose
from lorelint.report.text import many, words

_SHOUTED = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.NOTE: "NOTE"}
_STATE = {Severity.ERROR: "fail", Severity.WARNING: "warn", Severity.NOTE: "pass"}


def checkpatch(findings: Iterable[Judged]) -> str:
    """``file:line: warning: text [rule]``, a line each: what editors jump to."""
    lines = []
    for judged in findings:
        finding = judged.finding
        gone = f", gone in patch {judged.gone_in}" if judged.gone_in else ""
        severity = Severity.NOTE if judged.gone_in else finding.severity
        said = f"{words(prose.statement(finding))}{gone} [{finding.rule}]"
        lines.append(f"{words(finding.path)}:{finding.line}: {severity.value}: {said}\n")
    return "".join(lines)


def b4_lines(findings: Iterable[Judged]) -> str:
    """A line a finding; nothing at all where there is none."""
    lines = []
    for judged in findings:
        finding = judged.finding
        said = words(prose.statement(finding)).replace("ERROR:", "error:")
        lines.append(f"{words(finding.path)}:{finding.line}: {_SHOUTED[finding.severity]}: {finding.rule}: {said}\n")
    return "".join(lines)


def b4_review(findings: Sequence[Judged], looked: str, lines: Mapping[int, str]) -> str:
    """One result with a row for each finding.

    looked  what was looked at: "3 functions, 28 rules"
    lines   number of a finding in the sequence -> the line of code it is about
    """
    gravest = min((list(Severity).index(judged.finding.severity) for judged in findings), default=2)
    rows = [
        {
            "status": _STATE[judged.finding.severity],
            "context": judged.finding.rule,
            "state": judged.finding.severity.value,
            "description": f"{words(prose.place(judged.finding))}: {words(prose.statement(judged.finding))}",
            "url": "",
            "srcline": words(lines.get(at, "")),
        }
        for at, judged in enumerate(findings)
    ]
    summary = f"{many(len(findings), 'finding')}; looked at {looked}" if findings else f"looked at {looked}"
    result = {
        "tool": "lorelint",
        "status": _STATE[list(Severity)[gravest]] if findings else "pass",
        "summary": summary,
        "url": "",
        "details": json.dumps(rows) if rows else "",
    }
    return json.dumps([result], indent=2) + "\n"
