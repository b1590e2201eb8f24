"""What is kept of the source around a finding, so that it can be looked at without the tree: lines and a call graph.

Bounded, and plain values for JSON: `finding` as in a report; `pieces`, each of one file, its lines as
[op, number, text] where op is "+" and "-" for what the patch wrote and cut, and number is that after the patch;
`graph`, who calls the function and what it calls, laid out where a program could do that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from lorelint.jobs.carry import KEPT
from lorelint.jobs.graph import Version, opened
from lorelint.model.base import Applied, Snapshot
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Finding, Judged, Kind, Report
from lorelint.model.graph import Graph, Layout
from lorelint.model.tree import Tree
from lorelint.report.excerpt import function_span
from lorelint.report.graph_json import graph as graph_document
from lorelint.report.json import finding as finding_document
from lorelint.report.place import PatchMap

FINDINGS = 60  # of a series that are kept with their source
GRAPHS = 12  # functions of a series whose calls are drawn
NODES = 40
CALLERS, CALLEES = 3, 1
WHOLE = 160  # lines of a function that is kept whole
AROUND = 6  # lines around a step
LINES = 600  # of all pieces of a finding
COLUMNS = 400  # of a line

Lay = Callable[[Graph], Layout]


def exhibits(
    report: Report, applied: Applied, version: Version, lay: Lay | None = None
) -> tuple[tuple[str, bytes], ...]:
    """(fingerprint, JSON) of the findings that are kept in a store. `lay` draws graphs; they are kept without, too."""
    desks: dict[int, _Desk] = {}
    found: dict[str, bytes] = {}
    pictures = 0
    for judged in report.findings:
        finding = judged.finding
        if finding.kind is not Kind.DEFECT or judged.status not in KEPT or len(found) >= FINDINGS:
            continue
        snapshot = next((each for each in applied.snapshots if each.patch.seq == judged.patch), None)
        if snapshot is None or finding.fingerprint in found:
            continue
        desk = desks.setdefault(judged.patch, _Desk(snapshot, version))
        picture = None
        if (finding.path, finding.function) in desk.graphs or pictures < GRAPHS:
            pictures += (finding.path, finding.function) not in desk.graphs
            picture = desk.graph(finding, lay)
        shown = _exhibit(judged, desk, picture)
        found[finding.fingerprint] = json.dumps(shown, ensure_ascii=True, separators=(",", ":")).encode()
    return tuple(found.items())


def _exhibit(judged: Judged, desk: _Desk, picture: dict[str, Any] | None) -> dict[str, Any]:
    return {"finding": finding_document(judged), "pieces": list(desk.pieces(judged.finding)), "graph": picture}


class _Desk:
    """The tree after one patch: its lines, what the patch wrote of them, the calls in it."""

    def __init__(self, snapshot: Snapshot, version: Version) -> None:
        self.version = version
        self.tree: Tree = snapshot.after
        self._lines: dict[str, list[str]] = {}
        self.patch = PatchMap(snapshot.patch, lambda seq, path, line: self.line(path, line))
        self.graphs: dict[tuple[str, str], dict[str, Any] | None] = {}

    def line(self, path: str, number: int) -> str | None:
        if path not in self._lines:
            raw = self.tree.read(path)
            self._lines[path] = [] if raw is None else raw.decode("utf-8", "replace").split("\n")
        lines = self._lines[path]
        return lines[number - 1] if 0 < number <= len(lines) else None

    # -- lines

    def pieces(self, finding: Finding) -> Iterator[dict[str, Any]]:
        """The finding's own file first, the others in the order of the steps."""
        left = LINES
        for path in dict.fromkeys((finding.path, *(step.path for step in finding.steps))):
            places = [step.line for step in finding.steps if step.path == path]
            if path == finding.path:
                places.append(finding.line)
            numbers = sorted(self._near(path, places))[:left]
            left -= len(numbers)
            if numbers:
                yield {"path": path, "lines": list(self._diffed(path, numbers))}

    def _near(self, path: str, places: Iterable[int]) -> set[int]:
        """The functions of some places, whole where they are short, else what is around each."""
        line_at = partial(self.line, path)
        wanted: set[int] = set()
        for place in places:
            if line_at(place) is None:
                continue
            span = function_span(place, line_at)
            if span is None or span[1] - span[0] >= WHOLE:
                first, last = span or (1, place + AROUND)
                span = max(first, place - AROUND), min(last, place + AROUND)
                wanted |= set(range(first, min(first + 2, place))) if first > 1 else set()
            wanted |= {number for number in range(span[0], span[1] + 1) if line_at(number) is not None}
        return wanted

    def _diffed(self, path: str, numbers: list[int]) -> Iterator[tuple[str, int, str]]:
        """Lines after the patch, and those it cut before the one that took their place."""
        here = set(numbers)
        for number in numbers:
            spot = self.patch.spot(path, number)
            if spot is not None and (number - 1 in here or number == numbers[0]):
                at = next(place for place, each in enumerate(spot.hunk.lines) if each is spot.line)
                gone = at
                while gone > 0 and spot.hunk.lines[gone - 1].op == "-":
                    gone -= 1
                yield from (("-", 0, each.text[:COLUMNS]) for each in spot.hunk.lines[gone:at])
            op = "+" if spot is not None and spot.line.op == "+" else " "
            yield op, number, (self.line(path, number) or "")[:COLUMNS]

    # -- calls

    def graph(self, finding: Finding, lay: Lay | None) -> dict[str, Any] | None:
        key = (finding.path, finding.function)
        if key not in self.graphs:
            found = self._around(finding)
            self.graphs[key] = None if found is None or len(found.nodes) < 2 else _drawn(found, lay)
        return self.graphs[key]

    def _around(self, finding: Finding) -> Graph | None:
        from lorelint.code.graph import Growth

        calls = opened(self.tree, self.version)
        calls.links.warm([finding.function])
        roots = calls.keys(finding.function, finding.path)
        if not roots:
            return None
        growth = Growth(calls, NODES)
        growth.start(roots)
        growth.grow(roots, CALLERS, up=True)
        growth.grow(roots, CALLEES, up=False)
        return growth.graph(f"{finding.function}()", CALLERS, CALLEES)


def _drawn(found: Graph, lay: Lay | None) -> dict[str, Any]:
    document = graph_document(found)
    try:
        layout = lay(found) if lay else None
    except LorelintError:
        layout = None  # no program that draws is here: the page tells the calls in words
    if layout is not None:
        spots = [layout.spots[f"n{at}"] for at in range(len(found.nodes))]
        document["layout"] = {
            "size": [round(layout.width, 1), round(layout.height, 1)],
            "spots": [[round(each, 1) for each in (s.x, s.y, s.width, s.height)] for s in spots],
            "curves": [[[round(x, 1), round(y, 1)] for x, y in curve] for curve in layout.curves],
        }
    return document
