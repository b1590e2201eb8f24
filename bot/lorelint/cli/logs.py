"""The log of commands that go on: a line on standard error for each thing that happened, as values with names.

As text for a terminal and the journal (time=... event=... name=value), or as JSON. What comes from strangers is shown,
not obeyed: a line is one line whatever a mail says. Told of the libraries below us is what they warn of.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import click

from lorelint.cli.clock import now

Say = Callable[..., None]
"""``say(event, name=value, ...)``."""

LOG = click.option(
    "--log",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="The log on standard error: name=value, or a JSON object a line. [default: text]",
)
_WRONG = frozenset({"error", "failed"})  # events that are about nothing else
_TROUBLE = "<4>"  # how a line begins that the journal is to take for a warning


def log(form: str) -> Say:
    """What writes the log in a form, "text" or "json"."""
    import structlog

    render: Any = structlog.processors.JSONRenderer() if form == "json" else _Text(_is_journal())
    logger = structlog.wrap_logger(structlog.WriteLogger(sys.stderr), processors=[_first, _plain, render])

    def say(event: str, **facts: object) -> None:
        logger.info(event, **facts)

    return say


def with_libraries(say: Say, *names: str) -> None:
    """Have what libraries warn of in the log, too."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers[:] = [_Library(say)]
        logger.propagate = False
        logger.setLevel(logging.WARNING)


class _Library(logging.Handler):
    """Hands on what a library has said."""

    def __init__(self, say: Say) -> None:
        super().__init__()
        self._say = say
        self._form = logging.Formatter("%(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        ok = record.levelno < logging.ERROR
        self._say("library", name=record.name, ok=ok, text=self._form.format(record)[:20_000])


# -- what is done to each line ---------------------------------------------------------------------------------------


def _first(logger: Any, method: str, facts: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Time and event stand first; whether it is trouble follows from them and the values."""
    event = facts.pop("event")
    wrong = event in _WRONG or facts.get("ok") is False
    return {"time": now(), "level": "warning" if wrong else "info", "event": event, **facts}


def _plain(logger: Any, method: str, facts: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Numbers and yes or no as they are, all else as words without control characters."""
    from lorelint.report.text import words

    return {
        name: value if isinstance(value, bool | int | float) or value is None else words(str(value))
        for name, value in facts.items()
    }


class _Text:
    """name=value. What is trouble is marked for the journal, which takes the mark away."""

    def __init__(self, journal: bool) -> None:
        self._mark = _TROUBLE if journal else ""

    def __call__(self, logger: Any, method: str, facts: MutableMapping[str, Any]) -> str:
        mark = self._mark if facts.pop("level") == "warning" else ""
        return mark + " ".join(f"{name}={_value(value)}" for name, value in facts.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "" if value is None else str(value)
    plain = text and not any(char in text for char in ' "=')
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_journal() -> bool:
    """Whether standard error goes to the journal, as systemd says and the file confirms."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        there = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(there.st_dev), str(there.st_ino))
