"""The patch-id is git's, whatever is in the mail."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lorelint.edge.b4.threads import read_threads
from lorelint.edge.mailbox import read_path
from lorelint.mail.patchid import patch_id


def git_says(body: str) -> str:
    done = subprocess.run(
        ["git", "patch-id", "--stable"], input=body.encode("utf-8", "backslashreplace"), capture_output=True, check=True
    )
    ids = [line.split()[0] for line in done.stdout.decode().splitlines()]
    return ids[0] if len(ids) == 1 else ""


def agrees(body: str) -> None:
    assert patch_id(body) == git_says(body), body


def test_every_patch_of_our_threads(root: Path, program: Callable[[str], str]) -> None:
    program("git")
    bodies = bodies_of(sorted((root / "corpora" / "threads").glob("*.mbox")))
    assert len({patch_id(body) for body in bodies}) == 5  # and none for what is no patch
    for body in bodies:
        agrees(body)


@pytest.mark.needs_shared
def test_every_mail_of_the_seeds(shared: Path, program: Callable[[str], str]) -> None:
    program("git")
    for body in bodies_of(sorted((shared / "corpora" / "seeds").rglob("*.mbox"))):
        agrees(body)


def bodies_of(paths: list[Path]) -> list[str]:
    threads = [thread for path in paths for thread in read_threads(read_path(path).mails, str(path))]
    return [message.body for thread in threads for message in thread.messages]


A, B = "diff --git a/a.c b/a.c\n--- a/a.c\n+++ b/a.c\n", "diff --git a/b.c b/b.c\n--- a/b.c\n+++ b/b.c\n"
HUNK = "@@ -1,2 +1,3 @@ int f(void)\n int a;\n+int b;\n int c;\n"


def test_what_it_does_not_hang_on(program: Callable[[str], str]) -> None:
    program("git")
    one = patch_id(A + HUNK + B + HUNK)
    assert one == patch_id(B + HUNK + A + HUNK) == patch_id("Words.\n---\n" + A + HUNK + B + HUNK + "-- \n2.39\n")
    assert one == patch_id((A + HUNK + B + HUNK).replace("@@ -1,2 +1,3 @@ int f", "@@ -81,2 +90,3 @@ int g"))
    assert one == patch_id((A + HUNK + B + HUNK).replace("+int b", "+int   b"))
    assert one != patch_id((A + HUNK + B + HUNK).replace("+int b", "+int d")) != ""
    assert patch_id("Words alone.\n") == ""


# git says nothing certain of binary content without an index line before it.
BINARY = "index 1234567..89abcde\n"
SPOKEN = """\
diff --git a/a.c b/a.c
index 1234567..89abcde 100644
index 1234567..89abcde
--- a/a.c
+++ b/a.c
@@ -1,2 +1,3 @@ f
@@ -1 +1 @@
@@ -0,0 +1,2 @@
@@ -x +1 @@
 int a;
-int b;
+int c;
+

new file mode 100644
rename from a.c
similarity index 90%
delta 12
---
 a.c | 2 +-
2.39.5
Words.
0123456789012345678901234567890123456789
commit 0123456789012345678901234567890123456789
From 0123456789012345678901234567890123456789 Mon Sep 17
\\ No newline at end of file
\\ short"""
ODD = (" ", "-- ", "+ä\u2028ö", "-\x0b\x0c\x1c\x85", "+\0x", "\ud800")
LINES = st.sampled_from(
    [*SPOKEN.split("\n"), *ODD, BINARY + "Binary files a/a and b/a differ", BINARY + "GIT binary patch"]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(LINES, max_size=25), st.booleans())
@example(["diff --git a/a b/a", "rename from a", "-- ", "2.39"], True)
def test_as_git_has_it(lines: list[str], diff_first: bool) -> None:
    agrees("".join(line + "\n" for line in ((["diff --git a/a.c b/a.c"] if diff_first else []) + lines)))


def test_a_hundred_thousand_lines() -> None:
    agrees(A + "@@ -0,0 +1,100000 @@\n" + "+int a;\n" * 100_000)
