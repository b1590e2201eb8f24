"""What `b4 am` would take out of a reply and put into somebody's commit: of ours, nothing may be."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import b4

from lorelint.model.errors import LorelintError


def harvested(raw: bytes) -> tuple[str, ...]:
    """The trailers in a mail by b4's own parser, with and without what it asks of replies; () for none.

    Raises LorelintError for a mail that b4 cannot read.
    """
    try:
        parsed = message_from_bytes(raw, policy=default)
        assert isinstance(parsed, EmailMessage)
        body, _ = b4.LoreMessage.get_payload(parsed)
        found = [*b4.LoreMessage.find_trailers(body, followup=True)[0], *b4.LoreMessage(parsed).trailers]
        return tuple(dict.fromkeys(each.as_string() for each in found))
    except (Exception, SystemExit) as error:  # b4 makes no promise of what it raises, and may exit
        what = f"b4 cannot read the mail: {type(error).__name__}"
        raise LorelintError(what, remedy="a person has to look at it") from error
