"""Input that is less than perfect, as a value."""

from __future__ import annotations

from msgspec import Struct


class Trouble(Struct, frozen=True):
    """Something about the input that a reader of the report must know; it ends nothing.

    kind    a lower-case word from a fixed vocabulary, e.g. ``incomplete-series``, ``not-c``,
            ``mangled``, ``charset``, ``attachment``, ``no-body``, ``does-not-apply``
    where   message-id, path or ``path:line``
    text    what is so, lower case, no full stop
    """

    kind: str
    where: str
    text: str


class Failure(Struct, frozen=True):
    """A rule that could not do its work on one subject; the others went on."""

    rule: str
    path: str
    function: str
    text: str


class Unseen(Struct, frozen=True):
    """Something the analysis did not see and a reader must not take for clean.

    kind    ``degraded`` (a function with text we could not parse), ``unresolved`` (a call whose
            target is unknown), ``skipped`` (a file over the size limit, not C, ...), ``cut``
            (a budget was reached)
    """

    kind: str
    path: str
    line: int
    text: str
