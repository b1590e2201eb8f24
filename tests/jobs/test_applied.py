"""Whether a tree holds a series: by what the series brings, not by what was never there."""

from __future__ import annotations

from typing import Any

from lorelint.jobs.applied import held

BODY = "".join(f"\tstep_{number}();\n" for number in range(12))
OLD = f"void f(void)\n{{\n{BODY}}}\n"
MORE = OLD.replace("\tstep_5();\n", "\tstep_5();\n\tcheck();\n")
OTHER = OLD.replace("\tstep_5();\n", "\tother();\n")


def _held(desk: Any, before: dict[str, str], after: dict[str, str], tree: dict[str, str]) -> bool:
    found: bool = held(desk.series([before, after]), desk.tree(tree))
    return found


def test_what_a_series_brings_is_there(desk: Any) -> None:
    assert _held(desk, {"a.c": OLD}, {"a.c": MORE}, {"a.c": MORE})
    later = MORE.replace("step_11", "step_eleven")  # something else changed since
    assert _held(desk, {"a.c": OLD}, {"a.c": MORE}, {"a.c": later})
    assert not _held(desk, {"a.c": OLD}, {"a.c": MORE}, {"a.c": OLD})
    assert _held(desk, {"a.c": OLD}, {"a.c": OTHER}, {"a.c": OTHER.replace("step_11", "step_eleven")})


def test_what_was_never_there_was_not_taken_away(desk: Any) -> None:
    """A tree that is older than the lines which a patch removes looks as if it had been applied."""
    older = OLD.replace("step_11", "step_eleven")
    assert not _held(desk, {"a.c": MORE}, {"a.c": OLD}, {"a.c": older})
    assert not _held(desk, {"a.c": OLD, "b.c": "int b;\n"}, {"a.c": OLD}, {"a.c": OLD})  # a file


def test_with_something_else_that_is_there_it_was(desk: Any) -> None:
    before, after = {"a.c": MORE, "b.c": OLD}, {"a.c": OLD, "b.c": MORE}
    assert _held(desk, before, after, {"a.c": OLD.replace("step_11", "step_eleven"), "b.c": MORE})
    assert not _held(desk, before, after, {"a.c": OLD.replace("step_11", "step_eleven"), "b.c": OLD})
