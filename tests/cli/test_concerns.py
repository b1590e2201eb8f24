"""``lorelint measure --concerns`` as a user types it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
BOX = "dmamap-answered.mbox"
LABEL = {
    "id": "loop",
    "thread": BOX,
    "patch": "20260402-dmamap-zap-again-v1-1-90c1b27dd4a5@example.org",
    "file": "drivers/misc/dmamap/dmamap.c",
    "function": "dmamap_resolve_pfn",
    "diff_line": "+\t\t\treturn -EAGAIN;",
    "concern": "the caller will loop forever",
    "kind": "correctness",
    "raised_by_message_id": "20260403094007.51d2@example.org",
    "raised_by": "Odile Brandt <odile@example.org>",
}


@pytest.fixture
def folder(root: Path, tmp_path: Path) -> Path:
    """A folder of one thread with one labelled concern, and what the catalogue makes of it."""
    shutil.copy(root / "corpora" / "threads" / BOX, tmp_path / BOX)
    (tmp_path / "labels.json").write_text(json.dumps({"labels": [LABEL]}))
    (tmp_path / "catalogue.toml").write_text('loop = { needs = "F", rules = ["unbounded-retry"] }\n')
    return tmp_path


def test_what_became_of_a_concern(cli: Cli, folder: Path, small: Path) -> None:
    command = ("measure", "--concerns", folder, "--catalogue", folder / "catalogue.toml", "--tree", f"small={small}")
    done = cli(*command)
    assert done.code == 0, done.err
    assert "loop     F     yes   line     yes    unbounded-retry" in done.out
    assert f"{BOX}: small, exact" in done.out
    document = json.loads(cli(*command, "--json").out)
    assert document["total"]["found_and_surely_linked"] == 1
    assert document["concerns"][0]["found"] == "unbounded-retry in dmamap_get_page() (new)"
    assert document == json.loads(cli(*command, "--json").out)


def test_without_a_catalogue_nothing_is_judged(cli: Cli, folder: Path, small: Path) -> None:
    done = cli("measure", "--concerns", folder, "--tree", f"small={small}")
    assert done.code == 0 and "not judged against the catalogue" in done.out


@pytest.mark.parametrize("name", ["labels.json", "catalogue.toml", BOX])
def test_what_is_not_there(name: str, cli: Cli, folder: Path, small: Path) -> None:
    (folder / name).unlink()
    catalogue = folder / "catalogue.toml"
    done = cli("measure", "--concerns", folder, "--catalogue", catalogue, "--tree", f"small={small}")
    assert done.code == 2 and done.err.count("\n") == 1 and name in done.err


def test_a_mailbox_without_a_thread(cli: Cli, folder: Path, small: Path) -> None:
    (folder / BOX).write_text("")
    done = cli("measure", "--concerns", folder, "--tree", f"small={small}")
    assert done.code == 2 and done.err.count("\n") == 1
