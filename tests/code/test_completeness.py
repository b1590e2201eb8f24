"""Callers by name against cscope and against a search of the text: every difference is of a known class.

200 functions of a whole kernel, chosen by a fixed seed. What cscope and the text have and lorelint has not (or the
other way round) must be explained by the text itself; what is not fails the test, and the table is printed.
"""

from __future__ import annotations

import random
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lorelint.code.facts import Facts
from lorelint.code.graph import Calls
from lorelint.code.harvest import harvest
from lorelint.code.lex import mask
from lorelint.code.links import Links
from lorelint.code.program import Program
from lorelint.edge.directory import DirectoryTree
from lorelint.kernel.entrances import entrances
from lorelint.kernel.load import knowledge
from lorelint.model.tree import LIMIT

pytestmark = [pytest.mark.prove, pytest.mark.needs_tree("6.12")]

SEED, COUNT = 20260317, 200
Place = tuple[str, int]


class Texts:
    """Files of a tree: masked lines and facts, read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lines: dict[str, list[bytes]] = {}
        self._facts: dict[str, Facts] = {}

    def raw(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def lines(self, path: str) -> list[bytes]:
        if path not in self._lines:
            self._lines[path] = mask(self.raw(path)).split(b"\n")
        return self._lines[path]

    def facts(self, path: str) -> Facts:
        if path not in self._facts:
            self._facts[path] = harvest(self.raw(path))
        return self._facts[path]

    def calls(self, path: str, name: str) -> set[int]:
        return {line for fn in self.facts(path).functions for callee, line in fn.calls if callee == name}


def sample(root: Path, tree: DirectoryTree) -> list[tuple[str, str]]:
    """(path, name) of functions that a kernel has, one from each of so many files."""
    chance = random.Random(SEED)
    files = [path for path in tree.files() if not path.startswith(("tools/", "Documentation/", "samples/", "scripts/"))]
    chosen: list[tuple[str, str]] = []
    for path in chance.sample(files, len(files)):
        functions = harvest((root / path).read_bytes()).functions
        if functions:
            chosen.append((path, chance.choice(functions).name))
        if len(chosen) == COUNT:
            break
    return chosen


def told_by_text(texts: Texts, path: str, line: int, name: str) -> str:
    """Why a place that looks like a call of `name` is none, or is one of another kind; "" for no reason."""
    word = re.escape(name.encode())
    lines = texts.lines(path)
    if len(texts.raw(path)) > LIMIT:
        return "file over 1 MiB"
    if line > len(lines):
        return "past the end"
    here = lines[line - 1]
    macro = told_by_directive(texts, path, line, name)
    if macro:
        return macro
    if not re.search(rb"\b" + word + rb"\b", here):
        return "in a comment or a string"
    if re.search(rb"(?:->|\.)\s*" + word + rb"\s*\(", here):
        return "a member of that name"
    facts = texts.facts(path)
    if any(fn.name == name and fn.first_line <= line <= fn.line for fn in facts.functions):
        return "the definition"
    inside = [fn for fn in facts.functions if fn.first_line <= line <= fn.end_line]
    if any(field == name and at == line for fn in inside for field, _, at in fn.through):
        return "a parameter or pointer of that name"
    rest = b" ".join(lines[line - 1 : line + 8])
    if not re.search(rb"\b" + word + rb"\s*\(", rest[: len(here) + 80]):
        return "named, not called"
    if re.search(rb"(?:\w|\*)\s+\**" + word + rb"\s*\(", here) and not re.search(
        rb"\b(?:return|else|do|case|goto)\s+" + word, here
    ):
        return "a declaration"
    return "" if inside else "in a macro's arguments at file scope"


def told_by_directive(texts: Texts, path: str, line: int, name: str) -> str:
    """What a place in a directive is; a call in a function-like macro must be among the macro's own calls."""
    raw = texts.raw(path).split(b"\n")
    at = line - 1
    while at > 0 and raw[at - 1].rstrip().endswith(b"\\"):
        at -= 1
    defined = re.match(rb"\s*#\s*define\s+(\w+)(\()?", raw[at])
    if defined is None:
        return "in a directive" if raw[at].lstrip().startswith(b"#") else ""
    if defined.group(2) is None:
        return "in a macro without parameters"
    rows = [row for row in texts.facts(path).macros if row.name == defined.group(1).decode() and row.line == at + 1]
    return "in a macro, and its calls have it" if any(name in row.calls for row in rows) else ""


def by_cscope(database: Path, root: Path, name: str) -> set[Place]:
    done = subprocess.run(
        ["cscope", "-d", "-f", str(database), "-L3", name], capture_output=True, text=True, errors="replace", check=True
    )
    found = set()
    for row in done.stdout.splitlines():
        path, _, line, _ = row.split(" ", 3)
        found.add((path.removeprefix(f"{root}/"), int(line)))
    return found


def by_text(texts: Texts, paths: tuple[str, ...], name: str) -> Iterator[Place]:
    call = re.compile(rb"\b" + re.escape(name.encode()) + rb"\s*\(")
    for path in paths:
        if len(texts.raw(path)) <= LIMIT:
            text = b"\n".join(texts.lines(path))
            yield from {(path, 1 + text.count(b"\n", 0, found.start())) for found in call.finditer(text)}


@pytest.fixture(scope="module")
def database(
    tree_dir: Callable[[str], Path], program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """cscope's database of the tree: a minute and a half, 2.4 GB."""
    program("cscope")
    root, folder = tree_dir("6.12"), tmp_path_factory.mktemp("cscope")
    names = "".join(f"{root / path}\n" for path in DirectoryTree(root).files())
    (folder / "names").write_text(names)
    subprocess.run(["cscope", "-bqk", "-i", "names", "-f", "cscope.out"], cwd=folder, check=True, capture_output=True)
    return folder / "cscope.out"


def test_callers(
    database: Path, tree_dir: Callable[[str], Path], sampled: Callable[[list[tuple[str, str]]], list[tuple[str, str]]]
) -> None:
    root = tree_dir("6.12")
    tree, texts = DirectoryTree(root), Texts(root)
    know = knowledge((6, 12))
    links = Links(Program(tree, know))
    calls = Calls(links, entrances(know))
    subjects = sampled(sample(root, tree))
    tree.mentions([name for _, name in subjects])
    count: Counter[str] = Counter()
    unexplained: list[str] = []
    for path, name in subjects:
        ours = {(each, line) for each in tree.mentions((name,))[name] for line in texts.calls(each, name)}
        theirs, text = by_cscope(database, root, name), set(by_text(texts, tuple(tree.mentions((name,))[name]), name))
        count["calls lorelint has"] += len(ours)
        count["calls cscope has"] += len(theirs)
        count["calls both have"] += len(ours & theirs)
        for whose, more in (("cscope", theirs - ours), ("the text", text - ours)):
            for place in sorted(more):
                why = told_by_text(texts, *place, name)
                count[f"only {whose}: {why or 'UNEXPLAINED'}"] += 1
                if not why:
                    unexplained.append(f"{whose}: {name} at {place[0]}:{place[1]}")
        count["only lorelint, and the text has it"] += len((ours - theirs) & text)
        unexplained += [f"lorelint: {name} at {at}:{line}" for at, line in sorted(ours - text)]
        if links.hub(name):
            count["names that are everywhere: callers not drawn"] += 1
            continue
        meant = {(row.path, row.line) for key in calls.keys(name) for row in links.callers(key.where, name, False)[0]}
        first = {(each, min(texts.calls(each, name))) for each, _ in ours}
        count["files whose calls mean a macro, or another architecture's"] += len(
            {p for p, _ in first} - {p for p, _ in meant}
        )
        assert path in {key.where for key in calls.keys(name)}, "the definition itself is found"
    print("\n" + "\n".join(f"{number:7,}  {what}" for what, number in sorted(count.items())))
    assert not unexplained, "\n".join(unexplained)
