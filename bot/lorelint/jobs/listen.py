"""One pass over the lists: take in what came, obey answers, review what is due, write letters. Pure over ports.

Each step is a transaction of its own, so the process may be killed between any two, and goes on where it was. What
fails is written down (`Note`, a failed review) and stops nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

from msgspec import Struct, field
from msgspec.structs import replace

from lorelint.jobs import draft as drafts
from lorelint.jobs import intake, life, stands, taken
from lorelint.jobs.due import Done, Due
from lorelint.jobs.life import Pace
from lorelint.jobs.prune import prune
from lorelint.jobs.triage import wake
from lorelint.model.errors import LorelintError, Stopped
from lorelint.model.feed import Cursor, Feed, Nature
from lorelint.model.policy import Policy
from lorelint.model.store import Life, Note, ReviewRow, SeriesRow, Session, Store
from lorelint.report.place import Source
from lorelint.report.text import many

MAX_TAKEN = 5_000  # messages of one list in one pass: the others and the reviews have their turn
MAX_REVIEWS = 50  # in one pass
PRUNED = "pruned"  # setting: when the text of old mails was last let go
LOOK_AGAIN = 60.0  # seconds of reviewing, then the lists are looked at again: a newer version may have come
MAX_MAILS = 2_000  # of one thread that go to a review

Say = Callable[..., None]
"""``say(event, name=value, ...)``: one line of the log."""


class Listening(Struct, frozen=True):
    """All that a pass takes.

    refresh   brings the trees up to date; (tree, whether it could be, what is so) of those that were due
    trees     those that are there, by name, as they are now
    review    one series, apart; LorelintError where it failed
    draft     what drafting under a policy asks of others
    source    the lines that a review's letters may quote
    policy    as its file stands now, and what is wrong with it
    obey      deals with the answers that wait; a line about each
    clock     seconds
    stop      whether to end after the step that is being done
    keep_days after which the text of mails is let go on which nothing hangs, 0 for never
    since     where the very first start begins (RFC 3339), "" for now
    """

    store: Store
    feeds: Sequence[Feed]
    reader: intake.Reader
    refresh: Callable[[str], Sequence[tuple[str, bool, str]]]
    trees: Callable[[], taken.Trees]
    review: Callable[[Due], Done]
    policy: Callable[[], tuple[Policy, str]]
    draft: Callable[[Policy], drafts.Help]
    source: Callable[[Done], Source]
    obey: Callable[[str], Sequence[str]]
    pace: Pace
    version: str
    clock: Callable[[], float]
    max_age_days: float = 0.0
    keep_days: float = 0.0
    since: str = ""
    say: Say = field(default=lambda event, **facts: None)
    stop: Callable[[], bool] = field(default=lambda: False)


class Pass(Struct):
    """What one pass did."""

    taken: int = 0
    fresh: int = 0
    reviewed: int = 0
    failed: int = 0
    muted: int = 0
    findings: int = 0
    letters: int = 0
    errors: int = 0
    more: bool = False  # a bound was met: there is more to do at once


def listen(parts: Listening, now: str) -> Pass:
    """One pass. Raises LorelintError where the store fails; what else fails is in the store's notes."""
    done = Pass()
    _, wrong = parts.policy()
    if wrong:
        parts.say("policy", ok=False, text=wrong)  # `status` reads the file itself
    for name, ok, text in parts.refresh(now):
        _note(parts, f"tree:{name}", now, ok, text, done)
    for feed in parts.feeds:
        if not parts.stop():
            _follow(parts, feed, now, done)
    _assemble(parts, now)
    if not parts.stop():
        _answers(parts, now, done)
    with parts.store.begin() as session:
        wake(session, now)  # a person looks at the queue in a terminal, too
    if not parts.stop():
        _withdraw(parts, now, done)
    _prune(parts, now)
    _wait(parts, now)
    began = parts.clock()
    for number, row in enumerate(_due(parts, now)):
        if number == MAX_REVIEWS or parts.clock() - began >= LOOK_AGAIN:
            done.more = True
            break
        _series(parts, row, now, done)
    _note(parts, "listen", now, True, f"{many(done.taken, 'message')} taken, {done.reviewed} series reviewed", done)
    return done


def _note(parts: Listening, name: str, now: str, ok: bool, text: str, done: Pass) -> None:
    done.errors += not ok
    event, _, about = name.partition(":")
    parts.say(event, **({"name": about} if about else {}), ok=ok, text=text)
    with parts.store.begin() as session:
        session.notes.say(Note(name, now, ok, text[:1000]))


@contextmanager
def _noted(parts: Listening, name: str, now: str, done: Pass) -> Iterator[None]:
    """A part of a pass that is told of where it fails, and once where it goes well again."""
    try:
        yield
    except LorelintError as error:
        _note(parts, name, now, False, str(error), done)
        return
    with parts.store.look() as session:
        failed = any(note.name == name and not note.ok for note in session.notes.all())
    if failed:
        _note(parts, name, now, True, "goes well again", done)


# Lists


def _follow(parts: Listening, feed: Feed, now: str, done: Pass) -> None:
    """Take in what came over one list. A list that cannot be followed just now is noted."""
    before, fresh = done.taken, done.fresh
    try:
        cursors = _cursors(parts, feed)
        feed.refresh()
        with closing(feed.arrivals(cursors)) as arrivals:  # type: ignore[type-var]
            for arrival in arrivals:
                if parts.stop() or done.taken - before >= MAX_TAKEN:
                    break
                arrival = replace(arrival, at=min(arrival.at, now))  # an archive's clock may be ahead
                came = intake.take(parts.store, arrival, parts.reader, now=now)
                done.taken += 1
                done.fresh += came.fresh
                if came.fresh and (came.nature.reviewed or came.nature is Nature.ANSWER):
                    parts.say("taken", inbox=feed.inbox, nature=came.nature.value, msgid=came.msgid)
                if came.bounced:
                    parts.say("bounced", inbox=feed.inbox, letter=came.bounced, msgid=came.msgid)
    except LorelintError as error:
        _note(parts, f"inbox:{feed.inbox}", now, False, str(error), done)
        return
    text = f"{many(done.taken - before, 'message')} came, {done.fresh - fresh} of them new"
    _note(parts, f"inbox:{feed.inbox}", now, True, text, done)
    if done.taken - before >= MAX_TAKEN:
        done.more = True
    elif not parts.stop():
        with parts.store.begin() as session:
            session.notes.set(f"read:{feed.inbox}", now)


def _assemble(parts: Listening, now: str) -> None:
    """Put series together; what is left when the process ends is put together by the next."""
    count, some = 0, 1
    while some and not parts.stop():
        some = intake.assemble(parts.store, parts.reader, now=now, pace=parts.pace)
        count += some
    if count:
        parts.say("assembled", mails=count)


def _cursors(parts: Listening, feed: Feed) -> tuple[Cursor, ...]:
    """How far a list was read; at the very first start it begins now, so that nothing is said about the past."""
    with parts.store.look() as session:
        known = session.mails.cursors(feed.inbox)
    if known:
        return known
    cursors = feed.start(parts.since)
    with parts.store.begin() as session:
        for each in cursors:
            session.mails.move(each)
    parts.say("start", inbox=feed.inbox, since=parts.since or "now")
    return cursors


def _answers(parts: Listening, now: str, done: Pass) -> None:
    with _noted(parts, "answers", now, done):
        for line in parts.obey(now):
            parts.say("answer", text=line)


def _withdraw(parts: Listening, now: str, done: Pass) -> None:
    """Letters about what was applied since they were written."""
    with _noted(parts, "letters", now, done):
        for letter, why in taken.withdraw(parts.store, parts.trees, parts.reader.threads, now, parts.stop):
            parts.say("cancelled", letter=letter.id, patch=letter.patch, text=why)


def _prune(parts: Listening, now: str) -> None:
    """Once a day; what is not done when the process ends is done by the next."""
    with parts.store.look() as session:
        last = session.notes.get(PRUNED)
    if not parts.keep_days or last[:10] == now[:10]:
        return
    before = life.later(now, -24 * max(parts.keep_days, parts.max_age_days))
    count = prune(parts.store, before, parts.stop)
    if not parts.stop():
        with parts.store.begin() as session:
            session.notes.set(PRUNED, now)
    if count:
        parts.say("pruned", mails=count, before=before)


# Series


def _due(parts: Listening, now: str) -> Iterator[SeriesRow]:
    """Those whose time has come, each once in a pass; one more than are reviewed in it, where there are."""
    seen: set[int] = set()
    while not parts.stop() and len(seen) <= MAX_REVIEWS:
        with parts.store.look() as session:
            waiting = [row for row in session.series.due(now, MAX_REVIEWS + 1) if row.id not in seen]
        if not waiting:
            return
        seen.add(waiting[0].id)
        yield waiting[0]


def _wait(parts: Listening, now: str) -> None:
    """Those that wait for their turn: a Patchwork may say so."""
    policy, _ = parts.policy()
    if any(one.patchwork for one in policy.lists):
        with parts.store.begin() as session:
            for row in session.series.due(now, MAX_REVIEWS):
                stands.begin(session, row, policy, now)


def _series(parts: Listening, row: SeriesRow, now: str, done: Pass) -> None:
    """Review one, and write all that came of it in one transaction."""
    with parts.store.begin() as session:
        why = life.quiet(session, row, now, max_age_days=parts.max_age_days)
        if why:
            life.mute(session, row, why, now)
        due = _due_of(session, row)
    if why:
        _muted(parts, row, why, done)
        return
    try:
        result = parts.review(due)
        if result.report is not None:
            _write(parts, row, result, now, done)
            return
    except Stopped:
        return
    except Exception as error:
        # A bug of ours is as good a reason as any: the others have their turn, and this one is tried again.
        _failed(parts, row, str(error) if isinstance(error, LorelintError) else _told(error), now, done)
        return
    why = f"applied already: {result.applied}"
    with parts.store.begin() as session:
        life.mute(session, row, why, now)
    _muted(parts, row, why, done)


def _told(error: Exception) -> str:
    return f"a bug of ours: {type(error).__name__}: {error}"[:500]


def _due_of(session: Session, row: SeriesRow) -> Due:
    """What a series is reviewed by: its own mails, and what was said last in its thread."""
    thread = {kept.msgid: kept for kept in session.mails.thread(row.root)[-MAX_MAILS:]}
    own = [row.first, *(patch.msgid for patch in session.series.patches(row.id))]
    # Anybody may answer in it until they are not among the others.
    beside = {each: session.mails.get(each) for each in own if each not in thread}
    every = {each: kept for each, kept in (*beside.items(), *thread.items()) if kept is not None}
    first = every.get(row.first)
    mails = [kept.raw for kept in every.values() if kept.nature is not Nature.BROKEN]
    return Due(row.first, first.inboxes if first is not None else (), tuple(mails))


def _write(parts: Listening, row: SeriesRow, result: Done, now: str, done: Pass) -> None:
    """The review, its findings beside those of earlier versions, and letters: all of it, or nothing."""
    assert result.report is not None
    policy, _ = parts.policy()
    with parts.store.begin() as session:
        carried = life.reviewed(session, row, result.report, _review(parts, row, result, now), now)
        moot = "a newer version came, or it was taken back" if _over(session, row) else ""
        drafted = drafts.draft(
            session,
            result.report,
            row,
            policy,
            now,
            help=parts.draft(policy),
            moot=moot,
            source=parts.source(result),
        )
    letters = [each.letter for each in drafted if each.letter is not None]
    done.reviewed += 1
    done.findings += len(carried.rows)
    done.letters += len(letters)
    parts.say(
        "reviewed",
        series=row.id,
        first=row.first,
        version=row.version,
        tree=result.tree,
        grade=result.grade,
        findings=len(carried.rows),
        letters=len(letters),
        seconds=round(result.seconds, 1),
    )


def _over(session: Session, row: SeriesRow) -> bool:
    current = session.series.get(row.id)
    return current is None or current.life in (Life.SUPERSEDED, Life.MUTED)


def _review(parts: Listening, row: SeriesRow, result: Done | None, now: str, failure: str = "") -> ReviewRow:
    if result is None:
        return ReviewRow(0, row.id, now, parts.version, "", "", "", (), 0.0, failure[:1000])
    return ReviewRow(
        id=0,
        series=row.id,
        at=now,
        version=parts.version,
        tree=result.tree,
        commit=result.commit,
        grade=result.grade,
        tried=result.tried,
        seconds=result.seconds,
        report=result.document,
        subsystems=result.subsystems,
        people=result.people,
        exhibits=result.exhibits,
    )


def _failed(parts: Listening, row: SeriesRow, why: str, now: str, done: Pass) -> None:
    with parts.store.begin() as session:
        stands = life.failed(session, row, _review(parts, row, None, now, why), pace=parts.pace, now=now)
    done.failed += 1
    parts.say("failed", series=row.id, first=row.first, life=stands.value, text=why)


def _muted(parts: Listening, row: SeriesRow, why: str, done: Pass) -> None:
    done.muted += 1
    parts.say("muted", series=row.id, first=row.first, text=why)
