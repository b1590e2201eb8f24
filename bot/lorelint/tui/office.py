"""What the terminal does with the store: it looks in one transaction and decides in another, and tells it in a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from lorelint.jobs import outbox, triage
from lorelint.jobs.gate import Gate
from lorelint.jobs.triage import By, Decided, Move
from lorelint.model.mail import Message
from lorelint.model.policy import Policy
from lorelint.model.queue import Change, Filter, Slice
from lorelint.model.store import CheckRow, FindingRow, Kept, LetterRow, ReviewRow, SeriesRow, Session, State, Store
from lorelint.report.text import many, words

PAGE = 100  # series that are fetched at once
SHOWN_MAILS = 200  # of a thread
_GRAVE = {"error": 0, "warning": 1, "note": 2}
_WAITS = (State.NEW, State.CONFIRMED)
_SAID = {
    Move.CONFIRM: "confirmed",
    Move.FALSE: "dismissed as false",
    Move.WONTFIX: "dismissed: won't fix",
    Move.NOT_OURS: "dismissed: not ours",
    Move.SNOOZE: "put off",
    Move.REOPEN: "open again",
}


class Programs(Struct, frozen=True):
    """What is run beside the terminal.

    parse  the bytes of a mail -> headers and text; LorelintError for no mail
    edit   a text in the user's editor -> what came of it, None where it was left as it was
    read   mails in the user's mail reader; None where there is no such program
    """

    parse: Callable[[bytes], Message]
    edit: Callable[[str], str | None]
    read: Callable[[Sequence[bytes]], None] | None = None


class SeriesSight(Struct, frozen=True):
    """A series as it is shown. `versions` are all of it, the earliest first, each with its findings."""

    row: SeriesRow
    review: ReviewRow | None
    findings: tuple[FindingRow, ...]
    letters: tuple[LetterRow, ...]
    checks: tuple[CheckRow, ...]
    versions: tuple[tuple[SeriesRow, tuple[FindingRow, ...]], ...]
    mails: tuple[Kept, ...]
    inboxes: tuple[str, ...]


class FindingSight(Struct, frozen=True):
    """A finding as it is shown.

    told     the finding of the report, as JSON has it; {} where nothing was kept of it
    pieces   source around it, see `jobs.exhibit`; graph likewise, None for none
    history  what persons did with it, in any version
    """

    row: FindingRow
    series: SeriesRow
    told: dict[str, Any]
    pieces: tuple[dict[str, Any], ...]
    graph: dict[str, Any] | None
    history: tuple[Change, ...]
    letter: LetterRow | None


class LetterSight(Struct, frozen=True):
    """A letter, the policy it is under, and why it cannot go as it is."""

    row: LetterRow
    policy: Policy
    faults: tuple[str, ...]


class Office:
    """One person at one store.

    now     RFC 3339 in UTC
    policy  as its file stands; gate: what is wrong with a letter under it. Both may raise LorelintError
    """

    def __init__(
        self,
        store: Store,
        who: str,
        now: Callable[[], str],
        policy: Callable[[], Policy],
        gate: Callable[[Policy], Gate],
        programs: Programs,
    ) -> None:
        self.store = store
        self.by = By(who)
        self.now = now
        self.policy = policy
        self.gate = gate
        self.programs = programs

    # -- looking

    def page(self, wanted: Filter, after: str = "") -> Slice:
        with self.store.look() as session:
            return session.queue.page(wanted, most=PAGE, after=after)

    def count(self, wanted: Filter) -> int:
        with self.store.look() as session:
            return session.queue.count(wanted)

    def area(self) -> tuple[str, ...]:
        """The lists and subsystems that are this person's."""
        with self.store.look() as session:
            return session.steps.area(self.by.name)

    def following(self, wanted: Filter, series: int) -> int:
        """The series after one in the queue, 0 for none."""
        with self.store.look() as session:
            return session.queue.next(wanted, series)

    def series(self, id: int) -> SeriesSight | None:
        with self.store.look() as session:
            row = session.series.get(id)
            if row is None:
                return None
            versions = sorted(session.series.of_key(row.key), key=lambda each: (each.version, each.id))
            first = session.mails.get(row.first)
            return SeriesSight(
                row=row,
                review=next((each for each in reversed(session.series.reviews(id)) if not each.failure), None),
                findings=_ordered(session.findings.of_series(id)),
                letters=session.outbox.of_series(id),
                checks=tuple(
                    check for patch in session.series.patches(id) for check in session.checks.of_patch(patch.msgid)
                ),
                versions=tuple((each, _ordered(session.findings.of_series(each.id))) for each in versions),
                mails=session.sights.heads(row.root, SHOWN_MAILS),
                inboxes=first.inboxes if first else (),
            )

    def finding(self, id: int) -> FindingSight | None:
        with self.store.look() as session:
            row = session.findings.get(id)
            series = session.series.get(row.series) if row else None
            if row is None or series is None:
                return None
            shown = _exhibit(session, row)
            letters = (each for each in session.outbox.of_series(row.series) if row.fingerprint in each.fingerprints)
            return FindingSight(
                row=row,
                series=series,
                told=shown.get("finding") or {},
                pieces=tuple(shown.get("pieces") or ()),
                graph=shown.get("graph"),
                history=session.steps.of_finding(series.key, row.fingerprint),
                letter=next(letters, None),
            )

    def letter(self, id: int) -> LetterSight | None:
        with self.store.look() as session:
            row = session.outbox.get(id)
        if row is None:
            return None
        policy = self.policy()
        return LetterSight(row, policy, self.gate(policy)(row))

    def letters(self) -> tuple[LetterRow, ...]:
        """Those that wait for a person or for their time."""
        with self.store.look() as session:
            return session.outbox.waiting(*outbox.OPEN)

    def root_of(self, msgid: str) -> str:
        with self.store.look() as session:
            return session.mails.root_of(msgid)

    def mail(self, msgid: str) -> bytes:
        """The bytes of a mail, b"" where it is not there."""
        with self.store.look() as session:
            kept = session.mails.get(msgid)
        return kept.raw if kept else b""

    def thread(self, root: str) -> tuple[bytes, ...]:
        with self.store.look() as session:
            return tuple(each.raw for each in session.mails.thread(root))

    # -- deciding; each tells what came of it

    def decide(self, ids: Sequence[int], move: Move, *, reason: str = "", until: str = "") -> str:
        """Raises LorelintError, see `jobs.triage.decide`."""
        with self.store.begin() as session:
            done = triage.decide(session, ids, move, self.by, self.now(), reason=reason, until=until)
        told = _told(done, f"{_SAID[move]}{f' until {until[:10]}' if until else ''}")
        return f"{told}; u takes it back" if done.done else told

    def waiting(self, series: Sequence[int]) -> tuple[int, ...]:
        """The findings of some series that wait for a decision."""
        with self.store.look() as session:
            return triage.waiting(session, series)

    def undo(self) -> str:
        """Take back what this person did last. Raises LorelintError where there is nothing."""
        with self.store.begin() as session:
            batch = session.steps.last(self.by.name)
            done = triage.undo(session, batch, self.by, self.now())
        return _told(done, "as before")

    def release(self, letters: Sequence[int], seen: Mapping[int, str] | None = None) -> str:
        """See `jobs.outbox.release` for what was seen."""
        gate = self.gate(self.policy())
        with self.store.begin() as session:
            return _letters(outbox.release(session, letters, self.by.name, self.now(), gate, seen), "released")

    def drop(self, letters: Sequence[int], why: str) -> str:
        with self.store.begin() as session:
            return _letters(outbox.drop(session, letters, self.by.name, self.now(), why), "dropped")

    def edit(self, letter: int, body: str, seen: str) -> tuple[bool, str]:
        """Another text; whether it was taken, and what came of it."""
        gate = self.gate(self.policy())
        body = body if body.endswith("\n") else body + "\n"
        with self.store.begin() as session:
            done = outbox.edit(session, letter, body, self.by.name, self.now(), gate, seen)
        return not done.refused, _letters([done], "changed, and held")


def _ordered(rows: Sequence[FindingRow]) -> tuple[FindingRow, ...]:
    """What waits first, then by weight."""
    return tuple(
        sorted(rows, key=lambda row: (row.state not in _WAITS, _GRAVE.get(row.severity, 3), row.path, row.line, row.id))
    )


def _exhibit(session: Session, row: FindingRow) -> dict[str, Any]:
    """What was kept of a finding; of an older review, that kept no source, what the report says."""
    raw = session.sights.exhibit(row.review, row.fingerprint)
    if raw:
        shown: dict[str, Any] = json.loads(raw)
        return shown
    reviews = (each for each in session.series.reviews(row.series) if each.id == row.review and each.report)
    for review in reviews:
        for finding in json.loads(review.report).get("findings", ()):
            if finding.get("fingerprint") == row.fingerprint:
                return {"finding": finding}
    return {}


def _told(done: Decided, what: str) -> str:
    parts = [f"{many(len(done.done), 'finding')} {what}"] if done.done or not done.refused else []
    parts += [f"finding {id} stays: {words(why)}" for id, why in done.refused[:3]]
    return "; ".join(parts)


def _letters(done: Sequence[outbox.Done], what: str) -> str:
    taken = [each for each in done if not each.refused]
    parts = [f"{many(len(taken), 'letter')} {what}"] if taken else []
    parts += [f"letter {each.id} stays: {words(each.refused)}" for each in done if each.refused]
    return "; ".join(parts)
