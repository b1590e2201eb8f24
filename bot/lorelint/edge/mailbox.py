"""Mails out of files: mbox, mboxrd, Maildir, single mails, patch files, bare diffs, gzipped or not.

What a file is, is told by what is in it, never by its name. Everything is bounded.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from lorelint.model.errors import LorelintError
from lorelint.model.regex import regex
from lorelint.model.trouble import Trouble

MAX_BYTES = 64 << 20  # of one mailbox, unpacked
MAX_MAIL = 16 << 20
MAX_MAILS = 5_000
MAX_FILES = 20_000  # of one directory

_TOO_MUCH = f"over {MAX_BYTES >> 20} MiB, too much for one review"
_SPLIT = "name a smaller mailbox, or one thread of it by message-id"
# "From ", anything that is no blank, and a time: asctime() as most write it, with or without a zone.
_FROM_LINE = regex(rb"From \S.*\d\d:\d\d(?::\d\d)?\b.*\d{4}")
# The separator git-format-patch(1) writes; no mail reader does.
_GIT_FROM_LINE = regex(rb"From [0-9a-f]{40,64} Mon Sep 17 00:00:00 2001")
_FIELD = regex(rb"([!-9;-~]+)[ \t]*:")
_ESCAPED = regex(rb"^>(>*From )", re.MULTILINE)
_KNOWN = frozenset(
    b"from to cc subject date message-id received return-path mime-version content-type in-reply-to "
    b"references sender delivered-to x-mailer list-id reply-to".split()
)
_DIFF = regex(rb"^(?:diff --git |--- [^\n]*\n\+\+\+ [^\n]*\n@@ -)", re.MULTILINE)


class Mail(Struct, frozen=True):
    """The bytes of one mail. `local`: a patch file that was never mailed."""

    raw: bytes
    local: bool = False


class Mailbox(Struct, frozen=True):
    mails: tuple[Mail, ...]
    troubles: tuple[Trouble, ...] = ()


def read_path(path: Path) -> Mailbox:
    """The mails in a file, a Maildir, or a directory of mails and patches (its own files, by name).

    Raises LorelintError where it cannot be read, is too large, or holds neither a mail nor a diff.
    """
    try:
        if path.is_dir():
            return _read_directory(path)
        with path.open("rb") as stream:
            return read_stream(stream, str(path))
    except OSError as error:
        raise _unreadable(str(path), error) from None


def read_paths(paths: Sequence[Path]) -> Mailbox:
    """Several files as one mailbox, in the order given."""
    boxes = [read_path(path) for path in paths]
    mails = tuple(mail for box in boxes for mail in box.mails)
    troubles = tuple(trouble for box in boxes for trouble in box.troubles)
    return _bounded(mails, troubles, str(paths[0]) if paths else "")


def read_stream(stream: BinaryIO, where: str) -> Mailbox:
    """The mails in an open file or a pipe."""
    try:
        content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(where, error) from None
    if len(content) > MAX_BYTES:
        raise LorelintError(_TOO_MUCH, where=where, remedy=_SPLIT)
    return read_bytes(content, where)


def read_bytes(content: bytes, where: str) -> Mailbox:
    """The mails in bytes of unknown form."""
    if content.startswith(b"\x1f\x8b"):
        content = gunzip(content, where)
    text = content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    if text.lstrip().startswith(b"From "):
        text = text.lstrip()
    if not text.strip():
        raise LorelintError("holds nothing", where=where, remedy="name a file that holds a mail or a patch")
    if starts_mbox(text):
        return _bounded(tuple(split(io.BytesIO(text))), (), where)
    if _is_mail(text):
        return _bounded((Mail(text),), (), where)
    if text.startswith(b"<"):
        remedy = "save the mail itself: the page's address with raw or t.mbox.gz at its end"
        raise LorelintError("holds a web page or XML, not a mail", where=where, remedy=remedy)
    if b"\0" not in text[:4096] and _DIFF.search(text):
        note = Trouble("no-header", where, "a bare diff, without author, subject or message")
        return _bounded((Mail(b"\n" + content, local=True),), (note,), where)
    remedy = "name an mbox, a Maildir, a mail or a patch file"
    raise LorelintError("holds neither a mail nor a diff", where=where, remedy=remedy)


def gunzip(packed: bytes, where: str) -> bytes:
    """Unpack, but not a bomb: at most MAX_BYTES come out. Several members in a row are one file."""
    out = bytearray()
    try:
        while packed:
            unpacker = zlib.decompressobj(wbits=31)
            out += unpacker.decompress(packed, MAX_BYTES + 1 - len(out))
            if len(out) > MAX_BYTES:
                raise LorelintError(_TOO_MUCH, where=where, remedy=_SPLIT)
            if not unpacker.eof:
                raise LorelintError("the gzip file is cut off", where=where, remedy="fetch it again")
            packed = unpacker.unused_data.lstrip(b"\0")
    except zlib.error:
        raise LorelintError("is no valid gzip file", where=where, remedy="fetch it again") from None
    return bytes(out)


def _unreadable(where: str, error: OSError) -> LorelintError:
    reason = (error.strerror or "it cannot be read").lower()
    return LorelintError(f"cannot be read: {reason}", where=where, remedy="name a file or directory that can be read")


def _bounded(mails: tuple[Mail, ...], troubles: tuple[Trouble, ...], where: str) -> Mailbox:
    if len(mails) > MAX_MAILS:
        raise LorelintError(f"{len(mails)} mails, more than {MAX_MAILS}", where=where, remedy=_SPLIT)
    if sum(len(mail.raw) for mail in mails) > MAX_BYTES:
        raise LorelintError(_TOO_MUCH, where=where, remedy=_SPLIT)
    small = tuple(mail for mail in mails if len(mail.raw) <= MAX_MAIL)
    if len(small) < len(mails):
        text = f"{len(mails) - len(small)} over {MAX_MAIL >> 20} MiB left out"
        troubles += (Trouble("too-large", where, text),)
    if not small:
        raise LorelintError("holds no mail that can be read", where=where, remedy="name a mailbox with a patch in it")
    return Mailbox(small, troubles)


def _read_directory(path: Path) -> Mailbox:
    """A Maildir's cur and new, or else the directory's own files."""
    folders = [path / name for name in ("cur", "new") if (path / name).is_dir()]
    files = sorted(
        (file for folder in folders or [path] for file in folder.iterdir() if file.is_file()),
        key=lambda file: (file.name, str(file)),
    )
    if len(files) > MAX_FILES:
        raise LorelintError(f"{len(files)} files, more than {MAX_FILES}", where=str(path), remedy=_SPLIT)
    mails: list[Mail] = []
    troubles: list[Trouble] = []
    size = 0
    for file in files:
        try:
            box = read_path(file)
        except LorelintError as error:
            troubles.append(Trouble("unreadable", file.name, error.what))
            continue
        mails += box.mails
        troubles += box.troubles
        size += sum(len(mail.raw) for mail in box.mails)
        if size > MAX_BYTES or len(mails) > MAX_MAILS:
            break
    if not mails:
        remedy = "name a Maildir, or a directory that holds mails or patch files itself"
        raise LorelintError("no mail and no patch in this directory", where=str(path), remedy=remedy)
    return _bounded(tuple(mails), tuple(troubles), str(path))


def starts_mbox(text: bytes) -> bool:
    first, _, rest = text.partition(b"\n")
    return first.startswith(b"From ") and _FIELD.match(rest) is not None


def _is_mail(text: bytes) -> bool:
    """Whether it begins with a header block that has a field every mail has one of."""
    found = False
    for line in text[:65536].split(b"\n")[:200]:
        line = line.rstrip(b"\r")
        if not line:
            return found
        field = _FIELD.match(line)
        if field:
            found |= field.group(1).lower() in _KNOWN
        elif not line.startswith((b" ", b"\t", b">From ")):
            return False
    return found


def split(lines: Iterable[bytes]) -> Iterator[Mail]:
    """The mails of an mbox, from its lines with their ends. A separator has a time in it, and a header follows.

    Of a mail over MAX_MAIL the beginning is given, a little more than that.
    """
    rest = iter(lines)
    separator = last = next(rest, b"")
    held = b""  # may be a separator: the line behind it tells
    mail: list[bytes] = []
    size = 0
    for line in rest:
        if held:
            if _separates(last, line):
                yield _mail(separator, mail)
                separator, mail, size = held, [], 0
            elif size <= MAX_MAIL:
                mail.append(held)
                size += len(held)
            last, held = held, b""
        if line.startswith(b"From ") and _FROM_LINE.match(line):
            held = line
            continue
        if size <= MAX_MAIL:
            mail.append(line)
            size += len(line)
        last = line
    yield _mail(separator, [*mail, held])


def _separates(before: bytes, behind: bytes) -> bool:
    """Whether a line that may be a separator is one, by those around it."""
    field = _FIELD.match(behind)
    # Not every writer puts the blank line before; without it the header has to look like one.
    return field is not None and (not before.rstrip(b"\r\n") or field.group(1).lower() in _KNOWN)


def _mail(separator: bytes, lines: Sequence[bytes]) -> Mail:
    mail = b"".join(lines)
    # The blank line before the next separator belongs to the mailbox, not to the mail.
    mail = mail.removesuffix(b"\n") if mail.endswith(b"\n\n") else mail
    local = _GIT_FROM_LINE.match(separator) is not None
    # mboxrd (and mboxo) put a ">" before body lines that look like a separator; git does not.
    return Mail(mail if local else _unescaped(mail), local)


def _unescaped(mail: bytes) -> bytes:
    if b"\n>" not in mail:
        return mail
    head, blank, body = mail.partition(b"\n\n")
    return head + blank + _ESCAPED.sub(rb"\1", body)
