"""One review of all threads, copied for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tui.seat import Seat, filled


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    folder = tmp_path_factory.mktemp("tui") / "made"
    filled(folder, root)
    return folder


@pytest.fixture
def seat(made: Path, tmp_path: Path, root: Path) -> Iterator[Seat]:
    seat = Seat(made, tmp_path, root / "corpora" / "trees" / "small")
    yield seat
    seat.outpost.close()
