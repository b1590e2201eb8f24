"""The port through which threads come from a mail archive."""

from __future__ import annotations

from typing import Protocol


class Lore(Protocol):
    """A public-inbox archive such as lore.kernel.org. The real one is `lorelint.edge.lore.LoreArchive`."""

    def thread(self, source: str) -> tuple[bytes, ...]:
        """All messages of the thread that holds a message, as they came, none twice.

        `source` is a message-id or the address of a message on a public-inbox server; an address
        overrides the configured archive. Raises LorelintError: no such message, archive out of reach,
        thread over the size limit.
        """
