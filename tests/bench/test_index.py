"""What the index costs and what it answers in, beside a raw parse and cscope on the same tree in the same run."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lorelint.code.facts import Role
from lorelint.edge.beside import beside
from lorelint.edge.directory import DirectoryTree
from lorelint.edge.index import NAME, IndexFile
from lorelint.model.tree import LIMIT

pytestmark = pytest.mark.bench
Run = Callable[..., Any]

_PARSE = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
import tree_sitter, tree_sitter_c

def parse(paths):
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language()))
    for path in paths:
        with open(path, "rb") as file:
            parser.parse(file.read())
    return len(paths)

if __name__ == "__main__":
    paths = sys.stdin.read().split("\\n")
    shares = [paths[at::60] for at in range(60)]
    with ProcessPoolExecutor(int(sys.argv[1])) as pool:
        assert sum(pool.map(parse, shares)) == len(paths)
"""


def raw_parse(tree: Path, processes: int, tmp_path: Path, bench: SimpleNamespace) -> Any:
    """tree-sitter over every file the index makes facts of, by as many processes."""
    script = tmp_path / "parse.py"
    script.write_text(_PARSE)
    files = [str(tree / path) for path in DirectoryTree(tree).files() if (tree / path).stat().st_size <= LIMIT]
    (tmp_path / "files").write_text("\n".join(files))
    command = f"{sys.executable} {script} {processes} < {tmp_path / 'files'}"
    return bench.measured(["sh", "-c", command], tmp_path)[0]


def test_the_whole_tree(
    tree_dir: Callable[[str], Path], lorelint: Run, table: Any, bench: SimpleNamespace, tmp_path: Path
) -> None:
    tree = tree_dir("6.12")
    processes = len(os.sched_getaffinity(0))
    raw = table.add(f"raw parse of 6.12, {processes} processes", raw_parse(tree, processes, tmp_path, bench))
    with bench.Peak() as peak:
        cold = table.add("lorelint index of 6.12, cold", lorelint("index", str(tree), cache="whole"))
    table.bar("index, cold: wall", cold.wall, 90)
    table.bar("index, cold: wall over the raw parse's", cold.wall / raw.wall, 1.5, "x")
    table.bar("index, cold: memory of all processes", peak.bytes / 1e6, 300, "MB")
    again = table.add("lorelint index of 6.12, again", lorelint("index", str(tree), cache="whole"))
    assert again.wall < cold.wall
    keeper = IndexFile(next(tmp_path.parent.rglob(f"bench-caches/whole/lorelint/{NAME}")))
    table.bar("index: size", keeper.size() / 1e6, 250, "MB")
    found = beside(DirectoryTree(tree), keeper)
    times = []
    for name in ("follow_pfnmap_start", "pin_user_pages", "unmap_mapping_range", "dma_buf_put", "vm_insert_page") * 4:
        found._words.clear()  # type: ignore[attr-defined]
        start = time.perf_counter()
        assert found.holding(name, Role.CALLED)
        times.append(time.perf_counter() - start)
    table.bar("who calls a name: the query", sorted(times[5:])[len(times[5:]) // 2] * 1000, 5, "ms")


def test_cscope(
    tree_dir: Callable[[str], Path], program: Callable[[str], str], table: Any, bench: SimpleNamespace, tmp_path: Path
) -> None:
    cscope, tree = program("cscope"), tree_dir("6.12")
    (tmp_path / "files").write_text("\n".join(str(tree / path) for path in DirectoryTree(tree).files()))
    table.add("cscope -bqk of 6.12", bench.measured([cscope, "-bqk", "-i", "files", "-f", "db"], tmp_path)[0])
    command = [cscope, "-dq", "-L3", "follow_pfnmap_start", "-f", "db"]
    table.add("cscope -L3 follow_pfnmap_start", bench.median(lambda: bench.measured(command, tmp_path)[0]))
    size = sum(path.stat().st_size for path in tmp_path.glob("db*")) / 1e6
    table.rows[-2] = (*table.rows[-2][:2], f"{size:,.0f} MB on disk")


def test_questions(tree_dir: Callable[[str], Path], lorelint: Run, table: Any, bench: SimpleNamespace) -> None:
    """From the command line's start to its end."""
    tree = str(tree_dir("6.12"))
    questions = (
        ("callers of follow_pfnmap_start", 0.3, ("graph", "follow_pfnmap_start", "--callers", "1")),
        ("callers of dma_buf_put", 0.3, ("graph", "dma_buf_put", "--callers", "1")),
        ("graph, 4 callers and 2 callees", 1.0, ("graph", "follow_pfnmap_start", "--callers", "4", "--callees", "2")),
        ("path over 4 calls", 0.5, ("path", "vfio_pin_map_dma", "follow_pfnmap_start")),
        ("path over 8 calls and a table", 1.0, ("path", "vfio_fops_unl_ioctl", "follow_pfnmap_start")),
        ("siblings of follow_pfnmap_start", 1.0, ("siblings", "follow_pfnmap_start")),
        ("who reaches pfnmap from an ioctl", 5.0, ("graph", "--api", "pfnmap", "--entry", "ioctl")),
    )
    for name, bar, command in questions:
        cost = table.add(name, bench.median(lambda: lorelint(*command, "--tree", tree, cache="whole")))  # noqa: B023
        table.bar(name, cost.wall, bar)
    bare = bench.median(lambda: lorelint(*questions[1][2], "--tree", tree, cache="none"))
    cost = table.add("callers of dma_buf_put, no index", bare)
    table.bar("callers of an API name without an index", cost.wall, 1)


def test_a_second_commit(
    tree_dir: Callable[[str], Path], lorelint: Run, table: Any, bench: SimpleNamespace, tmp_path: Path
) -> None:
    """A hundred files edited: of a folder, and as a second commit of a repository."""
    chance = random.Random(20260317)
    origin = tree_dir("6.12")
    repository = tmp_path / "linux"
    shutil.copytree(origin / "drivers" / "gpu" / "drm", repository / "drivers/gpu/drm", symlinks=True)
    shutil.copy(origin / "Makefile", repository / "Makefile")
    quiet = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*command: str) -> None:
        settings = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "gc.auto=0"]
        subprocess.run(["git", "-C", str(repository), *settings, *command], check=True, capture_output=True, env=quiet)

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    lorelint("index", f"{repository}@HEAD", cache="commits")
    files = sorted(path for path in repository.rglob("*.c") if path.stat().st_size < LIMIT)
    for path in chance.sample(files, 100):
        path.write_bytes(path.read_bytes() + b"\nint one_more_function(int how)\n{\n\treturn how;\n}\n")
    git("commit", "-qam", "two")
    cost = table.add(
        "index of a second commit, 100 files changed", lorelint("index", f"{repository}@HEAD", cache="commits")
    )
    table.bar("a second commit with 100 changed files", cost.wall, 2)
    shutil.rmtree(repository / ".git")
    lorelint("index", str(repository), cache="commits")
    for path in chance.sample(files, 100):
        path.write_bytes(path.read_bytes() + b"\nint and_another(int how)\n{\n\treturn how;\n}\n")
    question = ("graph", "drm_gem_object_init", "--callers", "1", "--callees", "0", "--tree", str(repository))
    cost = table.add("a question after 100 files were edited", lorelint(*question, cache="commits"))
    table.bar("a question after 100 edited files", cost.wall, 2)
