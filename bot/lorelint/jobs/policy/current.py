"""The policy as its file stands now. Whoever acts by it asks again each time, so that a change needs no restart."""

from __future__ import annotations

from collections.abc import Callable

from lorelint.model.errors import LorelintError
from lorelint.model.policy import Policy


def current(read: Callable[[], Policy]) -> tuple[Policy, str]:
    """The policy, and what is wrong with it: a file that cannot be read, or is none, lets nobody speak."""
    try:
        return read(), ""
    except LorelintError as error:
        return Policy(), str(error)
