"""The queue of series, asked for a page at a time: by tags, in the order that stands in the index of the tags.

Of several tags the one that fewest series have is walked along, the others are looked up; what a page costs hangs on
what it shows, not on how much there is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import reduce
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy import Row
from sqlalchemy.engine import Connection

from lorelint.edge.store import bits
from lorelint.edge.store.derive import RANKS
from lorelint.edge.store.findings import as_finding
from lorelint.edge.store.schema import FINDINGS, QUEUE, SERIES, TAGS, TALLIES
from lorelint.model.queue import OPEN, PERSON, STATES, Count, Entry, Filter, Slice, Sort
from lorelint.model.regex import regex
from lorelint.model.store import FindingRow

MOST = 200  # rows of a page
FEW = 500  # series that are named one by one
_KEY = regex(r"([0-9])_([0-9TZ:-]{0,40})_([0-9]{1,15})\Z")
_GRAVE = {rank: severity for severity, rank in RANKS.items()}
_TEXT = 200  # characters that are searched for


class QueueTables:
    """Implements `lorelint.model.queue.Queue`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sets: dict[Any, bits.Set] = {}  # what was asked already: a session that looks sees one state

    def page(self, wanted: Filter, *, most: int = 50, after: str = "", before: str = "") -> Slice:
        most = max(1, min(most, MOST))
        key, back = _KEY.match(after), False
        if key is None:
            key = _KEY.match(before)
            back = key is not None
        asked = sa.select(TAGS.c.series, TAGS.c.at, TAGS.c.rank).where(*self._walk(wanted))
        if key is not None:
            asked = asked.where(_beyond(TAGS, wanted.sort, key, back))
        # What is shown is fetched for the rows of the page alone.
        chosen = asked.order_by(*_order(TAGS, wanted.sort, back)).limit(most + 1).subquery("chosen")
        shown = sa.select(*_shown(chosen)).select_from(_joined(chosen)).order_by(*_order(chosen, wanted.sort, back))
        rows = self._connection.execute(shown).all()
        more = len(rows) > most
        entries = tuple(_entry(row) for row in rows[:most])
        if back:
            entries = entries[::-1]
        before_there, after_there = (more, True) if back else (key is not None, more)
        first, last = (entries[0].key, entries[-1].key) if entries else ("", "")
        return Slice(entries, first if before_there else "", last if after_there else "")

    def count(self, wanted: Filter) -> int:
        return bits.size(self._chosen(wanted))

    def under(self, wanted: Filter, *kinds: str) -> tuple[tuple[str, str, int], ...]:
        shown = {kind: _shown_kind(kind, wanted.state) for kind in kinds if kind != "state"}
        known = bits.of_kinds(self._connection, shown.values())
        found = []
        for kind, tagged in shown.items():
            others = self._chosen(_without(wanted, kind))
            found += [(kind, marked.value, count) for marked in known[tagged] if (count := marked.within(others))]
        if "state" in kinds:
            each = ((state, self.count(replace(wanted, state=state))) for state in STATES)
            found += [("state", state, count) for state, count in each if count]
        return tuple(sorted(found, key=lambda row: (row[0], -row[2], row[1])))

    def _chosen(self, wanted: Filter) -> bits.Set:
        """The series that a filter lets through."""
        key = replace(wanted, sort=Sort.GRAVEST)
        if key not in self._sets:
            every = [self._tagged(tag) for tag in _tags(wanted)]
            every += [self._mine(wanted)] if wanted.mine is not None else []
            every += [self._worded(wanted.text)] if wanted.text else []
            self._sets[key] = reduce(bits.both, every)
        return self._sets[key]

    def _mine(self, wanted: Filter) -> bits.Set:
        own = [(kind, value) for kind in ("subsystem", "inbox") for value in wanted.mine or ()]
        return self._tagged(*own, *([(PERSON, wanted.me.lower())] if wanted.me else []))

    def _tagged(self, *tags: bits.Tag) -> bits.Set:
        if tags not in self._sets:
            self._sets[tags] = bits.of_tags(self._connection, tags)
        return self._sets[tags]

    def _worded(self, text: str) -> bits.Set:
        if text not in self._sets:
            there = sa.select(QUEUE.c.series).where(_words_like(text))
            self._sets[text] = bits.of_series(self._connection.scalars(there))
        return self._sets[text]

    def counts(self, *kinds: str) -> tuple[Count, ...]:
        wanted = sa.select(TALLIES).where(TALLIES.c.kind.in_(kinds))
        wanted = wanted.order_by(TALLIES.c.waits.desc(), TALLIES.c.every.desc(), TALLIES.c.value)
        return tuple(Count(row.kind, row.value, row.waits, row.every) for row in self._connection.execute(wanted))

    def next(self, wanted: Filter, series: int) -> int:
        there = self._connection.execute(sa.select(QUEUE).where(QUEUE.c.series == series)).first()
        if there is None:
            return 0
        entries = self.page(wanted, most=1, after=_key(there.rank, there.at, series)).entries
        return entries[0].series if entries else 0

    def of_rule(self, rule: str) -> tuple[tuple[str, int], ...]:
        wanted = sa.select(FINDINGS.c.state, sa.func.count()).where(FINDINGS.c.rule == rule)
        found = self._connection.execute(wanted.group_by(FINDINGS.c.state).order_by(FINDINGS.c.state))
        return tuple((row[0], row[1]) for row in found)

    def latest(self, rule: str, most: int = 30) -> tuple[FindingRow, ...]:
        # The highest numbers are found first and their rows after: an index over the rule alone would sort them all.
        wanted = sa.select(FINDINGS).where(FINDINGS.c.rule == rule).order_by(FINDINGS.c.id.desc()).limit(most)
        return tuple(as_finding(row) for row in self._connection.execute(wanted))

    # -- how it is asked

    def _walk(self, wanted: Filter) -> list[Any]:
        """What must hold of the tags that are walked along."""
        (kind, value), *others = self._rarest_first(_tags(wanted))
        where: list[Any] = [TAGS.c.kind == kind, TAGS.c.value == value]
        where += [_also(sa.and_(_OTHER.kind == kind, _OTHER.value == value)) for kind, value in others]
        if wanted.mine is not None:
            area = sa.and_(_OTHER.kind.in_(["subsystem", "inbox"]), _OTHER.value.in_(wanted.mine or [""]))
            named = sa.and_(_OTHER.kind == PERSON, _OTHER.value == wanted.me.lower())
            where.append(self._within(self._mine(wanted), _also(sa.or_(area, named) if wanted.me else area)))
        if wanted.text:
            words = sa.select(sa.literal(1)).where(QUEUE.c.series == TAGS.c.series, _words_like(wanted.text)).exists()
            where.append(self._within(self._worded(wanted.text), words))
        return where

    def _within(self, chosen: bits.Set, asked: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        """Series that are among some: few are named, and of many a page is soon full by asking one after the other."""
        return TAGS.c.series.in_(bits.ids(chosen)) if bits.size(chosen) <= FEW else asked

    def _rarest_first(self, tags: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        if len(tags) == 1:
            return list(tags)
        asked = sa.or_(*(sa.and_(TALLIES.c.kind == kind, TALLIES.c.value == value) for kind, value in tags))
        known = {(row.kind, row.value): row.every for row in self._connection.execute(sa.select(TALLIES).where(asked))}
        return sorted(tags, key=lambda tag: (known.get(tag, 0), tag))


_TAG = TAGS.alias("tag")
_OTHER = _TAG.c


def _also(asked: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether a series has another tag, too."""
    return sa.select(sa.literal(1)).select_from(_TAG).where(_OTHER.series == TAGS.c.series, asked).exists()


def _without(wanted: Filter, kind: str) -> Filter:
    changes: Any = {kind: ""}
    return replace(wanted, **changes)


def _words_like(text: str) -> sa.ColumnElement[bool]:
    like = "%" + re.sub(r"([%_\\])", r"\\\1", text[:_TEXT].lower()) + "%"
    return QUEUE.c.words.like(like, escape="\\")


def _shown_kind(kind: str, state: str) -> str:
    """The kind of tag by which it is found: of what is open, rules and severities of findings that are open."""
    return f"{OPEN}-{kind}" if kind in ("rule", "severity") and (state or OPEN) == OPEN else kind


def _tags(wanted: Filter) -> list[tuple[str, str]]:
    """What a filter asks for as tags; at least one."""
    asked = ((kind, getattr(wanted, kind)) for kind in ("inbox", "subsystem", "rule", "severity", "version"))
    return [
        ("state", wanted.state or OPEN),
        *((_shown_kind(kind, wanted.state), value) for kind, value in asked if value),
    ]


def _joined(table: Any) -> Any:
    return table.join(QUEUE, QUEUE.c.series == table.c.series).join(SERIES, SERIES.c.id == table.c.series)


def _shown(table: Any) -> tuple[Any, ...]:
    queue = (QUEUE.c.waits, QUEUE.c.findings, QUEUE.c.newest, QUEUE.c.told)
    series = (SERIES.c.subject, SERIES.c.name, SERIES.c.address, SERIES.c.version)
    return (table.c.series, table.c.at, table.c.rank, *queue, *series)


def _order(table: Any, sort: Sort, back: bool) -> list[Any]:
    columns = [table.c.at, table.c.series]
    if sort is Sort.GRAVEST:
        columns.insert(0, table.c.rank)
    rising = (sort is Sort.OLDEST) != back
    return [each.asc() if rising else each.desc() for each in columns]


def _beyond(table: Any, sort: Sort, key: re.Match[str], back: bool) -> Any:
    """Rows that come after the one with a key; for `back` before it."""
    rank, at, series = int(key[1]), key[2], int(key[3])
    columns, values = [table.c.at, table.c.series], [at, series]
    if sort is Sort.GRAVEST:
        columns.insert(0, table.c.rank)
        values.insert(0, rank)
    rising = (sort is Sort.OLDEST) != back
    here, there = sa.tuple_(*columns), sa.tuple_(*values)
    return here > there if rising else here < there


def _key(rank: int, at: str, series: int) -> str:
    return f"{rank}_{at}_{series}"


def _entry(row: Row[Any]) -> Entry:
    told = json.loads(row.told)
    return Entry(
        series=row.series,
        subject=row.subject,
        author=(row.name, row.address),
        version=row.version,
        newest=bool(row.newest),
        at=row.at,
        grave=_GRAVE.get(row.rank, ""),
        waits=row.waits,
        findings=row.findings,
        rules=tuple((name, count) for name, count in told.get("rules", ())),
        states=tuple((name, count) for name, count in told.get("states", ())),
        inboxes=tuple(told.get("inboxes", ())),
        subsystems=tuple(told.get("subsystems", ())),
        key=_key(row.rank, row.at, row.series),
    )
