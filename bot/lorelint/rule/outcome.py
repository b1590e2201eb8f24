"""What came of one rule on one function."""

from __future__ import annotations

from msgspec import Struct

from lorelint.code.program import Key
from lorelint.model.finding import Doubt, Finding, Kind, Silence, Verdict
from lorelint.model.trouble import Failure, Unseen


class Outcome(Struct, frozen=True):
    """What came of one rule on one function.

    reads   keys of the facts that were looked up; the same facts give the same verdicts
    unseen  what was not seen on the way
    cost    steps it took (`lorelint.code.work`)
    again   it hangs on what was asked before, and is asked anew the next time
    """

    verdicts: tuple[Verdict, ...] = ()
    reads: frozenset[Key] = frozenset()
    unseen: tuple[Unseen, ...] = ()
    failure: Failure | None = None
    cost: int = 0
    again: bool = False

    @property
    def defects(self) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.kind is Kind.DEFECT)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(each for each in self.verdicts if isinstance(each, Finding))

    @property
    def silences(self) -> tuple[Silence, ...]:
        return tuple(each for each in self.verdicts if isinstance(each, Silence))

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        return tuple(each for each in self.verdicts if isinstance(each, Doubt))


NOTHING = Outcome()
"""What comes of a rule on a function that it has no say about: most of all there are."""
