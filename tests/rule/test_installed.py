"""What is installed is what `importlib.metadata` says is."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from lorelint.rule import installed, packs

GROUP = packs.GROUP


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    installed.distributions.cache_clear()
    yield
    installed.distributions.cache_clear()


def dist(folder: Path, name: str, version: str, points: str, kind: str = "dist-info") -> None:
    home = folder / f"{name.replace('-', '_')}-{version}.{kind}"
    home.mkdir(parents=True)
    head = "METADATA" if kind == "dist-info" else "PKG-INFO"
    (home / head).write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nVersion: none\n")
    if points:
        (home / "entry_points.txt").write_text(points)


def told() -> set[tuple[str, str, str]]:
    return {(name, value, each.version) for each in installed.distributions(GROUP) for _, name, value in each.points}


def by_metadata() -> set[tuple[str, str, str]]:
    points = metadata.entry_points(group=GROUP)
    return {(each.name, each.value, each.dist.version if each.dist else "") for each in points}


def test_here() -> None:
    assert told() == by_metadata() and ("lorelint", "lorelint_rules", metadata.version("lorelint")) in told()


def test_of_several_places_the_first_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    dist(
        one,
        "first-pack",
        "1.0",
        f"[console_scripts]\nx = y:z\n[{GROUP}]\n# a comment\nfirst = first_rules\nalso= more\n",
    )
    dist(one, "no-pack", "3", "[console_scripts]\nlorelint.rules = y:z\n")
    dist(two, "first-pack", "0.9", f"[{GROUP}]\nfirst = first_rules\n")
    dist(one, "gave-up", "2", "")
    dist(two, "gave.up", "1", f"[{GROUP}]\ngone = gone_rules\n")
    dist(two, "old", "2", f"[{GROUP}]\nold = old_rules\n", "egg-info")
    monkeypatch.setattr(sys, "path", [str(one), str(two), str(tmp_path / "nowhere")])
    assert told() == {("first", "first_rules", "1.0"), ("also", "more", "1.0"), ("old", "old_rules", "2")}
    assert told() == by_metadata()


def test_an_archive_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dist(tmp_path / "in", "zipped", "4", f"[{GROUP}]\nzipped = zipped_rules\n")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in (tmp_path / "in").rglob("*"):
            archive.write(file, file.relative_to(tmp_path / "in"))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a.zip"), *sys.path])
    assert ("zipped", "zipped_rules", "4") in told() and told() == by_metadata()
