"""A letter of ours as the bytes of a mail. Pure: the same letter, policy and date give the same bytes.

Headers are written line by line and not by the library's folding, which takes long message-ids for words to encode.
What strangers wrote (names, subjects, message-ids) is encoded or left out; nothing of it can start another header.
"""

from __future__ import annotations

import hashlib
import quopri
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.charset import SHORTEST, Charset
from email.header import Header
from email.utils import format_datetime, quote

from lorelint.model.errors import LorelintError
from lorelint.model.policy import Policy
from lorelint.model.regex import regex
from lorelint.model.store import LetterRow

LONGEST = 998  # bytes of one line (RFC 5322)
CHAIN = 20  # message-ids of a References header that are kept: the root, and the last ones
_WIDE = 76
_NAME = 80  # characters of a display name that are kept

_MSGID = regex(r"[!-;=?-~]{3,250}")
_PLAIN = regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")


def own_msgid(patch: str, domain: str) -> str:
    """The Message-ID of the one letter that may answer a patch, without angle brackets."""
    digest = hashlib.sha256(patch.encode("utf-8", "surrogateescape")).hexdigest()
    return f"lorelint-{digest[:32]}@{domain or 'localhost'}"


def compose(row: LetterRow, policy: Policy, date: str, *, eight_bit: bool = True) -> bytes:
    """The mail, lines ended by LF.

    date       RFC 3339, for the Date header
    eight_bit  the server takes bytes beyond ASCII as they are
    Raises LorelintError where the letter cannot be a mail.
    """
    body, encoding = _body(row.body, eight_bit)
    headers = [
        ("From", _person((policy.sender_name, policy.sender))),
        ("To", _people(row.to)),
        ("Cc", _people(row.cc)),
        ("Subject", _text(row.subject, len("Subject: "))),
        ("Date", _date(date)),
        ("Message-ID", _msgid(row.msgid)),
        ("In-Reply-To", _msgid(row.patch)),
        ("References", "\n ".join(_msgid(each) for each in chain(row))),
        ("Auto-Submitted", "auto-generated"),
        (
            "List-Unsubscribe",
            f"<mailto:{policy.contact or policy.sender}?subject=lorelint:%20stop&body=lorelint:%20stop>",
        ),
        ("X-Lorelint", _about(row)),
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", encoding),
    ]
    head = "".join(f"{name}: {value}\n" for name, value in headers if value)
    return head.encode("ascii", "strict") + b"\n" + body


def chain(row: LetterRow) -> tuple[str, ...]:
    """References: what the patch answers, and the patch last; of a long one the middle is left out (RFC 5322 3.6.4)."""
    ids = [each for each in dict.fromkeys(row.references) if each != row.patch and _MSGID.fullmatch(each)]
    kept = ids if len(ids) < CHAIN else [ids[0], *ids[-CHAIN + 2 :]]
    return (*kept, row.patch)


def _body(text: str, eight_bit: bool) -> tuple[bytes, str]:
    raw = text.encode("utf-8", "replace")
    if not raw.endswith(b"\n"):
        raw += b"\n"
    if any(len(line) > LONGEST for line in raw.split(b"\n")) or not (raw.isascii() or eight_bit):
        return quopri.encodestring(raw), "quoted-printable"
    return raw, "7bit" if raw.isascii() else "8bit"


def _people(people: Sequence[tuple[str, str]]) -> str:
    return ",\n ".join(_person(each) for each in people)


def _person(person: tuple[str, str]) -> str:
    """A display name is plain, quoted, or encoded whole: what looks like an encoded word is not let be one."""
    name = _visible(person[0])[:_NAME].strip()
    address = person[1]
    if not address or re.search(r"[\s<>,;\x00-\x1f\x7f]", address) or not address.isascii():
        raise LorelintError("is no address mail can be sent to", where=ascii(address), remedy="drop the letter")
    if not name:
        return address
    if not name.isascii() or "=?" in name:
        return f"{_encoded(name, 10)} <{address}>"
    return f"{name if _PLAIN.fullmatch(name) else _quoted(name)} <{address}>"


def _quoted(name: str) -> str:
    return f'"{quote(name)}"'


def _encoded(text: str, before: int) -> str:
    """Encoded words (RFC 2047), folded; `before` are the columns that stand before them in the line."""
    charset = Charset("utf-8")
    charset.header_encoding = SHORTEST  # b4 takes the encoding out of the library's own table when it is imported
    return Header(text, charset, maxlinelen=_WIDE - before, continuation_ws=" ").encode(linesep="\n")


def _text(text: str, before: int) -> str:
    """An unstructured header; words longer than a line may be are cut."""
    shown = " ".join(_visible(text).split())
    if not shown.isascii() or "=?" in shown:
        return _encoded(shown, before)
    return _folded((word[: LONGEST // 2] for word in shown.split(" ")), before)


def _folded(words: Iterable[str], before: int) -> str:
    lines, used = [""], before
    for word in words:
        if lines[-1] and used + 1 + len(word) > _WIDE:
            lines.append(word)
            used = len(word) + 1
        else:
            lines[-1] += f" {word}" if lines[-1] else word
            used += len(word) + 1
    return "\n ".join(lines)


def _msgid(msgid: str) -> str:
    if not _MSGID.fullmatch(msgid):
        raise LorelintError("is no Message-ID that can stand in a header", where=ascii(msgid)[:80], remedy="drop it")
    return f"<{msgid}>"


def _date(date: str) -> str:
    try:
        return format_datetime(datetime.fromisoformat(date).astimezone(UTC))
    except (ValueError, OverflowError) as error:
        raise LorelintError("is no date", where=ascii(date), remedy="dates are written 2026-11-02T09:15:30Z") from error


def _about(row: LetterRow) -> str:
    """What a filter may want to know: the version, and what was found."""
    version = "/".join(_token(each) for each in row.ruleset.split()[:2]) or "lorelint"
    return _folded([f"{each};" for each in (version, *_pairs(row))], len("X-Lorelint: ")).rstrip(";")


def _pairs(row: LetterRow) -> Iterator[str]:
    rules = row.rules if len(row.rules) == len(row.fingerprints) else ()
    for at, fingerprint in enumerate(row.fingerprints):
        yield f"{_token(rules[at])}={_token(fingerprint)}" if rules else _token(fingerprint)


def _token(text: str) -> str:
    return re.sub(r"[^!-~]+", "-", text)[:100]


def _visible(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
