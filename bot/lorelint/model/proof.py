"""Who really wrote a mail: what is proven of it, as a value."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from msgspec import Struct


class How(StrEnum):
    """What proves it, or that nothing does."""

    DKIM = "dkim"  # a signature of the writer's own domain
    PATATT = "patatt"  # a signature of the writer's own key, which is in a keyring of ours
    ARCHIVE = "archive"  # the archive named in the settings has checked DKIM, and says so
    LOCAL = "local"  # typed at this machine
    FAIL = "fail"  # a signature is there, and does not hold
    NONE = "none"  # none is there, or none that says anything of the writer


class Proof(Struct, frozen=True):
    """identity  the address that is proven to have written it, lower case; "" where none is
    reason    what holds, or why nothing does: a clause
    again     nobody could be asked just now: another try may prove it
    """

    how: How
    identity: str
    reason: str
    again: bool = False

    @property
    def holds(self) -> bool:
        return self.how in (How.DKIM, How.PATATT, How.ARCHIVE, How.LOCAL)


class Prover(Protocol):
    def prove(self, raw: bytes, at: str) -> Proof:
        """Who wrote a mail that its archive took in `at` (RFC 3339). Never raises for what is in the mail."""
