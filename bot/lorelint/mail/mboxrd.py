"""Mails as one mailbox that every reader takes (mboxrd): a line that begins with ``From `` gets a ``>``. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from lorelint.model.regex import regex

_FROM = regex(rb"^(>*From )", re.MULTILINE)
_DAYS = "Mon Tue Wed Thu Fri Sat Sun".split()
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def mboxrd(mails: Iterable[tuple[str, bytes]]) -> bytes:
    """A mailbox of (when, RFC 3339 in UTC or "", the bytes of a mail)."""
    return b"".join(b"From mboxrd@z " + _when(at) + b"\n" + _quoted(raw) + b"\n" for at, raw in mails)


def _quoted(raw: bytes) -> bytes:
    body = _FROM.sub(rb">\1", raw.replace(b"\r\n", b"\n"))
    return body if body.endswith(b"\n") else body + b"\n"


def _when(at: str) -> bytes:
    """As asctime has it, in English whatever the locale."""
    try:
        time = datetime.fromisoformat(at).astimezone(UTC)
    except ValueError:
        time = datetime(1970, 1, 1, tzinfo=UTC)
    day, month = _DAYS[time.weekday()], _MONTHS[time.month - 1]
    return f"{day} {month} {time.day:>2} {time:%H:%M:%S} {time.year}".encode()
