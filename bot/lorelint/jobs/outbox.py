"""The outbox as a person works it: release, drop, edit. Each step is kept with who took it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from lorelint.jobs.gate import Gate
from lorelint.model.errors import LorelintError
from lorelint.model.store import LOST, US, Letter, LetterRow, SeriesRow, Session, State

OPEN = (Letter.HELD, Letter.RELEASED)
SPEAKS = (State.NEW, State.CONFIRMED)  # a letter about these is worth sending


class Done(Struct, frozen=True):
    """What became of one letter. `refused` says why nothing did."""

    id: int
    letter: LetterRow | None
    refused: str = ""


def release(
    session: Session, ids: Sequence[int], who: str, now: str, gate: Gate, seen: Mapping[int, str] | None = None
) -> tuple[Done, ...]:
    """Let letters out, each for itself; what does not pass the gate stays where it is.

    seen  letter -> the mark of the text that the person has read; another text since is not let out
    """
    return tuple(_release(session, each, who, now, gate, (seen or {}).get(each, "")) for each in dict.fromkeys(ids))


def mark(body: str) -> str:
    """Stands for a text: another text has another."""
    return hashlib.sha256(body.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _changed(row: LetterRow, seen: str) -> str:
    return "somebody has changed its text since you read it: read it again" if seen and seen != mark(row.body) else ""


def _release(session: Session, id: int, who: str, now: str, gate: Gate, seen: str) -> Done:
    row = session.outbox.get(id)
    if row is None:
        return Done(id, None, "there is no such letter")
    if row.state is not Letter.HELD:
        return Done(id, row, f"it is {row.state}, not held")
    if _changed(row, seen):
        return Done(id, row, _changed(row, seen))
    wrong = gate(row)
    if wrong:
        return Done(id, row, "; ".join(wrong))
    session.outbox.change(id, Letter.RELEASED, was=Letter.HELD, at=now, who=who)
    session.notes.audit(now, who, "letter released", row.msgid, "; ".join(row.why))
    return Done(id, session.outbox.get(id))


def drop(session: Session, ids: Sequence[int], who: str, now: str, why: str) -> tuple[Done, ...]:
    """Letters that are never to be sent. Raises LorelintError without a reason."""
    if not why.strip():
        raise LorelintError("no reason is given", where="drop", remedy='say why: --why "..."')
    return tuple(_drop(session, each, who, now, why.strip()) for each in dict.fromkeys(ids))


def _drop(session: Session, id: int, who: str, now: str, why: str) -> Done:
    row = session.outbox.get(id)
    if row is None:
        return Done(id, None, "there is no such letter")
    if row.state not in OPEN:
        return Done(id, row, f"it is {row.state}")
    session.outbox.change(id, Letter.DROPPED, was=row.state, at=now, who=who, why=(why,))
    session.notes.audit(now, who, "letter dropped", row.msgid, why)
    return Done(id, session.outbox.get(id))


def edit(session: Session, id: int, body: str, who: str, now: str, gate: Gate, seen: str = "") -> Done:
    """Another text for a letter, which a person has to release again. What does not pass the gate is not taken.

    seen  the mark of the text it was made of; see `release`
    """
    row = session.outbox.get(id)
    if row is None:
        return Done(id, None, "there is no such letter")
    if row.state not in OPEN:
        return Done(id, row, f"it is {row.state}")
    if _changed(row, seen):
        return Done(id, row, _changed(row, seen))
    if body == row.body:
        return Done(id, row, "nothing was changed")
    wrong = gate(replace(row, body=body))
    if wrong:
        return Done(id, row, "; ".join(wrong))
    if row.state is Letter.RELEASED:
        session.outbox.change(id, Letter.HELD, was=Letter.RELEASED, at=now, who=who, why=(f"edited by {who}",))
    session.outbox.edit(id, body, _about(session, row))
    session.notes.audit(now, who, "letter edited", row.msgid)
    return Done(id, session.outbox.get(id))


def came_late(session: Session, patch: str, inbox: str, now: str) -> None:
    """A patch came over one more list when its letter was written: that list's policy was not asked."""
    letter = session.outbox.of_patch(patch)
    if letter is None or letter.state not in OPEN or inbox in letter.inboxes:
        return
    why = list(dict.fromkeys([*letter.why, f"the patch came over {inbox} too, whose policy was not asked"]))
    session.outbox.change(letter.id, Letter.HELD, was=letter.state, at=now, why=why)
    session.notes.audit(now, US, "letter held", letter.msgid, why[-1])


def _about(session: Session, row: LetterRow) -> dict[str, str] | None:
    """What an edited letter still speaks of, with the rules: who edited it has read what was dismissed since. None to
    leave it as it was: with nothing left it is pointless, whatever its text."""
    found = {each.fingerprint: each for each in session.findings.of_series(row.series)}
    left = {each: found[each].rule for each in row.fingerprints if each in found and found[each].state in SPEAKS}
    return left or None


def silenced(session: Session, series: SeriesRow, who: str, now: str) -> None:
    """A letter with nothing left to say is cancelled; one that says what was dismissed waits for a person."""
    silent = {row.fingerprint for row in session.findings.of_series(series.id) if row.state not in SPEAKS}
    for letter in session.outbox.of_series(series.id):
        gone = silent.intersection(letter.fingerprints)
        if letter.state not in OPEN or not gone:
            continue
        if gone == set(letter.fingerprints) and LOST not in letter.why:  # which may have arrived
            why = [f"answered by {who}: nothing is left to say"]
            session.outbox.change(letter.id, Letter.CANCELLED, was=letter.state, at=now, who=who, why=why)
            session.notes.audit(now, who, "letter cancelled", letter.msgid, why[-1])
        else:
            why = list(dict.fromkeys([*letter.why, f"{who} has answered a finding that it names; edit or drop it"]))
            session.outbox.change(letter.id, Letter.HELD, was=letter.state, at=now, who=who, why=why)
            session.notes.audit(now, who, "letter held", letter.msgid, why[-1])
