"""What a question about calls costs with an index of the whole tree; the first question warms the page cache."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.bench, pytest.mark.needs_tree("6.12")]

ASKED = {
    "callers of a name, one level": ("graph", "follow_pfnmap_start", "--callers", "1"),
    "graph, four levels up and two down": ("graph", "follow_pfnmap_start", "--callers", "4", "--callees", "2"),
    "path over four calls": ("path", "vfio_pin_map_dma", "follow_pfnmap_start"),
    "path over eight calls and a table": ("path", "vfio_fops_unl_ioctl", "follow_pfnmap_start"),
    "siblings": ("siblings", "follow_pfnmap_start"),
    "who reaches pfnmap from an ioctl, nine levels": ("graph", "--api", "pfnmap", "--entry", "ioctl"),
}
GOALS = {"callers of a name, one level": 0.3, "path over four calls": 0.5, "graph, four levels up and two down": 0.7}


@pytest.fixture(scope="module")
def ask(root: Path, tree_dir: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., float]:
    """User CPU seconds of one command on 6.12, with an index in a cache of its own."""
    cache, tree = tmp_path_factory.mktemp("cache"), str(tree_dir("6.12"))
    environment = {**os.environ, "PYTHONPATH": f"{root / 'bot'}:{root / 'rules'}", "XDG_CACHE_HOME": str(cache)}

    def run(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        command = [sys.executable, "-m", "lorelint", *arguments]
        subprocess.run(command, env=environment, cwd=root, check=True, capture_output=True)
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before

    run("index", tree)
    return lambda *arguments: min(run(*arguments, "--tree", tree) for _ in range(4))


def test_questions(ask: Callable[..., float]) -> None:
    took = {what: ask(*arguments) for what, arguments in ASKED.items()}
    print("\n" + "\n".join(f"{seconds:6.2f} s  {what}" for what, seconds in took.items()))
    assert {what: took[what] for what, goal in GOALS.items() if took[what] > goal} == {}
