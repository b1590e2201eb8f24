"""Graphviz's ``dot``: where the nodes and curves of a graph go. Text in, text out; bounded in time and size."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from lorelint.edge.git import with_environment
from lorelint.model.errors import LorelintError
from lorelint.model.graph import Layout, Spot

SECONDS = 60
MAX_EDGES = 3000
_POINT = 72.0  # dot speaks of inches


class Graphviz:
    """The dot program; see `model.graph.Drawer`."""

    def lay(self, dot: str, nodes: Sequence[str], edges: int) -> Layout:
        """Raises LorelintError where the program is missing, takes over `SECONDS` seconds or fails."""
        other = "or take --format dot, tree or json"
        if edges > MAX_EDGES:
            raise LorelintError(
                f"{edges:,} edges are too many for a picture", where="dot", remedy=f"ask for fewer levels, {other}"
            )
        if shutil.which("dot") is None:
            raise LorelintError("not installed", where="dot", remedy=f"apt-get install graphviz, {other}")
        try:
            done = subprocess.run(
                with_environment(["dot", "-Tplain"], {"LC_ALL": "C"}),
                input=dot.encode(),
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LorelintError(
                f"took over {SECONDS} s", where="dot", remedy=f"ask for fewer levels, {other}"
            ) from error
        except OSError as error:
            raise LorelintError(f"does not run: {error}", where="dot", remedy=other) from error
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
            raise LorelintError(f"failed: {said or done.returncode}", where="dot", remedy=other)
        return _read(done.stdout.decode("utf-8", "replace"), dot, nodes)


def _read(plain: str, dot: str, nodes: Sequence[str]) -> Layout:
    """dot's ``plain`` format: y grows upwards there. Edges come in an order of its own."""
    width = height = 0.0
    spots: dict[str, Spot] = {}
    curves: dict[tuple[str, str], list[tuple[tuple[float, float], ...]]] = {}
    for line in plain.splitlines():
        word, *rest = line.split(" ")
        if word == "graph":
            width, height = (float(each) * _POINT for each in rest[1:3])
        elif word == "node":
            x, y, wide, high = (float(each) * _POINT for each in rest[1:5])
            spots[rest[0]] = Spot(x, height - y, wide, high)
        elif word == "edge":
            count = int(rest[2])
            flat = [float(each) * _POINT for each in rest[3 : 3 + 2 * count]]
            points = tuple((flat[at], height - flat[at + 1]) for at in range(0, 2 * count, 2))
            curves.setdefault((rest[0], rest[1]), []).append(points)
    if set(spots) != set(nodes):
        raise LorelintError("its answer is not understood", where="dot", remedy="take --format dot, tree or json")
    ordered = []
    for line in dot.splitlines():
        source, arrow, target = line.strip().rstrip(";").partition(" -> ")
        if arrow:
            ordered.append(curves[source, target].pop(0))
    return Layout(width, height, spots, tuple(ordered))
