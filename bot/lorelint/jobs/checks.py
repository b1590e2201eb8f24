"""Checks that wait are set in their Patchworks. Setting one twice does no harm: what was set last counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from lorelint.jobs.policy.decide import matches
from lorelint.jobs.policy.still import full
from lorelint.jobs.stands import FAIL, SUCCESS, WARNING
from lorelint.model.errors import LorelintError
from lorelint.model.patchwork import Patchwork
from lorelint.model.policy import Audience, Policy
from lorelint.model.store import CheckRow, Life, Session, Store
from lorelint.report.text import listed

MAX_TRIES = 100  # in one pass: a site that does not answer is waited for each time


class Posted(Struct, frozen=True):
    """what: set, waits, failed, would be set."""

    what: str
    check: CheckRow
    text: str = ""


def post(
    store: Store,
    policy: Policy,
    patchwork: Callable[[str], Patchwork],
    now: str,
    *,
    stopped: Callable[[], bool],
    dry_run: bool,
) -> Iterator[Posted]:
    """Set what is due. `patchwork` opens the one of an address; a failure is kept at its check, the others go on."""
    with store.look() as session:
        due = [each for each in session.checks.to_post() if each.at <= now]
    open_ones = {one.patchwork for one in policy.lists if one.patchwork and one.audience is Audience.LIST}
    tries = 0
    for row in due:
        if tries == MAX_TRIES:
            return
        if row.url not in open_ones:
            yield Posted("waits", row, f"the policy lets no check out to {row.url} any more")
        elif stopped():
            yield Posted("waits", row, f"the stop file is there: {policy.stop_file}")
        elif dry_run or policy.dry_run:
            yield Posted("would be set", row)
        else:
            done = _post(store, row, policy, patchwork, now)
            tries += done.what != "waits"
            yield done


def _post(store: Store, row: CheckRow, policy: Policy, patchwork: Callable[[str], Patchwork], now: str) -> Posted:
    with store.look() as session:
        waits = next(_waits(session, row, policy, now), "")
    if waits:
        return Posted("waits", row, waits)
    try:
        site = patchwork(row.url)
        number = site.patch(row.patch)
        if not number:
            raise LorelintError("does not know the patch (yet)", where=row.url, remedy="it is asked again")
        site.set_check(number, row.context, row.state, row.description)
    except LorelintError as error:
        with store.begin() as session:
            session.checks.posted(row.id, row.posted, now, str(error))
        return Posted("failed", row, str(error))
    with store.begin() as session:
        session.checks.posted(row.id, row.state, now, said=row.description)
        session.notes.audit(now, "send", f"check set: {row.state}", row.patch, row.description)
    return Posted("set", row)


def _waits(session: Session, row: CheckRow, policy: Policy, now: str) -> Iterator[str]:
    """Why a check is not set now. What puts an earlier one right is set whatever holds."""
    if row.posted and row.state == SUCCESS:
        return
    kept = session.mails.get(row.patch)
    unwanted = (*policy.ignored_authors, *policy.opted_out, *session.verdicts.opted_out())
    if kept is not None and matches(kept.author[1], unwanted):
        yield f"{kept.author[1]} wants nothing of us"
    here = [one for one in policy.lists if kept and one.name in kept.inboxes and one.patchwork == row.url]
    if kept is not None and not any(one.audience is Audience.LIST for one in here):
        yield f"the policy lets no check out to {row.url} any more for {listed(kept.inboxes)}"
    series = session.series.of_patch(row.patch)
    if series is not None and series.life is Life.SUPERSEDED:
        yield "a newer version of the series came"
    if row.state in (WARNING, FAIL) and series is not None:
        found = session.findings.of_series(series.id)
        rules = sorted({each.rule for each in found if each.fingerprint in row.fingerprints})
        for one in here:
            muted = session.verdicts.muted(one.name)
            yield from (f"{rule} is mute on {one.name} by now: {muted[rule]}" for rule in rules if rule in muted)
    if row.state in (WARNING, FAIL) and row.posted not in (WARNING, FAIL):
        yield from full(session, policy, [one for one in policy.lists if one.patchwork == row.url], now)
