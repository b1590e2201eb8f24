"""What may be done where: printing, exiting, reading the environment; and what may stand in no file at all."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Only the command line speaks to the terminal, ends the process, or knows the environment.
FORBIDDEN = {
    "print": re.compile(r"^print$"),
    "sys.exit": re.compile(r"^(sys\.exit|exit|quit|os\._exit)$"),
    "environment": re.compile(r"^os\.(environ\b.*|getenv|putenv|environb\b.*)$"),
}
# A copy of the process ends without what the process itself would do at its end.
ELSEWHERE = {"sys.exit": "bot/lorelint/edge/aside.py:"}
# Paths of one machine and registries' hosts. Split so that this file does not hold them itself.
MACHINE = re.compile(
    r"(?<![\w.~-])/(?:work|root|farm)/|/var/"
    + r"tmp/k\b|/home/[a-z]|files\.python"
    + r"hosted|py"
    + r"pi\.org|registry\.npm"
    + "js"
)


def code(root: Path) -> Iterator[tuple[str, ast.Module]]:
    for folder in ("bot/lorelint", "rules/lorelint_rules"):
        for path in sorted((root / folder).rglob("*.py")):
            yield str(path.relative_to(root)), ast.parse(path.read_text())


def dotted(node: ast.AST) -> str:
    """``os.environ`` for the attribute access, "" for what is no plain name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join(reversed([*names, node.id])) if isinstance(node, ast.Name) else ""


def uses(tree: ast.Module, pattern: re.Pattern[str]) -> list[int]:
    lines = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name) and pattern.match(dotted(node))
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            lines += [node.lineno for alias in node.names if pattern.match(f"{node.module}.{alias.name}")]
        if (
            isinstance(node, ast.Raise)
            and node.exc
            and "SystemExit" in ast.dump(node.exc)
            and "exit" in pattern.pattern
        ):
            lines.append(node.lineno)
    return sorted(set(lines))


@pytest.mark.parametrize("what", sorted(FORBIDDEN))
def test_only_the_command_line(what: str, root: Path) -> None:
    found = {
        f"{path}:{line}" for path, tree in code(root) if "/cli/" not in path for line in uses(tree, FORBIDDEN[what])
    }
    assert {place for place in found if not place.startswith(ELSEWHERE.get(what, "-"))} == set()


def test_the_check_sees_what_it_looks_for() -> None:
    tree = ast.parse("import os\nprint(1)\nos.environ['A']\nraise SystemExit(2)\nfrom os import environ\n")
    assert uses(tree, FORBIDDEN["print"]) == [2]
    assert uses(tree, FORBIDDEN["environment"]) == [3, 5]
    assert uses(tree, FORBIDDEN["sys.exit"]) == [4]


def test_no_recursion_limits_are_moved(root: Path) -> None:
    """Depth is bounded by explicit stacks, never by a larger recursion limit."""
    assert not [path for path, tree in code(root) if uses(tree, re.compile(r"^sys\.setrecursionlimit$"))]


def test_no_path_of_one_machine(root: Path, program: Callable[[str], str]) -> None:
    listed = subprocess.run([program("git"), "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    found = []
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = root / name
        if path.is_file() and not name.startswith("tests/house/"):
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{name}:{text.count(chr(10), 0, hit.start()) + 1}: {hit[0]}" for hit in MACHINE.finditer(text)]
    assert not found


def test_lock_files_pin_everything_and_name_no_origin(root: Path) -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "deploy/requirements.lock"):
        text = (root / name).read_text()
        assert "://" not in text and "--index-url" not in text and "--trusted-host" not in text
        blocks = re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n", "", text).strip())
        assert len(blocks) > 15
        for block in blocks:
            assert re.match(r"[\w.-]+==[\w.+!]+ ", block), block[:60]
            assert "--hash=sha256:" in block, block[:60]
