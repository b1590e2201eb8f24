"""The one family of errors that reach a person."""

from __future__ import annotations


class LorelintError(Exception):
    """Something that ends the job: what went wrong, where, and what to do about it.

    The command line prints it as one line and exits with 2. Input that is merely odd is not an
    error but a `Trouble`, which travels with the value it belongs to.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        return f"{line} ({self.remedy})" if self.remedy else line


class Stopped(Exception):
    """What was being done was given up because everything is to end: it did not fail."""
