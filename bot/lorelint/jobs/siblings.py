"""The callers of a function, grouped by the shape in which they use it."""

from __future__ import annotations

from lorelint.code.facts import Defined
from lorelint.code.links import HUB, private
from lorelint.code.shapes import Shapes, Use
from lorelint.jobs.graph import Version, named, opened
from lorelint.model.graph import Caller, Cut, Shape, Siblings
from lorelint.model.tree import Tree

MOST = 200  # callers whose shape is looked at


def siblings(tree: Tree, function: str, version: Version) -> Siblings:
    """All direct callers by name, by shape. Raises LorelintError for a function that is not there."""
    calls = opened(tree, version)
    shapes = Shapes(calls.program)
    key = named(calls, function)[0]
    spots = calls.links.local(key.where, key.name)
    found: dict[Use, list[Caller]] = {}
    cuts: list[Cut] = []
    rows, whole = calls.links.callers(
        key.where, key.name, bool(spots) and all(private(spot.path, spot.static) for spot in spots), macro=not spots
    )
    if not whole:
        cuts.append(
            Cut(f"{key.where}:{key.name}", f"mentioned in more than {HUB} files: its callers are not looked at")
        )
    for row in rows[:MOST]:
        if not isinstance(row.row, Defined):
            cuts.append(Cut(f"{row.path}:{row.row.name}", f"the macro {row.row.name}() calls it: see its siblings"))
            continue
        fn = calls.program.function(row.path, row.row.name)
        use, facts = (Use.UNTOLD, ()) if fn is None else shapes.of(fn, key.name)
        found.setdefault(use, []).append(Caller(row.path, row.line, row.row.name, facts))
    if len(rows) > MOST:
        cuts.append(Cut("", f"{len(rows)} callers: {MOST} were looked at"))
    cuts += [Cut("", f"{each.path}:{each.line}: {each.text}") for each in calls.program.unseen]
    groups = tuple(Shape(use.value, tuple(found[use])) for use in Use if use in found)
    return Siblings(key.name, key.where, calls.node(key).line, calls.program.tree.name, groups, tuple(cuts))
