"""One finding: the source with the proof in it, the calls around it, its history, and what is decided about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from starlette.responses import Response

from lorelint.jobs import triage
from lorelint.jobs.carry import became
from lorelint.jobs.triage import Move
from lorelint.model.store import FindingRow, ReviewRow, SeriesRow, Session
from lorelint.web.calls import calls
from lorelint.web.pages.queue import SNOOZES, move_of
from lorelint.web.source import coloured, pieces
from lorelint.web.visit import NotFound, Refused, Visit

OTHERS = 40  # findings of the series that are listed beside one
_SAYS = {
    Move.CONFIRM: "it is a defect, and may be told",
    Move.FALSE: "the rule is wrong here",
    Move.WONTFIX: "it is so, and stays",
    Move.NOT_OURS: "it is not for this series to mend",
    Move.SNOOZE: "later",
    Move.REOPEN: "decide anew",
}
DISMISSALS = tuple((move.value, _SAYS[move]) for move in Move if move.dismisses)


class Version(Struct, frozen=True):
    """The same finding in one version of its series. `says`: new in v1, still there, fixed in v3."""

    series: SeriesRow
    finding: FindingRow | None
    says: str


def show(visit: Visit) -> Response:
    """The page itself."""
    with visit.look() as session:
        row, series = _found(session, visit.number())
        kept = session.sights.exhibit(row.review, row.fingerprint)
        review = session.series.review(row.review)
        shown = json.loads(kept) if kept else _from_report(review, row)
        told: Mapping[str, Any] = shown.get("finding") or {}
        steps = told.get("steps", [])
        others = session.findings.of_series(series.id)
        return visit.show(
            session,
            "finding.html",
            row=row,
            series=series,
            review=review,
            kept=told,
            steps=steps,
            pieces=pieces(shown.get("pieces", ()), steps, (row.path, row.line)),
            calls=calls(shown.get("graph")),
            fix=_fix(told.get("fix"), shown.get("pieces", ())),
            versions=_versions(session, series, row),
            changes=session.steps.of_finding(series.key, row.fingerprint),
            others=others[:OTHERS],
            letter=next((each for each in session.outbox.of_series(series.id) if _in(each, row)), None),
            place=next((at for at, each in enumerate(others) if each.id == row.id), 0),
            may={move.value: triage.may(row, move) for move in Move},
            dismissals=DISMISSALS,
            snoozes=SNOOZES,
        )


def _found(session: Session, id: int) -> tuple[FindingRow, SeriesRow]:
    row = session.findings.get(id)
    series = session.series.get(row.series) if row else None
    if row is None or series is None:
        raise NotFound
    return row, series


def _in(letter: Any, row: FindingRow) -> bool:
    return letter.patch == row.patch and row.fingerprint in letter.fingerprints


def _from_report(review: ReviewRow | None, row: FindingRow) -> dict[str, Any]:
    """Of a review from before source was kept: what its report tells."""
    report = json.loads(review.report) if review and review.report else {}
    found = (each for each in report.get("findings", ()) if each.get("fingerprint") == row.fingerprint)
    return {"finding": next(found, None)}


def _versions(session: Session, series: SeriesRow, row: FindingRow) -> list[Version]:
    rows = {each.series: each for each in session.findings.of_key(series.key) if each.fingerprint == row.fingerprint}
    found = []
    for each in session.series.of_key(series.key):
        there = rows.get(each.id)
        says = became(there, each.version) if there else ("not in it" if session.series.reviewed_once(each.id) else "")
        found.append(Version(each, there, says or f"not reviewed: {each.why or each.life}"))
    return found


def _fix(fix: Mapping[str, Any] | None, kept: Any) -> list[tuple[str, Any]]:
    """The lines a correction cuts and writes, as (kind, code)."""
    if not fix:
        return []
    lines = {(piece["path"], number): text for piece in kept for op, number, text in piece["lines"] if op != "-"}
    found: list[tuple[str, Any]] = []
    for edit in fix["edits"]:
        old = lines.get((fix["path"], edit["line"]))
        new = list(edit["lines"])
        if old is not None and old in new:
            at = new.index(old)
            found += [("add", each) for each in new[:at]] + [("same", old)] + [("add", each) for each in new[at + 1 :]]
        else:
            found += ([("cut", old)] if old is not None else []) + [("add", each) for each in new]
    code = coloured(tuple(text for _, text in found))
    return [(kind, each) for (kind, _), each in zip(found, code, strict=True)]


# What its forms do


def decide(visit: Visit) -> Response:
    """Decide about one finding."""
    id = visit.number()
    move, until = move_of(visit)
    with visit.begin() as session:
        _found(session, id)
        by = triage.By(visit.user.name)
        done = triage.decide(session, [id], move, by, visit.now, reason=visit.sent("reason"), until=until)
    if not done.batch:
        raise Refused("; ".join(why for _, why in done.refused) or "nothing was to be done")
    return visit.back(f"/finding/{id}", done=done.batch)


def undo(visit: Visit) -> Response:
    """Take back what was decided last, or what is named."""
    named = visit.all_sent("batch")
    with visit.begin() as session:
        batch = named[0] if named else session.steps.last(visit.user.name)
        changes = session.steps.of_batch(batch)
        if not changes:
            raise Refused("there is nothing to take back")
        done = triage.undo(session, batch, triage.By(visit.user.name), visit.now)
    if not done.done:
        raise Refused("; ".join(why for _, why in done.refused))
    return visit.back(f"/finding/{changes[0].finding}", done=batch)
