"""A fix as a diff: what git apply makes of it is what its edits say."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lorelint.model.base import Grade
from lorelint.model.finding import Edit, Finding, Fix, Judged, Severity, Status
from lorelint.report.fix import diff, patch
from lorelint.rule.examples import with_edits

LINES = st.lists(st.text("ab \t{};", max_size=6), min_size=1, max_size=30)


@st.composite
def edited(draw: st.DrawFn) -> tuple[list[str], tuple[Edit, ...]]:
    lines = draw(LINES)
    chosen = draw(st.sets(st.integers(1, len(lines)), min_size=1, max_size=5))
    edits = []
    for at in sorted(chosen):
        instead = draw(st.lists(st.text("cd ;", max_size=4), max_size=3))
        if draw(st.booleans()):
            instead.insert(draw(st.integers(0, len(instead))), lines[at - 1])
        edits.append(Edit(at, tuple(instead)))
    return lines, tuple(edits)


@given(edited())
@example(([""] * 8, (Edit(1, ("",)), Edit(8, ()))))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_git_applies_it(
    tmp_path: Path, program: Callable[[str], str], made: tuple[list[str], tuple[Edit, ...]]
) -> None:
    lines, edits = made
    content = "".join(f"{line}\n" for line in lines)
    wanted = with_edits(content.encode(), edits)
    assert wanted is not None
    text = patch(
        [judged(Fix("a.c", edits, "x"))], lambda seq, path, at: dict(enumerate(content.split("\n"), 1)).get(at)
    )
    if wanted == content.encode():
        return
    (tmp_path / "a.c").write_text(content)
    command = [program("git"), "apply", "--unsafe-paths", "--whitespace=nowarn", "-"]
    done = subprocess.run(command, cwd=tmp_path, input=text.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode() + text
    assert ((tmp_path / "a.c").read_bytes() if (tmp_path / "a.c").exists() else b"") == wanted


def judged(fix: Fix, name: str = "f") -> Judged:
    finding = Finding("some-rule", "a.c", name, 1, "x", "m", Severity.WARNING, 0.9, (), fix=fix)
    return Judged(finding, Status.NEW, 1, Grade.EXACT)


def test_two_about_one_line() -> None:
    first, second = Fix("a.c", (Edit(1, ("x",)),), "one"), Fix("a.c", (Edit(1, ("y",)),), "other")
    text = patch([judged(first), judged(second, "g")], lambda seq, path, at: "old" if at == 1 else None)
    assert "+x" in text and "+y" not in text


def test_a_file_that_is_not_there() -> None:
    assert diff(Fix("a.c", (Edit(1, ("x",)),), "one"), lambda at: None) == []
