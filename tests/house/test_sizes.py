"""Modules and functions that fit a reader's head."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

MODULE, RULE, FUNCTION = 500, 300, 60


def sources(root: Path) -> Iterator[Path]:
    for folder in ("bot/lorelint", "rules/lorelint_rules"):
        yield from sorted((root / folder).rglob("*.py"))


def test_modules(root: Path) -> None:
    long = {}
    for path in sources(root):
        text = path.read_text()
        lines = len(text.splitlines())
        if lines > (RULE if "\nRULE = " in text else MODULE):
            long[str(path.relative_to(root))] = lines
    assert not long


def test_functions(root: Path) -> None:
    long = {}
    for path in sources(root):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION:
                    long[f"{path.relative_to(root)}:{node.lineno} {node.name}"] = lines
    assert not long


def test_every_module_says_what_it_is(root: Path) -> None:
    silent = [
        str(path.relative_to(root)) for path in sources(root) if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent
