"""Whether something that must be so at a place is so on every way to it: here, in the callers, and theirs.

`Precondition` climbs from a place to whoever calls the function, until somebody sees to it (a caller that holds the
lock over the call), or until nobody is left who could: the function is entered from outside, by a table or a work
item. An assertion in the function says that callers see to it; then only a caller that plainly does not counts
against it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct

from lorelint.code import ir
from lorelint.code.program import Program
from lorelint.code.search import Use
from lorelint.model.finding import Step

DEPTH = 5  # levels of callers climbed
WIDTH = 24  # callers of one function looked at


class Fate(StrEnum):
    """What is so on one way to the place."""

    MET = "met"
    OPEN = "open"  # entered from outside, and nobody on the way sees to it
    UNKNOWN = "unknown"


class Way(Struct, frozen=True):
    """One way in: its fate, the place that decides it, and the calls from there down, the topmost first."""

    fate: Fate
    step: Step
    chain: tuple[Step, ...] = ()
    top: str = ""  # the function in which it was decided


Here = Callable[[ir.Function, int], Step | None]
Entered = Callable[[ir.Function, Use], tuple[Fate, Step]]


class Precondition:
    """The question for one thing that must be so.

    here     what sees to it in a function before a node runs, None if nothing does
    entered  what is so when a function is entered by the place where its name stands as a value
    claims   whether a function asserts it before a node: a way of unknown fate is then one that meets it
    """

    def __init__(self, program: Program, here: Here, entered: Entered, claims: Here) -> None:
        self.program = program
        self.here, self.entered, self.claims = here, entered, claims

    def ways(self, fn: ir.Function, node: int, depth: int = DEPTH) -> tuple[Way, ...]:
        """All ways to a node."""
        return tuple(self._ways(fn, node, depth, (fn.key,)))

    def _ways(self, fn: ir.Function, node: int, depth: int, seen: tuple[tuple[str, str], ...]) -> list[Way]:
        met = self.here(fn, node)
        if met is not None:
            return [Way(Fate.MET, met, top=fn.name)]
        claim = self.claims(fn, node)
        above = self._above(fn, depth, seen)
        if claim is None:
            return above
        return [Way(Fate.MET, claim, top=fn.name) if each.fate is Fate.UNKNOWN else each for each in above]

    def _above(self, fn: ir.Function, depth: int, seen: tuple[tuple[str, str], ...]) -> list[Way]:
        found: list[Way] = []
        for use in self.program.uses(fn):
            if not use.type.startswith("EXPORT_SYMBOL"):
                fate, step = self.entered(fn, use)
                found.append(Way(fate, step, top=fn.name))
        sites = self.program.callers(fn)
        if not depth or len(sites) > WIDTH:
            text = f"{fn.name}() is called from too far or by too many"
            return [*found, Way(Fate.UNKNOWN, Step(fn.path, fn.line, text), top=fn.name)]
        for site in sites:
            found.extend(self._from(fn, site.fn, site.line, depth, seen))
        if not found:
            found.append(Way(Fate.UNKNOWN, Step(fn.path, fn.line, f"nobody in sight calls {fn.name}()"), top=fn.name))
        return found

    def _from(
        self, fn: ir.Function, caller: ir.Function, line: int, depth: int, seen: tuple[tuple[str, str], ...]
    ) -> list[Way]:
        if caller.key in seen:
            return []
        found: list[Way] = []
        step = Step(caller.path, line, f"{caller.name}() calls {fn.name}()")
        for node in self.program.cfg(caller).nodes:
            if any(call.name == fn.name and call.line == line for call in ir.calls(node.expr)):
                for way in self._ways(caller, node.id, depth - 1, (*seen, caller.key)):
                    found.append(Way(way.fate, way.step, (*way.chain, step), way.top))
        return found


__all__ = ["Fate", "Precondition", "Use", "Way"]
