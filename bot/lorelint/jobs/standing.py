"""How often persons find a rule right on a list; one that is wrong too often is muted there by itself.

What counts is what persons said (`false-positive` against `wontfix` and `confirmed`) and what they did: a finding that
we mailed and that is gone in the next version was right. A maintainer weighs twice an author, who defends his own code;
a claim weighs nothing. What was said before a rule was muted last does not count again: whoever lets it speak begins
anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from msgspec import Struct

from lorelint.jobs.answers import Weight
from lorelint.mail.commands import FALSE, MUTE, WONTFIX
from lorelint.model.policy import ListPolicy, Policy
from lorelint.model.store import US, FindingRow, Session, State, Store, Told, VerdictRow

ENOUGH = 5  # findings that persons have judged, before a rule can fall
COUNTS = {Weight.CLAIM: 0.0, Weight.AUTHOR: 1.0, Weight.MAINTAINER: 2.0, Weight.OPERATOR: 2.0}
_RANK = list(Weight)
# What a measurement calls what became of a finding; `lorelint measure` takes these.
_VERDICT = {
    State.FALSE: "false",
    State.WONTFIX: "true",
    State.CONFIRMED: "true",
    State.FIXED: "true",
}


class Record(Struct, frozen=True):
    """A rule on a list: findings that persons judged, and the share of them that they found right, by weight."""

    inbox: str
    rule: str
    judged: int
    right: float
    wrong: float

    @property
    def precision(self) -> float | None:
        weight = self.right + self.wrong
        return self.right / weight if weight else None

    def fallen(self, floor: float) -> bool:
        precision = self.precision
        return self.judged >= ENOUGH and precision is not None and precision < floor


def records(session: Session, inbox: str) -> tuple[Record, ...]:
    """All rules that persons have judged on a list, by name."""
    verdicts = session.verdicts.of_inbox(inbox)
    since = {row.rule: row.at for row in verdicts if row.verdict == MUTE and row.who == US}
    said: dict[tuple[str, str, str], VerdictRow] = {}
    for row in verdicts:
        if (
            row.obeyed
            and row.fingerprint
            and row.verdict in (FALSE, WONTFIX, State.CONFIRMED)
            and row.at > since.get(row.rule, "")
        ):
            key = (row.rule, row.series_key, row.fingerprint)
            # Of several who judged one finding the strongest counts, of equals the last.
            if key not in said or _rank(row) >= _rank(said[key]):
                said[key] = row
    right: dict[str, float] = {}
    wrong: dict[str, float] = {}
    judged: dict[str, int] = {}
    for (rule, _, _), row in said.items():
        share = wrong if row.verdict == FALSE else right
        share[rule] = share.get(rule, 0.0) + COUNTS[_weight(row)]
        judged[rule] = judged.get(rule, 0) + 1
    for rule in _mended(session, inbox, frozenset(said), since):
        right[rule] = right.get(rule, 0.0) + COUNTS[Weight.AUTHOR]
        judged[rule] = judged.get(rule, 0) + 1
    return tuple(
        Record(inbox, rule, judged[rule], right.get(rule, 0.0), wrong.get(rule, 0.0)) for rule in sorted(judged)
    )


def _weight(row: VerdictRow) -> Weight:
    return Weight(row.weight) if row.weight in _RANK else Weight.CLAIM


def _rank(row: VerdictRow) -> int:
    return _RANK.index(_weight(row))


def _mended(
    session: Session, inbox: str, said: frozenset[tuple[str, str, str]], since: dict[str, str]
) -> Iterator[str]:
    """The rules of findings that were mailed to a list and are gone in a later version, each finding once."""
    seen = set(said)
    for rule, series_key, fingerprint, at in session.verdicts.mended(inbox):
        key = (rule, series_key, fingerprint)
        if at > since.get(rule, "") and key not in seen:
            seen.add(key)
            yield rule


def watch(store: Store, policy: Policy, now: str) -> tuple[Record, ...]:
    """Mute the rules that have fallen under the floor of a list's policy; those that were muted now."""
    with store.begin() as session:
        return tuple(record for one in policy.lists for record in _fallen(session, one, now))


def _fallen(session: Session, one: ListPolicy, now: str) -> Iterator[Record]:
    muted = session.verdicts.muted(one.name)
    for record in records(session, one.name):
        if record.rule in muted or not record.fallen(one.floor):
            continue
        reason = (
            f"right in {record.precision:.0%} of {record.judged} findings that persons judged, "
            f"less than the floor of {one.floor:.0%}"
        )
        session.verdicts.add(_mute(record, reason, now))
        session.notes.audit(now, US, "muted", f"rule:{record.rule}", f"{one.name}: {reason}")
        yield record


def _mute(record: Record, reason: str, now: str) -> VerdictRow:
    return VerdictRow(
        id=0,
        verdict=MUTE,
        rule=record.rule,
        fingerprint="",
        series_key="",
        inbox=record.inbox,
        who=US,
        weight=Weight.OPERATOR.value,
        proof="local",
        reason=reason,
        msgid="",
        at=now,
    )


def judgements(session: Session) -> Iterator[str]:
    """What became of findings as lines of JSON, as `lorelint measure --judged` reads them.

    Only what a person decided, or mended after our mail; the reason is his, else how it became known.
    """
    seen: set[tuple[str, str, str, str]] = set()
    for told in session.verdicts.told():
        finding = told.finding
        verdict = _VERDICT.get(finding.state, "")
        key = (told.series_key, finding.fingerprint, told.tree, verdict)
        if not verdict or key in seen or (finding.state is State.FIXED and not told.sent):
            continue
        seen.add(key)
        yield json.dumps(_line(told, finding, verdict), ensure_ascii=True)


def _line(told: Told, finding: FindingRow, verdict: str) -> dict[str, object]:
    mended = f"gone in v{finding.fixed_in}, after a mail" if finding.fixed_in else "gone in a later version"
    how = mended if finding.state is State.FIXED else f"{finding.state} by {finding.who or 'a person'}"
    return {
        "rule": finding.rule,
        "tree": told.tree,
        "path": finding.path,
        "function": finding.function,
        "line": finding.line,
        "verdict": verdict,
        "reason": finding.reason or how,
    }
