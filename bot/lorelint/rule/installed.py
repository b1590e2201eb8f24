"""What is installed, and which packs it declares: what `importlib.metadata` tells, in a fraction of the time.

Most of that time goes into loading it (mail, archives, CSV), at every start of a command that asks rules. Here the
folders of the path are looked through for ``*.dist-info`` and ``*.egg-info``; where a place on the path is no folder
(an archive), `importlib.metadata` is asked after all.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct

from lorelint.model.regex import regex

_OURS = "lorelint"
_KINDS = (".dist-info", ".egg-info")
_SEPARATORS = regex(r"[-_.]+")


class Distribution(Struct, frozen=True):
    """One that is installed. `points` are (group, name, value) of its entry points, as far as they are of the group
    that was asked for."""

    name: str
    version: str
    points: tuple[tuple[str, str, str], ...]


@cache  # what is installed does not change while we run
def distributions(group: str) -> tuple[Distribution, ...]:
    """The distributions that declare entry points of a group, and lorelint itself; of each name the first that is
    installed, also where a later one declares more.
    """
    found: dict[str, Distribution] = {}
    for place in dict.fromkeys(sys.path):
        if place and Path(place).is_file():
            return tuple(_asked(group))
        for each in _in_folder(place or ".", group):
            found.setdefault(plain(each.name), each)
    return tuple(each for name, each in found.items() if each.points or name == _OURS)


def plain(name: str) -> str:
    """A distribution's name as it is compared."""
    return _SEPARATORS.sub("-", name).lower()


def _in_folder(folder: str, group: str) -> Iterator[Distribution]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(each.name for each in entries if each.name.endswith(_KINDS))
    except OSError:
        return  # a place that is not there
    for name in names:
        points = tuple(_points(_text(f"{folder}/{name}/entry_points.txt"), group))
        known = name.rpartition(".")[0].partition("-")[0]
        head = ""
        if points or plain(known) == _OURS:  # of the others the name is enough
            head = _text(f"{folder}/{name}/METADATA") or _text(f"{folder}/{name}/PKG-INFO")
        yield Distribution(_header(head, "Name") or known, _header(head, "Version"), points)


def _text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _points(text: str, group: str) -> Iterator[tuple[str, str, str]]:
    section = ""
    for line in map(str.strip, text.splitlines() if group in text else ()):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == group and not line.startswith("#") and "=" in line:
            name, _, value = line.partition("=")
            yield group, name.strip(), value.strip()


def _header(text: str, name: str) -> str:
    """A header of the metadata, which end at the first empty line."""
    for line in text.splitlines():
        if not line:
            break
        if line.lower().startswith(f"{name.lower()}:"):
            return line.partition(":")[2].strip()
    return ""


def _asked(group: str) -> Iterator[Distribution]:
    """The same of `importlib.metadata`."""
    from importlib import metadata

    seen: set[str] = set()
    for each in metadata.distributions():
        name = each.metadata["Name"] or ""
        points = tuple((group, point.name, point.value) for point in each.entry_points if point.group == group)
        if plain(name) not in seen and (points or plain(name) == _OURS):
            yield Distribution(name, each.version, points)
        seen.add(plain(name))
