"""The pictures of the pages in the README, taken from threads of our own writing. `make pictures` takes them anew."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.web.conftest import free_port, served
from tests.web.world import World

from lorelint.web.app import application
from lorelint.web.guard import Door

NOW = "2026-04-20T15:00:00Z"
TOKEN = "a-token-that-is-long-enough-00000"
LARGEST = 200_000  # bytes
WIDE, HIGH = 1280, 800
# name -> (page, light or dark, a key that is pressed first)
PICTURES = {
    "queue": ("/queue?state=all", "light", "j"),
    "finding": ("/finding/{finding}", "light", "n"),
    "finding-dark": ("/finding/{finding}", "dark", "n"),
    "letter": ("/letter/{letter}", "light", ""),
}


@pytest.fixture(scope="module")
def face(full_world: World) -> Iterator[tuple[str, dict[str, int]]]:
    with full_world.outpost.store.look() as session:
        series = next(each for each in session.series.recent() if "zapped under" in each.subject)
        found = session.findings.of_series(series.id)
        named = {"finding": found[0].id, "letter": session.outbox.of_series(series.id)[0].id}
    port = free_port()
    door = Door(frozenset({f"127.0.0.1:{port}"}), tokens={TOKEN: "odile"}, alone="odile")
    with served(application(full_world.outpost, door, lambda: NOW), port) as base:
        yield base, named


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    wide, high = struct.unpack(">II", png[16:24])
    return wide, high


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_a_picture_is_taken(name: str, face: tuple[str, dict[str, int]], chromium: Any, root: Path) -> None:
    base, named = face
    path, scheme, key = PICTURES[name]
    context = chromium.new_context(viewport={"width": WIDE, "height": HIGH}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{base}/login?token={TOKEN}")
    page.goto(base + path.format(**named))
    if key:
        page.keyboard.press(key)
    page.evaluate("window.scrollTo(0, 0)")
    taken = page.screenshot()
    context.close()
    kept = root / "deploy" / "pictures" / f"{name}.png"
    if os.environ.get("LORELINT_PICTURES") == "1":
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(taken)
    assert size(taken) == (WIDE, HIGH) == size(kept.read_bytes())
    assert 20_000 < kept.stat().st_size < LARGEST  # neither blank nor heavy


def test_the_readme_shows_pictures_that_are_there(root: Path) -> None:
    import re

    shown = set(re.findall(r"deploy/pictures/([\w-]+)\.png", (root / "README.md").read_text()))
    assert shown and shown <= set(PICTURES)
    assert {each.stem for each in (root / "deploy" / "pictures").glob("*.png")} == set(PICTURES)
