"""Our letters: one row a patch, and each step of it taken by one process only.

A step names the state it starts from (compare-and-set), so of two processes that would take the same step one finds
the letter elsewhere and does nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from lorelint.edge.store.schema import LETTERS
from lorelint.model.store import LOST, Letter, LetterRow

_TABLE = LETTERS.c
_OPEN = (Letter.HELD.value, Letter.RELEASED.value)
_WENT_OUT = (Letter.SENDING.value, Letter.SENT.value, Letter.BOUNCED.value)


class LetterTable:
    """`lorelint.model.store.Outbox` inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, row: LetterRow) -> bool:
        """See the port. The row's id is the database's to give."""
        # The unique columns are the promise; the look before keeps the transaction whole where it is known already.
        twice = self._one(sa.or_(_TABLE.patch == row.patch, _TABLE.msgid == row.msgid))
        if twice is None:
            self._connection.execute(sa.insert(LETTERS).values(**_columns(row)))
            return True
        if twice.state is not Letter.CANCELLED or twice.sending_at or twice.patch != row.patch:
            return False
        # What ended it before anybody could have had it ended too: there is something to say of the patch again.
        self._connection.execute(sa.update(LETTERS).where(_TABLE.id == twice.id).values(**_columns(row)))
        return True

    def get(self, id: int) -> LetterRow | None:
        return self._one(_TABLE.id == id)

    def of_patch(self, msgid: str) -> LetterRow | None:
        return self._one(_TABLE.patch == msgid)

    def of_msgid(self, msgid: str) -> LetterRow | None:
        return self._one(_TABLE.msgid == msgid)

    def of_series(self, id: int) -> tuple[LetterRow, ...]:
        return self._many(_TABLE.series == id)

    def waiting(self, *states: Letter) -> tuple[LetterRow, ...]:
        """Letters in one of the states (all that are still to go where none is named), the earliest first."""
        return self._many(_TABLE.state.in_([state.value for state in states] or [*_OPEN, Letter.SENDING.value]))

    def change(self, id: int, state: Letter, *, was: Letter, at: str, who: str = "", why: Sequence[str] = ()) -> bool:
        """See the port. The times of the row follow its state; what is sent, or held again, has no error any more."""
        values: dict[str, Any] = {"state": state.value}
        if why:
            values["why"] = json.dumps(list(why))
        if state is Letter.RELEASED:
            values |= {"released_at": at, "released_by": who, "why": json.dumps(list(why))}
        if state is Letter.SENDING:
            values |= {"sending_at": at, "attempts": _TABLE.attempts + 1}
        if state is Letter.SENT:
            values |= {"sent_at": at, "error": ""}
        there = sa.and_(_TABLE.id == id, _TABLE.state == was.value)
        return self._connection.execute(sa.update(LETTERS).where(there).values(**values)).rowcount == 1

    def edit(self, id: int, body: str, about: Mapping[str, str] | None = None) -> bool:
        there = sa.and_(_TABLE.id == id, _TABLE.state.in_(_OPEN))
        values: dict[str, str] = {"body": body}
        if about is not None:
            rules = list(dict.fromkeys(about.values()))
            values |= {"fingerprints": json.dumps(list(about)), "rules": json.dumps(rules)}
        return self._connection.execute(sa.update(LETTERS).where(there).values(**values)).rowcount == 1

    def failed(self, id: int, error: str) -> None:
        """See the port; of a letter that is not being sent nothing is changed."""
        there = sa.and_(_TABLE.id == id, _TABLE.state == Letter.SENDING.value)
        self._connection.execute(sa.update(LETTERS).where(there).values(state=Letter.RELEASED.value, error=error))

    def sent_since(self, when: str, inbox: str = "") -> int:
        """Letters that went out (or may have) at `when` or later, of one list or of all."""
        handed = sa.case((_TABLE.sent_at != "", _TABLE.sent_at), else_=_TABLE.sending_at)
        out = sa.or_(_TABLE.state.in_(_WENT_OUT), sa.and_(_TABLE.state == Letter.HELD.value, _TABLE.why.contains(LOST)))
        asked = sa.select(_TABLE.inboxes).where(out, handed >= when)
        rows = self._connection.execute(asked).scalars()
        return sum(not inbox or inbox in json.loads(each) for each in rows)

    def counts(self) -> Sequence[tuple[str, int]]:
        asked = sa.select(_TABLE.state, sa.func.count()).group_by(_TABLE.state).order_by(_TABLE.state)
        return [(state, number) for state, number in self._connection.execute(asked)]

    def some(self, there: sa.ColumnElement[bool], most: int) -> tuple[LetterRow, ...]:
        """The latest of those for which something holds, the latest first."""
        asked = sa.select(LETTERS).where(there).order_by(_TABLE.id.desc()).limit(most)
        return tuple(_row(each) for each in self._connection.execute(asked).mappings())

    def _one(self, there: sa.ColumnElement[bool]) -> LetterRow | None:
        found = self._connection.execute(sa.select(LETTERS).where(there).order_by(_TABLE.id)).mappings().first()
        return None if found is None else _row(found)

    def _many(self, there: sa.ColumnElement[bool]) -> tuple[LetterRow, ...]:
        found = self._connection.execute(sa.select(LETTERS).where(there).order_by(_TABLE.id)).mappings()
        return tuple(_row(each) for each in found)


def _columns(row: LetterRow) -> dict[str, Any]:
    return {
        "patch": row.patch,
        "series": row.series,
        "msgid": row.msgid,
        "state": row.state.value,
        "why": json.dumps(row.why),
        "subject": row.subject,
        "body": row.body,
        "to_addresses": json.dumps(row.to),
        "cc_addresses": json.dumps(row.cc),
        "refs": json.dumps(row.references),
        "inboxes": json.dumps(row.inboxes),
        "automatic": int(row.automatic),
        "not_before": row.not_before,
        "ruleset": row.ruleset,
        "fingerprints": json.dumps(row.fingerprints),
        "rules": json.dumps(row.rules),
        "created_at": row.created_at,
        "released_by": row.released_by,
        "released_at": row.released_at,
        "sending_at": row.sending_at,
        "sent_at": row.sent_at,
        "attempts": row.attempts,
        "error": row.error,
    }


def _row(found: RowMapping) -> LetterRow:
    return LetterRow(
        id=found["id"],
        patch=found["patch"],
        series=found["series"],
        msgid=found["msgid"],
        state=Letter(found["state"]),
        why=_texts(found["why"]),
        subject=found["subject"],
        body=found["body"],
        to=_pairs(found["to_addresses"]),
        cc=_pairs(found["cc_addresses"]),
        references=_texts(found["refs"]),
        inboxes=_texts(found["inboxes"]),
        automatic=bool(found["automatic"]),
        not_before=found["not_before"],
        ruleset=found["ruleset"],
        fingerprints=_texts(found["fingerprints"]),
        rules=_texts(found["rules"]),
        created_at=found["created_at"],
        released_by=found["released_by"],
        released_at=found["released_at"],
        sending_at=found["sending_at"],
        sent_at=found["sent_at"],
        attempts=found["attempts"],
        error=found["error"],
    )


def _texts(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, address) for name, address in json.loads(text))
