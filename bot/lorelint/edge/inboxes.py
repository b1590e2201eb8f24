"""Archives that lie on this machine, as feeds: public-inboxes of version 2, Maildirs, mailboxes, folders of all these.

Of a mailbox no more is in memory than one mail, so it may be of any size. What is no mail is told, and passed by.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import BinaryIO, cast

from lorelint.edge.epochs import EpochFeed
from lorelint.edge.letters import date_of
from lorelint.edge.mailbox import Mail, read_path, split, starts_mbox
from lorelint.model.errors import LorelintError
from lorelint.model.feed import Arrival, Cursor, Feed
from lorelint.model.regex import regex

HEAD = 64 << 10  # bytes in which a date is looked for, and by which it is told what a file is
LINE = 1 << 20  # bytes of a line that are read at once
UNDATED = "1970-01-01T00:00:00Z"
_DATE = regex(rb"^Date:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE | re.MULTILINE)

Aside = Callable[[str, str], None]
"""``aside(file, why)``: told of what is no mail."""


def feeds(places: Sequence[str], folder: Path, aside: Aside) -> tuple[Feed, ...]:
    """The archives in files and folders; `folder` is for what they might need beside themselves.

    Each is called by the last part of its path. Raises LorelintError for a place that is none.
    """
    found: list[Feed] = []
    names: set[str] = set()

    def name(path: Path) -> str:
        base = plain = path.resolve().name or "inbox"
        number = 2
        while base in names:
            base, number = f"{plain}-{number}", number + 1
        names.add(base)
        return base

    for place in places:
        path = Path(place)
        if "://" in place:
            raise LorelintError("is not on this machine", where=place, remedy="mirror it, and name the folder")
        if not path.exists():
            raise LorelintError("no such file or folder", where=place, remedy="name a mailbox, a Maildir, an archive")
        inside = [path] if _is_epochs(path) else _archives(path)
        found += [EpochFeed(name(each), [str(each)], folder) for each in inside]
        if path not in inside:
            found.append(FileFeed(name(path), path, frozenset(inside), aside))
    return tuple(found)


class FileFeed:
    """Implements `lorelint.model.feed.Feed` for a mailbox, or all mail below a folder, in the order of the names.

    A cursor is how many mails of this very listing were read: where a file was changed, all come again. They have no
    time at which an archive took them, so that is what they say themselves.
    """

    def __init__(self, inbox: str, path: Path, without: frozenset[Path], aside: Aside) -> None:
        self.inbox = inbox
        self.path = path
        self._without = without
        self._aside = aside

    def refresh(self) -> None:
        """It is as it is."""

    def start(self, since: str) -> tuple[Cursor, ...]:
        """From its beginning: names are in no order of time."""
        return (Cursor(self.inbox, 0, ""),)

    def arrivals(self, cursors: tuple[Cursor, ...]) -> Iterator[Arrival]:
        """See `Feed.arrivals`."""
        files = list(self._files())
        listing = _listing(files)
        known, _, count = next((each.commit for each in cursors if each.inbox == self.inbox), "").partition(":")
        passed = int(count) if known == listing and count.isdigit() else 0
        number = 0
        for name, path in files:
            try:
                for mail in _mails(path):
                    number += 1
                    if number > passed:
                        cursor = Cursor(self.inbox, 0, f"{listing}:{number}")
                        yield Arrival(mail.raw, cursor, _time(mail.raw), name)
            except LorelintError as error:
                self._aside(f"{self.inbox}/{name}" if name else self.inbox, error.what)
            except (OSError, EOFError, zlib.error) as error:
                what = getattr(error, "strerror", None) or str(error)
                self._aside(f"{self.inbox}/{name}" if name else self.inbox, f"cannot be read: {what.lower()}")

    def _files(self) -> Iterator[tuple[str, Path]]:
        if not self.path.is_dir():
            yield "", self.path
            return
        for at, folders, names in os.walk(self.path):
            here = Path(at)
            maildir = "cur" in folders and "new" in folders
            folders[:] = sorted(
                each
                for each in folders
                if not each.startswith(".") and here / each not in self._without and not (maildir and each == "tmp")
            )
            for name in sorted(names):
                path = here / name
                if not name.startswith(".") and path.is_file():
                    yield path.relative_to(self.path).as_posix(), path


def _is_epochs(path: Path) -> bool:
    return (path / "git").is_dir() and any((path / "git").glob("[0-9]*.git"))


def _archives(path: Path) -> list[Path]:
    """The public-inboxes directly in a folder, as a mirror of many lists has them."""
    return sorted(each for each in path.iterdir() if _is_epochs(each)) if path.is_dir() else []


def _listing(files: Sequence[tuple[str, Path]]) -> str:
    """Stands for the files as they are."""
    told = hashlib.sha256()
    for name, path in files:
        found = path.stat()
        told.update(f"{name}\0{found.st_size}\0{found.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return told.hexdigest()[:16]


def _mails(path: Path) -> Iterator[Mail]:
    """The mails of a file. Raises LorelintError where it holds none, OSError where it cannot be read."""
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        # A gzip file is a stream of bytes like another, whatever typeshed calls it.
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=plain)) if packed else plain
        head = stream.read(HEAD)
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if starts_mbox(text):
            yield from split(_lines(stream, text))
            return
    yield from read_path(path).mails


def _lines(stream: BinaryIO, head: bytes) -> Iterator[bytes]:
    """What was read of a stream and what follows, by lines; one that is too long comes in pieces."""
    first = io.BytesIO(head).readlines()
    if first and not first[-1].endswith(b"\n"):
        first[-1] += stream.readline(LINE)
    yield from first
    while line := stream.readline(LINE):
        yield line


def _time(raw: bytes) -> str:
    """What a mail says when it was written, in UTC."""
    head = raw[:HEAD].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    found = _DATE.search(head)
    date = date_of(" ".join(found[1].decode("latin-1").split())) if found else None
    return UNDATED if date is None else date.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
