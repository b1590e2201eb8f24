"""The bytes of a mail to clean headers and to parts that can be decoded; standard library only.

The mail parser of the standard library raises on a good deal of what strangers send (structured
headers, nesting, character sets). Here every such case ends in a value and a Trouble.
"""

from __future__ import annotations

import codecs
import email.errors
import email.header
import email.policy
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import getaddresses, parsedate_tz
from typing import Any

from msgspec import Struct, field

from lorelint.edge.mailbox import Mail
from lorelint.model.regex import regex
from lorelint.model.trouble import Trouble

MAX_HEADER = 64 << 10
MAX_REFERENCES = 1_000
MAX_PARTS = 200
_MSGID = regex(r"<([^<>\s\x00-\x1f\x7f]{1,998})>")
_PATCH_NAME = regex(r".*\.(?:patch|diff)(?:\.txt)?", re.IGNORECASE)
_DIFF = regex(rb"^(?:diff --git |--- [^\n]*\n\+\+\+ )", re.MULTILINE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Letter(Struct):
    """One mail, headers decoded, on its way to a `Message`."""

    raw: bytes
    local: bool
    parsed: EmailMessage
    msgid: str = ""
    subject: str = ""
    sender: tuple[str, str] = ("", "")
    date: datetime | None = None
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    to: tuple[tuple[str, str], ...] = ()
    cc: tuple[tuple[str, str], ...] = ()
    flowed: bool = False
    delsp: bool = False
    bare_lines: bool = False  # a part whose line ends the transfer encoding did not make
    diff_parts: list[str] = field(default_factory=list)  # names of the parts that hold a diff
    troubles: list[Trouble] = field(default_factory=list)

    def trouble(self, kind: str, text: str) -> None:
        self.troubles.append(Trouble(kind, self.msgid, text))


def open_letter(mail: Mail) -> Letter:
    """Parse one mail. Never raises; a mail without Message-ID gets one made of its content's hash."""
    letter = Letter(mail.raw, mail.local, _parse(mail.raw))
    letter.msgid = _first_id(_raw(letter, "message-id"))
    if not letter.msgid:
        # The line feeds at a mail's end depend on the mailbox it came in, so they are no part of it.
        letter.msgid = hashlib.sha256(mail.raw.strip(b"\r\n")).hexdigest()[:32] + "@no-message-id.invalid"
        if not mail.local:
            letter.trouble("no-message-id", "no valid Message-ID; one was made of the mail's content")
    letter.subject = _decoded(_raw(letter, "subject"))
    letter.sender = next(iter(_addresses(letter, "from")), ("", ""))
    letter.to, letter.cc = _addresses(letter, "to"), _addresses(letter, "cc")
    letter.date = date_of(_raw(letter, "date"))
    if letter.date is None and not mail.local:
        letter.trouble("date", "no date that can be read")
    letter.references = tuple(dict.fromkeys(_MSGID.findall(_raw(letter, "references"))))[-MAX_REFERENCES:]
    letter.in_reply_to = _first_id(_raw(letter, "in-reply-to"))
    if letter.in_reply_to == letter.msgid:
        letter.in_reply_to = ""
    letter.references = tuple(each for each in letter.references if each != letter.msgid)
    _prepare_parts(letter)
    return letter


def mail_parser() -> BytesParser[EmailMessage]:
    """A parser that leaves headers as they are; the newer policies parse them, and raise on some."""
    # typeshed ties compat32 to Message; at run time any class of messages goes with it.
    policy: email.policy.Policy[Any] = email.policy.compat32
    return BytesParser(_class=EmailMessage, policy=policy)


def _parse(raw: bytes) -> EmailMessage:
    parser = mail_parser()
    try:
        return parser.parsebytes(raw)
    except (RecursionError, ValueError, LookupError, AssertionError, TypeError, AttributeError):
        # Parts nested a thousand deep, and defects of the parser: the headers at least can be had.
        return parser.parsebytes(raw, headersonly=True)


def _raw(letter: Letter, name: str) -> str:
    """The first header of that name, unfolded, undecoded; "" for none."""
    for key, value in letter.parsed.raw_items():
        if key.lower() == name:
            text = str(value)[:MAX_HEADER]
            try:
                octets = text.encode("utf-8", "surrogateescape")
            except UnicodeEncodeError:
                octets = text.encode("utf-8", "replace")
            try:
                text = octets.decode("utf-8")
            except UnicodeDecodeError:
                text = octets.decode("latin-1")
            return re.sub(r"[\r\n]+[ \t]*", " ", text).replace("\0", "").strip()
    return ""


def _decoded(text: str) -> str:
    """A header with its encoded words (RFC 2047) decoded and its white space made single."""
    if "=?" in text:
        try:
            chunks = email.header.decode_header(text)
        except (ValueError, LookupError, AssertionError, email.errors.MessageError):
            chunks = []
        decoded = "".join(_chunk(chunk, charset) for chunk, charset in chunks)
        text = decoded or text
    return re.sub(r"\s+", " ", text).strip()


def _chunk(chunk: bytes | str, charset: str | None) -> str:
    if isinstance(chunk, str):
        return chunk
    for name in (charset or "utf-8", "utf-8", "latin-1"):
        try:
            return chunk.decode(name)
        except (LookupError, ValueError):
            continue
    return chunk.decode("latin-1")


def _addresses(letter: Letter, name: str) -> tuple[tuple[str, str], ...]:
    # Parsed first and decoded then: an encoded name may hold a comma or an angle bracket.
    try:
        pairs = getaddresses([_raw(letter, name)])
    except (ValueError, IndexError, TypeError, AttributeError, RecursionError):
        return ()
    return tuple((_decoded(person), address) for person, address in pairs if person or address)


def _first_id(text: str) -> str:
    found = _MSGID.search(text)
    return found.group(1) if found else ""


def date_of(text: str) -> datetime | None:
    """What a Date header says, None for nothing that can be read."""
    try:
        parts = parsedate_tz(text)
        if parts is None:
            return None
        offset = timedelta(seconds=parts[9] or 0)
        if abs(offset) > timedelta(days=1):
            offset = timedelta(0)
        date = datetime(*parts[:6], tzinfo=UTC) - offset
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return date if date >= _EPOCH else None


def walk(message: EmailMessage) -> Iterator[EmailMessage]:
    """The parts of a mail, outermost first, without recursion."""
    stack = [message]
    seen = 0
    while stack and seen < MAX_PARTS:
        part = stack.pop()
        seen += 1
        yield part
        if part.is_multipart():
            inner = part.get_payload()
            if isinstance(inner, list):
                stack.extend(reversed([each for each in inner if isinstance(each, EmailMessage)]))


def attached_text(message: EmailMessage) -> bool:
    """Whether the first text of a mail is no word of its writer's: an attached file, or a mail that is handed on."""
    within: set[int] = set()
    for part in walk(message):
        inside = id(part) in within or part.get_content_type() == "message/rfc822"
        if part.is_multipart():
            inner = part.get_payload()
            if inside and isinstance(inner, list):
                within.update(id(each) for each in inner)
        elif part.get_content_type().endswith(("/plain", "/x-patch")):
            return inside or str(part.get("Content-Disposition", "")).strip().lower().startswith("attachment")
    return False


def _prepare_parts(letter: Letter) -> None:
    """Make every text part decodable, call attached diffs what they are, and note what was odd."""
    plain = html = secret = attached = False
    in_crlf = b"\r\n" in letter.raw[:2048]
    for part in walk(letter.parsed):
        kind = part.get_content_type()
        secret |= kind == "multipart/encrypted"
        html |= kind == "text/html"
        if part.is_multipart():
            continue
        name = _file_name(part)
        payload = _payload(part)
        if not kind.endswith(("/plain", "/x-patch")):
            if not (_PATCH_NAME.fullmatch(name) or kind in ("text/x-diff", "application/x-diff")):
                attached |= not kind.startswith(("text/html", "application/pgp", "multipart/", "message/"))
                continue
            _retype(part, "text/x-patch", "utf-8")
        plain = True
        # In base64 a line end is CR LF (RFC 2045, 6.8), and a mailbox may have them throughout.
        letter.bare_lines |= str(part.get("Content-Transfer-Encoding", "")).lower() != "base64" and not in_crlf
        _fix_charset(letter, part, payload)
        if _DIFF.search(payload):
            letter.diff_parts.append(name)
        if not letter.flowed and _param(part, "format").lower() == "flowed":
            letter.flowed, letter.delsp = True, _param(part, "delsp").lower() == "yes"
    if not plain:
        reason = "an HTML part only" if html else "encrypted" if secret else "no text"
        letter.trouble("no-body", f"the mail has no plain text to read: {reason}")
    elif attached:
        letter.trouble("attachment", "parts that are not text were not read")


def _payload(part: EmailMessage) -> bytes:
    try:
        payload = part.get_payload(decode=True)
    except (ValueError, LookupError, TypeError, AssertionError, email.errors.MessageError):
        return b""
    return payload if isinstance(payload, bytes) else b""


def _param(part: EmailMessage, name: str) -> str:
    try:
        value = part.get_param(name)
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    return value if isinstance(value, str) else ""


def _file_name(part: EmailMessage) -> str:
    try:
        return re.sub(r"[^\w.+-]", "?", _decoded(part.get_filename() or ""))[:80]
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def _retype(part: EmailMessage, kind: str, charset: str) -> None:
    del part["Content-Type"]
    part["Content-Type"] = f'{kind}; charset="{charset}"'


def _fix_charset(letter: Letter, part: EmailMessage, payload: bytes) -> None:
    """Where the declared character set cannot decode the text, read it as UTF-8, or else Latin-1."""
    kind = part.get_content_type()
    declared = _param(part, "charset")
    if not declared:
        declared = _param(letter.parsed, "charset")  # b4 falls back on the whole mail's
    shown = ascii(declared[:40])[1:-1]
    try:
        known = not declared or codecs.lookup(declared).name not in ("idna", "punycode", "undefined", "unicode_escape")
        payload.decode(declared or "utf-8")
        if known:
            if declared and not _param(part, "charset"):
                _retype(part, kind, declared)
            return
        reason = f"unknown character set {shown}"
    except UnicodeDecodeError:
        reason = f"not valid {shown or 'utf-8'}"
    except (LookupError, ValueError):
        reason = f"unknown character set {shown}"
    try:
        payload.decode("utf-8")
        actual = "utf-8"
    except UnicodeDecodeError:
        actual = "latin-1"
    _retype(part, kind, actual)
    letter.trouble("charset", f"{reason}, read as {actual}")
