"""The header of a mail as the checks of signatures see it: bytes, in order, none mended.

A signature says something of a mail only where everybody reads the mail alike. A second From, a character set that
makes other words of signed bytes, blanks by the megabyte: what could be read in two ways is not proven.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import getaddresses

from msgspec import Struct

from lorelint.model.regex import regex

MAX_MAIL = 2 << 20  # bytes of a mail whose signatures are looked at: nobody writes such an answer
MAX_HEAD = 128 << 10
MAX_BLANKS = 4_000  # in a row
_ONCE = b"from subject message-id in-reply-to references date to cc sender mime-version content-type".split()
_ONCE.append(b"content-transfer-encoding")
_FIELD = regex(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
_BLANKS = regex(rb"[ \t]+|(?:\r?\n)+")
_ADDRESS = regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,8}")
_PLAIN = regex(r"text/plain\s*(?:;.*)?", re.IGNORECASE | re.DOTALL)
_CHARSET = regex(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
_ASCII_LIKE = regex(r"us-ascii|ascii|utf-?8|iso-8859-\d{1,2}|windows-125\d", re.IGNORECASE)
_CLEAR = ("", "7bit", "8bit", "quoted-printable")


class Head(Struct, frozen=True):
    """Fields by lower-case name, those of a name from top to bottom; values as they came, line ends in them."""

    fields: Mapping[bytes, tuple[bytes, ...]]
    order: tuple[bytes, ...]  # names, from top to bottom
    writer: str  # the one address of From, lower case; "" where there is none, or more than one
    ambiguous: str  # what can be read in two ways, a clause; "" for nothing

    def values(self, name: bytes) -> tuple[bytes, ...]:
        return self.fields.get(name, ())

    def clear(self) -> bool:
        """Whether the text is what its bytes show, so that no other Content-Type could have made it other words."""
        kind = _text(self.values(b"content-type"))
        charset = _CHARSET.search(kind)
        return (
            (not kind or _PLAIN.fullmatch(kind) is not None)
            and (charset is None or _ASCII_LIKE.fullmatch(charset[1]) is not None)
            and _text(self.values(b"content-transfer-encoding")).lower() in _CLEAR
        )


def head_of(raw: bytes) -> Head:
    """Read the header of a mail. Never raises."""
    if len(raw) > MAX_MAIL:
        return Head({}, (), "", f"the mail is over {MAX_MAIL >> 20} MiB")
    head = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[0]
    if len(head) > MAX_HEAD:
        return Head({}, (), "", f"the header is over {MAX_HEAD >> 10} KiB")
    if any(found.end() - found.start() > MAX_BLANKS for found in _BLANKS.finditer(raw)):
        return Head({}, (), "", f"more than {MAX_BLANKS} blanks in a row")
    fields: dict[bytes, list[bytes]] = {}
    order: list[bytes] = []
    for number, line in enumerate(re.split(rb"\r?\n(?![ \t])", head)):
        field = _FIELD.fullmatch(line)
        if field is None:
            if number or not line.startswith(b"From "):
                return Head({}, (), "", "a line of the header is no field")
            continue
        name = field[1].lower()
        fields.setdefault(name, []).append(field[2])
        order.append(name)
    twice = next((name for name in _ONCE if len(fields.get(name, ())) > 1), b"")
    writer = _writer(fields.get(b"from", []))
    ambiguous = f"{len(fields[twice])} {twice.decode().title()} fields" if twice else ""
    if not ambiguous and not writer:
        ambiguous = "From names nobody, or several"
    frozen = {name: tuple(values) for name, values in fields.items()}
    return Head(frozen, tuple(order), writer if not ambiguous else "", ambiguous)


def _writer(values: list[bytes]) -> str:
    if len(values) != 1:
        return ""
    try:
        pairs = getaddresses([_text(tuple(values))])
    except (ValueError, IndexError, TypeError, AttributeError, RecursionError):
        return ""
    address = pairs[0][1].lower() if len(pairs) == 1 else ""
    return address if _ADDRESS.fullmatch(address) else ""


def _text(values: tuple[bytes, ...]) -> str:
    return re.sub(r"\s*[\r\n]+\s*", " ", values[0].decode("latin-1")).strip() if values else ""
