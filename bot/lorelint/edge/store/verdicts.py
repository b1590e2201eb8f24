"""What people said of findings and rules, which rules are mute on a list, and who wants no mail of ours."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lorelint.edge.store.rows import dumped
from lorelint.edge.store.schema import FINDINGS, LETTERS, MUTES, OPT_OUTS, REVIEWS, SERIES, VERDICTS
from lorelint.model.store import FindingRow, Letter, State, Told, VerdictRow

_V = VERDICTS.c
_WENT_OUT = (Letter.SENT.value, Letter.BOUNCED.value)
_DECIDED = tuple(each.value for each in State if each.dismissed or each is State.CONFIRMED)


class VerdictTables:
    """Implements `lorelint.model.store.Verdicts`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, row: VerdictRow) -> int:
        """Keep a verdict; a mute of a rule on a list that is obeyed mutes it from now on."""
        told = sa.select(sa.func.count()).select_from(VERDICTS).where(_V.msgid == row.msgid)
        ordinal = self._connection.execute(told).scalar_one() if row.msgid else 0
        added = self._connection.execute(
            sa.insert(VERDICTS)
            .values(
                verdict=row.verdict,
                rule=row.rule,
                fingerprint=row.fingerprint,
                series_key=row.series_key,
                inbox=row.inbox,
                who=row.who,
                weight=row.weight,
                proof=row.proof,
                reason=row.reason,
                msgid=row.msgid,
                ordinal=ordinal,
                at=row.at,
                obeyed=int(row.obeyed),
                why=row.why,
            )
            .returning(_V.id)
        ).scalar_one()
        if row.verdict == "mute" and row.obeyed and row.inbox and row.rule:
            self._mute(row)
        return int(added)

    def _mute(self, row: VerdictRow) -> None:
        """The first one stands: who asked for it first is who is named."""
        known = sa.select(MUTES.c.rule).where(MUTES.c.inbox == row.inbox, MUTES.c.rule == row.rule)
        if self._connection.execute(known).first() is None:
            self._connection.execute(
                sa.insert(MUTES).values(inbox=row.inbox, rule=row.rule, who=row.who, reason=row.reason, at=row.at)
            )

    def of_mail(self, msgid: str) -> tuple[VerdictRow, ...]:
        return self._rows(_V.msgid == msgid)

    def of_series(self, key: str) -> tuple[VerdictRow, ...]:
        return self._rows(_V.series_key == key)

    def of_rule(self, rule: str, inbox: str = "") -> tuple[VerdictRow, ...]:
        return self._rows(_V.rule == rule, *([_V.inbox == inbox] if inbox else []))

    def of_inbox(self, inbox: str) -> tuple[VerdictRow, ...]:
        return self._rows(_V.inbox == inbox)

    def told(self) -> tuple[Told, ...]:
        letters = sa.and_(LETTERS.c.patch == FINDINGS.c.patch, LETTERS.c.state.in_(_WENT_OUT))
        wanted = (
            sa.select(
                FINDINGS,
                SERIES.c.key.label("series_key"),
                REVIEWS.c.tree.label("tree"),
                LETTERS.c.fingerprints.label("said"),
                LETTERS.c.inboxes.label("lists"),
            )
            .join(SERIES, SERIES.c.id == FINDINGS.c.series)
            .join(REVIEWS, REVIEWS.c.id == FINDINGS.c.review)
            .outerjoin(LETTERS, letters)
            .where(sa.or_(FINDINGS.c.state.in_(_DECIDED), LETTERS.c.id.is_not(None)))
            .order_by(FINDINGS.c.id)
        )
        found = []
        for row in self._connection.execute(wanted):
            sent = row.said is not None and row.fingerprint in json.loads(row.said)
            if sent or row.state in _DECIDED:
                lists = tuple(json.loads(row.lists)) if sent else ()
                found.append(Told(_finding(row), row.series_key, row.tree, sent, lists))
        return tuple(found)

    def mended(self, inbox: str) -> tuple[tuple[str, str, str, str], ...]:
        # A letter is asked for as many findings as it has; what stands in its lists is compared by the database.
        said = LETTERS.c.fingerprints.contains(sa.literal('"') + FINDINGS.c.fingerprint + '"')
        over = LETTERS.c.inboxes.contains(dumped([inbox])[1:-1], autoescape=True)
        letters = sa.and_(LETTERS.c.patch == FINDINGS.c.patch, LETTERS.c.state.in_(_WENT_OUT), said, over)
        wanted = (
            sa.select(FINDINGS.c.rule, SERIES.c.key, FINDINGS.c.fingerprint, FINDINGS.c.changed_at)
            .join(SERIES, SERIES.c.id == FINDINGS.c.series)
            .join(LETTERS, letters)
            .where(FINDINGS.c.state == State.FIXED.value)
            .order_by(FINDINGS.c.id)
        )
        return tuple((row[0], row[1], row[2], row[3]) for row in self._connection.execute(wanted))

    def last(self, rule: str, most: int) -> tuple[VerdictRow, ...]:
        """The last ones on a rule, the latest first."""
        wanted = sa.select(VERDICTS).where(_V.rule == rule).order_by(_V.at.desc(), _V.id.desc()).limit(most)
        return tuple(_verdict(row) for row in self._connection.execute(wanted))

    def _rows(self, *where: sa.ColumnElement[bool]) -> tuple[VerdictRow, ...]:
        """In the order in which they were said."""
        found = self._connection.execute(sa.select(VERDICTS).where(*where).order_by(_V.at, _V.msgid, _V.ordinal, _V.id))
        return tuple(_verdict(row) for row in found)

    def muted(self, inbox: str) -> dict[str, str]:
        found = self._connection.execute(sa.select(MUTES).where(MUTES.c.inbox == inbox).order_by(MUTES.c.rule))
        return {row.rule: f"{row.who}: {row.reason}" if row.reason else row.who for row in found}

    def unmute(self, inbox: str, rule: str) -> bool:
        gone = self._connection.execute(sa.delete(MUTES).where(MUTES.c.inbox == inbox, MUTES.c.rule == rule))
        return gone.rowcount > 0

    def opt_out(self, address: str, at: str, msgid: str = "") -> None:
        """Once is for good: who asked twice is kept as of the first time."""
        address = address.strip().lower()
        known = sa.select(OPT_OUTS.c.address).where(OPT_OUTS.c.address == address)
        if address and self._connection.execute(known).first() is None:
            self._connection.execute(sa.insert(OPT_OUTS).values(address=address, at=at, msgid=msgid))

    def opted_out(self) -> frozenset[str]:
        return frozenset(self._connection.execute(sa.select(OPT_OUTS.c.address)).scalars())


def _verdict(row: sa.Row[tuple[object, ...]]) -> VerdictRow:
    return VerdictRow(
        id=row.id,
        verdict=row.verdict,
        rule=row.rule,
        fingerprint=row.fingerprint,
        series_key=row.series_key,
        inbox=row.inbox,
        who=row.who,
        weight=row.weight,
        proof=row.proof,
        reason=row.reason,
        msgid=row.msgid,
        at=row.at,
        obeyed=bool(row.obeyed),
        why=row.why,
    )


def _finding(row: sa.Row[tuple[Any, ...]]) -> FindingRow:
    values = {name: getattr(row, name) for name in FindingRow.__struct_fields__}
    return FindingRow(**{**values, "state": State(row.state), "mailable": bool(row.mailable)})
