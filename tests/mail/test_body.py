"""Commit message, in-body headers, and text as mailers leave it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.mail.body import lines_of_transport, odd_characters, read_head, unflow
from lorelint.mail.diff import parse_diff

DIFF = "diff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-a\n+b\n"


def test_message_ends_at_the_separator() -> None:
    head = read_head(f"Why it is so.\n\nSigned-off-by: A <a@x>\n---\nnot part of it\n\n{DIFF}")
    assert head.message == "Why it is so.\n\nSigned-off-by: A <a@x>"
    assert head.author == ("", "")


def test_message_ends_at_the_diff() -> None:
    assert read_head("Text.\n" + DIFF).message == "Text."
    assert read_head("Text.\n" + DIFF.split("\n", 1)[1]).message == "Text."
    assert read_head("A table:\n---  ---\n---- \n" + DIFF).message == "A table:\n---  ---\n----"


def test_in_body_author_and_subject() -> None:
    head = read_head("\nFrom: Other Author <other@x>\nSubject: [PATCH v2] a\n longer one\n\nText.\n---\n" + DIFF)
    assert head.author == ("Other Author", "other@x")
    assert head.subject == "a longer one"
    assert head.message == "Text."


@pytest.mark.parametrize(
    "body", ["From: bogosity\n\nText.", "Fixes: 12 (x)\nFrom: A <a@x>\n\nText.", "Hi.\n\nFrom: A <a@x>"]
)
def test_what_is_no_in_body_author(body: str) -> None:
    assert read_head(body).author == ("", "")


def test_subject_pasted_below_a_discussion() -> None:
    assert read_head("[PATCH] mm: do it\n\nText.\n---\n" + DIFF).subject == "mm: do it"


def test_line_ends_of_transport() -> None:
    assert lines_of_transport(DIFF) == (DIFF, False)
    assert lines_of_transport(DIFF.replace("\n", "\r\n")) == (DIFF, True)


def test_line_ends_of_the_file_stay() -> None:
    crlf_file = DIFF.replace("-a\n", "-a\r\n").replace("+b\n", "+b\r\n")
    assert lines_of_transport(crlf_file) == (crlf_file, False)
    assert lines_of_transport(crlf_file.replace("\n", "\r\n")) == (crlf_file, True)


def test_unflow() -> None:
    assert unflow("one \ntwo\n  stuffed\n-- \nme \nyou") == "one two\n stuffed\n-- \nme you"
    assert unflow("one \ntwo", delsp=True) == "onetwo"


@given(st.text())
def test_text_without_soft_breaks_is_not_changed(text: str) -> None:
    plain = "\n".join(line.strip(" ") for line in text.split("\n"))
    assert unflow(plain) == plain


def test_hidden_characters_are_placed() -> None:
    body = DIFF.replace("+b", "+b\u202e") + "-- \nme\u200b\u200b\n"
    first, second = odd_characters(body, parse_diff(body).files, "m@x")
    assert (second.kind, second.where) == ("unicode", "x.c:1")
    assert "right-to-left override in an added line" in second.text
    assert first.where == "m@x:8"
    assert "\u202e" not in second.text


def test_control_characters_are_told() -> None:
    body = DIFF.replace("+b", "+\x1b[31mb")
    (trouble,) = odd_characters(body, parse_diff(body).files, "m@x")
    assert "U+001B" in trouble.text and "\x1b" not in trouble.text
    assert odd_characters(DIFF + "\tä\u2028\x0c", (), "m@x") == ()
