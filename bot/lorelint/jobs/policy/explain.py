"""What the policy makes of one patch of the store, by which of its lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from lorelint.jobs.draft import ANYTHING, matter_of, silent, standing
from lorelint.jobs.policy.decide import Matter, Say, decide
from lorelint.model.base import Grade
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Severity
from lorelint.model.mail import Patch
from lorelint.model.policy import Decision, Policy
from lorelint.model.store import FindingRow, LetterRow, Life, SeriesRow, Session


class Explained(Struct, frozen=True):
    """supposed: there is nothing to say of it; what is decided is what became of a sure finding on an exact base."""

    matter: Matter
    decision: Decision
    supposed: bool
    series: SeriesRow
    letter: LetterRow | None
    unsaid: tuple[FindingRow, ...] = ()  # what was found and is no matter for a letter


def explain(
    session: Session,
    patch: Patch,
    policy: Policy,
    now: str,
    *,
    people: Callable[[Sequence[str]], tuple[tuple[str, str], ...]],
    stage: Callable[[str], str],
) -> Explained:
    """See `jobs.draft` for `people` and `stage`. Raises LorelintError for a patch that is in no series of the store."""
    series = session.series.of_patch(patch.msgid)
    if series is None:
        raise LorelintError("is in no series of the store", where=patch.msgid, remedy="lorelint listen --once")
    moot = "a newer version of the series came" if series.life is Life.SUPERSEDED else ""
    matter = matter_of(session, patch, series, people, moot)
    found = session.findings.of_series(series.id)
    quiet = silent(found, now)
    worth = [each for each in found if each.patch == patch.msgid and each.mailable and each.fingerprint not in quiet]
    says = [_say(each, stage) for each in worth] or [ANYTHING]
    decision = decide(matter, says, policy, standing(session, policy, now))
    unsaid = tuple(each for each in found if each.patch == patch.msgid and each not in worth)
    return Explained(matter, decision, not worth, series, session.outbox.of_patch(patch.msgid), unsaid)


def _say(row: FindingRow, stage: Callable[[str], str]) -> Say:
    return Say(
        fingerprint=row.fingerprint,
        rule=row.rule,
        stage=stage(row.rule),
        severity=Severity(row.severity),
        confidence=row.confidence,
        grade=Grade(row.grade),
    )
