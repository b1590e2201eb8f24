"""What the queue is made of: a row and tags for each series with findings, and how many series have a tag.

All of it follows from series, reviews and findings. Whoever changes those in a transaction says so to `Touched`, and
what follows is made anew at its end, so it can neither be forgotten nor be seen half done.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import Struct, field
from sqlalchemy import Row
from sqlalchemy.engine import Connection

from lorelint.edge.store import bits
from lorelint.edge.store.rows import loaded, put
from lorelint.edge.store.schema import BITS, FINDINGS, PATCHES, QUEUE, REVIEWS, SERIES, SIGHTINGS, TAGS, TALLIES
from lorelint.model.queue import ALL, DISMISSED, OPEN, PERSON, person_keys, version_tag
from lorelint.model.store import Life, State

RANKS = {"error": 3, "warning": 2, "note": 1}
WAITING = frozenset({State.NEW.value})
WORDS = 2_000  # characters that a search looks through
_SOME = 250  # series at a time
_ENDED = (Life.SUPERSEDED.value, Life.MUTED.value)


class Touched:
    """The series that a transaction has changed something about."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._series: set[int] = set()

    def __call__(self, series: int) -> None:
        self._series.add(series)

    def settle(self) -> None:
        """Make anew what follows from them."""
        if self._series:
            refresh(self._connection, sorted(self._series))
            self._series.clear()


class _Facts(Struct):
    """All that is known of some series."""

    series: dict[int, Row[Any]] = field(default_factory=dict)
    subsystems: dict[int, tuple[str, ...]] = field(default_factory=dict)
    people: dict[int, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    findings: dict[int, list[Row[Any]]] = field(default_factory=dict)
    inboxes: dict[int, list[str]] = field(default_factory=dict)


def rebuild(connection: Connection) -> None:
    """Make all of it anew."""
    for table in (BITS, TALLIES, TAGS, QUEUE):
        connection.execute(sa.delete(table))
    refresh(connection, connection.scalars(sa.select(FINDINGS.c.series).distinct().order_by(FINDINGS.c.series)).all())


def refresh(connection: Connection, ids: Sequence[int]) -> None:
    """Make anew what follows from some series."""
    moves = _Moves()
    for at in range(0, len(ids), _SOME):
        _refresh(connection, ids[at : at + _SOME], moves)
    _add_up(connection, moves.deltas)
    bits.change(connection, moves.bits)


class _Moves(Struct):
    """What changes about tags: how many series have one, and which."""

    deltas: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    bits: dict[tuple[str, str], dict[int, bool]] = field(default_factory=lambda: defaultdict(dict))

    def take(self, series: int, old: set[tuple[str, str]], new: set[tuple[str, str]]) -> None:
        _tally(self.deltas, old, -1)
        _tally(self.deltas, new, 1)
        for tag in old ^ new:
            self.bits[tag][series] = tag in new


def _refresh(connection: Connection, ids: Sequence[int], moves: _Moves) -> None:
    facts = _facts(connection, ids)
    before = sa.select(TAGS.c.series, TAGS.c.kind, TAGS.c.value).where(TAGS.c.series.in_(ids))
    old: dict[int, set[tuple[str, str]]] = {}
    for series, kind, value in connection.execute(before):
        old.setdefault(series, set()).add((kind, value))
    connection.execute(sa.delete(TAGS).where(TAGS.c.series.in_(ids)))
    connection.execute(sa.delete(QUEUE).where(QUEUE.c.series.in_(ids)))
    rows, labels = [], []
    for series in ids:
        if series not in facts.series or not facts.findings.get(series):
            moves.take(series, old.get(series, set()), set())
            continue
        row, tags = _row(series, facts)
        rows.append(row)
        labels += [{"series": series, "kind": k, "value": v, "at": row["at"], "rank": row["rank"]} for k, v in tags]
        moves.take(series, old.get(series, set()), tags)
    if rows:
        connection.execute(sa.insert(QUEUE), rows)
        connection.execute(sa.insert(TAGS), labels)


def _tally(deltas: Counter[tuple[str, str, bool]], tags: set[tuple[str, str]], sign: int) -> None:
    waits = ("state", OPEN) in tags
    for kind, value in tags:
        # Of rules and severities those count as waiting whose finding does, not another of the series.
        open_too = waits and (kind not in ("rule", "severity") or (f"{OPEN}-{kind}", value) in tags)
        deltas[kind, value, False] += sign
        deltas[kind, value, True] += sign * open_too


def _add_up(connection: Connection, deltas: Counter[tuple[str, str, bool]]) -> None:
    for kind, value in sorted({(kind, value) for kind, value, _ in deltas}):
        every, waits = deltas[kind, value, False], deltas[kind, value, True]
        if not every and not waits:
            continue
        there = sa.and_(TALLIES.c.kind == kind, TALLIES.c.value == value)
        known = connection.execute(sa.select(TALLIES.c.every, TALLIES.c.waits).where(there)).first()
        sums = {"every": every + (known.every if known else 0), "waits": waits + (known.waits if known else 0)}
        if sums["every"] > 0:
            put(connection, TALLIES, {"kind": kind, "value": value, **sums}, ("kind", "value"))
        else:
            connection.execute(sa.delete(TALLIES).where(there))


def _facts(connection: Connection, ids: Sequence[int]) -> _Facts:
    facts = _Facts()
    for row in connection.execute(sa.select(SERIES).where(SERIES.c.id.in_(ids))):
        facts.series[row.id] = row
    last = sa.select(sa.func.max(REVIEWS.c.id)).where(REVIEWS.c.series.in_(ids), REVIEWS.c.failure == "")
    reviews = connection.scalars(last.group_by(REVIEWS.c.series)).all()
    wanted = sa.select(REVIEWS.c.series, REVIEWS.c.subsystems, REVIEWS.c.people).where(REVIEWS.c.id.in_(reviews))
    for series, subsystems, people in connection.execute(wanted):
        facts.subsystems[series] = tuple(map(str, loaded(subsystems)))
        facts.people[series] = tuple((str(name), str(address)) for name, address in loaded(people))
    for row in connection.execute(sa.select(FINDINGS).where(FINDINGS.c.review.in_(reviews)).order_by(FINDINGS.c.id)):
        facts.findings.setdefault(row.series, []).append(row)
    seen = sa.select(PATCHES.c.series, SIGHTINGS.c.inbox).join(SIGHTINGS, SIGHTINGS.c.msgid == PATCHES.c.msgid)
    seen = seen.where(PATCHES.c.series.in_(ids)).distinct().order_by(SIGHTINGS.c.inbox)
    for series, inbox in connection.execute(seen):
        facts.inboxes.setdefault(series, []).append(inbox)
    return facts


def _row(series: int, facts: _Facts) -> tuple[dict[str, Any], set[tuple[str, str]]]:
    row, findings = facts.series[series], facts.findings[series]
    newest = row.life not in _ENDED
    waiting = [each for each in findings if newest and each.state in WAITING]
    rank = max((RANKS.get(each.severity, 0) for each in waiting or findings), default=0)
    inboxes, subsystems = facts.inboxes.get(series, []), facts.subsystems.get(series, ())
    told = {
        "rules": Counter(each.rule for each in waiting or findings).most_common(),
        "states": Counter(each.state for each in findings).most_common(),
        "inboxes": inboxes,
        "subsystems": subsystems,
    }
    words = [row.subject, row.name, row.address, *dict.fromkeys(f"{each.function} {each.path}" for each in findings)]
    values = {
        "series": series,
        "at": row.last_at,
        "rank": rank,
        "waits": len(waiting),
        "findings": len(findings),
        "newest": int(newest),
        "words": " ".join(words)[:WORDS].lower(),
        "told": json.dumps(told, ensure_ascii=True, separators=(",", ":")),
    }
    tags = _tags(row.version, findings, waiting, inboxes, subsystems)
    return values, tags | {(PERSON, key) for each in facts.people.get(series, ()) for key in person_keys(*each)}


def _tags(
    version: int,
    findings: Sequence[Row[Any]],
    waiting: Sequence[Row[Any]],
    inboxes: Iterable[str],
    areas: Iterable[str],
) -> set[tuple[str, str]]:
    of_findings = ("rule", "severity")
    states = {each.state for each in findings}
    tags = {("state", ALL), ("version", version_tag(version))} | {("state", each) for each in states}
    if any(State(each).dismissed for each in states):
        tags.add(("state", DISMISSED))
    tags |= {("inbox", each) for each in inboxes} | {("subsystem", each) for each in areas}
    tags |= {(kind, getattr(each, kind)) for each in findings for kind in of_findings}
    if waiting:
        tags |= {("state", OPEN)}
        tags |= {(f"{OPEN}-{kind}", getattr(each, kind)) for each in waiting for kind in of_findings}
    return tags
