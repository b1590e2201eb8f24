"""The port to a mail server: a letter is handed over, and what the server says of it is a value."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

from msgspec import Struct


class Fate(StrEnum):
    """What became of a mail that was handed over."""

    TAKEN = "taken"  # the server answers for it now
    LATER = "later"  # not taken, and may be tried again
    NEVER = "never"  # not taken, and never will be
    UNKNOWN = "unknown"  # the line broke while it was on its way: it may have been taken


class Handed(Struct, frozen=True):
    """text: what the server said; refused: (address, what it said) of those who do not get it, though others do."""

    fate: Fate
    text: str = ""
    refused: tuple[tuple[str, str], ...] = ()


class Server(Protocol):
    """A mail server that is connected."""

    eight_bit: bool  # takes bytes beyond ASCII as they are

    def hand(self, sender: str, recipients: Sequence[str], raw: bytes) -> Handed:
        """Hand one mail over; lines end in LF. Raises nothing for what a server or a line may do."""


class Post(Protocol):
    """The way to a mail server."""

    def connect(self) -> AbstractContextManager[Server]:
        """Raises LorelintError where it does not answer, or takes no mail from us."""
