"""The life of a series: waiting for its patches, ready, reviewed; superseded by a newer version; muted.

Versions of one series are its kin: the same change-id, or the same author with the same subject, a patch that is the
same, or an answer in the same thread. Kin share a key, so whatever is kept under it (findings, verdicts) goes on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from lorelint.jobs import stands
from lorelint.jobs.carry import Carried, carry
from lorelint.model.feed import Nature
from lorelint.model.finding import Report
from lorelint.model.regex import regex
from lorelint.model.store import LOST, US, Letter, LetterRow, Life, PatchRow, ReviewRow, SeriesRow, Session, State

_RESENT = regex(r"^\s*(?:\[[^\]]*\]\s*)*?\[[^\]]*\bRE-?SEN[DT]\b", re.IGNORECASE)
_RELAY = regex(r"devnull\+[^@]+@kernel\.org\Z")  # of b4: who has no mail server of his own that will do
_ENDED = (Life.SUPERSEDED, Life.MUTED)
_UNSENT = (Letter.HELD, Letter.RELEASED)


class Pace(Struct, frozen=True):
    """How long is waited, and how often is tried.

    wait_hours  for patches that are missing, from the last that came
    retry_hours before a review that failed is tried again; doubled each time
    attempts    reviews that may fail
    """

    wait_hours: float = 24.0
    retry_hours: float = 1.0
    attempts: int = 3


def later(at: str, hours: float) -> str:
    """A time some hours after another; RFC 3339 in UTC both. What is beyond all time is its first or last second."""
    try:
        then = datetime.fromisoformat(at).astimezone(UTC)
    except (ValueError, OverflowError):
        return at
    try:
        then += timedelta(hours=hours)
    except OverflowError:
        then = (datetime.max if hours > 0 else datetime.min).replace(tzinfo=UTC)
    return f"{then.replace(microsecond=0, tzinfo=None).isoformat()}Z"  # strftime has no zeros before a year


# Kin


def kin(session: Session, row: SeriesRow, patches: Sequence[PatchRow]) -> tuple[SeriesRow, ...]:
    """The other versions of a series, the earliest first; muted ones are none."""
    book, address = session.series, row.author[1].lower()
    found = {each.id: each for each in book.of_key(row.key)}
    found |= {each.id: each for each in book.of_author(address, row.subject) if _one_after_other(session, row, each)}
    # What its author answered in the thread of another version; and what has a patch of it.
    beside = [each for each in book.of_root(row.root) if each.version != row.version]
    for twin in book.patch_ids(each.patch_id for each in patches):
        other = book.get(twin.series)
        beside += [other] if other is not None else []
    found |= {each.id: each for each in beside}
    others = (each for each in found.values() if each.id != row.id and each.first != row.first)
    own = (each for each in others if _one_hand(session, row, each))
    return tuple(sorted((each for each in own if each.life is not Life.MUTED), key=_order))


def _one_hand(session: Session, row: SeriesRow, other: SeriesRow) -> bool:
    """Whether two series are of one author, and were posted by him or by one and the same.

    What a mail says of itself (change-id, the author it names in its text) is anybody's to say: nobody else's series
    may end this one. A relay posts for everybody, and only what it was given by them.
    """
    address = row.author[1].lower()
    if address != other.author[1].lower() or not address:
        return False
    one, two = (_poster(session, each) for each in (row, other))
    return all(poster in ("", address) or _RELAY.match(poster) for poster in (one, two)) or one == two


def _poster(session: Session, row: SeriesRow) -> str:
    first = session.mails.get(row.first)
    return first.author[1].lower() if first is not None else ""


def _one_after_other(session: Session, row: SeriesRow, other: SeriesRow) -> bool:
    """Two of the same subject: versions by their numbers, or one sent again. Two first versions are two series."""
    if row.version != other.version:
        return True
    firsts = (session.mails.get(each.first) for each in (row, other))
    return any(mail is not None and _RESENT.match(mail.subject) for mail in firsts)


def _order(row: SeriesRow) -> tuple[int, str, int]:
    return (row.version, row.first_at, row.id or 1 << 62)


def older(session: Session, row: SeriesRow) -> tuple[SeriesRow, ...]:
    """The versions before a stored one, the earliest first."""
    return tuple(each for each in kin(session, row, session.series.patches(row.id)) if _order(each) < _order(row))


# What comes in


def settle(
    session: Session, row: SeriesRow, patches: Sequence[PatchRow], *, pace: Pace, now: str, muted: str = ""
) -> int:
    """Write a series as it stands now, and say what that means for it and for its kin; its number.

    `row` has its number where it is known already; its life is worked out here. `muted`: why it is not reviewed.
    """
    known = session.series.get(row.id) if row.id else None
    family = () if muted else kin(session, row, patches)
    newer = [each for each in family if _order(each) > _order(row)]
    if family:
        row = replace(row, key=family[0].key)
    elif any(each.first != row.first and not _one_hand(session, row, each) for each in session.series.of_key(row.key)):
        row = replace(row, key=row.first)  # the key is another's: what is kept under it is not this one's
    row = _aged(row, known, pace)
    if muted and row.life is not Life.REVIEWED:
        row = replace(row, life=Life.MUTED, why=muted)
    elif newer and row.life not in _ENDED:
        row = replace(row, life=Life.SUPERSEDED, why=_came(newer[-1], row), superseded_by=newer[-1].id)
    number = session.series.put(row, patches)
    row = replace(row, id=number)
    for each in family:
        if each.key != row.key:  # two lines of versions that this one connects
            session.series.put(replace(each, key=row.key), ())
        if _order(each) < _order(row):
            supersede(session, each, row, frozenset(patch.msgid for patch in patches), now)
    return number


def _aged(row: SeriesRow, known: SeriesRow | None, pace: Pace) -> SeriesRow:
    """Where the life of a series stands, now that it has what it has."""
    if known is not None:
        row = replace(row, attempts=known.attempts, superseded_by=known.superseded_by)
        grown = row.have > known.have
        if known.life in _ENDED or (known.life in (Life.REVIEWED, Life.FAILED) and not grown):
            return replace(row, life=known.life, why=known.why, due_at=known.due_at)
    if row.have >= row.expected:
        why = "the patches that were missing came" if known is not None and known.life is Life.REVIEWED else ""
        return replace(row, life=Life.READY, why=why, due_at="")
    why = f"{row.expected - row.have} of {row.expected} patches are missing"
    return replace(row, life=Life.WAITING, why=why, due_at=later(row.last_at, pace.wait_hours))


def _came(newer: SeriesRow, row: SeriesRow) -> str:
    return f"v{newer.version} came" if newer.version != row.version else "it was sent again"


def supersede(session: Session, row: SeriesRow, by: SeriesRow, stays: frozenset[str], now: str) -> None:
    """End a version: nothing of it is reviewed or sent any more. Letters to the patches in `stays` are left alone."""
    why = _came(by, row)
    for letter in session.outbox.of_series(row.id):
        if letter.patch not in stays:
            cancel(session, letter, why, now)
    stands.end(session, row.id, why, now, stays)
    if row.life not in _ENDED:
        session.series.move(row.id, Life.SUPERSEDED, why, by.id)


def mute(session: Session, row: SeriesRow, why: str, now: str) -> None:
    """A series is not reviewed, and what waits to be said of it is not said."""
    for letter in session.outbox.of_series(row.id):
        cancel(session, letter, why, now)
    stands.end(session, row.id, why, now)
    session.series.move(row.id, Life.MUTED, why)


def cancel(session: Session, letter: LetterRow, why: str, now: str) -> bool:
    """End a letter, where it has not been handed over; whether it was ended.

    One that may have arrived stays held: it is looked for in the archive, and a person is told of it.
    """
    if letter.state not in _UNSENT or LOST in letter.why:
        return False
    if not session.outbox.change(letter.id, Letter.CANCELLED, was=letter.state, at=now, who=US, why=(why,)):
        return False
    session.notes.audit(now, US, "cancelled", f"letter:{letter.id}", why)
    return True


def gone(session: Session, msgid: str, now: str) -> None:
    """An archive has removed a message: it is not read any more, and a series that needs it is not reviewed."""
    why = "removed from the archive"
    if not session.mails.seen(msgid):
        return
    row = session.series.of_patch(msgid)
    session.mails.renature(msgid, Nature.BROKEN, why)
    session.mails.done(msgid, why)
    session.notes.audit(now, US, "removed", msgid, why)
    if row is not None and row.life is not Life.SUPERSEDED:
        mute(session, row, f"a mail of it was {why}", now)


# Before a review, and after


def quiet(session: Session, row: SeriesRow, now: str, *, max_age_days: float = 0.0) -> str:
    """Why a series that is due needs no review, "" where it does; patches that were reviewed before are marked.

    max_age_days  of its last mail; 0 for any
    """
    if max_age_days and later(row.last_at, max_age_days * 24) < now:
        return f"older than {max_age_days:g} days"
    patches = _marked(session, row)
    if patches and all(patch.same_as and _said_all(session, patch.same_as) for patch in patches):
        return "every patch is as it was reviewed before"
    return ""


def _marked(session: Session, row: SeriesRow) -> tuple[PatchRow, ...]:
    """The patches of a series, those with the mark that are the same as reviewed ones of earlier versions."""
    patches = session.series.patches(row.id)
    before = {
        each.id for each in older(session, row) if any(not done.failure for done in session.series.reviews(each.id))
    }
    twins: dict[str, str] = {}
    for each in session.series.patch_ids(patch.patch_id for patch in patches):
        if each.series in before:
            twins[each.patch_id] = each.msgid
    marked = tuple(replace(patch, same_as=twins.get(patch.patch_id, "")) for patch in patches)
    if marked != patches:
        session.series.put(row, marked)
    return marked


def _was_reviewed(session: Session, id: int) -> bool:
    return any(not review.failure for review in session.series.reviews(id))


def _said_all(session: Session, msgid: str) -> bool:
    """Whether all that there was to say of a patch was said: no letter to it was cancelled on its way."""
    letter = session.outbox.of_patch(msgid)
    return letter is None or letter.state is not Letter.CANCELLED


def reviewed(session: Session, row: SeriesRow, report: Report, review: ReviewRow, now: str) -> Carried:
    """Keep a review that was done, and its findings beside those of the versions before.

    Where the series was superseded or muted while it was reviewed it stays that, and the review is kept all the same.
    """
    before = [finding for each in older(session, row) for finding in session.findings.of_series(each.id)]
    before += session.findings.of_series(row.id)
    number = session.series.reviewed(replace(review, series=row.id))
    carried = carry(before, report, review=number, series=row.id, version=row.version, now=now)
    session.findings.add(carried.rows)
    for each_id in carried.fixed:
        reason = f"gone in v{row.version}"
        session.findings.change(each_id, State.FIXED, who=US, at=now, reason=reason, fixed_in=row.version)
        session.notes.audit(now, US, "finding fixed", f"finding:{each_id}", reason)
    current = session.series.get(row.id) or row
    if current.life not in _ENDED:
        session.series.move(row.id, Life.REVIEWED)
    return carried


def failed(session: Session, row: SeriesRow, review: ReviewRow, *, pace: Pace, now: str) -> Life:
    """Keep that a review failed: it is tried again later, until that was done as often as it may be."""
    session.series.reviewed(replace(review, series=row.id))
    tries = row.attempts + 1
    current = session.series.get(row.id) or row
    if current.life in _ENDED:
        return current.life
    if tries >= pace.attempts:
        stands.unable(session, row.id, now)
        session.series.move(row.id, Life.FAILED, f"{tries} reviews failed: {review.failure}")
        return Life.FAILED
    again = later(now, pace.retry_hours * 2 ** min(tries - 1, 10))
    session.series.move(row.id, Life.READY, f"a review failed: {review.failure}", due_at=again)
    return Life.READY
