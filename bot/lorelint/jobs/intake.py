"""One message of an archive into the store: message, thread, series and cursor in one transaction.

However often it is taken in, by whatever list it came, and whenever the process dies, it is there once. What cannot be
read is kept as it came, and said to be broken; it stops nobody.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lorelint.jobs import life
from lorelint.jobs.bounces import bounced
from lorelint.jobs.life import Pace
from lorelint.jobs.outbox import came_late
from lorelint.mail.patchid import patch_id
from lorelint.model.errors import LorelintError
from lorelint.model.feed import Arrival, Nature
from lorelint.model.mail import Message, Patch, Series, Thread
from lorelint.model.store import US, Kept, Life, PatchRow, SeriesRow, Session, Store

MAX_MSGID = 900  # bytes; RFC 5322 lines end at 998, and an index of PostgreSQL holds no more than 2,700
MAX_BROKEN = 64 << 10  # bytes that are kept of what cannot be read
MAX_RAW = 16 << 20  # of any message
MAX_THREAD = 400  # patches and cover letters of one thread that are looked at, the newest
MAX_NUMBER = 99_999  # of versions and patches, as far as a subject is believed
MAX_CLIMB = 50  # messages between a patch and what it was posted under
_POSTED = (Nature.PATCH, Nature.COVER, Nature.STABLE, Nature.BACKPORT, Nature.FOREIGN, Nature.ROBOT)
_NUMBERED = re.compile(r"\[[^\]]*\b\d+/(\d+)\b[^\]]*\]")


@dataclass(frozen=True, slots=True)
class Reader:
    """How mail is understood; what it is given is bytes from strangers, and it may raise.

    read     the bytes of a mail -> headers and text, what it is, and what made it that; LorelintError for no mail
    threads  the bytes of mails -> threads with their series
    """

    read: Callable[[bytes], tuple[Message, Nature, str]]
    threads: Callable[[Sequence[bytes]], Sequence[Thread]]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an arrival.

    fresh    it was not in the store
    series   numbers of those that it changed
    bounced  number of the letter of ours that it says did not arrive, 0 for none
    """

    msgid: str
    nature: Nature
    why: str
    fresh: bool
    series: tuple[int, ...] = ()
    bounced: int = 0


def take(store: Store, arrival: Arrival, reader: Reader, *, now: str, pace: Pace, assembled: bool = True) -> Taken:
    """Take a message in. Raises LorelintError where the store fails; nothing was done then.

    assembled  its series is put together at once; else `assemble` does so, when all of an archive is there
    """
    if arrival.gone:
        with store.begin() as session:
            life.gone(session, arrival.msgid, now)
            session.mails.move(arrival.cursor)
        return Taken(arrival.msgid, Nature.BROKEN, "removed from the archive", False)
    kept, message = _read(arrival, reader)
    try:
        with store.begin() as session:
            return _Intake(session, reader, now, pace).take(kept, message, arrival, assembled)
    except LorelintError:
        raise
    except Exception as error:
        # A bug of ours, or something no database takes: this one is told apart, and the next can come.
        broken = _broken(arrival, f"cannot be taken in: {type(error).__name__}")
        with store.begin() as session:
            fresh = not session.mails.seen(broken.msgid)
            session.mails.add(broken, arrival)
            session.notes.audit(now, US, "broken", broken.msgid, broken.why)
        return Taken(broken.msgid, broken.nature, broken.why, fresh)


def assemble(store: Store, reader: Reader, *, now: str, pace: Pace) -> int:
    """Put the series together of some patches that were taken in without; how many patches, 0 where none is left.

    A thread is read once for all its patches, not once for each. Raises LorelintError where the store fails.
    """
    with store.look() as session:
        patches = session.mails.to_do(Nature.PATCH)
    for kept in patches:
        try:
            with store.begin() as session:
                if session.series.of_patch(kept.msgid) is None:
                    _Intake(session, reader, now, pace).assemble(kept)
                session.mails.done(kept.msgid, "")
        except LorelintError:
            raise
        except Exception as error:
            with store.begin() as session:
                what = f"its series cannot be put together: {type(error).__name__}"
                session.notes.audit(now, US, "broken", kept.msgid, what)
                session.mails.done(kept.msgid, "")
    return len(patches)


def _read(arrival: Arrival, reader: Reader) -> tuple[Kept, Message | None]:
    """The message as it is kept, and as it is understood."""
    if len(arrival.raw) > MAX_RAW:
        return _broken(arrival, f"{len(arrival.raw) >> 20} MiB, more than are read"), None
    if not arrival.raw.strip():
        return _broken(arrival, "empty"), None
    try:
        message, nature, why = reader.read(arrival.raw)
    except Exception as error:
        told = error.what if isinstance(error, LorelintError) else type(error).__name__
        return _broken(arrival, f"cannot be read: {told}"), None
    if len(message.msgid.encode("utf-8", "replace")) > MAX_MSGID:
        return _broken(arrival, "its Message-ID is too long"), None
    kept = Kept(
        msgid=message.msgid,
        root="",
        at=arrival.at,
        date=message.date,
        author=(message.from_name, message.from_addr),
        subject=message.subject,
        nature=nature,
        why=why,
        parent=next(_short([message.in_reply_to]), ""),
        references=tuple(_short(message.references)),
        raw=arrival.raw,
    )
    return kept, message


def _broken(arrival: Arrival, why: str) -> Kept:
    """What cannot be read, under a name made of its content: the one it claims may be another's."""
    raw = arrival.raw[:MAX_BROKEN]
    name = hashlib.sha256(arrival.raw).hexdigest()[:32] + "@broken.invalid"
    return Kept(name, "", arrival.at, "", ("", ""), "", Nature.BROKEN, why[:500], "", raw=raw)


def _short(msgids: Sequence[str]) -> Iterator[str]:
    return (each for each in msgids if each and len(each.encode("utf-8", "replace")) <= MAX_MSGID)


class _Intake:
    """The work of one transaction."""

    def __init__(self, session: Session, reader: Reader, now: str, pace: Pace) -> None:
        self.session = session
        self.reader = reader
        self.now = now
        self.pace = pace

    def take(self, kept: Kept, message: Message | None, arrival: Arrival, assembled: bool) -> Taken:
        before = self.session.mails.get(kept.msgid) if self.session.mails.seen(kept.msgid) else None
        if before is not None:
            self.session.mails.add(kept, arrival)
            if arrival.cursor.inbox not in before.inboxes:
                came_late(self.session, kept.msgid, arrival.cursor.inbox, self.now)
            if message is not None:
                self._compare(before, message, arrival)
            return Taken(before.msgid, before.nature, before.why, False)
        root = self.session.mails.add(kept, arrival)
        series: tuple[int, ...] = ()
        if assembled and kept.nature in _POSTED and (kept.nature.reviewed or self.session.series.of_root(root)):
            series = self._series(replace(kept, root=root))
        # Where the bot's own mailbox is followed as a list, what mail servers say of its letters comes this way.
        letter = bounced(self.session, kept.raw, self.now) if kept.nature is Nature.ROBOT else None
        return Taken(kept.msgid, kept.nature, kept.why, True, series, letter.id if letter else 0)

    def assemble(self, kept: Kept) -> tuple[int, ...]:
        """The series of a patch that is in the store."""
        return self._series(replace(kept, root=self.session.mails.root_of(kept.msgid)))

    def _compare(self, before: Kept, message: Message, arrival: Arrival) -> None:
        """The same Message-ID with other words: the first is kept, and that there was another is noted.

        Lists add headers, and lines at the end.
        """
        try:
            first, _, _ = self.reader.read(before.raw)
        except Exception:
            return
        one, other = first.body.rstrip(), message.body.rstrip()
        words = one.startswith(other) or other.startswith(one)
        if words and (first.subject, first.from_addr) == (message.subject, message.from_addr):
            return
        what = f"another mail with this Message-ID came over {arrival.cursor.inbox}; the first is kept"
        self.session.notes.audit(self.now, US, "conflict", before.msgid, what)

    # Series

    def _series(self, kept: Kept) -> tuple[int, ...]:
        """Read the series that a message is among, and write what has changed of them."""
        mails = {each.msgid: each for each in self._around(kept)}
        try:
            threads = self.reader.threads([each.raw for each in mails.values()])
        except Exception as error:
            what = f"the series of its thread cannot be read: {type(error).__name__}"
            self.session.notes.audit(self.now, US, "broken", kept.msgid, what)
            return ()
        changed: list[int] = []
        for thread in threads:
            names = [message.msgid for message in thread.messages]
            if kept.msgid not in names:
                continue
            root = self.session.mails.join(names)
            taken: set[str] = set()
            for series in thread.series:
                changed += self._put(series, root, mails, taken)
                taken |= {mail.msgid for mail in _mails(series)}
        return tuple(changed)

    def _around(self, kept: Kept) -> list[Kept]:
        """What can be in a series with a message: what was posted in its thread, with what that stands under; and what
        its author sent about that time, where nothing refers to anything.
        """
        thread = {each.msgid: each for each in self.session.mails.thread(kept.root)}
        posted = [each for each in thread.values() if each.nature in _POSTED][-MAX_THREAD:]
        wanted = {each.msgid for each in posted}
        for each in posted:
            at = each.parent
            for _ in range(MAX_CLIMB):
                if at in wanted or at not in thread or thread[at].nature is Nature.BROKEN:
                    break
                wanted.add(at)
                at = thread[at].parent
        return [*self._unthreaded(kept, wanted), *(each for each in thread.values() if each.msgid in wanted)]

    def _unthreaded(self, kept: Kept, have: set[str]) -> Iterator[Kept]:
        numbered = _NUMBERED.search(kept.subject)
        if kept.parent or kept.references or numbered is None:
            return
        since, until = life.later(kept.at, -24), life.later(kept.at, 24)
        for each in self.session.mails.loose(kept.author[1], since, until):
            other = _NUMBERED.search(each.subject)
            if each.msgid in have or each.nature not in _POSTED or other is None or other.group(1) != numbered.group(1):
                continue
            whole = self.session.mails.get(each.msgid)
            if whole is not None:
                yield whole

    def _put(self, series: Series, root: str, mails: Mapping[str, Kept], taken: set[str]) -> Iterator[int]:
        """One revision. `taken` are mails of earlier ones, from which a partial reroll may have patches."""
        own = [mails[mail.msgid] for mail in _mails(series) if mail.msgid not in taken and mail.msgid in mails]
        if not own:
            return
        known, others = self._known(series, own)
        patches = tuple(self._patch(patch) for patch in series.patches)
        # The name that earlier versions gave it stays; that of a mail makes way for a change-id that came with another.
        named = known is not None and known.key not in {each.msgid for each in own}
        row = SeriesRow(
            id=known.id if known else 0,
            root=root,
            key=known.key if known and named else series.key,
            version=min(series.version, MAX_NUMBER),
            subject=series.subject,
            author=series.author,
            first=own[0].msgid,
            expected=min(series.expected, MAX_NUMBER),
            have=len(series.patches),
            life=Life.WAITING,
            why="",
            first_at=min(each.at for each in own),
            last_at=max(each.at for each in own),
            due_at="",
        )
        if known is not None and self._same(known, row, patches):
            return
        for each in others:
            self.session.series.move(
                each.id, Life.SUPERSEDED, "is part of a series that came", known.id if known else 0
            )
        muted = next((f"{each.nature.value}: {each.why}" for each in own if not each.nature.reviewed), "")
        yield life.settle(self.session, row, patches, pace=self.pace, now=self.now, muted=muted)

    def _known(self, series: Series, own: Sequence[Kept]) -> tuple[SeriesRow | None, list[SeriesRow]]:
        """The row of a revision, and rows of what was taken for others before the mail that connects them came."""
        found: dict[int, SeriesRow] = {}
        version = min(series.version, MAX_NUMBER)
        for each in own:
            row = self.session.series.of_patch(each.msgid)
            if row is not None and (row.first == each.msgid or row.version == version):
                found[row.id] = row
        rows = sorted(found.values(), key=lambda row: (row.first != own[0].msgid, row.id))
        return (rows[0] if rows else None), rows[1:]

    def _patch(self, patch: Patch) -> PatchRow:
        return PatchRow(patch.msgid, 0, patch.seq, patch.subject, patch_id(patch.body))

    def _same(self, known: SeriesRow, row: SeriesRow, patches: Sequence[PatchRow]) -> bool:
        """Whether all that is read of a series is in the store already."""
        there = {patch.msgid for patch in self.session.series.patches(known.id)}
        as_known = replace(
            row, key=known.key, life=known.life, why=known.why, due_at=known.due_at, root=known.root,
            superseded_by=known.superseded_by, attempts=known.attempts, author=known.author, subject=known.subject,
        )  # fmt: skip
        return as_known == known and there == {patch.msgid for patch in patches}


def _mails(series: Series) -> list[Message]:
    """The mails of a revision, the cover letter first."""
    return [*([series.cover] if series.cover else []), *(patch.mail for patch in series.patches)]
