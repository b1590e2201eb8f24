"""The series to review."""

from __future__ import annotations

import pytest

from lorelint.mail.choose import reviewable
from lorelint.model.errors import LorelintError
from lorelint.model.mail import BaseHint, Series, Thread
from lorelint.model.trouble import Trouble


def series(version: int) -> Series:
    return Series("k", version, "s", ("A", "a@x"), 1, (), None, BaseHint())


def test_the_last_of_each_thread() -> None:
    one, other = Thread("f", (), (series(1), series(2))), Thread("f", (), ())
    assert [(thread, each.version) for thread, each in reviewable([one, other])] == [(one, 2)]


def test_nothing_to_review_says_why() -> None:
    thread = Thread("some.mbox", (), (), (Trouble("no-patch", "m@x", "a cover letter only"),))
    with pytest.raises(LorelintError, match="a cover letter only") as caught:
        reviewable([thread])
    assert caught.value.where == "some.mbox"
    assert caught.value.remedy
    with pytest.raises(LorelintError, match="no mail in it holds a patch"):
        reviewable([thread, thread])
