"""What is told of an acquired thing: how it ends on each path (see `typestate`)."""

from __future__ import annotations

from msgspec import Struct

from lorelint.code.codes import Codes
from lorelint.rule.analyses.thing import Acquired, Thing

HELD, KEPT, RELEASED, LOST, NONE = "held", "kept", "released", "lost", ""


class End(Struct, frozen=True):
    """One way out of the function.

    node, line  the return
    hold        HELD, KEPT, RELEASED, LOST; NONE where nothing was acquired
    why         what made it so, for KEPT and LOST; the line of the release, for RELEASED
    fails       whether the function reports failure there; None where that cannot be told
    path        the lines of the decisions on the way: (line, what was so)
    """

    node: int
    line: int
    hold: str
    why: str
    fails: bool | None
    path: tuple[tuple[int, str], ...]
    full: bool = False  # see `Given`
    recounted: bool = False
    zero: bool = False  # the call's own answer is returned, which got nothing and may be 0
    answers: bool = False  # the call's own answer is returned


class Given(Struct, frozen=True):
    """A release on some path behind the acquiring call.

    node       where it stands, or the head of the loop that does it
    failed     nothing was acquired on that path
    full       all that was asked for is known to have been got
    recounted  the variable that said how many to ask for was written since
    """

    node: int
    line: int
    failed: bool
    full: bool
    recounted: bool


class Story(Struct, frozen=True):
    """What becomes of one acquired thing.

    outlives  it lies in an object of the caller from the start, so a caller may release it
    again     (line, what) of releases of what was released before on the same path
    given     the releases
    alive     nodes that are come to with it held or kept
    cut       the paths were too many: nothing may be concluded from what is missing
    """

    acquired: Acquired
    outlives: bool
    ends: tuple[End, ...]
    again: tuple[tuple[int, str], ...]
    cut: bool
    thing: Thing
    given: tuple[Given, ...] = ()
    alive: frozenset[int] = frozenset()

    def left(self) -> tuple[End, ...]:
        """Failing ends at which it is still held or was lost, those of the shortest paths first."""
        found = [end for end in self.ends if end.fails and end.hold in (HELD, LOST)]
        return tuple(sorted(found, key=lambda end: (len(end.path), end.line)))


def had(success: str, codes: Codes) -> bool:
    """Whether a call that can have answered this can have acquired (see `Take.success`)."""
    match success:
        case "zero":
            return codes.zero
        case "error":
            return not codes.below_zero().empty
        case "nothing":
            return codes.zero or not codes.below_zero().empty
        case "always":
            return True
    return not codes.above_zero().empty
