"""Messages as they came, the threads they make, and how far each archive was read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy import Row
from sqlalchemy.engine import Connection

from lorelint.edge.store.derive import Touched
from lorelint.edge.store.rows import add_all_once, add_once, dumped, loaded, pack, parts, put, unpack
from lorelint.edge.store.schema import CURSORS, FINDINGS, LETTERS, LINKS, MESSAGES, PATCHES, SERIES, SIGHTINGS, VERDICTS
from lorelint.model.feed import Arrival, Cursor, Nature
from lorelint.model.store import Kept, Life

MAX_LINKS = 100  # messages that one message can say it belongs to
MAX_TO_DO = 1_000  # at once
_TEXT = 2_000  # characters of a header that are kept; the mail itself has it all
_ADDRESS = 320  # as long as RFC 3696 has them; an index of PostgreSQL holds 2,700 bytes
_DEALT_WITH = [Nature.PATCH.value, Nature.COVER.value, Nature.ANSWER.value]  # of which something is to be done
_LIGHT = [column for column in MESSAGES.c if column.name != "raw"]  # all but the bytes


class MailTables:
    """See `lorelint.model.store.Mails`."""

    def __init__(self, connection: Connection, touched: Touched | None = None) -> None:
        self._connection = connection
        self._touched = touched or Touched(connection)

    # How far

    def cursors(self, inbox: str) -> tuple[Cursor, ...]:
        wanted = sa.select(CURSORS).where(CURSORS.c.inbox == inbox).order_by(CURSORS.c.epoch)
        return tuple(Cursor(row.inbox, row.epoch, row.commit_id) for row in self._connection.execute(wanted))

    def move(self, cursor: Cursor, at: str = "") -> None:
        values = {"inbox": cursor.inbox, "epoch": cursor.epoch, "commit_id": cursor.commit, "at": at}
        put(self._connection, CURSORS, values, ("inbox", "epoch"))

    # Messages

    def seen(self, msgid: str) -> bool:
        return self._connection.scalar(sa.select(MESSAGES.c.msgid).where(MESSAGES.c.msgid == msgid)) is not None

    def add(self, kept: Kept, arrival: Arrival) -> str:
        root = self.root_of(kept.msgid)
        if not root:
            root = self._link(kept)
            self._insert(kept, root)
        sighting = {"msgid": kept.msgid, "inbox": arrival.cursor.inbox, "blob": arrival.blob, "at": arrival.at}
        if add_once(self._connection, SIGHTINGS, sighting):
            for series in self._connection.scalars(sa.select(PATCHES.c.series).where(PATCHES.c.msgid == kept.msgid)):
                self._touched(series)
        self.move(arrival.cursor, arrival.at)
        return root

    def _insert(self, kept: Kept, root: str) -> None:
        values = {
            "msgid": kept.msgid,
            "root": root,
            "at": kept.at,
            "date": kept.date,
            "name": kept.author[0][:_TEXT],
            "address": kept.author[1][:_ADDRESS].lower(),
            "subject": kept.subject[:_TEXT],
            "nature": kept.nature.value,
            "why": kept.why,
            "parent": kept.parent,
            "refs": dumped(kept.references),
            "todo": 1,
            "size": len(kept.raw),
            "raw": pack(kept.raw),
        }
        self._connection.execute(sa.insert(MESSAGES).values(values))

    def get(self, msgid: str) -> Kept | None:
        return next(iter(self._kept(sa.select(MESSAGES).where(MESSAGES.c.msgid == msgid))), None)

    def renature(self, msgid: str, nature: Nature, why: str) -> None:
        values = {"nature": nature.value, "why": why, "todo": 1}
        self._connection.execute(sa.update(MESSAGES).where(MESSAGES.c.msgid == msgid).values(values))

    def to_do(self, *natures: Nature) -> tuple[Kept, ...]:
        wanted = sa.select(*_LIGHT).where(MESSAGES.c.nature.in_([each.value for each in natures]), MESSAGES.c.todo == 1)
        return self._kept(wanted.order_by(MESSAGES.c.at, MESSAGES.c.msgid).limit(MAX_TO_DO))

    def done(self, msgid: str, why: str) -> None:
        values: dict[str, object] = {"todo": 0, "why": why} if why else {"todo": 0}
        self._connection.execute(sa.update(MESSAGES).where(MESSAGES.c.msgid == msgid).values(values))

    # What is old

    def old(self, before: str, most: int, since: str = "") -> tuple[Kept, ...]:
        wanted = sa.select(*_LIGHT).where(_old(before), MESSAGES.c.at >= since)
        return self._kept(wanted.order_by(MESSAGES.c.at, MESSAGES.c.msgid).limit(most))

    def old_count(self, before: str) -> int:
        return self._connection.scalar(sa.select(sa.func.count()).select_from(MESSAGES).where(_old(before))) or 0

    def let_go(self, msgid: str, stub: bytes) -> None:
        values = {"raw": pack(stub), "size": 0}
        self._connection.execute(sa.update(MESSAGES).where(MESSAGES.c.msgid == msgid).values(values))

    def counts(self) -> Sequence[tuple[str, str, int]]:
        found = sa.select(SIGHTINGS.c.inbox, MESSAGES.c.nature, sa.func.count()).join(
            MESSAGES, MESSAGES.c.msgid == SIGHTINGS.c.msgid
        )
        by = (SIGHTINGS.c.inbox, MESSAGES.c.nature)
        return [(row[0], row[1], row[2]) for row in self._connection.execute(found.group_by(*by).order_by(*by))]

    # Threads

    def thread(self, root: str, most: int = 5_000) -> tuple[Kept, ...]:
        # The name may be of a thread that has become part of another since.
        now = self.root_of(root) or root
        wanted = sa.select(MESSAGES).where(MESSAGES.c.root == now)
        return self._kept(wanted.order_by(MESSAGES.c.at, MESSAGES.c.msgid).limit(most))

    def heads(self, root: str, most: int) -> tuple[Kept, ...]:
        """The messages of a thread without their bytes, oldest first."""
        now = self.root_of(root) or root
        wanted = sa.select(*_LIGHT).where(MESSAGES.c.root == now)
        return self._kept(wanted.order_by(MESSAGES.c.at, MESSAGES.c.msgid).limit(most))

    def replies(self, root: str, since: str, most: int = 100) -> tuple[Kept, ...]:
        """See the port."""
        there = sa.and_(MESSAGES.c.root == (self.root_of(root) or root), MESSAGES.c.nature == Nature.REPLY.value)
        wanted = sa.select(*_LIGHT).where(there, MESSAGES.c.at > since)
        return self._kept(wanted.order_by(MESSAGES.c.at, MESSAGES.c.msgid).limit(most))

    def root_of(self, msgid: str) -> str:
        return self._connection.scalar(sa.select(MESSAGES.c.root).where(MESSAGES.c.msgid == msgid)) or ""

    def join(self, msgids: Iterable[str]) -> str:
        """Make the threads of some messages one; its root, "" where none of them is here."""
        roots: set[str] = set()
        for some in parts(msgids):
            roots |= set(self._connection.scalars(sa.select(MESSAGES.c.root).where(MESSAGES.c.msgid.in_(some))))
        return self._merge(roots)

    def loose(self, address: str, since: str, until: str, most: int = 200) -> tuple[Kept, ...]:
        """What somebody sent that answers nothing, by the time the archive took it; without the bytes."""
        wanted = sa.select(*_LIGHT).where(
            MESSAGES.c.address == address[:_ADDRESS].lower(),
            MESSAGES.c.at.between(since, until),
            MESSAGES.c.parent == "",
            MESSAGES.c.refs == "[]",
        )
        return self._kept(wanted.order_by(MESSAGES.c.at, MESSAGES.c.msgid).limit(most))

    def _link(self, kept: Kept) -> str:
        """Note what a new message speaks of, and make the threads one that it connects; the root of its thread.

        All messages that speak of the same one are in one thread already, be that one here or not: so to know
        one of them is enough.
        """
        spoken = list(dict.fromkeys(each for each in (kept.parent, *kept.references) if each and each != kept.msgid))
        spoken = spoken if len(spoken) <= MAX_LINKS else [*spoken[:2], *spoken[2 - MAX_LINKS :]]
        add_all_once(self._connection, LINKS, [{"msgid": kept.msgid, "ref": each} for each in spoken])
        speaker = sa.select(sa.func.min(LINKS.c.msgid)).where(
            LINKS.c.ref.in_([kept.msgid, *spoken]), LINKS.c.msgid != kept.msgid
        )
        beside = self._connection.scalars(speaker.group_by(LINKS.c.ref)).all()
        known = sa.select(MESSAGES.c.root).where(MESSAGES.c.msgid.in_([*spoken, *beside])).distinct()
        return self._merge(set(self._connection.scalars(known))) or kept.msgid

    def _merge(self, roots: set[str]) -> str:
        """The thread that came first takes in the others; "" for none."""
        if len(roots) < 2:
            return next(iter(roots), "")
        eldest = sa.select(MESSAGES.c.msgid).where(MESSAGES.c.msgid.in_(roots))
        root = self._connection.scalar(eldest.order_by(MESSAGES.c.at, MESSAGES.c.msgid).limit(1)) or min(roots)
        gone = sorted(roots - {root})
        for table in (MESSAGES, SERIES):
            self._connection.execute(sa.update(table).where(table.c.root.in_(gone)).values(root=root))
        return root

    def _kept(self, wanted: sa.Select[tuple[object, ...]]) -> tuple[Kept, ...]:
        rows = self._connection.execute(wanted).all()
        inboxes: dict[str, list[str]] = {}
        for some in parts(row.msgid for row in rows):
            seen = sa.select(SIGHTINGS.c.msgid, SIGHTINGS.c.inbox).where(SIGHTINGS.c.msgid.in_(some))
            for msgid, inbox in self._connection.execute(seen.order_by(SIGHTINGS.c.at, SIGHTINGS.c.inbox)):
                inboxes.setdefault(msgid, []).append(inbox)
        return tuple(_as_kept(row, tuple(inboxes.get(row.msgid, ()))) for row in rows)


def _as_kept(row: Row[tuple[object, ...]], inboxes: tuple[str, ...]) -> Kept:
    return Kept(
        msgid=row.msgid,
        root=row.root,
        at=row.at,
        date=row.date,
        author=(row.name, row.address),
        subject=row.subject,
        nature=Nature(row.nature),
        why=row.why,
        parent=row.parent,
        references=loaded(row.refs),
        inboxes=inboxes,
        raw=unpack(getattr(row, "raw", b"")),
    )


def _old(before: str) -> sa.ColumnElement[bool]:
    """See `Mails.old`. A message that has been let go has the size 0."""
    newer, beside = MESSAGES.alias("newer"), MESSAGES.alias("beside")
    waits = SERIES.c.life.in_([Life.WAITING.value, Life.READY.value])
    found = sa.exists().where(FINDINGS.c.series == SERIES.c.id)
    told = sa.exists().where(LETTERS.c.series == SERIES.c.id)
    hangs = sa.exists().where(SERIES.c.root == MESSAGES.c.root, sa.or_(waits, found, told))
    asked = sa.exists().where(beside.c.root == MESSAGES.c.root, VERDICTS.c.msgid == beside.c.msgid)
    undone = sa.exists().where(beside.c.root == MESSAGES.c.root, beside.c.todo == 1, beside.c.nature.in_(_DEALT_WITH))
    goes_on = sa.exists().where(newer.c.root == MESSAGES.c.root, newer.c.at >= before)
    return sa.and_(MESSAGES.c.at < before, MESSAGES.c.size > 0, ~goes_on, ~hangs, ~asked, ~undone)
