"""Whether a letter may wait for its way out: asked when it is drafted, edited, released, and when it is sent."""

from __future__ import annotations

from collections.abc import Callable

from lorelint.mail.compose import compose
from lorelint.mail.gate import faults
from lorelint.model.errors import LorelintError
from lorelint.model.policy import Policy
from lorelint.model.store import LetterRow

Gate = Callable[[LetterRow], tuple[str, ...]]
_SOME_DAY = "2000-01-01T00:00:00Z"  # what the Date header says is no matter of the gate


def gate(policy: Policy, harvested: Callable[[bytes], tuple[str, ...]]) -> Gate:
    """What is wrong with a letter, () for nothing; `harvested` is what b4 would take out of a mail."""

    def ask(row: LetterRow) -> tuple[str, ...]:
        try:
            raw = compose(row, policy, _SOME_DAY)
            taken = [f"b4 would take {each[:60]!a} for a trailer" for each in harvested(raw)]
        except LorelintError as error:
            return (f"cannot be a mail: {error}",)
        return (*faults(raw, row, policy), *taken)

    return ask
