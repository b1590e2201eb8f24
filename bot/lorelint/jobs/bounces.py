"""A report that a letter did not arrive is put to the letter."""

from __future__ import annotations

from lorelint.mail.bounce import bounce
from lorelint.model.store import Letter, LetterRow, Session
from lorelint.report.text import words


def bounced(session: Session, raw: bytes, now: str) -> LetterRow | None:
    """The letter that a mail reports as not delivered, marked so; None where the mail is no such report of ours.

    Anybody can send such a report. So nothing follows from it but that a person sees it: the letter is not sent again.
    """
    report = bounce(raw)
    row = session.outbox.of_msgid(report.msgid) if report else None
    if report is None or row is None:
        return None
    why = words(f"{report.address or 'somebody'} did not get it: {report.text}")
    if not session.outbox.change(row.id, Letter.BOUNCED, was=Letter.SENT, at=now, who="mail server", why=(why,)):
        return None
    session.notes.audit(now, "mail server", "letter bounced", row.msgid, why)
    return session.outbox.get(row.id)
