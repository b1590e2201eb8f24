"""Entrances and families of APIs, read from their files and cut to a kernel version."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import MappingProxyType

from lorelint.kernel.source import Source
from lorelint.model.entrances import Entrances, Family
from lorelint.model.knowledge import Knowledge

_FOLDER = Path(__file__).parent
_KEYS = ("kind", "user", "slots", "handed", "lists")


@cache
def _source(name: str, folder: Path) -> Source:
    return Source.read(folder / name)


def entrances(know: Knowledge, folder: Path = _FOLDER) -> Entrances:
    """Where the kernel is entered. Raises LorelintError, with file and line, when the data is broken."""
    source = _source("entrances.toml", folder)
    source.only(source.data, ("entrance", "not_called"))
    slots: dict[str, str] = {}
    handed: dict[str, str] = {}
    user = {"syscall"}
    for row, here in source.tables("entrance"):
        source.only(row, _KEYS, *here)
        kind = row.get("kind")
        if not isinstance(kind, str) or not kind.isidentifier():
            source.refuse("'kind' must be a word", *here, "kind")
        if source.flag(row, "user", *here):
            user.add(kind)
        for slot in source.texts(row, "slots", *here) if "slots" in row else ():
            if slot.count(".") < 1:
                source.refuse(f"{slot!r} is no field of a structure", *here, f'"{slot}"', remedy='write "struct.field"')
            slots.setdefault(slot, kind)
        for name in source.texts(row, "handed", *here) if "handed" in row else ():
            handed.setdefault(name, kind)
        for each in source.texts(row, "lists", *here) if "lists" in row else ():
            if each not in know.lists:
                source.refuse(f"there is no list '{each}'", *here, f'"{each}"')
            for name in sorted(know.names(each)):
                handed.setdefault(name, kind)
    silent = source.data.get("not_called", {})
    source.only(silent, ("names", "prefixes"), "[not_called]")
    return Entrances(
        MappingProxyType(slots),
        MappingProxyType(handed),
        frozenset(user),
        frozenset(source.texts(silent, "names", "[not_called]")),
        source.texts(silent, "prefixes", "[not_called]"),
    )


def families(know: Knowledge, folder: Path = _FOLDER) -> tuple[Family, ...]:
    """The families of APIs, in the order of their file. Raises LorelintError as `entrances`."""
    source = _source("families.toml", folder)
    found = []
    for name, row in source.data.items():
        header = f"[{name}]"
        if not isinstance(row, dict):
            source.refuse(f"'{name}' is not a family", name)
        source.only(row, ("about", "lists"), header)
        lists = source.texts(row, "lists", header)
        for each in lists:
            if each not in know.lists:
                source.refuse(f"there is no list '{each}'", header, f'"{each}"')
        found.append(Family(name, str(row.get("about", "")), know.names(*lists)))
    return tuple(found)
