"""On which line of a TOML text each key stands; the library does not say.

A text is a row of statements (a table's header, a key with its value), and a statement is whole as soon as the library
can read it alone. So each is read with what came before it left out, and names its keys by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import tomli

Path = tuple[str, ...]


def lines_of(text: str) -> dict[Path, int]:
    """Key -> 1-based line where its statement starts, tables among them. The text must be TOML."""
    found: dict[Path, int] = {}
    table: Path = ()
    statement, start = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        if not statement:
            start = number
        statement += line + "\n"
        try:
            values = tomli.loads(statement)
        except tomli.TOMLDecodeError:
            continue  # goes on in the next line
        header = statement.lstrip().startswith("[")
        statement = ""
        for path in _paths(values):
            found.setdefault(path if header else table + path, start)
        if header:
            table = max(_paths(values), key=len)
    return found


def _paths(values: Mapping[str, Any]) -> Iterator[Path]:
    for name, value in values.items():
        yield (name,)
        inner = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else value
        if isinstance(inner, dict):
            for path in _paths(inner):
                yield (name, *path)
