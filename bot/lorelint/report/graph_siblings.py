"""The callers of a function by shape, as text."""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.model.graph import Siblings
from lorelint.report.ink import Ink
from lorelint.report.text import clean, many, wrap

_CUTS = 6


def siblings(found: Siblings, *, columns: int = 80, colour: bool = False) -> str:
    """The whole answer, also where there is none."""
    return "\n".join(_lines(found, columns, Ink(colour))) + "\n"


def _lines(found: Siblings, columns: int, ink: Ink) -> Iterator[str]:
    number = sum(len(shape.callers) for shape in found.shapes)
    hub = any(cut.node == f"{found.path}:{found.function}" for cut in found.cuts)
    told = "callers not looked at" if hub and not number else many(number, "caller")
    title = f"{clean(found.function)}() in {clean(found.tree)}: {told}"
    for line in wrap(title, columns, rest="    "):
        yield ink(line, "title")
    yield f"  {ink(clean(f'{found.path}:{found.line}'), 'place')}"
    for shape in found.shapes:
        yield ""
        yield ink(f"{shape.heading} ({len(shape.callers)})", "bold")
        for each in shape.callers:
            where = clean(f"{each.path}:{each.line}")
            yield f"  {ink(where, 'place')}  {clean(each.function)}()"
            if each.facts:
                for line in wrap("; ".join(each.facts), columns, first="    ", rest="    "):
                    yield ink(line, "dim")
    if found.cuts:
        yield ""
        yield "not looked at:"
        for cut in found.cuts[:_CUTS]:
            yield from wrap(clean(cut.text), columns, first="  ", rest="    ")
        if len(found.cuts) > _CUTS:
            yield f"  and {len(found.cuts) - _CUTS} more"
