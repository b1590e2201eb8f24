"""What is released goes out: marked, handed over, confirmed, and each of the three is in the store before the next.

Killed after the mail server has taken a letter and before that is in the store, the letter is found as `sending`. Then
the archive is asked: what is there was sent, what is not there is held for a person and never sent again by itself.
One process sends at a time; the command sees to that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from msgspec import Struct

from lorelint.jobs.gate import Gate
from lorelint.jobs.policy.decide import moment, shown
from lorelint.jobs.policy.still import Check, check
from lorelint.mail.compose import compose
from lorelint.model.policy import Policy
from lorelint.model.post import Fate, Handed, Post, Server
from lorelint.model.store import LOST, Letter, LetterRow, Session, State, Store

WHO = "send"  # in what is kept of who did what
ATTEMPTS = 8  # of one letter, until a person is asked
FIRST_PAUSE = 300  # seconds until the second attempt; each later one waits twice as long
FOUND = "found in the archive"

Archived = Callable[[str], bool | None]  # whether a Message-ID is in the archive; None where that cannot be told


class Step(Struct, frozen=True):
    """What became of one letter in this pass: sent, found, waits, held, cancelled, refused, later, would go."""

    what: str
    letter: LetterRow
    text: str = ""


class Means(Struct, frozen=True):
    """What sending asks of others.

    gate      what is wrong with a letter
    archived  looks a Message-ID up
    stopped   whether the stop file is there
    """

    post: Post
    gate: Gate
    archived: Archived
    stopped: Callable[[], bool]


def recover(store: Store, means: Means, now: str) -> Iterator[Step]:
    """Letters that an earlier process has left half way, and held ones that turned up in the archive since."""
    with store.look() as session:
        left = session.outbox.waiting(Letter.SENDING)
        lost = [each for each in session.outbox.waiting(Letter.HELD) if LOST in each.why]
    # A step is told when it is in the store: who listens may end at any of them.
    for row in left:
        there = means.archived(row.msgid)
        with store.begin() as session:
            step = _confirm(session, row, Letter.SENDING, now, FOUND) if there else _lost(session, row, there, now)
        yield step
    for row in lost:
        if means.archived(row.msgid):
            with store.begin() as session:
                step = _confirm(session, row, Letter.HELD, now, FOUND)
            yield step


def _lost(session: Session, row: LetterRow, there: bool | None, now: str) -> Step:
    why = (LOST,) if there is False else (LOST, "the archive could not be asked")
    session.outbox.change(row.id, Letter.HELD, was=Letter.SENDING, at=now, who=WHO, why=why)
    session.notes.audit(now, WHO, "letter held", row.msgid, "; ".join(why))
    return Step("held", _again(session, row), "; ".join(why))


def send(store: Store, policy: Policy, means: Means, now: str, *, dry_run: bool) -> Iterator[Step]:
    """One pass over what is released. Raises LorelintError where the mail server does not answer.

    dry_run  tells what would go, and changes nothing; so it is with a policy whose dry_run is on, whatever is asked
    """
    with store.look() as session:
        rows = session.outbox.waiting(Letter.RELEASED)
    ready: list[LetterRow] = []
    for row in rows:
        with store.look() as session:
            asked = check(session, row, policy, now, ahead=ready)
        paused = _paused(row, now)
        if asked.end is not None and not dry_run and not policy.dry_run:
            with store.begin() as session:
                step = _end(session, row, asked, now)
            yield step
        elif asked.end is not None:
            yield Step(f"would be {asked.end}", row, asked.text)
        elif asked.text or paused:
            yield Step("waits", row, asked.text or paused)
        else:
            ready.append(asked.row)
    if dry_run or policy.dry_run:
        yield from (Step("would go", row) for row in ready)
    elif means.stopped():
        yield from (Step("waits", row, f"the stop file is there: {policy.stop_file}") for row in ready)
    elif ready:
        with means.post.connect() as server:
            for row in ready:
                yield _send(store, row, policy, means, server, now)


def _send(store: Store, row: LetterRow, policy: Policy, means: Means, server: Server, now: str) -> Step:
    """One letter through its three steps."""
    if means.stopped():
        return Step("waits", row, f"the stop file is there: {policy.stop_file}")
    if row.sending_at and means.archived(row.msgid):  # a person has released again what had arrived after all
        with store.begin() as session:
            return _confirm(session, row, Letter.RELEASED, now, FOUND)
    with store.begin() as session:
        asked = check(session, row, policy, now)  # a person or an answer may have come in between
        wrong = means.gate(asked.row)
        if wrong:
            asked = Check(asked.row, Letter.HELD, "; ".join(wrong))
        if asked.end is not None:
            return _end(session, row, asked, now)
        if asked.text:
            return Step("waits", row, asked.text)
        if not session.outbox.change(row.id, Letter.SENDING, was=Letter.RELEASED, at=now, who=WHO):
            return Step("waits", row, "somebody else has changed it")
    row = asked.row
    raw = compose(row, policy, now, eight_bit=server.eight_bit)
    handed = server.hand(policy.sender, [address for _, address in (*row.to, *row.cc)], raw)
    with store.begin() as session:
        return _handed(session, row, handed, now)


def _handed(session: Session, row: LetterRow, handed: Handed, now: str) -> Step:
    if handed.fate is Fate.TAKEN:
        missed = "; ".join(f"{address} was refused: {text}" for address, text in handed.refused)
        return _confirm(session, row, Letter.SENDING, now, missed or handed.text, [missed] if missed else [])
    if handed.fate is Fate.UNKNOWN:
        # As if we had been killed here: the next pass asks the archive.
        session.notes.audit(now, WHO, "letter perhaps sent", row.msgid, handed.text)
        return Step("unknown", _again(session, row), handed.text)
    if handed.fate is Fate.NEVER:
        session.outbox.change(row.id, Letter.REFUSED, was=Letter.SENDING, at=now, who=WHO, why=(handed.text,))
        session.notes.audit(now, WHO, "letter refused", row.msgid, handed.text)
        return Step("refused", _again(session, row), handed.text)
    if row.attempts + 1 >= ATTEMPTS:
        why = (f"not taken {ATTEMPTS} times, the last time: {handed.text}",)
        session.outbox.change(row.id, Letter.HELD, was=Letter.SENDING, at=now, who=WHO, why=why)
        session.notes.audit(now, WHO, "letter held", row.msgid, why[0])
        return Step("held", _again(session, row), why[0])
    session.outbox.failed(row.id, handed.text)
    return Step("later", _again(session, row), handed.text)


def _confirm(session: Session, row: LetterRow, was: Letter, now: str, text: str, why: Sequence[str] = ()) -> Step:
    """A letter is out: it, and what was found, are marked so."""
    # Another machine may have found it half way, and held it: now it is known that it went.
    if not session.outbox.change(row.id, Letter.SENT, was=was, at=now, who=WHO, why=why):
        session.outbox.change(row.id, Letter.SENT, was=Letter.HELD, at=now, who=WHO, why=why)
    for finding in session.findings.of_series(row.series):
        if finding.fingerprint in row.fingerprints and finding.state in (State.NEW, State.CONFIRMED):
            session.findings.change(finding.id, State.SENT, who=WHO, at=now, reason=f"<{row.msgid}>")
            session.notes.audit(now, WHO, "finding sent", f"finding:{finding.id}", f"<{row.msgid}>")
    session.notes.audit(now, WHO, "letter sent", row.msgid, text)
    return Step("found" if text == FOUND else "sent", _again(session, row), text)


def _end(session: Session, row: LetterRow, asked: Check, now: str) -> Step:
    """What was released is not to go after all."""
    assert asked.end is not None
    session.outbox.change(row.id, asked.end, was=Letter.RELEASED, at=now, who=WHO, why=(asked.text,))
    session.notes.audit(now, WHO, f"letter {asked.end}", row.msgid, asked.text)
    return Step(asked.end.value, _again(session, row), asked.text)


def _again(session: Session, row: LetterRow) -> LetterRow:
    return session.outbox.get(row.id) or row


def _paused(row: LetterRow, now: str) -> str:
    """Until when a letter that was not taken waits, "" where it need not."""
    if not row.error or not row.sending_at:
        return ""
    pause = timedelta(seconds=FIRST_PAUSE * 2 ** max(row.attempts - 1, 0))
    until = shown(moment(row.sending_at) + pause)
    return "" if until <= now else f"attempt {row.attempts + 1} of {ATTEMPTS} at {until}: {row.error}"
