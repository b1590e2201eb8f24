"""Any patch gives a report or a clear error, within bounds: random edits to files of a kernel, sent as a mail."""

from __future__ import annotations

import difflib
import json
import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.conftest import ROOT, SEED

COUNT = 60
FOLDERS = (
    "mm",
    "virt/kvm",
    "drivers/vfio",
    "drivers/iommu",
    "drivers/dma-buf",
    "drivers/gpu/drm",
    "drivers/media",
    "fs",
)
SECONDS, MEGABYTES = 240, 4096  # of CPU, of memory: for one patch, no index there
HEAD = """\
From: Ann Author <ann@example.org>
Date: Tue, 17 Mar 2026 10:00:00 +0000
Subject: [PATCH] {path}: change this and that
Message-ID: <{number}.patch@example.org>

Nobody meant this.

Signed-off-by: Ann Author <ann@example.org>
---
"""


def edited(lines: list[str], chance: random.Random) -> list[str]:
    """Some lines taken out, doubled, moved, or given another's words; as C it may make no sense any more."""
    lines = list(lines)
    for _ in range(chance.randint(1, 12)):
        at, there = (chance.randrange(len(lines)) for _ in range(2))
        match chance.choice(("cut", "double", "move", "word", "brace", "block")):
            case "cut":
                del lines[at : at + chance.randint(1, 6)]
            case "double":
                lines[at:at] = lines[at : at + chance.randint(1, 20)]
            case "move":
                lines[at:at] = lines[there : there + chance.randint(1, 10)]
            case "word":
                words = lines[at].split()
                lines[at] = lines[at].replace(chance.choice(words), chance.choice(words)) if words else lines[at]
            case "brace":
                lines.insert(
                    at, chance.choice(("\t{", "\t}", "again:", "\tgoto again;", "#if 0", "#endif", "\treturn -EAGAIN;"))
                )
            case "block":
                del lines[at : at + chance.randint(20, 200)]
        if not lines:
            return [""]
    return lines


def patches(tree: Path) -> list[tuple[int, bytes]]:
    """(number, mail), always the same."""
    chance = random.Random(SEED)
    files = [
        path for folder in FOLDERS for path in sorted((tree / folder).rglob("*.c")) if path.stat().st_size < 300_000
    ]
    made = []
    for number in range(COUNT):
        parts = []
        for path in chance.sample(files, chance.choice((1, 1, 1, 2, 3))):
            name = path.relative_to(tree).as_posix()
            before = path.read_text("utf-8", "surrogateescape").split("\n")[:-1]
            after = edited(before, chance)
            found = difflib.unified_diff(
                before, after, f"a/{name}", f"b/{name}", lineterm="", n=chance.choice((0, 1, 3, 3))
            )
            parts.append(f"diff --git a/{name} b/{name}\n" + "\n".join(found) + "\n")
        text = HEAD.format(path=name, number=number) + "".join(parts) + "-- \n2.43.0\n"
        made.append((number, text.encode("utf-8", "surrogateescape")))
    return made


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEGABYTES << 20, MEGABYTES << 20))


@pytest.mark.prove
@pytest.mark.needs_tree("6.12")
def test_any_patch_is_answered(tree_dir: Callable[[str], Path], sampled: Callable[..., list[Any]]) -> None:
    tree = tree_dir("6.12")
    schema = json.loads((ROOT / "bot/lorelint/report/report.schema.json").read_text())
    codes: dict[int, int] = {}
    for number, mail in sampled(patches(tree)):
        command = [
            sys.executable,
            "-m",
            "lorelint",
            "review",
            "-",
            "--tree",
            str(tree),
            "--format",
            "json",
            "--stage",
            "trial",
        ]
        done = subprocess.run(
            command,
            input=mail,
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'bot'}:{ROOT / 'rules'}"},
            preexec_fn=limited,
        )
        said = done.stderr.decode("utf-8", "replace")
        assert done.returncode in (0, 1, 2) and "Traceback" not in said, (number, done.returncode, said[-2000:])
        codes[done.returncode] = codes.get(done.returncode, 0) + 1
        if done.returncode == 2:
            assert said.startswith("lorelint: ") and said.count("\n") == 1, (number, said)
            continue
        told = json.loads(done.stdout)
        jsonschema.validate(told, schema)
        assert told["failures"] == [], (number, told["failures"])
    assert codes.get(2, 0) <= sum(codes.values()) // 2, codes
