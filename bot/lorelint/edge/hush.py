"""Libraries below us log what we say in one line of our own, or need not say at all."""

from __future__ import annotations

import logging


def hush() -> None:
    """What nobody listens to is not written onto the user's terminal, where Python would have it."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
