"""What is to stand at a patch in its Patchwork, from its review to the end of its series. Pure over the store.

`pending` while it waits for its review or goes through it, and as long as a person has to look first; then what was
found, or that nothing was. When persons dismiss all that it tells of, when a newer version comes, or the patch is
applied, what stands there is put right. `jobs.checks` sets it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from lorelint.model.finding import Severity
from lorelint.model.policy import Audience, Policy
from lorelint.model.store import CheckRow, FindingRow, Life, SeriesRow, Session, State
from lorelint.report.text import cut, listed, words

CONTEXT = "lorelint"  # of our checks
DESCRIPTION = 200  # characters
PENDING, SUCCESS, WARNING, FAIL = "pending", "success", "warning", "fail"
_GOES_ON = "the review goes on"
_LOOKED = (State.CONFIRMED, State.SENT)  # a person has let it be told
_STANDS = (State.NEW, State.CONFIRMED, State.SENT, State.RAISED)  # a finding that is not settled


def begin(session: Session, series: SeriesRow, policy: Policy, now: str) -> None:
    """A series waits for its review: that is said where nothing stands yet."""
    for patch in session.series.patches(series.id):
        kept = session.mails.get(patch.msgid)
        lists = [policy.of(name) for name in (kept.inboxes if kept else ())]
        url = next((one.patchwork for one in lists if one and one.patchwork and one.audience is Audience.LIST), "")
        if url and not session.checks.of_patch(patch.msgid):
            session.checks.put(CheckRow(0, patch.msgid, url, CONTEXT, PENDING, _GOES_ON, at=now))


def tell(
    session: Session,
    patch: str,
    url: str,
    at: str,
    said: Sequence[tuple[str, Severity, str]],
    *,
    held: bool = False,
    clean: str = "",
) -> CheckRow:
    """What a review has found: (fingerprint, severity, text) of each finding; `clean` where there is none.

    at    when it may be read
    held  a person has to look first: until then the review goes on, for whoever reads it
    """
    state, text = _verdict([(severity, words) for _, severity, words in said]) if said else (SUCCESS, clean)
    row = CheckRow(0, patch, url, CONTEXT, state, cut(words(text), DESCRIPTION), at=at)
    row = replace(row, fingerprints=tuple(fingerprint for fingerprint, _, _ in said), held=held)
    if held:
        row = replace(row, state=PENDING, description=_GOES_ON)
    session.checks.put(row)
    return row


def _verdict(said: Sequence[tuple[Severity, str]]) -> tuple[str, str]:
    grave = any(severity is Severity.ERROR for severity, _ in said)
    return FAIL if grave else WARNING, "; ".join(text for _, text in said)


def nothing(session: Session, patch: str, now: str) -> None:
    """A review is done, and nothing is told of it: who waits for it need not any more."""
    for row in session.checks.of_patch(patch):
        if row.state == PENDING and not row.held:
            _end(session, row, "nothing to tell of", now)


def end(session: Session, series: int, why: str, now: str, stays: Iterable[str] = ()) -> None:
    """A series is over, but for the patches in `stays`: nothing more is told, and what was told asks for nothing."""
    kept = frozenset(stays)
    for patch in session.series.patches(series):
        for row in session.checks.of_patch(patch.msgid) if patch.msgid not in kept else ():
            _end(session, row, why, now)


def _end(session: Session, row: CheckRow, why: str, now: str) -> None:
    if not row.posted:
        session.checks.withdraw(row.id)
    elif row.posted != SUCCESS or row.state != SUCCESS:
        session.checks.put(replace(row, state=SUCCESS, description=cut(words(why), DESCRIPTION), at=now, held=False))


def unable(session: Session, series: int, now: str) -> None:
    """A series cannot be reviewed: whoever waits for it is told so."""
    for patch in session.series.patches(series):
        for row in session.checks.of_patch(patch.msgid):
            if row.state == PENDING and row.posted:
                session.checks.put(replace(row, state=WARNING, description="it could not be reviewed", at=now))
            elif row.state == PENDING:
                session.checks.withdraw(row.id)


def corrected(session: Session, series: int, now: str) -> None:
    """Persons have decided about findings of a series that is not over: what stands at its patches follows."""
    current = session.series.get(series)
    if current is None or current.life in (Life.SUPERSEDED, Life.MUTED):
        return
    found = {each.fingerprint: each for each in session.findings.of_series(series)}
    for patch in session.series.patches(series):
        for row in session.checks.of_patch(patch.msgid):
            mine = [found[each] for each in row.fingerprints if each in found]
            if mine:
                _correct(session, row, mine, now)


def _correct(session: Session, row: CheckRow, mine: Sequence[FindingRow], now: str) -> None:
    left = [each for each in mine if each.state in _STANDS]
    if not left:
        states = listed(list(dict.fromkeys(each.state.value for each in mine)))
        state, text = SUCCESS, f"what was found is settled: {states}"
    elif row.held and any(each.state not in _LOOKED for each in left):
        state, text = PENDING, _GOES_ON
    else:
        state, text = _verdict([(Severity(each.severity), sentence(each)) for each in left])
    text = cut(words(text), DESCRIPTION)
    if (state, text) != (row.state, row.description):
        session.checks.put(replace(row, state=state, description=text, at=now if row.posted else max(row.at, now)))


def sentence(row: FindingRow) -> str:
    """A finding in one sentence."""
    inside = "" if not row.function or row.function in row.message else f"in {row.function}() "
    return f"{row.rule}: {inside}{row.message}"
