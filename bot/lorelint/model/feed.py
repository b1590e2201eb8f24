"""What comes from a list: messages in the order in which its archive took them, and how far they were read."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Protocol

from msgspec import Struct


class Cursor(Struct, frozen=True):
    """How far one epoch of an archive was taken in; for an archive over HTTP, epoch 0 and a time."""

    inbox: str  # name of the list in the settings
    epoch: int
    commit: str  # the last commit (or RFC 3339 time) whose message is in the store, "" for none


class Arrival(Struct, frozen=True):
    """One message as an archive gives it, and the cursor that stands for having it in the store."""

    raw: bytes
    cursor: Cursor
    at: str  # RFC 3339 in UTC, when the archive took it
    blob: str = ""  # of the message in the archive's git repository
    gone: bool = False  # the archive says that the message was removed; `raw` is empty
    msgid: str = ""  # where it is known before the mail is read


class Feed(Protocol):
    """An archive that is followed."""

    inbox: str

    def refresh(self) -> None:
        """Fetch what is new there. Raises LorelintError where no mirror answers."""

    def start(self, since: str) -> tuple[Cursor, ...]:
        """Cursors behind which everything from `since` (RFC 3339) on lies; "" is now, so that nothing old is read."""

    def arrivals(self, cursors: tuple[Cursor, ...]) -> Iterator[Arrival]:
        """What came after the cursors, oldest first, epochs in order; what was rewritten comes again, never is lost."""


class Nature(StrEnum):
    """What a mail is, as far as following a list goes."""

    PATCH = "patch"
    COVER = "cover"
    REPLY = "reply"  # of a person
    ANSWER = "answer"  # a reply that holds commands for us
    OURS = "ours"  # we sent it
    ROBOT = "robot"
    PULL = "pull"  # a pull request
    STABLE = "stable"  # review floods and AUTOSEL of the stable team
    BACKPORT = "backport"  # for an older kernel
    FOREIGN = "foreign"  # a patch for another project: QEMU, kvm-unit-tests, kvmtool, ...
    BURIED = "buried"  # a patch inside a reply
    NOTICE = "notice"  # applied, added to a tree, bounced
    TALK = "talk"  # anything else
    BROKEN = "broken"  # no mail that can be read

    @property
    def reviewed(self) -> bool:
        """Whether it is part of a series that is reviewed."""
        return self in (Nature.PATCH, Nature.COVER)
