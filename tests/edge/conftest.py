"""A small lore on the loopback, for what fetches threads."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest


@pytest.fixture(scope="session")
def lore_url(shared: Path, program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an archive that holds the seed threads, served by public-inbox."""
    program("public-inbox-httpd")
    corpora = shared / "corpora"
    state = tmp_path_factory.mktemp("lore")
    server = subprocess.Popen(
        [corpora / "serve-lore.sh", "-s", state, corpora / "seeds"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert server.stdout and server.stderr
    try:
        ready = server.stdout.readline().split()
        if not ready:
            _fail(server.stderr.read())
        yield ready[1]
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=20)
        server.stdout.close()
        server.stderr.close()


def _fail(reason: str) -> NoReturn:
    pytest.fail(f"serve-lore.sh did not start: {reason}")
