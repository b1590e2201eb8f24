"""``lorelint index``."""

from __future__ import annotations

import os
import shutil
import sys
from time import monotonic

import click

from lorelint.cli import CLEAN
from lorelint.cli.common import JSON, house, put


@click.command("index")
@click.argument("tree", metavar="[TREE]", default="")
@click.option("--jobs", type=click.IntRange(1, 64), default=None, help="Processes [default: one for each CPU].")
@JSON
@click.option("--config", metavar="FILE", default="", help="Settings [default: ~/.config/lorelint/config.toml].")
def command(tree: str, jobs: int | None, as_json: bool, config: str) -> int:
    """Read a whole kernel into the index, so that later questions are answered at once.

    Optional: without it, words are searched for when a question needs them. TREE is a directory, a git repository
    (@REV for a revision) or a bare name. Files are kept by their content: a second tree costs what is different in it,
    a run that was ended goes on where it was, and edited files are noticed by themselves.
    """
    home = house(config)
    start = monotonic()
    progress = _Progress("indexing " + (tree or "the tree"))
    try:
        done = home.index(tree, jobs or len(os.sched_getaffinity(0)), progress)
    finally:
        progress.clear()
    keeper = home.index_file
    if as_json:
        from lorelint.report import json

        rows = {"tree": done.tree, "files": done.files, "read": done.fresh, "skipped": list(done.skipped)}
        put(json.dump({**rows, "index": str(keeper.path), "bytes": keeper.size()}))
        return CLEAN
    large = f", {len(done.skipped)} over 1 MB not read" if done.skipped else ""
    put(f"{done.tree}: {done.files:,} files, {done.fresh:,} read now{large}\n")
    put(f"{keeper.path}: {keeper.size() / 1e6:.0f} MB, {monotonic() - start:.1f} s\n")
    return CLEAN


class _Progress:
    """How far it is, on stderr, on a terminal, after a second; with the time that is left."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._start = monotonic()
        self._first: int | None = None
        self._shown = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = monotonic()
        if self._first is None:
            self._first = done
        if not sys.stderr.isatty() or now - self._start < 1 or now - self._shown < 0.2:
            return
        self._shown = now
        read = done - self._first
        left = f", {(total - done) * (now - self._start) / read:.0f} s left" if read else ""
        text = f"{self._what}: {done:,} of {total:,} files{left}"
        sys.stderr.write("\r" + text[: shutil.get_terminal_size((80, 24)).columns - 1] + "\x1b[K")
        sys.stderr.flush()

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
