"""A mail server's report that a letter did not arrive (RFC 3464). Pure, and bounded: anybody can send one."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from email.policy import compat32

from msgspec import Struct

from lorelint.model.regex import regex

LARGEST = 1 << 20  # bytes of a report that are read
PARTS = 50
_TEXT = 300
_MSGID = regex(r"<([!-;=?-~]{3,250})>")


class Bounce(Struct, frozen=True):
    """msgid: of the letter that did not arrive; address: to whom, "" where it is not told; text: why."""

    msgid: str
    address: str
    text: str


def bounce(raw: bytes) -> Bounce | None:
    """What a report says of a letter that failed for good; None for any other mail, a delay among them."""
    try:
        parsed = message_from_bytes(raw[:LARGEST], policy=compat32)
        if parsed.get_content_type() != "multipart/report":
            return None
        parts = list(_parts(parsed))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    statuses = [
        block for part in parts if part.get_content_type() == "message/delivery-status" for block in _blocks(part)
    ]
    failed = next((block for block in statuses if _field(block, "Action").lower().startswith("fail")), None)
    msgid = next((found for part in parts if (found := _original(part))), "")
    if failed is None or not msgid:
        return None
    address = _field(failed, "Final-Recipient") or _field(failed, "Original-Recipient")
    why = " ".join((_field(failed, "Status"), _field(failed, "Diagnostic-Code"))).strip()
    return Bounce(msgid, address.rpartition(";")[2].strip(), why[:_TEXT])


def _parts(parsed: Message) -> Iterator[Message]:
    """Parts of the report itself; what is in the mail that came back is not walked."""
    payload = parsed.get_payload()
    for part in payload[:PARTS] if isinstance(payload, list) else ():
        if isinstance(part, Message):
            yield part


def _blocks(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    for block in payload[:PARTS] if isinstance(payload, list) else ():
        if isinstance(block, Message):
            yield block


def _original(part: Message) -> str:
    """The Message-ID of the mail that came back, or of its headers."""
    if part.get_content_type() == "message/rfc822":
        payload = part.get_payload()
        inner = payload[0] if isinstance(payload, list) and payload else None
        named = _field(inner, "Message-ID") if isinstance(inner, Message) else ""
    elif part.get_content_type() == "text/rfc822-headers":
        headers = part.get_payload(decode=True)
        named = _field(message_from_bytes(headers, policy=compat32), "Message-ID") if isinstance(headers, bytes) else ""
    else:
        return ""
    found = _MSGID.search(named)
    return found[1] if found else ""


def _field(block: Message, name: str) -> str:
    return " ".join(str(block.get(name, "")).split())[:_TEXT]
