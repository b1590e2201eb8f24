"""What an answer is about: the mail it answers, the series of that, the finding that is meant. Pure over the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from lorelint.mail.commands import Command
from lorelint.model.mail import Message
from lorelint.model.store import FindingRow, LetterRow, SeriesRow, Session

MAX_CLIMB = 30  # mails above an answer among which ours, or a patch, is looked for
MAX_VERSIONS = 50  # later versions of a series
NAMED = 4  # findings that are named before the rest is counted


class About(Struct, frozen=True):
    """The series an answer is about, and the letter or the patch it answers in it.

    findings  those that can be meant: of the letter, else of the patch, else of the series
    """

    series: SeriesRow
    patch: str = ""  # message-id, "" for the series as a whole
    letter: LetterRow | None = None
    findings: tuple[FindingRow, ...] = ()


def about(session: Session, message: Message) -> About | None:
    """What a mail answers; None where that is nothing we know of."""
    for msgid in _above(session, message):
        letter = session.outbox.of_msgid(msgid)
        patch = letter.patch if letter else msgid
        series = (
            session.series.get(letter.series) if letter else session.series.of_patch(msgid) or _cover(session, msgid)
        )
        if series is None:
            continue
        every = session.findings.of_series(series.id)
        if letter is not None:
            found = tuple(each for each in every if each.fingerprint in letter.fingerprints and each.patch == patch)
        elif series.first == msgid:
            patch, found = "", every
        else:
            found = tuple(each for each in every if each.patch == patch)
        return About(series, patch, letter, found)
    return None


def _cover(session: Session, msgid: str) -> SeriesRow | None:
    root = session.mails.root_of(msgid)
    return next((each for each in session.series.of_root(root) if each.first == msgid), None) if root else None


def _above(session: Session, message: Message) -> Iterator[str]:
    """The mails above one, nearest first: what it says it answers, then what that says, each once."""
    seen = {message.msgid}
    at, further = message.in_reply_to, list(message.references)
    while len(seen) <= MAX_CLIMB:
        if not at or at in seen:
            at = next((each for each in reversed(further) if each not in seen), "")
            further = []
            if not at:
                return
        seen.add(at)
        yield at
        kept = session.mails.get(at)
        if kept is None:
            at = ""
            continue
        at, further = kept.parent, [*further, *kept.references] if not kept.parent else further


def meant(command: Command, where: About, every: Sequence[FindingRow]) -> tuple[tuple[FindingRow, ...], str]:
    """The findings a command is about, or none and why; `every` are those of the series."""
    if command.rule:
        for among in (where.findings, every):
            found = tuple(each for each in among if command.rule in (each.rule, each.fingerprint))
            if found:
                return found, ""
        return (), f"no finding of {command.rule} is in what it answers"
    for hint in command.hints:
        found = tuple(each for each in where.findings if hint in (each.fingerprint, each.rule))
        if len({each.fingerprint for each in found}) == 1:
            return found, ""
    if not where.findings:
        return (), "there is no finding in what it answers"
    if len({each.fingerprint for each in where.findings}) == 1:
        return where.findings, ""
    names = list(dict.fromkeys(each.rule for each in where.findings))
    if len(names) == 1:
        names = list(dict.fromkeys(each.fingerprint for each in where.findings))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return (), f"several findings may be meant; name one of {', '.join(names[:NAMED])}{more}"


def versions(session: Session, series: SeriesRow) -> tuple[SeriesRow, ...]:
    """A series and its later versions: those that took its place, and those of its key by the same author."""
    found = {series.id: series}
    at = series
    while at.superseded_by and at.superseded_by not in found and len(found) < MAX_VERSIONS:
        after = session.series.get(at.superseded_by)
        if after is None:
            break
        found[after.id] = at = after
    writer = series.author[1].lower()
    for each in session.series.of_key(series.key) if series.key else ():
        # A key is what a mail says of itself: whoever copies that of another's series makes it no version of his.
        if each.version > series.version and each.author[1].lower() == writer and len(found) < MAX_VERSIONS:
            found.setdefault(each.id, each)
    return tuple(found.values())
