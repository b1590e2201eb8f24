"""Commands in replies: the table, what is no speech, what is told as a mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.mail.commands import MAX_COMMANDS, MAX_REASON, TABLE, WORDS, Needs, parse

RULES = st.from_regex(r"[a-z]{2,8}(-[a-z]{2,8}){1,3}", fullmatch=True)
REASONS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp", "Zs"), include_characters=" "), max_size=60
)


@given(st.sampled_from([each for each in TABLE if each.needs is not Needs.NOTHING]), RULES, REASONS)
def test_what_is_written_is_read(word, rule, reason):
    asked = parse(f"Hello,\n\nlorelint: {word.word} {rule} {reason}\n\nRegards,\n")
    (command,) = asked.commands
    assert (command.line, command.word, command.rule, asked.mistakes) == (3, word.word, rule, ())
    assert command.reason == " ".join(reason.lstrip(" \t,.:;").split())[:MAX_REASON]


@given(st.text(max_size=2_000))
def test_no_text_makes_it_raise(body):
    asked = parse(body)
    assert len(asked.commands) <= MAX_COMMANDS
    lines = body.split("\n")
    assert all(lines[each.line - 1].lower().startswith("lorelint") for each in asked.commands + asked.mistakes)


@given(st.lists(st.sampled_from(["> ", ">> ", "> > ", "  ", "| ", "+", "-", "# ", "a "]), min_size=1, max_size=30))
def test_behind_any_mark_nothing_is_a_command(marks):
    assert not parse("".join(f"{mark}lorelint: mute retry-no-resched\n" for mark in marks))


@pytest.mark.parametrize("word", TABLE, ids=lambda word: word.word)
def test_the_example_in_the_table_is_a_command(word):
    (command,) = parse(word.help + "\n").commands
    assert command.word == word.word
    assert bool(command.rule) == (word.needs is not Needs.NOTHING)


@pytest.mark.parametrize(
    "body",
    [
        "-- \nlorelint: mute a-b\n",
        "--\nlorelint: mute a-b\n",
        "-----Original Message-----\nlorelint: mute a-b\n",
        "---------- Forwarded message ---------\nlorelint: mute a-b\n",
        "Begin forwarded message:\n\nlorelint: mute a-b\n",
        "From: A <a@x.example>\nSent: today\nTo: b\nSubject: c\n\nlorelint: mute a-b\n",
        "________________________________\nlist footer\nlorelint: mute a-b\n",
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+lorelint: mute a-b\n lorelint: mute a-b\n",
        'a line of its own with "lorelint: false-positive a-b" marks it\n',
        "xlorelint: mute a-b\n",
        "lorelint mute a-b\n",
        "On Mon, 2 Feb 2026, A wrote:\n> lorelint: mute a-b\n",
    ],
)
def test_what_is_not_said_is_not_asked(body):
    assert not parse(body)


def test_three_are_obeyed_and_the_others_told():
    asked = parse("".join(f"lorelint: wontfix rule-{at}\n" for at in range(5)))
    assert [each.rule for each in asked.commands] == ["rule-0", "rule-1", "rule-2"]
    assert [(each.line, each.text.split(":")[0]) for each in asked.mistakes] == [(4, "ignored"), (5, "ignored")]


def test_what_is_no_command_is_told_with_its_line():
    asked = parse("fine\nlorelint: frobnicate it\n\nlorelint:\nlorelint: mute\n")
    assert not asked.commands
    assert [each.line for each in asked.mistakes] == [2, 4, 5]
    assert all(word in asked.mistakes[0].text for word in WORDS)
    assert "a rule by its name" in asked.mistakes[2].text


def test_a_reason_goes_on_to_the_end_of_its_paragraph():
    (command,) = parse("lorelint: false-positive retry-no-resched the loop is\nbounded by three\n\nThanks\n").commands
    assert command.reason == "the loop is bounded by three"


def test_a_lone_word_is_a_reason_unless_a_rule_must_follow():
    first, second = parse("lorelint: wontfix because of users\n\nlorelint: mute because of users\n").commands
    assert (first.rule, first.reason) == ("", "because of users")
    assert (second.rule, second.reason) == ("because", "of users")


def test_names_in_the_lines_just_above_are_hints_nearest_first():
    body = (
        "> first-rule, confidence 0.90, 0123456789abcdef\n"
        "lorelint: wontfix\n"
        "> second-rule, confidence 0.80, fedcba9876543210\n"
        "\n"
        "lorelint: false-positive\n"
    )
    first, second = parse(body).commands
    assert first.hints == ("first-rule", "0123456789abcdef")
    assert second.hints == ("second-rule", "fedcba9876543210")


GOLDEN = Path(__file__).parents[1] / "golden" / "report"
LETTERS = [each for each in sorted(GOLDEN.glob("*.reply")) if "lorelint:" in each.read_text()]


@pytest.mark.parametrize("letter", LETTERS, ids=lambda path: path.name)
def test_what_a_letter_tells_people_to_write_is_a_command_and_the_letter_asks_nothing(letter):
    text = letter.read_text()
    told = re.findall(r'"(lorelint: [^"]*)"', " ".join(text.split()))
    commands = [parse(written + "\n").commands[0] for written in told]
    assert {each.word for each in commands} == {"false-positive", "stop"}
    assert all(re.search(rf"^{re.escape(each.rule)}, confidence", text, re.MULTILINE) for each in commands if each.rule)
    assert not parse(text)
