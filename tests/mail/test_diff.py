"""Diffs out of mail bodies: what is well formed, what a mailer has broken, what must not be believed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorelint.mail.diff import parse_diff
from lorelint.mail.paths import unsafe
from lorelint.mail.render import render, render_hunk
from lorelint.model.mail import Change, FileDiff, Hunk, HunkLine

PLAIN = """Subject line in the body

---
 drivers/x/x.c | 3 ++-
 1 file changed, 2 insertions(+), 1 deletion(-)

diff --git a/drivers/x/x.c b/drivers/x/x.c
index 1234567890ab..abcdef012345 100644
--- a/drivers/x/x.c
+++ b/drivers/x/x.c
@@ -10,4 +10,5 @@ static int x_map(struct x *x)
 \tint ret;
\x20
-\tret = old(x);
+\tret = new(x);
+\tcheck(ret);
 \treturn ret;
--\x20
2.43.0
"""


def counted(hunk: Hunk) -> tuple[int, int]:
    return sum(line.op != "+" for line in hunk.lines), sum(line.op != "-" for line in hunk.lines)


def kinds(body: str) -> list[str]:
    return [trouble.kind for trouble in parse_diff(body, "m@x").troubles]


def test_git_diff() -> None:
    diffs = parse_diff(PLAIN, "m@x")
    assert diffs.troubles == ()
    (file,) = diffs.files
    assert (file.old_path, file.new_path, file.change) == ("drivers/x/x.c", "drivers/x/x.c", Change.MODIFY)
    assert (file.old_blob, file.new_blob, file.mail_line) == ("1234567890ab", "abcdef012345", 7)
    (hunk,) = file.hunks
    assert (hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count) == (10, 4, 10, 5)
    assert hunk.section == "static int x_map(struct x *x)"
    assert [(line.op, line.old_line, line.new_line) for line in hunk.lines] == [
        (" ", 10, 10),
        (" ", 11, 11),
        ("-", 12, None),
        ("+", None, 12),
        ("+", None, 13),
        (" ", 13, 14),
    ]


def test_mail_lines_name_the_lines_of_the_body() -> None:
    lines = PLAIN.split("\n")
    (file,) = parse_diff(PLAIN).files
    assert lines[file.mail_line - 1].startswith("diff --git")
    assert lines[file.hunks[0].mail_line - 1].startswith("@@ ")
    for _, line in file.lines():
        assert lines[line.mail_line - 1] == line.op + line.text


def test_other_line_separators_do_not_split() -> None:
    body = PLAIN.replace("old(x)", "old(\x0c\u2028x)")
    (file,) = parse_diff(body).files
    assert file.hunks[0].lines[2].text == "\tret = old(\x0c\u2028x);"
    assert body.split("\n")[file.hunks[0].lines[3].mail_line - 1] == "+\tret = new(x);"


def test_signature_is_no_removed_line() -> None:
    assert counted(parse_diff(PLAIN).files[0].hunks[0]) == (4, 5)
    eaten = PLAIN.replace("-- \n", "--\n")
    assert counted(parse_diff(eaten).files[0].hunks[0]) == (4, 5)


def test_removed_lines_that_look_like_headers() -> None:
    body = (
        "diff --git a/q.sql b/q.sql\n--- a/q.sql\n+++ b/q.sql\n@@ -1,3 +1,1 @@\n"
        " select\n--- a comment\n-- \ndiff --git a/r b/r\nsimilarity index 100%\nrename from r\nrename to s\n"
    )
    first, second = parse_diff(body).files
    assert [line.text for line in first.hunks[0].lines] == ["select", "-- a comment", "- "]
    assert (second.change, second.old_path, second.new_path) == (Change.RENAME, "r", "s")


@pytest.mark.parametrize(
    ("header", "change", "old", "new"),
    [
        ("diff --git a/n.c b/n.c\nnew file mode 100644\nindex 000000000000..e69de29bb2d1\n", Change.CREATE, "", "n.c"),
        ("diff --git a/n.c b/n.c\ndeleted file mode 100644\nindex e69de29bb2d1..0000000\n", Change.DELETE, "n.c", ""),
        ("diff --git a/n.sh b/n.sh\nold mode 100644\nnew mode 100755\n", Change.MODE, "n.sh", "n.sh"),
        (
            "diff --git a/a b.c b/c d.c\nsimilarity index 90%\nrename from a b.c\nrename to c d.c\n",
            Change.RENAME,
            "a b.c",
            "c d.c",
        ),
        ("diff --git a/x.c b/y.c\nsimilarity index 100%\ncopy from x.c\ncopy to y.c\n", Change.COPY, "x.c", "y.c"),
        (
            "diff --git a/l.bin b/l.bin\nindex 1111111..2222222 100644\nGIT binary patch\ndelta 3\nKcmZ\n\n",
            Change.BINARY,
            "l.bin",
            "l.bin",
        ),
        ("diff --git a/l b/l\nindex 1111111..2222222\nBinary files a/l and b/l differ\n", Change.BINARY, "l", "l"),
    ],
)
def test_changes_without_hunks(header: str, change: Change, old: str, new: str) -> None:
    diffs = parse_diff(header)
    (file,) = diffs.files
    assert (file.change, file.old_path, file.new_path, file.hunks) == (change, old, new, ())
    assert diffs.troubles == ()


def test_zero_blobs_are_no_blobs() -> None:
    body = "diff --git a/n.c b/n.c\nnew file mode 100644\nindex 000000000000..e69de29bb2d1\n"
    assert (parse_diff(body).files[0].old_blob, parse_diff(body).files[0].new_blob) == ("", "e69de29bb2d1")


def test_no_newline_at_end_of_file() -> None:
    body = (
        "--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n"
        "--- a/y.c\n+++ b/y.c\n@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\n"
    )
    one, other = (file.hunks[0] for file in parse_diff(body).files)
    assert (one.no_newline_old, one.no_newline_new) == (True, False)
    assert (other.no_newline_old, other.no_newline_new) == (False, True)


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("a/mm/gup.c", "b/mm/gup.c", "mm/gup.c"),
        ("linux-6.1.orig/mm/gup.c\t2024-01-01 00:00:00.0 +0000", "linux-6.1/mm/gup.c\t2024-01-02", "mm/gup.c"),
        ("mm/gup.c\t(revision 1)", "mm/gup.c\t(working copy)", "mm/gup.c"),
        ("i/mm/gup.c", "w/mm/gup.c", "mm/gup.c"),
    ],
)
def test_plain_diffs(old: str, new: str, path: str) -> None:
    (file,) = parse_diff(f"--- {old}\n+++ {new}\n@@ -1 +1 @@\n-a\n+b\n").files
    assert (file.old_path, file.new_path) == (path, path)


def test_plain_diff_creates_and_deletes() -> None:
    body = "--- /dev/null\n+++ b/n.c\n@@ -0,0 +1 @@\n+a\n--- a/o.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"
    one, other = parse_diff(body).files
    assert (one.change, one.old_path, one.new_path) == (Change.CREATE, "", "n.c")
    assert (other.change, other.old_path, other.new_path) == (Change.DELETE, "o.c", "")
    assert one.hunks[0].lines[0].new_line == 1
    assert other.hunks[0].lines[0].old_line == 1


def test_names_without_prefix() -> None:
    body = "diff --git mm/gup.c mm/gup.c\n--- mm/gup.c\n+++ mm/gup.c\n@@ -1 +1 @@\n-a\n+b\n"
    assert parse_diff(body).files[0].path == "mm/gup.c"


def test_quoted_names() -> None:
    body = 'diff --git "a/D\\303\\274/x y\\t.c" "b/D\\303\\274/x y.c"\nsimilarity index 100%\n'
    body += 'rename from "D\\303\\274/\\"x y.c"\nrename to D\u00fc/x y.c\n'
    (file,) = parse_diff(body).files
    assert (file.old_path, file.new_path) == ('D\u00fc/"x y.c', "D\u00fc/x y.c")


@pytest.mark.parametrize(
    "name", ["a/../../etc/passwd", "a//etc/passwd", "a/x/../y.c", "a/.git/config", "a/x/.GIT/hooks/p", "a/./x.c"]
)
def test_unsafe_names_are_left_out(name: str) -> None:
    diffs = parse_diff(f"--- {name}\n+++ {name}\n@@ -1 +1 @@\n-a\n+b\n--- a/ok.c\n+++ b/ok.c\n@@ -1 +1 @@\n-a\n+b\n")
    assert [file.path for file in diffs.files] == ["ok.c"]
    assert [trouble.kind for trouble in diffs.troubles] == ["unsafe-path"]


def test_control_characters_in_names_are_neither_used_nor_shown() -> None:
    diffs = parse_diff('diff --git "a/x\\033[31m.c" "b/x\\033[31m.c"\nold mode 100644\nnew mode 100755\n')
    assert diffs.files == ()
    assert "\x1b" not in diffs.troubles[0].text
    assert diffs.troubles[0].kind == "unsafe-path"


def test_quoted_and_indented_diffs_are_no_patches() -> None:
    for mark in ("> ", "| ", "    ", ">"):
        assert parse_diff("".join(mark + line + "\n" for line in PLAIN.split("\n")[6:])).files == ()


# What mailers do


def test_empty_context_lines_that_lost_their_space() -> None:
    diffs = parse_diff(PLAIN.replace("\n \n", "\n\n"))
    assert counted(diffs.files[0].hunks[0]) == (4, 5)
    assert [trouble.kind for trouble in diffs.troubles] == ["mangled"]


def test_wrapped_line_is_joined() -> None:
    long = "+\tret = a_function_with_a_long_name(first_argument, second_argument, third_argument);"
    body = PLAIN.replace("+\tret = new(x);", long.replace(" third", "\nthird"))
    diffs = parse_diff(body)
    (hunk,) = diffs.files[0].hunks
    assert counted(hunk) == (4, 5)
    assert hunk.lines[3].text == long[1:]
    assert "wrapped" in diffs.troubles[0].text


def test_wrapped_section_is_joined() -> None:
    long = " @@ static int a_function_with_a_rather_long_name(struct thing *first, int second)"
    body = PLAIN.replace(" @@ static int x_map(struct x *x)", long.replace(" int second", "\nint second"))
    diffs = parse_diff(body)
    assert counted(diffs.files[0].hunks[0]) == (4, 5)
    assert diffs.files[0].hunks[0].section == long[4:]


@pytest.mark.parametrize("header", ["@@ -10,9 +10,9 @@", "@@ -10,2 +10,2 @@"])
def test_header_that_counts_wrongly(header: str) -> None:
    body = PLAIN.replace("@@ -10,4 +10,5 @@", header)
    diffs = parse_diff(body, "m@x")
    (hunk,) = diffs.files[0].hunks
    assert counted(hunk) == (4, 5)
    assert (hunk.old_count, hunk.new_count) == ((9, 9) if "9" in header else (2, 2))
    (trouble,) = diffs.troubles
    assert (trouble.kind, trouble.where) == ("mangled", "m@x:11")
    assert "there are 4 and 5" in trouble.text


def test_a_cut_off_patch() -> None:
    cut = PLAIN[: PLAIN.index("+\tcheck")]
    diffs = parse_diff(cut)
    assert counted(diffs.files[0].hunks[0]) == (3, 3)
    assert [trouble.kind for trouble in diffs.troubles] == ["mangled"]


def test_list_footer_is_no_part_of_the_hunk() -> None:
    body = PLAIN.replace("-- \n2.43.0\n", "") + "_______________\nA list mailing list\n"
    assert parse_diff(body).troubles == ()
    assert counted(parse_diff(body).files[0].hunks[0]) == (4, 5)


def test_tabs_made_spaces() -> None:
    body = PLAIN.replace("\t", "        ")
    assert any("tab" in trouble.text for trouble in parse_diff(body).troubles)


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorelint.mail.diff.MAX_FILES", 2)
    body = "".join(f"diff --git a/{at} b/{at}\nold mode 100644\nnew mode 100755\n" for at in range(4))
    diffs = parse_diff(body)
    assert len(diffs.files) == 2
    assert [trouble.kind for trouble in diffs.troubles] == ["too-large"]
    monkeypatch.setattr("lorelint.mail.diff.MAX_LINES", 5)
    assert len(parse_diff(body).files) == 2  # three lines make the first, two the second


# Anything at all

LINES = st.sampled_from(
    [
        "diff --git a/x.c b/x.c",
        "diff --git x",
        'diff --git "a/\\1 b',
        "index 123456..789abc 100644",
        "--- a/x.c",
        "+++ b/x.c",
        "--- /dev/null",
        "+++ /dev/null",
        "@@ -1,3 +1,4 @@ f",
        "@@ -0,0 +1 @@",
        "@@ -999999999,999999999 +1 @@",
        " context",
        "+added",
        "-gone",
        "",
        "\t",
        "-- ",
        "--",
        "2.43",
        "\\ No newline at end of file",
        "GIT binary patch",
        "Binary files a/x and b/x differ",
        "rename from x",
        "rename to ../y",
        "new file mode 100644",
        "> quoted",
        "a line long enough that a mailer would have wrapped it right about here, as they do",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(LINES, st.text(max_size=20)), max_size=40))
def test_never_raises_and_lines_are_traceable(lines: list[str]) -> None:
    body = "\n".join(lines)
    of_body = body.split("\n")
    for file in parse_diff(body, "m@x").files:
        assert not file.path.startswith("/") and ".." not in file.path.split("/")
        seen = [line.mail_line for _, line in file.lines()]
        assert seen == sorted(seen)
        for _, line in file.lines():
            source = of_body[line.mail_line - 1]
            assert (line.op + line.text).startswith(source.rstrip()) or line.op + line.text == " " + source


NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N", "Zs", "P", "S"), exclude_characters="/"), min_size=1)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join).filter(lambda path: not unsafe(path))
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=12)


@st.composite
def hunks(draw: st.DrawFn, start: int = 1) -> Hunk:
    ops = draw(st.lists(st.sampled_from(" +-"), min_size=1, max_size=8))
    old, new = sum(op != "+" for op in ops), sum(op != "-" for op in ops)
    old_at = old_start = draw(st.integers(1, 9999)) if old else 0
    new_at = new_start = draw(st.integers(1, 9999)) if new else 0
    lines = []
    for op in ops:
        lines.append(HunkLine(op, draw(TEXT), 0, old_at if op != "+" else None, new_at if op != "-" else None))
        old_at += op != "+"
        new_at += op != "-"
    section = draw(TEXT.map(str.strip))
    return Hunk(old_start, old, new_start, new, section, tuple(lines), 0)


@st.composite
def files(draw: st.DrawFn) -> FileDiff:
    old, new = draw(PATHS), draw(PATHS)
    change = draw(st.sampled_from([each for each in Change if each is not Change.BINARY]))
    body = (draw(hunks()),) if change is not Change.MODE else ()
    if change is Change.CREATE:
        old = ""
    elif change is Change.DELETE:
        new = ""
    elif change not in (Change.RENAME, Change.COPY):
        new = old
    blob = st.text("123456789abcdef", min_size=12, max_size=12)
    old_blob = draw(blob) if change is not Change.CREATE and body else ""
    new_blob = draw(blob) if change is not Change.DELETE and body else ""
    return FileDiff(old, new, change, old_blob, new_blob, body, 0)


def unmapped(file: FileDiff) -> tuple[object, ...]:
    body = []
    for hunk in file.hunks:
        lines = [(line.op, line.text, line.old_line, line.new_line) for line in hunk.lines]
        body.append((hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count, hunk.section, lines))
    return (file.old_path, file.new_path, file.change, file.old_blob, file.new_blob, tuple(body))


@settings(max_examples=200, deadline=None)
@given(st.lists(files(), min_size=1, max_size=3))
def test_what_is_rendered_parses_to_the_same(changes: list[FileDiff]) -> None:
    text = render(changes)
    parsed = parse_diff(text)
    assert [unmapped(file) for file in parsed.files] == [unmapped(file) for file in changes]
    assert render(parsed.files) == text


def test_rendered_hunk_is_the_text_it_came_from() -> None:
    (file,) = parse_diff(PLAIN).files
    lines = PLAIN.split("\n")
    start = file.hunks[0].mail_line - 1
    assert list(render_hunk(file.hunks[0])) == lines[start : start + 7]
