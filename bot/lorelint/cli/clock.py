"""The clock, and who sits before it: jobs are told both."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime


def now() -> str:
    """RFC 3339 in UTC, with seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def who() -> str:
    """The user's name, for what is kept of who did what."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "somebody"
