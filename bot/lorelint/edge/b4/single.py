"""One mail by itself, as b4 reads it: what can be known of it before its thread is there."""

from __future__ import annotations

import b4

from lorelint.edge.b4.threads import _item, _quiet, _stand_in
from lorelint.edge.letters import attached_text, open_letter
from lorelint.edge.mailbox import Mail
from lorelint.mail.nature import Facts
from lorelint.model.mail import Message


def read_mail(raw: bytes) -> tuple[Message, Facts]:
    """A mail of a stranger, and what its subject and body make of it. Never raises for what it says."""
    with _quiet():
        item = _item(open_letter(Mail(raw)))
        read = b4.LoreMessage(_stand_in(item, item.letter.in_reply_to))
    subject = read.lsubject
    facts = Facts(
        prefixes=tuple(subject.prefixes),
        bare=subject.subject,
        reply=read.reply,
        has_diff=item.has_diff,
        cover=read.counter == 0 and (not read.counters_inferred or read.has_diffstat),
        version=read.revision,
        counter=read.counter,
        expected=subject.expected,
        attached=attached_text(item.letter.parsed),
    )
    return item.message, facts
