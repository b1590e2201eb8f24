"""What every letter must be before it may wait for its way out. Pure; a letter that fails is held, and says why.

Asked of the very bytes that would be sent, read as any mail reader would read them, so that it does not matter how
they came about: written by us, or edited by a person.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from email import message_from_bytes
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses

from lorelint.mail.compose import LONGEST
from lorelint.model.policy import Policy
from lorelint.model.regex import regex
from lorelint.model.store import LetterRow

LARGEST = 200_000  # bytes of a mail
WIDEST = 80  # columns of a line that is no quote
SIGNATURE = "-- "
_NEEDED = (
    "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
    "List-Unsubscribe", "X-Lorelint", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
)  # fmt: skip
_TRAILER = regex(r"\s*[\w-]+:\s+\S.*(?:\S@\S|https?://|[0-9a-f]{7,})|\s*(?:fixes|closes|link):\s", re.IGNORECASE)
_TAGS = regex(r"(?:reviewed|acked|tested|signed-off|reported|suggested|co-developed)-by\b", re.IGNORECASE)
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def faults(raw: bytes, row: LetterRow, policy: Policy) -> tuple[str, ...]:
    """What is wrong with the mail `raw` that is to be `row`; lower case, no full stop. Nothing: it may go."""
    found = list(_bytes(raw))
    try:
        parsed = message_from_bytes(raw, policy=default)
        assert isinstance(parsed, EmailMessage)
        body = parsed.get_content()
        found += [*_headers(parsed), *_threading(parsed, row), *_people(parsed, row, policy)]
    except (MessageError, LookupError, ValueError, KeyError, AttributeError, IndexError) as error:
        return (*found, f"no mail that can be read again: {type(error).__name__}")
    return tuple(dict.fromkeys([*found, *_characters(body), *_text(body)]))


def _bytes(raw: bytes) -> Iterator[str]:
    if len(raw) > LARGEST:
        yield f"is {len(raw)} bytes long, more than {LARGEST}"
    if any(len(line) > LONGEST for line in raw.split(b"\n")):
        yield f"a line is longer than {LONGEST} bytes"
    if b"\0" in raw:
        yield "holds a NUL"
    if b"\r" in raw:
        yield "holds a carriage return"


def _headers(parsed: EmailMessage) -> Iterator[str]:
    """Exactly the headers that we write, each once: any other was smuggled in."""
    names = [name.lower() for name in parsed.keys()]  # noqa: SIM118
    for name in _NEEDED:
        if names.count(name.lower()) != 1:
            yield f"has {names.count(name.lower())} headers {name}, not one"
    known = {name.lower() for name in (*_NEEDED, "Cc")}
    yield from (f"has a header that is not ours: {name[:40]!a}" for name in names if name not in known)
    if names.count("cc") > 1:
        yield "has several headers Cc"
    if parsed.is_multipart() or parsed.get_content_type() != "text/plain":
        yield "is not plain text"
    if "flowed" in str(parsed.get("Content-Type", "")).lower():
        yield "is said to be flowed"
    if str(parsed.get("Auto-Submitted", "")) != "auto-generated":
        yield "does not say that a program wrote it"


def _threading(parsed: EmailMessage, row: LetterRow) -> Iterator[str]:
    """As mutt, lore and b4 follow it."""
    if _id(parsed, "Message-ID") != f"<{row.msgid}>":
        yield "its Message-ID is not that of the letter"
    if _id(parsed, "In-Reply-To") != f"<{row.patch}>":
        yield "In-Reply-To does not name the patch"
    references = _id(parsed, "References").split()
    if references[-1:] != [f"<{row.patch}>"]:
        yield "References does not end with the patch"
    if f"<{row.msgid}>" in references or row.msgid == row.patch:
        yield "answers itself"
    if not str(parsed.get("Subject", "")).startswith("Re: "):
        yield 'the subject does not begin with "Re: "'
    if parsed.get("Date") is None or getattr(parsed["Date"], "datetime", None) is None:
        yield "has no date"


def _id(parsed: EmailMessage, name: str) -> str:
    return " ".join(str(parsed.get(name, "")).split())


def _people(parsed: EmailMessage, row: LetterRow, policy: Policy) -> Iterator[str]:
    asked = [address.lower() for _, address in (*row.to, *row.cc)]
    headers = [str(each) for name in ("To", "Cc") for each in parsed.get_all(name, [])]
    written = [address.lower() for _, address in getaddresses(headers)]
    if written != asked:
        yield "To and Cc are not the people it was decided for"
    if len(set(asked)) != len(asked):
        yield "somebody would get it twice"
    if policy.sender.lower() in asked:
        yield "is to ourselves"
    if [address.lower() for _, address in getaddresses([str(parsed.get("From", ""))])] != [policy.sender.lower()]:
        yield "is not from the address of the policy"


def _characters(body: str) -> Iterator[str]:
    strange = {char for char in body if char not in "\n\t" and unicodedata.category(char) in _INVISIBLE}
    for char in sorted(strange)[:4]:
        yield f"holds the character U+{ord(char):04X}, which is not seen"
    if "\ufffd" in body:
        yield "holds a character that could not be encoded"


def _text(body: str) -> Iterator[str]:
    lines = body.split("\n")
    ends = [at for at, line in enumerate(lines) if line == SIGNATURE]
    if len(ends) != 1 or not any(line.strip() for line in lines[ends[0] + 1 :]):
        which = "no" if not ends else "more than one, or an empty,"
        yield f'has {which} signature (a line "-- ", and what made the mail)'
        return
    above = lines[: ends[0]]
    said = [line for line in above if line.strip()]
    if not any(line.startswith("> ") for line in said):
        yield "quotes no line of the patch"
    if said and said[-1].startswith(">"):
        yield "ends with a quote, so that nothing answers it"
    yield from _speech([line for line in above if not line.startswith(">")])


def _speech(lines: list[str]) -> Iterator[str]:
    """Our own words above the signature."""
    prose = " ".join(" ".join(lines).split())
    if "lorelint: false-positive" not in prose:
        yield 'does not say how to answer ("lorelint: false-positive RULE")'
    if "lorelint: stop" not in prose:
        yield 'does not say how to get no more mail ("lorelint: stop")'
    for line in lines:
        if len(line) > WIDEST:
            yield f"a line of ours is wider than {WIDEST} columns: {line[:30]!a}"
        if line.startswith("From "):
            yield 'a line of ours begins with "From ", which mailboxes take for another mail'
        if _TRAILER.match(line):
            yield f"a line of ours looks like a trailer: {line.strip()[:30]!a}"
        if _TAGS.search(line):
            yield f"a line of ours speaks like a person who vouches for the patch: {line.strip()[:30]!a}"
        if line != line.rstrip():
            yield f"a line of ours ends in a blank: {line[:30]!a}"
