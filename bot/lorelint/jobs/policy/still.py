"""Whether a released letter may go now: asked of the policy, the store and the clock as they are at that moment.

Between its release and its turn a newer version may have come, a finding been dismissed, a rule muted, somebody opted
out, or the policy become narrower. Whatever makes the letter pointless cancels it, whatever is doubtful holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from lorelint.jobs.draft import silent, told_since
from lorelint.jobs.policy.decide import matches, moment, shown
from lorelint.model.policy import Audience, ListPolicy, Policy
from lorelint.model.store import Letter, LetterRow, Life, Session
from lorelint.report.text import listed


class Check(Struct, frozen=True):
    """row: as it may go now, without those who want no mail any more; end: what it becomes instead; text: why it waits
    or ends, "" for neither."""

    row: LetterRow
    end: Letter | None = None
    text: str = ""


def check(session: Session, row: LetterRow, policy: Policy, now: str, ahead: Sequence[LetterRow] = ()) -> Check:
    """`ahead` are letters that go before it in the same pass, for the caps."""
    row = session.outbox.get(row.id) or row
    if row.state is not Letter.RELEASED:
        return Check(row, text=f"it is {row.state} by now")
    lists = [one for one in (policy.of(name) for name in row.inboxes) if one is not None]
    pointless = next(_pointless(session, row, policy, now), "")
    if pointless:
        return Check(row, Letter.CANCELLED, pointless)
    doubtful = next(_doubtful(session, row, policy, lists, now), "")
    if doubtful:
        return Check(row, Letter.HELD, doubtful)
    unwanted = {each.lower() for each in (*policy.opted_out, *session.verdicts.opted_out(), policy.sender)}
    row = replace(row, cc=tuple(each for each in row.cc if each[1].lower() not in unwanted))
    return Check(row, text=next(_waits(session, row, policy, lists, now, ahead), ""))


def _pointless(session: Session, row: LetterRow, policy: Policy, now: str) -> Iterator[str]:
    series = session.series.get(row.series)
    if series is not None and series.life is Life.SUPERSEDED:
        yield "a newer version of the series came"
    elif series is not None and series.life is Life.MUTED:
        yield series.why
    wants_none = {each.lower() for each in (*policy.opted_out, *session.verdicts.opted_out())}
    for _, address in row.to:
        if address.lower() in wants_none or matches(address, policy.ignored_authors):
            yield f"{address} wants no mail"
    silenced, left = _silenced(session, row, now)
    if silenced and not left:
        yield f"what it speaks of is {listed(list(dict.fromkeys(silenced.values())))} by now"


def _silenced(session: Session, row: LetterRow, now: str) -> tuple[dict[str, str], int]:
    """Findings of the letter that nothing is to be said of any more, with their states; how many others there are."""
    found = session.findings.of_series(row.series)
    mine = [each for each in found if each.patch == row.patch and each.fingerprint in row.fingerprints]
    quiet = silent(mine, now)
    silenced = {each.fingerprint: each.state.value for each in mine if each.fingerprint in quiet}
    return silenced, len(mine) - len(silenced)


def _doubtful(session: Session, row: LetterRow, policy: Policy, lists: Sequence[ListPolicy], now: str) -> Iterator[str]:
    for fingerprint, state in _silenced(session, row, now)[0].items():
        yield f"one of the findings in it ({fingerprint}) is {state} by now"
    for one in lists:
        muted = session.verdicts.muted(one.name)
        yield from (f"{rule} is mute on {one.name} by now: {muted[rule]}" for rule in row.rules if rule in muted)
    for name in row.inboxes:
        table = policy.of(name)
        if table is None or table.audience is Audience.DASHBOARD:
            yield f"the policy lets nothing out for {name} any more"
        elif _aged(session, row, table.max_age_days, now):
            yield f"the patch has become older than list.{table.name}.max_age_days = {table.max_age_days:g}"
    yield from _narrower(row, policy, lists)
    yield from _answered(session, row)


def _answered(session: Session, row: LetterRow) -> Iterator[str]:
    """Words of a person that came when the letter was written or released already: what it says may be said."""
    kept = session.mails.get(row.patch)
    if kept is None:
        return
    for mail in session.mails.replies(kept.root, row.released_at or row.created_at):
        if mail.author[1].lower() != kept.author[1].lower():
            yield f"{mail.author[0] or mail.author[1]} has answered since, in <{mail.msgid}>: it may be said already"
            return


def _aged(session: Session, row: LetterRow, days: float, now: str) -> bool:
    """Whether a letter has waited too long since it was released; whoever releases it now wants it so."""
    kept = session.mails.get(row.patch)
    if kept is None:
        return False
    last = moment(kept.at) + timedelta(days=days)
    return moment(row.released_at or row.created_at) <= last < moment(now)


def _narrower(row: LetterRow, policy: Policy, lists: Sequence[ListPolicy]) -> Iterator[str]:
    """Recipients that the policy would not write to today."""
    open_lists = {one.address.lower() for one in lists if one.audience is Audience.LIST}
    closed = {one.address.lower() for one in policy.lists} - open_lists
    also = {each.lower() for one in lists for each in one.also_to}
    author_only = all(one.audience is Audience.AUTHOR for one in lists)
    for _, address in (*row.to, *row.cc):
        if address.lower() in closed - also:
            yield f"the policy does not let {address} in any more"
    if author_only:
        beyond = [address for _, address in row.cc if address.lower() not in also | closed]
        yield from (f"the policy lets only the author in by now, not {address}" for address in beyond)


def _waits(
    session: Session,
    row: LetterRow,
    policy: Policy,
    lists: Sequence[ListPolicy],
    now: str,
    ahead: Sequence[LetterRow],
) -> Iterator[str]:
    kept = session.mails.get(row.patch)
    hours = max((one.embargo_hours for one in lists), default=0.0)
    until = max(row.not_before, shown(moment(kept.at) + timedelta(hours=hours)) if kept else "")
    if until > now:
        yield f"embargo until {until}"
    yield from full(session, policy, lists, now, ahead)


def full(
    session: Session, policy: Policy, lists: Sequence[ListPolicy], now: str, ahead: Sequence[LetterRow] = ()
) -> Iterator[str]:
    """Caps that are reached. A check that tells of something counts as a letter does."""
    since = shown(moment(now) - timedelta(hours=1))
    if session.outbox.sent_since(since) + session.checks.told_since(since) + len(ahead) >= policy.hourly_cap:
        yield f"hourly_cap = {policy.hourly_cap} is reached"
    since = shown(moment(now) - timedelta(days=1))
    for one in lists:
        if told_since(session, one, since) + sum(one.name in each.inboxes for each in ahead) >= one.daily_cap:
            yield f"list.{one.name}.daily_cap = {one.daily_cap} is reached"
