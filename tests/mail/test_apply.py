"""Hunks go where git would put them, or nowhere."""

from __future__ import annotations

import difflib
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lorelint.mail.apply import Misfit, Placed, apply_diff, reverse
from lorelint.mail.diff import parse_diff
from lorelint.mail.fragments import MAX_LINE, fragments
from lorelint.model.mail import Change, FileDiff

LINES = st.lists(st.sampled_from(["a", "b", "}", "", "\treturn 0;", "x = 1;"]), max_size=30)
HEAD = "diff --git a/f.c b/f.c\n--- a/f.c\n+++ b/f.c\n"


def only(text: str) -> FileDiff:
    found = parse_diff(text)
    assert len(found.files) == 1, found.troubles
    return found.files[0]


def made(before: list[str], after: list[str], context: int = 3) -> FileDiff | None:
    lines = list(difflib.unified_diff(before, after, "a/f.c", "b/f.c", lineterm="", n=context))
    return only("diff --git a/f.c b/f.c\n" + "\n".join(lines) + "\n") if lines else None


def content(lines: list[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def numbered(count: int, prefix: str = "line") -> list[str]:
    return [f"\t{prefix}_{number}();" for number in range(1, count + 1)]


def placed(diff: FileDiff, before: bytes | None) -> Placed:
    found = apply_diff(diff, before)
    assert isinstance(found, Placed), found
    return found


@settings(max_examples=400, deadline=None)
@given(LINES, LINES, st.integers(1, 4))
def test_a_diff_applied_is_the_file_after_and_back(before: list[str], after: list[str], context: int) -> None:
    diff = made(before, after, context)
    if diff is None:
        return
    found = placed(diff, content(before))
    assert found.content == content(after)
    assert all(each.offset == 0 and each.others == 0 for each in found.placements)
    assert placed(reverse(diff), content(after)).content == content(before)


@settings(max_examples=150, deadline=None)
@given(LINES, LINES)
def test_without_context_only_the_line_number_places_a_hunk(before: list[str], after: list[str]) -> None:
    diff = made(before, after, 0)
    if diff is not None:
        found = placed(diff, content(before))
        assert found.content == content(after)
        assert all(each.bare for each in found.placements)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(alphabet="ab\n\r\t é", max_size=60),
    st.text(alphabet="ab\n\r\t é", max_size=60),
)
def test_what_git_diff_writes_applies_byte_for_byte(tmp_path: Path, before: str, after: str) -> None:
    old, new = before.encode(), after.encode()
    if not old or not new or old == new:
        return
    (tmp_path / "old").write_bytes(old)
    (tmp_path / "new").write_bytes(new)
    command = ["git", "-c", "core.autocrlf=false", "diff", "--no-index", "--no-color", "--text", "old", "new"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).stdout
    body = said.decode("utf-8", "surrogateescape").replace("a/old", "a/f.c").replace("b/new", "b/f.c")
    assert placed(only(body), old).content == new


@given(st.integers(1, 40), st.integers(0, 20), st.integers(4, 55))
def test_a_hunk_moves_with_its_context(above: int, cut: int, at: int) -> None:
    """Lines put in above, or taken out above, move every hunk by as many lines."""
    before = numbered(60)
    after = [*before[:at], "\tnew();", *before[at:]]
    diff = made(before, after)
    assert diff is not None
    moved = [f"/* {n} */" for n in range(above)]
    found = placed(diff, content([*moved, *before]))
    assert found.content == content([*moved, *after])
    assert {each.offset for each in found.placements} == {above}
    cut = min(cut, at - 3)
    shorter = placed(diff, content(before[cut:]))
    assert shorter.content == content(after[cut:])
    assert {each.offset for each in shorter.placements} == {-cut}


def test_drift_of_one_hunk_is_carried_to_the_next() -> None:
    block = ["{", "\tcall();", "\tcall();", "}"]
    before = [*numbered(10), *block, *numbered(10, "mid"), *block, *numbered(10, "low"), *block]
    after = [*before]
    after[2] = "\tchanged();"
    after[25] = "\tother();"
    diff = made(before, after, 1)
    assert diff is not None
    found = placed(diff, content([*numbered(7, "top"), *before]))
    assert [each.offset for each in found.placements] == [7, 7]
    assert found.content == content([*numbered(7, "top"), *after])


def test_other_places_are_counted_where_the_hunk_is_not_at_its_own() -> None:
    before = ["a", "{", "x", "}", "b"]
    diff = made(before, ["a", "{", "y", "}", "b"], 1)
    assert diff is not None
    here = placed(diff, content([*before, *before]))
    assert (here.placements[0].offset, here.placements[0].others) == (0, 0)
    moved = placed(diff, content(["new", *before, *before, *before]))
    assert (moved.placements[0].offset, moved.placements[0].others) == (1, 2)


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (["one", "two", "three"], "hunk 1 (-3,7) finds no place with its context"),
        ([*numbered(20)[:5], "\tother();", *numbered(20)[6:]], "hunk 1 (-3,7) finds no place with its context"),
    ],
)
def test_a_hunk_without_its_context_is_a_misfit(before: list[str], why: str) -> None:
    lines = numbered(20)
    after = [*lines]
    after[5] = "\tchanged();"
    diff = made(lines, after)
    assert diff is not None
    assert apply_diff(diff, content(before)) == Misfit(1, why)


def test_a_hunk_at_the_top_stays_at_the_top_and_one_at_the_end_at_the_end() -> None:
    lines = numbered(12)
    top = made(lines, ["/* first */", *lines])
    end = made(lines, [*lines, "/* last */"])
    assert top is not None and end is not None
    assert isinstance(apply_diff(top, content(["/* licence */", *lines])), Misfit)
    assert isinstance(apply_diff(end, content([*lines, "tail"])), Misfit)
    assert placed(end, content(["/* licence */", *lines])).placements[0].offset == 1


def test_the_line_ends_of_the_file_are_kept() -> None:
    lines = numbered(9)
    after = [*lines[:4], "\tnew();", *lines[4:]]
    diff = made(lines, after)
    assert diff is not None
    found = placed(diff, content(lines).replace(b"\n", b"\r\n"))
    assert found.line_ends
    assert found.content == content(after).replace(b"\n", b"\r\n")


def test_no_newline_at_the_end_is_part_of_the_text() -> None:
    no_newline = "\\ No newline at end of file"
    body = HEAD + f"@@ -1,2 +1,2 @@\n a\n-b\n{no_newline}\n+c\n{no_newline}\n"
    assert placed(only(body), b"a\nb").content == b"a\nc"
    assert isinstance(apply_diff(only(body), b"a\nb\n"), Misfit)
    shared = HEAD + f"@@ -1,2 +1,2 @@\n-a\n+c\n b\n{no_newline}\n"
    assert placed(only(shared), b"a\nb").content == b"c\nb"
    middle = HEAD + f"@@ -1,2 +1,2 @@\n a\n-b\n+c\n{no_newline}\n"
    assert isinstance(apply_diff(only(middle), b"a\nb\nd\n"), Misfit)


def test_creation_deletion_and_rename() -> None:
    new = only(
        "diff --git a/n.c b/n.c\nnew file mode 100644\nindex 000000000000..0123456789ab\n"
        "--- /dev/null\n+++ b/n.c\n@@ -0,0 +1,2 @@\n+int n;\n+int m;\n"
    )
    assert new.change is Change.CREATE
    assert placed(new, None).content == b"int n;\nint m;\n"
    assert apply_diff(new, b"int k;\n") == Misfit(0, "creates a file that is there already")
    gone = reverse(new)
    assert placed(gone, b"int n;\nint m;\n").content is None
    assert isinstance(apply_diff(gone, b"int n;\nint m;\nint k;\n"), Misfit)
    assert apply_diff(gone, None) == Misfit(0, "no such file")
    moved = only(
        "diff --git a/o.c b/p.c\nsimilarity index 90%\nrename from o.c\nrename to p.c\n"
        "--- a/o.c\n+++ b/p.c\n@@ -1,2 +1,2 @@\n int a;\n-int b;\n+int c;\n"
    )
    assert (moved.old_path, moved.new_path, moved.change) == ("o.c", "p.c", Change.RENAME)
    assert placed(moved, b"int a;\nint b;\n").content == b"int a;\nint c;\n"


def test_latin_1_bytes_pass_unchanged() -> None:
    raw = b"/* M\xfcller */\nint a;\n"
    body = HEAD + "@@ -1,2 +1,2 @@\n /* M\udcfcller */\n-int a;\n+int b;\n"
    assert placed(only(body), raw).content == b"/* M\xfcller */\nint b;\n"


def test_hostile_sizes_end_soon() -> None:
    """Blank lines all alike match everywhere; the comparison is bounded, the nearest place is still found."""
    body = HEAD + "@@ -90001,2800 +90001,2801 @@\n" + " \n" * 1400 + "+x\n" + " \n" * 1400
    started = time.monotonic()
    found = placed(only(body), content(["top", *[""] * 120_000]))
    assert found.placements[0].offset == 0
    assert isinstance(apply_diff(only(body), content(["", "x"] * 60_000)), Misfit)
    assert time.monotonic() - started < 5


@settings(max_examples=200, deadline=None)
@given(LINES, LINES)
def test_fragments_hold_each_line_at_its_number(before: list[str], after: list[str]) -> None:
    diff = made(before, after, 2)
    if diff is None or not before or not after:
        return
    old, new = fragments(diff)
    for _, line in diff.lines():
        for side, number in ((old, line.old_line), (new, line.new_line)):
            if number is not None:
                assert side is not None
                assert side.split(b"\n")[number - 1] == line.text.encode()


def test_fragments_of_a_header_that_claims_the_moon() -> None:
    body = HEAD + f"@@ -{MAX_LINE * 2000},2 +{MAX_LINE * 2000},2 @@\n a\n-b\n+c\n"
    assert fragments(only(body)) == (None, None)
    old, new = fragments(only(HEAD + "@@ -5,2 +5,2 @@\n a\n-b\n+c\n"))
    assert old == b"\n\n\n\na\nb\n"
    assert new == b"\n\n\n\na\nc\n"
