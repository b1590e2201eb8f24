"""The port to what was worked out before: bytes by a key, kept between runs. Nothing hangs on it but time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Memory(Protocol):
    """Bytes by key. What is not there any more is worked out again."""

    def recall_answer(self, key: str) -> bytes | None:
        """What was kept under a key; None where nothing is, or where it cannot be read."""

    def keep_answers(self, answers: Mapping[str, bytes]) -> None:
        """Keep all of these; a memory that cannot be written stays as it was."""
