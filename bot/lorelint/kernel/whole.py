"""A file of a tree that is read whole, and understood once for each content of it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from lorelint.model.tree import Tree

Understood = TypeVar("Understood")


def understood(tree: Tree, name: str, most: int, parse: Callable[[str], Understood]) -> Understood:
    """What `parse` makes of a file; of no text, where there is no such file or it has more bytes than `most`."""
    raw = tree.read(name)
    found: Understood = _parsed(parse, b"" if raw is None or len(raw) > most else raw)
    return found


@lru_cache(maxsize=8)
def _parsed(parse: Callable[[str], Any], raw: bytes) -> Any:
    return parse(raw.decode("utf-8", "replace"))
