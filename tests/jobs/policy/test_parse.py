"""The policy file: what is not understood lets nothing out, and says where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.jobs.policy.current import current
from lorelint.jobs.policy.lines import lines_of
from lorelint.jobs.policy.parse import parse
from lorelint.model.base import Grade
from lorelint.model.errors import LorelintError
from lorelint.model.finding import Severity
from lorelint.model.policy import Audience, Policy

TOP = 'sender = "bot@bot.example.org"\ncontact = "human@bot.example.org"\n'
RING = '[list.ring]\naddress = "ring@lists.example.org"\n'
ASKED = 'asked_by = "Max"\nasked_on = 2026-10-01\n'


def test_all_keys() -> None:
    text = (
        TOP
        + 'sender_name = "ring bot"\ndomain = "mail.example.org"\ndry_run = false\nhourly_cap = 3\n'
        + 'stop_file = "/run/stop"\nignored_authors = ["@x.example", "a@y.example"]\nopted_out = ["b@y.example"]\n'
        + RING
        + ASKED
        + 'audience = "maintainers"\nstage = "queue"\nrelease = "automatic"\nminimum_confidence = 0.5\n'
        + 'minimum_severity = "note"\nbase = "clean"\nembargo_hours = 1.5\ndaily_cap = 9\nmax_age_days = 2\n'
        + 'also_to = ["c@y.example"]\n'
    )
    made = parse(text, "policy.toml")
    assert (made.sender, made.sender_name, made.domain) == ("bot@bot.example.org", "ring bot", "mail.example.org")
    assert (made.dry_run, made.hourly_cap, made.stop_file) == (False, 3, "/run/stop")
    assert made.ignored_authors == ("@x.example", "a@y.example")
    (one,) = made.lists
    assert (one.audience, one.stage, one.release) == (Audience.MAINTAINERS, "queue", "automatic")
    assert (one.minimum_confidence, one.minimum_severity, one.base) == (0.5, Severity.NOTE, Grade.CLEAN)
    assert (one.embargo_hours, one.daily_cap, one.max_age_days, one.also_to) == (1.5, 9, 2.0, ("c@y.example",))
    assert (one.asked_by, one.asked_on) == ("Max", "2026-10-01")


def test_the_default_is_mute() -> None:
    assert parse("", "policy.toml") == Policy(where="policy.toml")
    quiet = parse(RING, "policy.toml").lists[0]
    assert quiet.audience is Audience.DASHBOARD and quiet.release == "person"


def test_the_domain_is_the_senders() -> None:
    assert parse(TOP, "policy.toml").domain == "bot.example.org"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('senders = "x"', 1, "unknown key 'senders'"),
        (RING + 'audiences = "list"\n', 3, "unknown key 'list.ring.audiences'"),
        ("\n\ndry_run = 1", 3, "dry_run is not true or false"),
        ("hourly_cap = true", 1, "hourly_cap is not a whole number"),
        ("hourly_cap = -1", 1, "hourly_cap is not a whole number"),
        ('sender = "no address"', 1, "sender is not an address"),
        ('stop_file = "stop"', 1, "stop_file is not a whole path"),  # of whatever folder the sender is started in
        ('stop_file = "/stop\\u202e"', 1, "stop_file is not a whole path"),
        ('sender = "a@b.example>\\nBcc: x@y.example"', 1, "sender is not an address"),
        ('sender_name = "a\\nb"', 1, "sender_name is not text in one line"),
        ('sender_name = "a\\u202eb"', 1, "sender_name is not text in one line"),
        ('opted_out = "a@b.example"', 1, "opted_out is not a list of addresses"),
        ('opted_out = [\n  "a@b.example",\n  3,\n]', 1, "opted_out is not a list of addresses"),
        ("list = 3", 1, "list is not a table"),
        ("[list]\nring = 3", 2, "list.ring is not a table"),
        ("[[list]]\nx = 3", 1, "list is not a table"),
        ("[list.ring]\n", 1, "list.ring has no address"),
        (RING + 'audience = "everybody"', 3, "list.ring.audience is not one of"),
        (RING + 'stage = "trial"', 3, "list.ring.stage is not one of"),
        (RING + "minimum_confidence = 90", 3, "a number from 0 to 1"),
        (RING + "minimum_confidence = nan", 3, "a number from 0 to 1"),
        (RING + "asked_on = 2026-10-01T08:00:00Z", 3, "asked_on is not a day"),
        (RING + 'asked_on = "yesterday"', 3, "asked_on is not a day"),
        (RING + 'patchwork = "ftp://x.example"', 3, "patchwork is not an address that starts"),
        (RING + 'also_to = ["a@b.example"]', 3, "nobody gets mail"),
        (TOP + RING + 'audience = "author"', 5, "lets words out that nobody asked for"),
        (TOP + RING + 'audience = "author"\nasked_by = "Max"', 5, "lets words out that nobody asked for"),
        (TOP + RING + 'audience = "author"\nasked_on = 2026-10-01', 5, "lets words out that nobody asked for"),
        (RING + 'audience = "author"\n' + ASKED, 3, "no address that mail could be from"),
        ('sender = "a@b.example"\n' + RING + 'audience = "author"\n' + ASKED, 4, "no person answers"),
        (TOP + RING + ASKED + 'audience = "author"\npatchwork = "https://p.example"', 8, "everybody can read"),
        (TOP + RING + ASKED + 'audience = "list"\npatchwork = "https://p.example"', 8, "no person releases checks"),
        (RING + '[list.second]\naddress = "RING@lists.example.org"', 4, "stands in list.ring already"),
    ],
)  # fmt: skip
def test_errors_say_where(text: str, line: int, says: str) -> None:
    with pytest.raises(LorelintError) as caught:
        parse(text, "policy.toml")
    assert caught.value.where == f"policy.toml:{line}"
    assert says in caught.value.what
    assert caught.value.remedy


def test_no_toml() -> None:
    with pytest.raises(LorelintError, match="not TOML") as caught:
        parse("x = [", "policy.toml")
    assert caught.value.where == "policy.toml"


def test_every_value_knows_its_line() -> None:
    text = f'# a comment\n{TOP}\n[list."ring"]\nalso_to = [  # two\n  "a@b.example",\n\n  "c@d.example",\n]\n'
    text += 'address = "ring@lists.example.org"\n' + ASKED + 'audience = "author"\n'
    made = parse(text, "policy.toml")
    assert dict(made.lines) == {"sender": 2, "contact": 3}
    (one,) = made.lists
    assert one.line == 5
    assert dict(one.lines) == {"also_to": 6, "address": 11, "asked_by": 12, "asked_on": 13, "audience": 14}


def test_lines_of_what_looks_like_a_key_in_a_text() -> None:
    text = 'a = """\nb = 1\n[c]\n"""\nb = 2\n[c.d]\ne = { f = 1 }\ng.h = 2\n'
    found = lines_of(text)
    assert found[("a",)] == 1 and found[("b",)] == 5 and found[("c", "d")] == 6
    assert found[("c", "d", "e", "f")] == 7 and found[("c", "d", "g", "h")] == 8


def test_a_broken_file_is_mute_and_says_so() -> None:
    def read() -> Policy:
        return parse("dry_run = maybe", "policy.toml")

    made, problem = current(read)
    assert made == Policy() and made.dry_run
    assert "policy.toml" in problem


def test_the_shipped_policy_lets_nothing_out(root: Path) -> None:
    text = (root / "deploy" / "policy.toml").read_text()
    made = parse(text, "deploy/policy.toml")
    assert made.dry_run and not made.sender
    assert not [one for one in made.lists if one.audience is not Audience.DASHBOARD]


def test_the_example_in_the_shipped_policy_is_one(root: Path) -> None:
    """What an operator makes of it by taking the marks of the comments off."""
    text = (root / "deploy" / "policy.toml").read_text()
    head, _, example = text.partition("# [list.kvm]")
    example = "\n".join(line.removeprefix("# ") for line in ("# [list.kvm]" + example).split("\n"))
    example = example.replace('audience = "author"', 'audience = "list"').replace('"person"\n', '"automatic"\n')
    head = head.replace('sender = ""', 'sender = "a@b.example"').replace('contact = ""', 'contact = "c@b.example"')
    (one,) = parse(head + example, "policy.toml").lists
    assert one.name == "kvm" and one.patchwork and one.asked_by
    keys = {key for key, _ in one.lines} | {key for key, _ in parse(text, "x").lines}
    from lorelint.jobs.policy.parse import _HOUSE, _LIST

    assert keys == {*_HOUSE, *_LIST}, "a key without a comment for the operator"


@given(st.text(max_size=200))
def test_any_text_is_a_policy_or_an_error(text: str) -> None:
    try:
        made = parse(text, "policy.toml")
    except LorelintError:
        return
    assert all(one.audience is Audience.DASHBOARD or one.asked_by for one in made.lists)
