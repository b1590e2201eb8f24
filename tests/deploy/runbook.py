"""The commands of deploy/RUNBOOK.md, by section."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"(?ms)^```(\w*)(?: (\w+))?\n(.*?)^```$")
KINDS = ("sqlite", "postgresql")


@dataclass(frozen=True, slots=True)
class Block:
    """Commands that stand together; `kind` is the store they are for, "" for both."""

    section: str
    kind: str
    script: str
    line: int


def blocks(path: Path) -> tuple[Block, ...]:
    """All blocks of a page that a shell is to run, in order; a section is named by its heading, "" before the first."""
    text = path.read_text()
    found = []
    for match in _BLOCK.finditer(text):
        before = re.findall(r"(?m)^## (.+)$", text[: match.start()])
        if match[1] == "sh":
            line = text.count("\n", 0, match.start()) + 2
            found.append(Block(before[-1] if before else "", match[2] or "", match[3], line))
    return tuple(found)
