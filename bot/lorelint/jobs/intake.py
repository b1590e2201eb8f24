"""One message of an archive into the store: message, thread and cursor in one transaction, with what is to be done yet.

However often it is taken in, by whatever list it came, and whenever the process dies, it is there once. Its series is
put together when what came with it is there (`assemble`): a thread is read once for all its new patches, not once for
each of them. What cannot be read is kept as it came, and said to be broken; it stops nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from lorelint.jobs import life
from lorelint.jobs.bounces import bounced
from lorelint.jobs.life import Pace
from lorelint.jobs.outbox import came_late
from lorelint.jobs.prune import is_stub
from lorelint.mail.patchid import patch_id
from lorelint.model.errors import LorelintError
from lorelint.model.feed import Arrival, Nature
from lorelint.model.mail import Message, Patch, Series, Thread
from lorelint.model.regex import regex
from lorelint.model.store import US, Kept, Life, PatchRow, SeriesRow, Session, Store

MAX_MSGID = 900  # bytes; RFC 5322 lines end at 998, and an index of PostgreSQL holds no more than 2,700
MAX_BROKEN = 64 << 10  # bytes that are kept of what cannot be read
MAX_RAW = 16 << 20  # of any message
MAX_THREAD = 400  # patches and cover letters of one thread that are looked at at once
MAX_MAILS = 5_000  # of one thread that are fetched whole
MAX_HEADS = 200_000  # of one thread
MAX_NUMBER = 99_999  # of versions and patches, as far as a subject is believed
MAX_CLIMB = 50  # messages between a patch and what it was posted under
_POSTED = (Nature.PATCH, Nature.COVER, Nature.STABLE, Nature.BACKPORT, Nature.FOREIGN, Nature.ROBOT)
_NUMBERED = regex(r"\[[^\]]*\b\d+/(\d+)\b[^\]]*\]")


class Reader(Struct, frozen=True):
    """How mail is understood; what it is given is bytes from strangers, and it may raise.

    read     the bytes of a mail -> headers and text, what it is, and what made it that; LorelintError for no mail
    threads  the bytes of mails -> threads with their series
    """

    read: Callable[[bytes], tuple[Message, Nature, str]]
    threads: Callable[[Sequence[bytes]], Sequence[Thread]]


class Taken(Struct, frozen=True):
    """What became of an arrival.

    fresh    it was not in the store
    bounced  number of the letter of ours that it says did not arrive, 0 for none
    """

    msgid: str
    nature: Nature
    why: str
    fresh: bool
    bounced: int = 0


def take(store: Store, arrival: Arrival, reader: Reader, *, now: str) -> Taken:
    """Take a message in. Raises LorelintError where the store fails; nothing was done then."""
    if arrival.gone:
        with store.begin() as session:
            life.gone(session, arrival.msgid, now)
            session.mails.move(arrival.cursor)
        return Taken(arrival.msgid, Nature.BROKEN, "removed from the archive", False)
    kept, message = _read(arrival, reader)
    try:
        with store.begin() as session:
            return _take(session, kept, message, arrival, reader, now)
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


def _take(session: Session, kept: Kept, message: Message | None, arrival: Arrival, reader: Reader, now: str) -> Taken:
    before = session.mails.get(kept.msgid) if session.mails.seen(kept.msgid) else None
    session.mails.add(kept, arrival)
    if before is not None:
        if arrival.cursor.inbox not in before.inboxes:
            came_late(session, kept.msgid, arrival.cursor.inbox, now)
        if message is not None and _differs(before, message, reader):
            what = f"another mail with this Message-ID came over {arrival.cursor.inbox}; the first is kept"
            session.notes.audit(now, US, "conflict", before.msgid, what)
        return Taken(before.msgid, before.nature, before.why, False)
    # Where the bot's own mailbox is followed as a list, what mail servers say of its letters comes this way.
    letter = bounced(session, kept.raw, now) if kept.nature is Nature.ROBOT else None
    return Taken(kept.msgid, kept.nature, kept.why, True, letter.id if letter else 0)


def _differs(before: Kept, message: Message, reader: Reader) -> bool:
    """Whether the same Message-ID came with other words. Lists add headers, and lines at the end."""
    if is_stub(before.raw):
        return False
    try:
        first, _, _ = reader.read(before.raw)
    except Exception:
        return False
    one, other = first.body.rstrip(), message.body.rstrip()
    same = one.startswith(other) or other.startswith(one)
    return not same or (first.subject, first.from_addr) != (message.subject, message.from_addr)


def assemble(store: Store, reader: Reader, *, now: str, pace: Pace) -> int:
    """Put the series together of mails that were taken in; how many mails that was, 0 where none is left.

    Killed at any point it goes on with what is left. Raises LorelintError where the store fails.
    """
    with store.look() as session:
        waiting = session.mails.to_do(*_POSTED)
        left = {each.msgid for each in waiting if _new(session, each)}
    if len(left) < len(waiting):
        with store.begin() as session:
            for each in waiting:
                if each.msgid not in left:
                    session.mails.done(each.msgid, "")
    for kept in waiting:
        if kept.msgid not in left:
            continue
        try:
            with store.begin() as session:
                dealt = _Assembly(session, reader, now, pace).assemble(kept) & left | {kept.msgid}
                for msgid in sorted(dealt):
                    session.mails.done(msgid, "")
        except LorelintError:
            raise
        except Exception as error:
            dealt = {kept.msgid}
            with store.begin() as session:
                what = f"its series cannot be put together: {type(error).__name__}"
                session.notes.audit(now, US, "broken", kept.msgid, what)
                session.mails.done(kept.msgid, "")
        left -= dealt
    return len(waiting)


def _new(session: Session, kept: Kept) -> bool:
    """Whether a series may change by a message that was posted."""
    if not kept.nature.reviewed:
        return bool(session.series.of_root(kept.root))
    return session.series.of_patch(kept.msgid) is None


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


class _Assembly:
    """The work of one transaction."""

    def __init__(self, session: Session, reader: Reader, now: str, pace: Pace) -> None:
        self.session = session
        self.reader = reader
        self.now = now
        self.pace = pace

    def assemble(self, kept: Kept) -> set[str]:
        """Read the series that a message is among, and write what has changed of them; the messages that were read."""
        kept = replace(kept, root=self.session.mails.root_of(kept.msgid))
        mails = {each.msgid: each for each in self._around(kept)}
        try:
            threads = self.reader.threads([each.raw for each in mails.values()])
        except Exception as error:
            what = f"the series of its thread cannot be read: {type(error).__name__}"
            self.session.notes.audit(self.now, US, "broken", kept.msgid, what)
            return set()
        read: set[str] = set()
        for thread in threads:
            names = [message.msgid for message in thread.messages]
            if kept.msgid not in names:
                continue
            root = self.session.mails.join(names)
            taken: set[str] = set()
            for series in thread.series:
                self._put(series, root, mails, taken)
                taken |= {mail.msgid for mail in _mails(series)}
            read.update(names)
        return read

    def _around(self, kept: Kept) -> list[Kept]:
        """What can be in a series with a message: what was posted in its thread, with what that stands under; and what
        its author sent about that time, where nothing refers to anything.
        """
        book = self.session.mails
        mails = book.thread(kept.root, MAX_MAILS)
        if len(mails) == MAX_MAILS:  # anybody may talk on in it: then the bytes are fetched of what is wanted alone
            mails = book.heads(kept.root, MAX_HEADS)
        thread = {each.msgid: each for each in mails}
        posted = _window([each for each in thread.values() if each.nature in _POSTED], kept.msgid)
        wanted = {each.msgid for each in posted}
        for each in posted:
            at = each.parent
            for _ in range(MAX_CLIMB):
                if at in wanted or at not in thread or thread[at].nature is Nature.BROKEN:
                    break
                wanted.add(at)
                at = thread[at].parent
        threaded = (each if each.raw else book.get(each.msgid) for each in mails if each.msgid in wanted)
        return [*self._unthreaded(kept, wanted), *(each for each in threaded if each is not None)]

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

    def _put(self, series: Series, root: str, mails: Mapping[str, Kept], taken: set[str]) -> None:
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
        if known is not None and (self._cut_off(known, mails) or self._same(known, row, patches)):
            return
        for each in others:
            self.session.series.move(
                each.id, Life.SUPERSEDED, "is part of a series that came", known.id if known else 0
            )
        muted = next((f"{each.nature.value}: {each.why}" for each in own if not each.nature.reviewed), "")
        life.settle(self.session, row, patches, pace=self.pace, now=self.now, muted=muted)

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

    def _cut_off(self, known: SeriesRow, mails: Mapping[str, Kept]) -> bool:
        """Whether patches of a series were not among the mails that were read: then it is not known any better."""
        return any(patch.msgid not in mails for patch in self.session.series.patches(known.id))

    def _same(self, known: SeriesRow, row: SeriesRow, patches: Sequence[PatchRow]) -> bool:
        """Whether all that is read of a series is in the store already."""
        there = {patch.msgid for patch in self.session.series.patches(known.id)}
        as_known = replace(
            row, key=known.key, life=known.life, why=known.why, due_at=known.due_at, root=known.root,
            superseded_by=known.superseded_by, attempts=known.attempts, author=known.author, subject=known.subject,
        )  # fmt: skip
        return as_known == known and there == {patch.msgid for patch in patches}


def _window(posted: Sequence[Kept], msgid: str) -> Sequence[Kept]:
    """The newest of what was posted in a thread; where a message is not among them, those around it."""
    at = next((at for at, each in enumerate(posted) if each.msgid == msgid), len(posted))
    return posted[max(0, min(at - MAX_THREAD // 2, len(posted) - MAX_THREAD)) :][:MAX_THREAD]


def _mails(series: Series) -> list[Message]:
    """The mails of a revision, the cover letter first."""
    return [*([series.cover] if series.cover else []), *(patch.mail for patch in series.patches)]
