"""How it stands with the lists, and whether something is stale. Pure over the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from lorelint.jobs.draft import told_since
from lorelint.model.policy import Policy
from lorelint.model.status import ListStatus, Status
from lorelint.model.store import LOST, Letter, Note, Session, Store
from lorelint.report.text import many

MOST = 1_000  # series that are due, counted


class Bounds(Struct, frozen=True):
    """What is too long: seconds since a list was read, hours that a released letter or a series waits.

    And what is too little: `room` bytes on the disk of our data.
    """

    stale: float
    waits: float = 24.0
    room: float = 2e8


def status(
    store: Store,
    names: Sequence[str],
    policy: Policy,
    wrong: str,
    bounds: Bounds,
    now: str,
    free: int | None = None,
) -> Status:
    """`names` are the lists of the settings; `wrong` is what is wrong with the policy, "" for nothing.

    `free` is how many bytes the disk of our data has left.
    """
    with store.look() as session:
        notes = {note.name: note for note in session.notes.all()}
        counts = session.mails.counts()
        lists = tuple(_list(session, name, policy, notes, counts, now) for name in names)
        due = session.series.due(now, MOST)
        found = Status(
            at=now,
            lists=lists,
            trees=tuple(note for name, note in sorted(notes.items()) if name.startswith("tree:")),
            others=tuple(note for name, note in sorted(notes.items()) if ":" not in name),
            series=tuple(session.series.counts()),
            due=len(due),
            oldest=min((row.last_at for row in due), default=""),
            letters=tuple(session.outbox.counts()),
            hourly=(_told(session, _before(now, hours=1)), policy.hourly_cap),
            dry_run=policy.dry_run,
            reviews=session.series.reviewing(),
            waits=tuple((each.value, each.waits) for each in session.queue.counts("rule") if each.waits),
            free=free,
        )
        problems = (
            *_problems(found, bounds),
            *_letters(session, bounds, now, policy.dry_run),
            *_checks(session),
            *([wrong] if wrong else []),
        )
    return replace(found, problems=problems)


def _list(
    session: Session,
    name: str,
    policy: Policy,
    notes: dict[str, Note],
    counts: Sequence[tuple[str, str, int]],
    now: str,
) -> ListStatus:
    read_at = session.notes.get(f"read:{name}")
    one = policy.of(name)
    counted = [(nature, count) for inbox, nature, count in counts if inbox == name]
    return ListStatus(
        name=name,
        cursors=session.mails.cursors(name),
        read_at=read_at,
        lag=_seconds(read_at, now) if read_at else None,
        note=notes.get(f"inbox:{name}"),
        natures=tuple(sorted(counted, key=lambda each: (-each[1], each[0]))),
        audience=one.audience.value if one else "",
        cap=(told_since(session, one, _before(now, hours=24)), one.daily_cap) if one else None,
        muted=tuple(sorted(session.verdicts.muted(name).items())),
    )


def _problems(found: Status, bounds: Bounds) -> Iterator[str]:
    for each in found.lists:
        if each.lag is None:
            yield f"list {each.name} was never read to its end"
        elif each.lag > bounds.stale:
            yield f"list {each.name} was not read since {each.read_at}"
        if each.note is not None and not each.note.ok:
            yield f"list {each.name}: {each.note.text}"
    for note in (*found.trees, *found.others):
        if not note.ok:
            yield f"{note.name.replace(':', ' ')}: {note.text}"
    if found.free is not None and found.free < bounds.room:
        yield f"the disk of our data is nearly full: {found.free / 1e6:,.0f} MB are left"
    if found.oldest and _seconds(found.oldest, found.at) > bounds.waits * 3600:
        yield f"a series waits to be reviewed since {found.oldest}"


def _letters(session: Session, bounds: Bounds, now: str, dry_run: bool) -> Iterator[str]:
    stuck = session.outbox.waiting(Letter.SENDING)
    if stuck:
        yield f"{many(len(stuck), 'letter')} handed to the mail server and never confirmed"
    lost = [row for row in session.outbox.waiting(Letter.HELD) if LOST in row.why]
    if lost:
        some = ", ".join(str(each.id) for each in lost[:5])
        about = f"{many(len(lost), 'letter')} went out is not known ({some})"
        yield f"whether {about}: look in the archive, then release or drop"
    late = [
        row
        for row in (() if dry_run else session.outbox.waiting(Letter.RELEASED))
        if _seconds(max(row.released_at, row.not_before), now) > bounds.waits * 3600
    ]
    if late:
        yield f"{many(len(late), 'released letter')} not sent for more than {bounds.waits:g} hours"


def _checks(session: Session) -> Iterator[str]:
    failed = [row for row in session.checks.to_post() if row.error]
    if failed:
        yield f"{many(len(failed), 'check')} could not be set in {failed[0].url}: {failed[0].error}"


def _told(session: Session, when: str) -> int:
    """What left the house since a time: letters, and checks that tell of something."""
    return session.outbox.sent_since(when) + session.checks.told_since(when)


def _seconds(since: str, now: str) -> float:
    try:
        return (_moment(now) - _moment(since)).total_seconds()
    except ValueError:
        return 0.0


def _before(now: str, *, hours: float) -> str:
    return (_moment(now) - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(when: str) -> datetime:
    moment = datetime.fromisoformat(when)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
