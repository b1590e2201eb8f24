"""A person mutes a rule on a list, or lets it speak again. Pure over the store."""

from __future__ import annotations

from collections.abc import Sequence

from lorelint.jobs.answers import Weight
from lorelint.mail.commands import MUTE
from lorelint.model.store import Session, VerdictRow


def mute(session: Session, rule: str, lists: Sequence[str], who: str, why: str, now: str) -> tuple[str, ...]:
    """Nothing is said by a rule on some lists from now on, released letters among it; those where it spoke so far."""
    done = []
    for inbox in lists:
        if rule in session.verdicts.muted(inbox):
            continue
        session.verdicts.add(
            VerdictRow(
                id=0,
                verdict=MUTE,
                rule=rule,
                fingerprint="",
                series_key="",
                inbox=inbox,
                who=who,
                weight=Weight.OPERATOR.value,
                proof="local",
                reason=why,
                msgid="",
                at=now,
            )
        )
        session.notes.audit(now, who, "muted", f"rule:{rule}", f"{inbox}: {why}")
        done.append(inbox)
    return tuple(done)


def unmute(session: Session, rule: str, lists: Sequence[str], who: str, now: str) -> tuple[str, ...]:
    """A rule speaks again on some lists, whoever muted it; those where it was mute. What was refused stays unsaid."""
    done = [inbox for inbox in lists if session.verdicts.unmute(inbox, rule)]
    for inbox in done:
        session.notes.audit(now, who, "unmuted", f"rule:{rule}", inbox)
    return tuple(done)
