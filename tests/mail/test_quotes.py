"""Bodies of replies taken apart: what was said, and what is none of it."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.mail.quotes import A_DIFF, MAX_PASSAGES, MAX_TEXT, Reading, read, unquoted


def said(body: str, name: str = "") -> list[str]:
    return [each.text for each in read(body, name).passages]


def above(reading: Reading, passage: int) -> list[str]:
    return [reading.quoted[at].text for at in reading.passages[passage].above]


def test_each_passage_stands_under_what_was_quoted_since_the_one_before() -> None:
    body = "On Thu, 2 Apr 2026, A Person wrote:\n> one\n> two\n\nfirst\n\n> three\n\nsecond\nand more\n"
    reading = read(body)
    assert said(body) == ["first", "second\nand more"]
    assert above(reading, 0) == ["one", "two"] and above(reading, 1) == ["three"]
    assert [each.at for each in reading.passages] == [5, 9]
    assert reading.passages[1].lines == (9, 10)


@pytest.mark.parametrize(
    ("line", "depth", "text"),
    [
        ("> +\tif (err)", 1, "+\tif (err)"),
        (">+\tif (err)", 1, "+\tif (err)"),
        ("> > twice", 2, "twice"),
        (">> twice", 2, "twice"),
        (">>> > much", 4, "much"),
        ("> \t context", 1, "\t context"),
        ("JG> by initials", 1, "by initials"),
    ],
)
def test_marks_are_counted_and_taken_off(line: str, depth: int, text: str) -> None:
    (quoted,) = read(line).quoted
    assert (quoted.depth, quoted.text) == (depth, text)


@pytest.mark.parametrize(
    "line",
    [
        "Thanks,",
        "Thank you for the patch!",
        "Best regards,",
        "Cheers",
        "Hi Tomas,",
        "Hello Tomas and Ines,",
        "[...]",
        "<snip>",
        "[snipped the rest of it]",
        "...",
        "\u2026",
        "Reviewed-by: Odile Brandt <odile@example.org>",
        "Nacked-by: Odile Brandt",
        "Fixes: 0123456789ab (some commit)",
        "Odile",
        "Odile Brandt",
    ],
)
def test_courtesies_are_no_speech(line: str) -> None:
    assert said(f"> quoted\n\n{line}\n", "Odile Brandt") == []
    assert said(f"> quoted\n\nThis leaks.\n\n{line}\n", "Odile Brandt") == ["This leaks."]


@pytest.mark.parametrize(
    "line",
    ["Thanks, but this loops for good.", "Hi there is a bug here", "Here too.", "How?", "Odile's patch did that"],
)
def test_what_begins_like_a_courtesy_may_be_none(line: str) -> None:
    assert said(f"> quoted\n\n{line}\n", "Odile Brandt") == [line]


@pytest.mark.parametrize(
    ("lines", "who"),
    [
        ("On Wed, Oct 29, 2025 at 08:52:26PM +0800, Shu Example wrote:", ("Shu Example", "")),
        ("On Fri, 1 May 2020 20:50:33 -0300\nJo Example <jo@example.org> wrote:", ("Jo Example", "jo@example.org")),
        ("On 3/19/26 09:36, Boone, Max wrote:", ("Boone, Max", "")),
        ("\u5728 2025/10/29 21:34, Jo Example \u5199\u9053:", ("Jo Example", "")),
        ("Am 27.02.26 um 11:09 schrieb Jo Example:", None),
        ("Jo Example <jo@example.org> writes:", ("Jo Example", "jo@example.org")),
    ],
)
def test_attributions_are_no_speech_and_tell_who(lines: str, who: tuple[str, str] | None) -> None:
    reading = read(f"{lines}\n> something\n\nan answer\n")
    if who is None:  # the verb is not last: the line is taken for speech, and nothing is lost
        assert len(reading.passages) == 2
        return
    assert [each.text for each in reading.passages] == ["an answer"]
    assert reading.names[1] == who


def test_a_sentence_that_ends_like_an_attribution_is_speech_where_no_quote_follows() -> None:
    assert said("As somebody wrote:\n\nit loops.\n") == ["As somebody wrote:\n\nit loops."]


def test_signatures_end_the_speech() -> None:
    assert said("It loops.\n-- \nOdile, of the lists\n") == ["It loops."]


@pytest.mark.parametrize(
    "mark",
    [
        "-----Original Message-----",
        "________________________________",
        "From: A Person <a@example.org>\nSent: Thursday\nTo: B\nSubject: Re: x",
        "Begin forwarded message:",
    ],
)
def test_what_was_quoted_without_marks_is_no_speech(mark: str) -> None:
    body = f"It loops.\n\n{mark}\nthe whole mail\n\nonce more\n"
    assert said(body) == ["It loops."]
    assert "once more" in [each.text for each in read(body).quoted]


def test_a_diff_that_is_offered_is_named_not_told() -> None:
    body = "Like this:\n\ndiff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-a\n+b\n\nWould that do?\n"
    assert said(body) == [f"Like this:\n\n{A_DIFF}\n\nWould that do?"]


def test_the_quoted_mail_can_be_had_again() -> None:
    reading = read("On Thu, 2 Apr 2026 10:00, A Person wrote:\n> > +\tcode\n> It leaks.\n\nYes.\n")
    assert list(unquoted(reading)) == ["> +\tcode", "It leaks."]


ODD = """\
> quoted
>> twice
--
On x wrote:
said
diff --git a/x b/x
+x

From: a
To: b
Subject: c
-----Original Message-----
Thanks,
[...]""".split("\n")
LINE = st.one_of(
    st.sampled_from((*ODD, "-- ", ">" * 2_000, "x" * 3_000, "\x00\u202e", "\udce9")),
    st.text(max_size=40),
)


@given(st.lists(LINE, max_size=60))
def test_nothing_that_was_said_is_lost_or_said_twice(lines: list[str]) -> None:
    body = "\n".join(lines)
    reading = read(body, "A Person")
    numbers = [line for each in reading.passages for line in each.lines]
    assert numbers == sorted(set(numbers))
    assert not {each.at for each in reading.quoted} & set(numbers)
    count = len(body.split("\n"))
    assert all(1 <= at <= count for at in numbers)
    spans = [each.above for each in reading.passages]
    assert all(one.stop == other.start for one, other in pairwise(spans))
    assert all(len(each.text) <= MAX_TEXT + 10 for each in reading.passages)


PIECES = (
    "> a\nb\n",
    ">" * 999 + "\n",
    "On x\n> y wrote:\n",
    "On 1:11 " * 99 + "wrote:\n> a\n",
    "a" * 999 + "\n",
    "From:\nTo:\nDate:\n",
    "X-by: " + "a" * 900 + "\n",
    "Hi" + " A,A" * 200 + "\n",
)


@pytest.mark.parametrize("piece", PIECES)
def test_time_grows_with_the_length(piece: str) -> None:
    def seconds(times: int) -> float:
        start = time.process_time()
        assert len(read(piece * times).passages) <= MAX_PASSAGES
        return time.process_time() - start

    assert min(seconds(4_000) for _ in range(2)) < 20 * min(seconds(1_000) for _ in range(3)) + 0.1
