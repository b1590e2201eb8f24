"""A lock that the kernel takes away when its holder dies, so that no crash leaves one behind."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lorelint.model.errors import LorelintError


@contextmanager
def only_one(path: Path, what: str) -> Iterator[None]:
    """Nobody else on this machine does `what` meanwhile. Raises LorelintError where somebody does."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise LorelintError(
            f"cannot be locked: {error.strerror}", where=str(path), remedy="check the folder"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LorelintError(
                f"another process {what}", where=str(path), remedy="end it first, or leave it"
            ) from error
        yield
