"""Letters: what waits and why, one as its reader will see it; change, let out, drop. Nothing is sent from here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.responses import PlainTextResponse, Response

from lorelint.jobs import outbox as jobs
from lorelint.jobs.gate import Gate
from lorelint.model.policy import Policy
from lorelint.model.store import Letter, LetterRow, Session
from lorelint.web.source import mail_lines
from lorelint.web.visit import NotFound, Refused, Visit

ROWS = 50
LONGEST = 60_000  # characters of a letter
_GROUPS = {
    "waiting": (Letter.HELD, Letter.RELEASED, Letter.SENDING),
    "sent": (Letter.SENT,),
    "ended": (Letter.DROPPED, Letter.CANCELLED, Letter.REFUSED, Letter.BOUNCED),
}


def show(visit: Visit) -> Response:
    """Letters by where they stand."""
    group = visit.asked.get("state", "waiting")
    group = group if group in _GROUPS else "waiting"
    after = visit.asked.get("after", "")
    with visit.look() as session:
        states = [state.value for state in _GROUPS[group]]
        rows = session.sights.letters(
            *states, after=int(after) if after.isdigit() and len(after) < 10 else 0, most=ROWS
        )
        counts = dict(session.outbox.counts())
        groups = [(name, sum(counts.get(each.value, 0) for each in kinds)) for name, kinds in _GROUPS.items()]
        more = rows[-1].id if len(rows) == ROWS else 0
        return visit.show(session, "outbox.html", rows=rows, group=group, groups=groups, more=more)


def letter(visit: Visit) -> Response:
    """One letter."""
    return _shown(visit, visit.number())


def _shown(visit: Visit, id: int, *, body: str = "", wrong: Sequence[str] = (), code: int = 200) -> Response:
    policy, gate = _policy(visit)
    with visit.look() as session:
        row = _found(session, id)
        named = [each for each in session.findings.of_series(row.series) if each.fingerprint in row.fingerprints]
        return visit.show(
            session,
            "letter.html",
            code=code,
            row=row,
            policy=policy,
            series=session.series.get(row.series),
            findings=[each for each in named if each.patch == row.patch],
            lines=mail_lines(row.body),
            faults=gate(row) if row.state in jobs.OPEN else (),
            open=row.state in jobs.OPEN,
            trail=session.notes.trail(row.msgid, 30),
            draft=body or row.body,
            seen=jobs.mark(row.body),
            wrong=wrong,
        )


def raw(visit: Visit) -> Response:
    """The bytes as they would be sent, as text."""
    policy, _ = _policy(visit)
    with visit.look() as session:
        row = _found(session, visit.number())
    return PlainTextResponse(visit.outpost.composed(row, policy, visit.now).decode("utf-8", "replace"))


def _found(session: Session, id: int) -> LetterRow:
    row = session.outbox.get(id)
    if row is None:
        raise NotFound
    return row


def _policy(visit: Visit) -> tuple[Policy, Gate]:
    policy = visit.outpost.policy()
    return policy, visit.outpost.gate(policy)


# What its forms do


def edit(visit: Visit) -> Response:
    """Another text. One that does not pass is shown again, with what is wrong with it."""
    id = visit.number()
    body = visit.sent("body").replace("\r\n", "\n")[:LONGEST]
    body = body if body.endswith("\n") else body + "\n"
    _, gate = _policy(visit)
    with visit.begin() as session:
        done = jobs.edit(session, id, body, visit.user.name, visit.now, gate, _seen(visit))
    if done.refused:
        return _shown(visit, id, body=body, wrong=[done.refused], code=409)
    return visit.back(f"/letter/{id}")


def _seen(visit: Visit) -> str:
    """The mark of the text that the form was made of."""
    seen = visit.sent("seen")
    if not seen:
        raise Refused("the form does not say which text was read")
    return seen


def release(visit: Visit) -> Response:
    """Let it out: it is sent by another process when it is its turn."""
    _, gate = _policy(visit)
    id, seen = visit.number(), _seen(visit)
    with visit.begin() as session:
        done = jobs.release(session, [id], visit.user.name, visit.now, gate, {id: seen})
    return _done(visit, done[0])


def drop(visit: Visit) -> Response:
    """Never send it."""
    why = visit.sent("reason").strip()[:500]
    if not why:
        raise Refused("no reason is given")
    with visit.begin() as session:
        done = jobs.drop(session, [visit.number()], visit.user.name, visit.now, why)
    return _done(visit, done[0])


def _done(visit: Visit, done: Any) -> Response:
    if done.refused:
        raise Refused(f"letter {done.id} stays as it is: {done.refused}")
    return visit.back(f"/letter/{done.id}")
