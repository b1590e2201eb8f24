"""What persons decide about findings: confirm, dismiss, put off, open again; and take it back. Pure over the store.

A decision is about a finding in one version of a series and in those that came since; later ones take it over when
they are reviewed (`jobs.carry`). It is kept with who and when, as a verdict that the standing of rules is made of, as a
line of the audit, and as a step that can be taken back as long as nobody has decided otherwise since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from lorelint.jobs.answers import Weight
from lorelint.jobs.meant import versions
from lorelint.jobs.outbox import SPEAKS, silenced
from lorelint.jobs.stands import corrected
from lorelint.model.errors import LorelintError
from lorelint.model.queue import Change
from lorelint.model.store import LOST, US, FindingRow, Letter, Life, SeriesRow, Session, State, VerdictRow
from lorelint.report.text import cut, words

MOST = 500  # findings that are decided at once
REASON = 500  # characters
BACK = "a decision was taken back"


class Move(StrEnum):
    """What a person can do with a finding."""

    CONFIRM = "confirm"
    FALSE = "false-positive"
    WONTFIX = "wontfix"
    NOT_OURS = "not-ours"
    SNOOZE = "snooze"
    REOPEN = "reopen"

    @property
    def dismisses(self) -> bool:
        return self in (Move.FALSE, Move.WONTFIX, Move.NOT_OURS)

    @property
    def state(self) -> State:
        """What a finding is after it."""
        return _STATES[self]


_STATES = {
    Move.CONFIRM: State.CONFIRMED,
    Move.FALSE: State.FALSE,
    Move.WONTFIX: State.WONTFIX,
    Move.NOT_OURS: State.NOT_OURS,
    Move.SNOOZE: State.SNOOZED,
    Move.REOPEN: State.NEW,
}
_DECIDED = frozenset({State.FALSE, State.WONTFIX, State.NOT_OURS, State.CONFIRMED, State.SNOOZED})
_FROM = {
    Move.CONFIRM: frozenset(State) - {State.CONFIRMED, State.FIXED, State.SENT},
    Move.SNOOZE: frozenset({State.NEW, State.CONFIRMED}),
    Move.REOPEN: _DECIDED | {State.RAISED},
}
_DISMISSED_FROM = frozenset(State) - {State.FIXED}
_SAID = (Move.CONFIRM, Move.FALSE, Move.WONTFIX, Move.NOT_OURS)  # verdicts on the rule, too


class By(Struct, frozen=True):
    """Who decides, and as whom."""

    name: str
    weight: Weight = Weight.OPERATOR


class Decided(Struct, frozen=True):
    """What came of it: the findings as they are now, and (id, why not) of those that stay as they were.

    batch  what `undo` takes back; 0 where nothing was done
    """

    batch: int = 0
    done: tuple[FindingRow, ...] = ()
    refused: tuple[tuple[int, str], ...] = ()


def may(row: FindingRow, move: Move) -> bool:
    """Whether a finding can be moved so from where it is."""
    allowed = _DISMISSED_FROM - {move.state} if move.dismisses else _FROM[move]
    return row.state in allowed


def decide(
    session: Session, ids: Sequence[int], move: Move, by: By, now: str, *, reason: str = "", until: str = ""
) -> Decided:
    """Move findings, each for itself; all that were moved can be taken back together.

    until  of `Move.SNOOZE`: when they are to be opened again; RFC 3339 in UTC, later than `now`
    Raises LorelintError for a dismissal without a reason, a time that is over, too many at once.
    """
    check(ids, move, now, reason, until)
    reason = cut(words(reason), REASON)
    clerk = _Clerk(session, move, by, now, reason, until if move is Move.SNOOZE else "")
    for id in dict.fromkeys(ids):
        clerk.decide(id)
    return clerk.settle()


def check(ids: Sequence[int], move: Move, now: str, reason: str, until: str) -> None:
    """What `decide` raises, before anything is done."""
    if len(ids) > MOST:
        remedy = f"decide about {MOST} at a time"
        raise LorelintError(f"{len(ids)} findings are too many at once", where=move.value, remedy=remedy)
    if move.dismisses and not words(reason):
        raise LorelintError("no reason is given", where=move.value, remedy="say why it is no defect, or not to be told")
    if move is Move.SNOOZE and not until > now:
        raise LorelintError("the time is over", where=until or "snooze", remedy="name one that is still to come")


class _Clerk:
    """One batch of decisions."""

    def __init__(self, session: Session, move: Move, by: By, now: str, reason: str, until: str) -> None:
        self.session = session
        self.move = move
        self.by = by
        self.now = now
        self.reason = reason
        self.until = until
        self.changes: list[Change] = []
        self.refused: list[tuple[int, str]] = []
        self.series: dict[int, SeriesRow] = {}
        self.moved: set[int] = set()

    def decide(self, id: int) -> None:
        row = self.session.findings.get(id)
        series = self.session.series.get(row.series) if row else None
        if row is None or series is None:
            self.refused.append((id, "there is no such finding"))
        elif id in self.moved:
            pass  # it was moved along with an earlier version of it
        elif not may(row, self.move):
            self.refused.append((id, f"it is {row.state}"))
        else:
            verdicts = self._verdicts(row, series) if self.move in _SAID else ()
            for each in versions(self.session, series):
                for twin in self.session.findings.of_series(each.id):
                    if twin.fingerprint == row.fingerprint and (twin.id == id or may(twin, self.move)):
                        self._move(twin, each, verdicts if twin.id == id else ())
            self.session.notes.audit(self.now, self.by.name, f"finding {self.move}", f"finding:{id}", self.reason)

    def _move(self, row: FindingRow, series: SeriesRow, verdicts: tuple[int, ...]) -> None:
        state, who, at = self.move.state, self.by.name, self.now
        reason, until = self.reason, self.until
        self.session.findings.change(row.id, state, who=who, at=at, reason=reason, until=until)
        became = replace(row, state=state, who=who, changed_at=at, reason=reason, fixed_in=0, snoozed_until=until)
        self.moved.add(row.id)
        self.series[series.id] = series
        self.changes.append(
            Change(
                id=0,
                batch=0,
                finding=row.id,
                series=series.id,
                fingerprint=row.fingerprint,
                at=at,
                who=who,
                move=self.move.value,
                reason=reason,
                was=row,
                became=became,
                verdicts=verdicts,
            )
        )

    def _verdicts(self, row: FindingRow, series: SeriesRow) -> tuple[int, ...]:
        """What was said counts on each list the series came over."""
        first = self.session.mails.get(series.first)
        said = VerdictRow(
            id=0,
            verdict=self.move.state.value,
            rule=row.rule,
            fingerprint=row.fingerprint,
            series_key=series.key,
            inbox="",
            who=self.by.name,
            weight=self.by.weight.value,
            proof="local",
            reason=self.reason,
            msgid="",
            at=self.now,
        )
        inboxes = (first.inboxes if first else ()) or ("",)
        return tuple(self.session.verdicts.add(replace(said, inbox=inbox)) for inbox in inboxes)

    def settle(self) -> Decided:
        """Letters follow what was decided; then all of it is kept."""
        if not self.changes:
            return Decided(refused=tuple(self.refused))
        batch = self.session.steps.batch()
        letters = {id: self._letters(series) for id, series in self.series.items()}
        for change in self.changes:
            # What became of the letters of a series is told once, by the first of its changes.
            self.session.steps.add(replace(change, batch=batch, letters=letters.pop(change.series, ())))
        done = (self.session.findings.get(change.finding) for change in self.changes)
        return Decided(batch, tuple(row for row in done if row is not None), tuple(self.refused))

    def _letters(self, series: SeriesRow) -> tuple[tuple[int, str], ...]:
        before = {letter.id: letter.state for letter in self.session.outbox.of_series(series.id)}
        if self.move in (Move.CONFIRM, Move.REOPEN):
            _revive(self.session, before, self.by.name, self.now)
        else:
            silenced(self.session, series, self.by.name, self.now)
        corrected(self.session, series.id, self.now)
        after = {letter.id: letter.state for letter in self.session.outbox.of_series(series.id)}
        return tuple((id, state.value) for id, state in before.items() if after[id] is not state)


def _revive(session: Session, letters: dict[int, Letter], who: str, now: str) -> None:
    """Letters that a decision had ended have something to say again: a person has to look."""
    for id, state in letters.items():
        if state is Letter.CANCELLED and session.steps.of_letter(id):
            _hold_again(session, id, f"{BACK} by {who}", who, now)


def _hold_again(session: Session, id: int, why: str, who: str, now: str) -> None:
    """A cancelled letter waits for a person again, where what it names is worth saying, and no newer version came."""
    letter = session.outbox.get(id)
    series = None if letter is None else session.series.get(letter.series)
    if letter is None or series is None or series.life is not Life.REVIEWED:
        return
    found = session.findings.of_series(series.id)
    if any(row.fingerprint in letter.fingerprints and row.state in SPEAKS for row in found):
        session.outbox.change(id, Letter.HELD, was=Letter.CANCELLED, at=now, who=who, why=(why,))
        session.notes.audit(now, who, "letter held", letter.msgid, why)


# What was done is undone


def undo(session: Session, batch: int, by: By, now: str) -> Decided:
    """Take decisions back that were made together; those that were decided otherwise since stay as they are.

    Raises LorelintError where there is no such batch, or it was taken back already.
    """
    changes = session.steps.of_batch(batch)
    if not changes or any(change.undone for change in changes):
        what = "it was taken back already" if changes else "there is nothing to take back"
        raise LorelintError(what, where="undo", remedy="look at the history of the finding")
    done: list[FindingRow] = []
    refused: list[tuple[int, str]] = []
    for change in reversed(changes):
        row = session.findings.get(change.finding)
        if row is None or _decision(row) != _decision(change.became):
            now_is = f"it is {row.state} since, by {row.who or 'nobody'}" if row else "it is not there any more"
            refused.append((change.finding, now_is))
            continue
        twins = (row, *_carried(session, change))
        for each in twins:
            _put_back(session, each, change.was)
        session.notes.audit(now, by.name, "finding undone", f"finding:{change.finding}", f"{change.move} taken back")
        done.append(row)
        _letters_back(session, change, by.name, now)
        for series in sorted({each.series for each in twins}):
            corrected(session, series, now)
        for verdict in change.verdicts:
            session.steps.take_back(verdict, f"taken back by {by.name}")
    session.steps.undo(batch, f"{by.name} {now}")
    there = (session.findings.get(row.id) for row in done)
    return Decided(batch, tuple(row for row in there if row is not None), tuple(refused))


def _decision(row: FindingRow) -> tuple[State, str, str]:
    return row.state, row.who, row.changed_at


def _carried(session: Session, change: Change) -> Iterable[FindingRow]:
    """The finding in versions that came after the decision and took it over."""
    series = session.series.get(change.series)
    for row in session.findings.of_key(series.key) if series else ():
        same = row.fingerprint == change.fingerprint and _decision(row) == _decision(change.became)
        if same and row.id != change.finding:
            yield row


def _put_back(session: Session, row: FindingRow, was: FindingRow) -> None:
    session.findings.change(
        row.id,
        was.state,
        who=was.who,
        at=was.changed_at,
        reason=was.reason,
        fixed_in=was.fixed_in,
        until=was.snoozed_until,
    )


def _letters_back(session: Session, change: Change, who: str, now: str) -> None:
    """A letter that the decision ended waits for a person again; one it brought back is ended again."""
    for id, was in change.letters:
        letter = session.outbox.get(id)
        if letter is None:
            continue
        why = f"{BACK} by {who}"
        if letter.state is Letter.CANCELLED and was in (Letter.HELD, Letter.RELEASED):
            _hold_again(session, id, why, who, now)
        elif letter.state is Letter.HELD and was == Letter.CANCELLED and LOST not in letter.why:
            session.outbox.change(id, Letter.CANCELLED, was=letter.state, at=now, who=who, why=(why,))
            session.notes.audit(now, who, "letter cancelled", letter.msgid, why)


# What time does


def wake(session: Session, now: str) -> tuple[int, ...]:
    """Open again what was put off until now; the findings."""
    rows = session.steps.asleep(now)
    for row in rows:
        reason = f"was put off until {row.snoozed_until}" + (f" by {row.who}" if row.who else "")
        session.findings.change(row.id, State.NEW, who=US, at=now, reason=reason)
        session.notes.audit(now, US, "finding woken", f"finding:{row.id}", reason)
        letter = session.outbox.of_patch(row.patch)
        if letter is not None:
            _hold_again(session, letter.id, f"{row.rule} {reason}", US, now)
        corrected(session, row.series, now)
    return tuple(row.id for row in rows)


def waiting(session: Session, series: Iterable[int]) -> tuple[int, ...]:
    """The findings of some series that wait for a decision: what is decided about a whole series is about these."""
    found = (row for id in dict.fromkeys(series) for row in session.findings.of_series(id))
    return tuple(row.id for row in found if row.state is State.NEW)
