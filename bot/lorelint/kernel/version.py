"""Which kernel a tree is, by the variables at the head of its Makefile."""

from __future__ import annotations

import re

from lorelint.model.errors import LorelintError
from lorelint.model.regex import regex
from lorelint.model.tree import Tree

# The top Makefile has set these in its first lines since v2.1; EXTRAVERSION is "" or "-rc3".
_VARIABLE = regex(rb"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*:?=[ \t]*([^\s#]*)[ \t]*(?:#.*)?$", re.M)
_HEAD = 4096


def _variables(tree: Tree) -> dict[str, str]:
    makefile = tree.read("Makefile")
    found: dict[str, str] = {}
    for match in _VARIABLE.finditer((makefile or b"")[:_HEAD]):
        found.setdefault(match[1].decode(), match[2].decode("ascii", "replace"))
    return found


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else None


def is_kernel(tree: Tree) -> bool:
    """Whether the top Makefile sets VERSION and PATCHLEVEL to numbers."""
    found = _variables(tree)
    return all(_number(found.get(name, "")) is not None for name in ("VERSION", "PATCHLEVEL"))


def kernel_version(tree: Tree) -> tuple[int, int]:
    """Version and patch level: (6, 12). Raises LorelintError when the tree is not a kernel."""
    found = _variables(tree)
    version, level = _number(found.get("VERSION", "")), _number(found.get("PATCHLEVEL", ""))
    if version is None or level is None:
        raise LorelintError(
            "not a kernel tree: its Makefile sets no VERSION and PATCHLEVEL",
            where=tree.name,
            remedy="name the top folder of a kernel source or a git repository of one",
        )
    return version, level


def kernel_release(tree: Tree) -> str:
    """What ``make kernelversion`` prints: ``6.12.117``, ``7.2.0-rc1``. Raises as `kernel_version`."""
    version, level = kernel_version(tree)
    found = _variables(tree)
    extra = "".join(char for char in found.get("EXTRAVERSION", "")[:40] if char.isprintable())
    return f"{version}.{level}.{_number(found.get('SUBLEVEL', '')) or 0}{extra}"
