"""What is typed at a prompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.model.errors import LorelintError
from lorelint.model.queue import STATES, Filter, Sort
from lorelint.tui.typed import SEVERITIES, limit, typed, until

NOW = "2026-04-21T10:00:00Z"


def test_limits() -> None:
    assert limit("") == Filter()
    assert limit("all error v2 list:kvm 'sub:KVM x86' rule:retry by:newest zap page") == Filter(
        state="all", severity="error", version="2", inbox="kvm", subsystem="KVM x86", rule="retry", sort=Sort.NEWEST,
        text="zap page",
    )  # fmt: skip
    assert limit("v12").version == "10+" and limit("v2x").text == "v2x"
    assert limit("list:").text == "list:" and limit("who:x").text == "who:x"
    assert limit("it's").text == "it's"  # a quote that is never closed is a letter
    assert limit("mine", ("kvm",)).mine == ("kvm",)
    assert (limit("mine", (), "odile").mine, limit("mine", (), "odile").me) == ((), "odile")
    with pytest.raises(LorelintError, match="no list and no subsystem"):
        limit("mine")
    with pytest.raises(LorelintError, match="is no order"):
        limit("by:size")


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.just(" "), max_size=12).map(str.strip)


@given(
    st.sampled_from(STATES), st.sampled_from(["", *SEVERITIES]), st.sampled_from(["", "1", "9", "10+"]), NAMES, NAMES,
    NAMES, st.sampled_from(list(Sort)),
)  # fmt: skip
def test_what_is_told_asks_for_the_same(
    state: str, severity: str, version: str, inbox: str, subsystem: str, rule: str, sort: Sort
) -> None:
    wanted = Filter(
        state=state, severity=severity, version=version, inbox=inbox, subsystem=subsystem, rule=rule, sort=sort
    )
    assert limit(typed(wanted)) == wanted


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("3d", "2026-04-24T10:00:00Z"),
        ("5", "2026-04-26T10:00:00Z"),
        ("12h", "2026-04-21T22:00:00Z"),
        (" 2W ", "2026-05-05T10:00:00Z"),
        ("2026-12-01", "2026-12-01T00:00:00Z"),
    ],
)
def test_times(text: str, time: str) -> None:
    assert until(text, NOW) == time


@pytest.mark.parametrize("text", ["", "soon", "3y", "-1d", "2026-13-01", "1000d", "\u0663d"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(LorelintError, match="is no time"):
        until(text, NOW)
