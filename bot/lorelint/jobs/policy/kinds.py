"""What may stand as a value of a policy: a kind takes a value in, or says what it wants instead."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any

from msgspec import Struct

from lorelint.model.regex import regex

MOST = 1_000  # entries of one list, and characters of one text

_ADDRESS = regex(r"[^\s@<>()\[\]\",;:\\\x00-\x20\x7f-\x9f]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_DOMAIN = regex(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_LINK = regex(r"https?://[!-~]+")


class Wrong(Exception):
    """A value that is not of its kind."""


class Kind(Struct, frozen=True):
    """wanted: what to write, as the error puts it: "a number from 0 to 1"."""

    wanted: str
    take: Callable[[Any], Any]  # raises Wrong


def _text(fits: Callable[[str], bool]) -> Callable[[Any], str]:
    def take(value: Any) -> str:
        if not isinstance(value, str) or len(value) > MOST or not fits(value):
            raise Wrong
        return value

    return take


def _texts(fits: Callable[[str], bool]) -> Callable[[Any], tuple[str, ...]]:
    def take(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > MOST:
            raise Wrong
        return tuple(_text(fits)(each) for each in value)

    return take


def number(low: float, high: float) -> Kind:
    def take(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise Wrong
        return float(value)

    limits = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of {low:g} or more"
    return Kind(f"a number {limits}", take)


def whole(low: int, high: int) -> Kind:
    def take(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Wrong
        return value

    return Kind(f"a whole number from {low} to {high}", take)


def word(words: Iterable[str], make: Callable[[str], Any] = str) -> Kind:
    """One of some words."""
    known = tuple(words)

    def take(value: Any) -> Any:
        if not isinstance(value, str) or value not in known:
            raise Wrong
        return make(value)

    return Kind("one of " + ", ".join(f'"{each}"' for each in known), take)


def _day(value: Any) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    try:
        return date.fromisoformat(_text(lambda text: len(text) == 10)(value)).isoformat()
    except ValueError as error:
        raise Wrong from error


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong
    return value


def is_address(text: str) -> bool:
    """Whether mail can be sent to it, and nothing else be smuggled into a header with it."""
    return len(text) <= 254 and text.isascii() and _ADDRESS.fullmatch(text) is not None


TEXT = Kind("text in one line", _text(str.isprintable))
PLACE = Kind(
    'a whole path, "/etc/lorelint/stop"',
    _text(lambda text: not text or (text.startswith(("/", "~/")) and text.isprintable())),
)
ADDRESS = Kind('an address, "name@example.org"', _text(lambda text: not text or is_address(text)))
ADDRESSES = Kind('a list of addresses, ["name@example.org"]', _texts(is_address))
SENDERS = Kind(
    'a list of addresses or domains, ["name@example.org", "@example.org"]',
    _texts(lambda text: is_address(text) or (text[:1] == "@" and _DOMAIN.fullmatch(text[1:]) is not None)),
)
DOMAIN = Kind('a domain, "example.org"', _text(lambda text: not text or _DOMAIN.fullmatch(text) is not None))
LINK = Kind('an address that starts with "https://"', _text(lambda text: not text or _LINK.fullmatch(text) is not None))
DAY = Kind("a day, 2026-11-02", _day)
FLAG = Kind("true or false", _flag)
