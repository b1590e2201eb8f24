"""Which series of what came in is to be reviewed."""

from __future__ import annotations

from collections.abc import Sequence

from lorelint.model.errors import LorelintError
from lorelint.model.mail import Series, Thread


def reviewable(threads: Sequence[Thread]) -> tuple[tuple[Thread, Series], ...]:
    """For each thread with a patch, the series to review: the last, by the contract of `Thread.series`.

    Raises LorelintError where no thread holds a patch, with the reason the mails themselves give.
    """
    found = tuple((thread, thread.series[-1]) for thread in threads if thread.series)
    if found:
        return found
    where = threads[0].source if threads else ""
    reasons = [trouble for thread in threads for trouble in thread.troubles if trouble.kind == "no-patch"]
    what = reasons[0].text if len(reasons) == 1 else "no mail in it holds a patch"
    raise LorelintError(what, where=where, remedy="name a mail or thread that holds a patch in its body")
