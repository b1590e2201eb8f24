"""One frozen tree of settings from one TOML file.

    tree  = "~/src/linux"                  # what `review` uses when it is given no --tree
    cache = "~/.cache/lorelint"            # kernel trees below trees/
    packs = ["lorelint"]                   # rule packs to take rules from; all that are installed when left out

    [lore]
    url = "https://lore.kernel.org/all/"   # where message-ids are fetched

A key that is not known is an error with its file, line and name: a setting with a typo in it must not be
a setting that is quietly off.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lorelint.model.errors import LorelintError


@dataclass(frozen=True, slots=True)
class LoreConfig:
    """The archive that message-ids are looked up in."""

    url: str = "https://lore.kernel.org/all/"


@dataclass(frozen=True, slots=True)
class Config:
    """All settings. Paths are as they were written: `~` is the command line's to expand."""

    lore: LoreConfig = LoreConfig()
    tree: str = ""
    cache: str = ""
    packs: tuple[str, ...] = ()


_STRING, _STRINGS, _TABLE = "a string", "a list of strings", "a table"
_KNOWN: Mapping[tuple[str, ...], str] = {
    ("tree",): _STRING,
    ("cache",): _STRING,
    ("packs",): _STRINGS,
    ("lore",): _TABLE,
    ("lore", "url"): _STRING,
}


def parse(text: str, where: str) -> Config:
    """Settings from the text of a file called `where`.

    Raises LorelintError for text that is no TOML, a key that is not known, a value of the wrong kind.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LorelintError(
            f"not TOML: {error}", where=where, remedy="mend the file, or name another with --config"
        ) from error
    for key, value in _walk(values):
        _check(key, value, text, where)
    lore = values.get("lore", {})
    return Config(
        lore=LoreConfig(**lore),
        tree=values.get("tree", ""),
        cache=values.get("cache", ""),
        packs=tuple(values.get("packs", ())),
    )


def _walk(values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All keys, tables before what stands in them; what is in an unknown table is not walked."""
    for name, value in values.items():
        yield (name,), value
        if isinstance(value, dict) and (name,) in _KNOWN:
            for inner, each in value.items():
                yield (name, inner), each


def _check(key: tuple[str, ...], value: Any, text: str, where: str) -> None:
    place = f"{where}:{_line(text, key)}"
    name = ".".join(key)
    if key not in _KNOWN:
        known = ", ".join(".".join(each) for each, kind in _KNOWN.items() if kind is not _TABLE)
        raise LorelintError(f"unknown key {name!a}", where=place, remedy=f"the keys are {known}")
    wanted = _KNOWN[key]
    if not _is(value, wanted):
        raise LorelintError(f"{name} is not {wanted}", where=place, remedy=f"write {wanted}")


def _is(value: Any, wanted: str) -> bool:
    if wanted is _STRINGS:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, str if wanted is _STRING else dict)


def _line(text: str, key: tuple[str, ...]) -> int:
    """Where a key stands, 1-based: tomllib does not say. The first line that can be it."""
    quoted = [rf"[\"']?{re.escape(part)}[\"']?" for part in key]
    table = re.compile(rf"\s*\[\s*{'[ ]*[.][ ]*'.join(quoted)}\s*\]")
    dotted = re.compile(rf"\s*{'[ ]*[.][ ]*'.join(quoted)}\s*[=.]")
    last = re.compile(rf"\s*{quoted[-1]}\s*[=.]")
    inside = len(key) == 1
    for number, line in enumerate(text.splitlines(), 1):
        if table.match(line) or dotted.match(line):
            return number
        header = re.match(r"\s*\[+\s*([^\]]*?)\s*\]", line)
        if header:
            inside = header[1].strip("\"' ") == ".".join(key[:-1]) and len(key) > 1
        elif inside and last.match(line):
            return number
    return 1
