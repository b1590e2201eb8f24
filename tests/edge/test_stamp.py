"""The name of the code that judges: another one with each file that a verdict hangs on, what parses among them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lorelint.edge import stamp as module
from lorelint.edge.stamp import same_code, stamp


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "rules" / "__pycache__").mkdir(parents=True)
    (tmp_path / "rules" / "one.py").write_text("one")
    return tmp_path / "rules"


def test_a_file_that_is_another_gives_another_name(code: Path) -> None:
    before = stamp([code])
    assert stamp([code]) == before
    (code / "__pycache__" / "one.pyc").write_text("made of it")
    assert stamp([code]) == before
    os.utime(code / "one.py", (1, 1))
    assert stamp([code]) != before
    assert same_code([code]) == same_code([code])
    same = same_code([code])
    (code / "one.py").write_text("two")
    assert same_code([code]) != same


def test_so_does_another_parser(code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(tuple(module._parsers())) == 2 and all(each.is_dir() for each in module._parsers())
    parser = tmp_path / "parser"
    parser.mkdir()
    (parser / "binding.so").write_text("one")
    monkeypatch.setattr(module, "_parsers", lambda: [parser])
    before = stamp([code])
    (parser / "binding.so").write_text("two and more")
    assert stamp([code]) != before


def test_what_is_no_folder_has_a_name_too(code: Path, tmp_path: Path) -> None:
    """A pack in an archive, or one that is gone by now."""
    (tmp_path / "pack.zip").write_bytes(b"PK")
    places = [tmp_path / "pack.zip" / "pack", tmp_path / "gone"]
    assert stamp([code, *places]) == stamp([code])
    (code / "again").symlink_to(code)
    assert stamp([code]) == stamp([code, *places]), "a link to a folder is not followed"
