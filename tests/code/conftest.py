"""Small programs of our own, in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from lorelint.code.program import Program
from lorelint.kernel.load import knowledge
from lorelint.model.tree import EmptyTree, OverlayTree


def _small(files: str | Mapping[str, str], version: tuple[int, int] = (6, 12)) -> Program:
    named = {"a.c": files} if isinstance(files, str) else files
    tree = OverlayTree(EmptyTree("small"), {path: text.encode() for path, text in named.items()})
    return Program(tree, knowledge(version))


@pytest.fixture(scope="session")
def small() -> Callable[..., Program]:
    """``small(text)`` is the program whose one file, ``a.c``, holds the text; ``small({path: text})`` has several."""
    return _small
