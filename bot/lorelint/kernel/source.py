"""TOML tables whose every complaint names file and line."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn

import tomli
from msgspec import Struct

from lorelint.model.errors import LorelintError

Version = tuple[int, int]


class Source(Struct, frozen=True):
    """One data file: its text (for line numbers) and what TOML made of it."""

    path: Path
    text: str
    data: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Source:
        """Raises LorelintError for a file that cannot be read or is not TOML."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LorelintError(f"cannot be read: {error}", where=path.name) from error
        try:
            return cls(path, text, tomli.loads(text))
        except tomli.TOMLDecodeError as error:
            found = re.search(r"at line (\d+)", str(error))
            where = f"{path.name}:{found[1]}" if found else path.name
            raise LorelintError(f"not TOML: {error}", where=where) from error

    def refuse(self, what: str, *needles: str, remedy: str = "") -> NoReturn:
        """Raises LorelintError at the line where `needles` are found, one after the other."""
        line, start = 0, 0
        for needle in needles:
            found = re.compile(re.escape(needle)).search(self.text, start)
            if found is None:
                break
            start = found.start()
            line = self.text.count("\n", 0, start) + 1
            start += 1
        where = f"{self.path.name}:{line}" if line else self.path.name
        raise LorelintError(what, where=where, remedy=remedy)

    def tables(self, key: str) -> tuple[tuple[dict[str, Any], tuple[str, ...]], ...]:
        """The tables of an array ``[[key]]``, each with the needles that lead to it; none where the key is absent."""
        rows = self.data.get(key, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            self.refuse(f"'{key}' must be tables that begin with [[{key}]]", key)
        return tuple((row, self.nth(key, at)) for at, row in enumerate(rows))

    def nth(self, header: str, index: int) -> tuple[str, ...]:
        """Needles that lead to the `index`-th ``[[header]]`` of the file."""
        return (f"[[{header}]]",) * (index + 1)

    def only(self, table: dict[str, Any], allowed: Collection[str], *needles: str) -> None:
        """Refuses a key that is not among `allowed`."""
        for key in table:
            if key not in allowed:
                remedy = f"known keys: {', '.join(sorted(allowed))}"
                self.refuse(f"unknown key '{key}'", *needles, key, remedy=remedy)

    def texts(self, table: dict[str, Any], key: str, *needles: str) -> tuple[str, ...]:
        """A list of strings without a duplicate, under a key that must be there."""
        value = table.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            self.refuse(f"'{key}' must be a list of names", *needles, key)
        names = tuple(str(each) for each in value)
        seen: set[str] = set()
        for name in names:
            if name in seen:
                self.refuse(f"'{name}' stands twice", *needles, f'"{name}"', f'"{name}"')
            seen.add(name)
        return names

    def word(self, table: dict[str, Any], key: str, allowed: tuple[str, ...], *needles: str) -> str:
        """One of `allowed`, the first of them where the key is absent."""
        value = table.get(key, allowed[0])
        if value not in allowed:
            self.refuse(f"'{key}' must be one of {', '.join(repr(each) for each in allowed)}", *needles, key)
        return str(value)

    def number(self, table: dict[str, Any], key: str, *needles: str) -> int:
        """A count from 0; 0 where the key is absent."""
        value = table.get(key, 0)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.refuse(f"'{key}' must be a number from 0", *needles, key)
        return value

    def flag(self, table: dict[str, Any], key: str, *needles: str) -> bool:
        value = table.get(key, False)
        if not isinstance(value, bool):
            self.refuse(f"'{key}' must be true or false", *needles, key)
        return value

    def version(self, value: object, *needles: str) -> Version:
        if not isinstance(value, str) or not (found := re.fullmatch(r"(\d+)\.(\d+)", value)):
            self.refuse(f"{value!r} is not a kernel version", *needles, remedy='write "6.12"')
        return int(found[1]), int(found[2])


class Span(Struct, frozen=True):
    """The versions that have something, both ends included; None = open."""

    since: Version | None = None
    until: Version | None = None

    def holds(self, version: Version) -> bool:
        return (self.since is None or self.since <= version) and (self.until is None or version <= self.until)

    def meets(self, other: Span) -> bool:
        """Whether some version is in both."""
        return not (
            (self.until is not None and other.since is not None and self.until < other.since)
            or (other.until is not None and self.since is not None and other.until < self.since)
        )


def span(source: Source, table: dict[str, Any], checked: tuple[Version, ...], *needles: str) -> Span:
    """`since` and `until` of a table; both must be among the versions the lists were checked against."""
    ends: list[Version | None] = []
    for key in ("since", "until"):
        if key not in table:
            ends.append(None)
            continue
        version = source.version(table[key], *needles, key)
        if version not in checked:
            remedy = "name one of " + ", ".join(f"{major}.{minor}" for major, minor in checked)
            source.refuse(f"'{key}' names a version nothing was checked against", *needles, key, remedy=remedy)
        ends.append(version)
    since, until = ends
    if since is not None and until is not None and until < since:
        source.refuse("'until' is before 'since'", *needles, "until")
    return Span(since, until)
