"""Findings of the store as the files of a review in `b4 review`. Pure over the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from lorelint.model.store import FindingRow, Session, State
from lorelint.report.annotated import Remark, annotated, told
from lorelint.report.text import many, words

_SAID = (State.NEW, State.CONFIRMED, State.SENT)  # what persons dismissed, fixed, or said themselves is not remarked


def review_files(
    session: Session, patches: Sequence[tuple[str, str]], diff: Callable[[str], str], identity: str
) -> dict[str, str]:
    """Name -> text of the files for one branch; {} where none of its patches has a finding to tell of.

    patches   (Message-ID, commit), in the order of the branch; diff gives what a commit changes
    identity  who says it: ``Name <address>``
    """
    files: dict[str, str] = {}
    grades: dict[str, None] = {}
    for number, (msgid, commit) in enumerate(patches, 1):
        series = session.series.of_patch(msgid) if msgid else None
        found = session.findings.of_series(series.id) if series else ()
        rows = [row for row in found if row.patch == msgid and row.state in _SAID]
        if rows:
            files[f"{number:04}.txt"] = _file(session, rows, diff(commit))
            grades |= dict.fromkeys(row.grade for row in rows)
    if files:
        bases = ", ".join(words(each) for each in grades)
        files["series.txt"] = f"lorelint: {many(len(files), 'patch', 'patches')} with findings ({bases} base)\n"
        files["identity.txt"] = f"{identity}\n"
    return files


def _file(session: Session, rows: Sequence[FindingRow], diff: str) -> str:
    remarks = []
    for row in sorted(rows, key=lambda row: (row.path, row.line, row.rule)):
        confirmed = row.who if row.state is State.CONFIRMED else ""
        remarks.append(Remark(row.path, row.line, told(_kept(session, row), row.rule, row.message, confirmed)))
    rules = ", ".join(dict.fromkeys(words(row.rule) for row in rows))
    return annotated(diff, remarks, f"lorelint: {many(len(rows), 'finding')}: {rules}")


def _kept(session: Session, row: FindingRow) -> dict[str, Any]:
    raw = session.sights.exhibit(row.review, row.fingerprint)
    found: dict[str, Any] = json.loads(raw).get("finding", {}) if raw else {}
    return found
