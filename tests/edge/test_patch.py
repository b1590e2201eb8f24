"""GNU patch gives fuzz, says where, and is shown nothing but numbered lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lorelint.edge.patch import GnuPatch
from lorelint.mail.apply import Misfit, apply_diff
from lorelint.mail.diff import parse_diff
from lorelint.model.mail import FileDiff

BODY = """diff --git a/mm/pool.c b/mm/pool.c
--- a/mm/pool.c
+++ b/mm/pool.c
@@ -10,7 +10,8 @@ int pool_take(struct pool *p)
 \tline_10();
 \tline_11();
 \tline_12();
-\tline_13();
+\tnew_13();
+\tnew_14();
 \tline_14();
 \tline_15();
 \tline_16();
"""


def only(text: str) -> FileDiff:
    (found,) = parse_diff(text).files
    return found


def source(**changed: str) -> bytes:
    lines = [changed.get(f"line_{n}", f"\tline_{n}();") for n in range(1, 31)]
    return "".join(line + "\n" for line in lines).encode()


def test_one_line_of_context_that_differs_is_fuzz_1(program: Callable[[str], str]) -> None:
    assert program("patch")
    content = source(line_10="\tother();")
    assert isinstance(apply_diff(only(BODY), content), Misfit)
    found = GnuPatch().fuzz(only(BODY), b"/* top */\n" + content)
    assert found is not None
    (hunk,) = found.hunks
    assert (hunk.hunk, hunk.fuzz, hunk.offset) == (1, 1, 1)
    # The range covers the new lines, less the context that was let go.
    lines = found.content.split(b"\n")
    assert b"\tnew_13();" in lines[hunk.start - 1 : hunk.end]
    assert b"\tnew_14();" in lines[hunk.start - 1 : hunk.end]


def test_more_than_two_lines_do_not_fit() -> None:
    content = source(line_10="\tother();", line_11="\tother();", line_12="\tother();")
    assert GnuPatch().fuzz(only(BODY), content) is None


def test_a_patch_that_is_in_already_is_not_taken_back() -> None:
    after = source().replace(b"\tline_13();\n", b"\tnew_13();\n\tnew_14();\n")
    assert GnuPatch().fuzz(only(BODY), after) is None


def test_line_ends_are_kept() -> None:
    content = source(line_10="\tother();").replace(b"\n", b"\r\n")
    found = GnuPatch().fuzz(only(BODY), content)
    assert found is not None
    assert found.content == content.replace(b"\tline_13();\r\n", b"\tnew_13();\r\n\tnew_14();\r\n")


def test_no_name_of_a_stranger_and_no_ed_script_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evil = BODY.replace("mm/pool.c", "mm/-e.c")
    script = "--- /dev/null\n+++ b/x\n1i\n!touch ran\n.\n"
    diff = only(evil.replace("+\tnew_14();\n", "".join(f"+{line}\n" for line in script.splitlines())))
    found = GnuPatch().fuzz(diff, source(line_10="\tother();"))
    assert list(tmp_path.iterdir()) == []
    assert found is not None
    assert b"!touch ran\n" in found.content


def test_without_the_program_nothing_applies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert GnuPatch().fuzz(only(BODY), source(line_10="\tother();")) is None
