"""The port to a Patchwork: checks at patches, which everybody who works with it sees."""

from __future__ import annotations

from typing import Protocol


class Patchwork(Protocol):
    """One Patchwork, with the right to set checks."""

    def patch(self, msgid: str) -> int:
        """The number it has given a patch, 0 where it does not know it (yet). Raises LorelintError."""

    def set_check(self, patch: int, context: str, state: str, description: str, target_url: str = "") -> None:
        """state: pending, success, warning, fail. What was last set of a context counts. Raises LorelintError."""
