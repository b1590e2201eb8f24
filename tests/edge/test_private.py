"""Who may read a file with secrets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lorelint.edge.private import others_may_read


def status(mode: int, owner: int, path: Path) -> os.stat_result:
    path.touch()
    fields = list(path.stat())
    fields[0], fields[4] = 0o100000 | mode, owner
    return os.stat_result(fields)


@pytest.mark.parametrize(
    ("mode", "owner", "others"),
    [
        (0o600, 1000, False),
        (0o400, 1000, False),
        (0o640, 1000, True),
        (0o604, 1000, True),
        (0o644, 0, True),
        (0o660, 0, True),
        (0o640, 0, False),
        (0o440, 0, False),
    ],
)
def test_who_may_read(mode: int, owner: int, others: bool, tmp_path: Path) -> None:
    assert others_may_read(status(mode, owner, tmp_path / "secret")) is others
