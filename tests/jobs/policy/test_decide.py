"""Who hears what: list by list, recipient by recipient, each by a line of the policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.jobs.outgoing import MORE, POLICY, policy

from lorelint.jobs.policy.decide import Matter, Say, Standing, decide
from lorelint.model.base import Grade
from lorelint.model.finding import Severity
from lorelint.model.policy import Audience, Decision

IDA, MAX, KIM, EVE = (
    ("Ida Example", "ida@example.org"),
    ("Max", "max@example.org"),
    ("Kim", "kim@example.net"),
    ("", "eve@example.net"),
)
RING, KERNEL = ("", "ringmap@lists.example.org"), ("", "linux-kernel@vger.example.org")
MATTER = Matter(
    patch="1@example.org",
    author=IDA,
    to=(MAX, RING),
    cc=(KERNEL, KIM, EVE),
    inboxes=("ring",),
    posted="2026-11-02T09:00:00Z",
    maintainers=(MAX, ("Mo", "mo@example.org")),
)
SAY = Say("f1", "unbounded-retry", "list", Severity.ERROR, 0.95, Grade.EXACT)
AT = Standing("2026-11-02T10:00:00Z")


def addresses(decision: Decision) -> list[str]:
    return [address for _, address in (*decision.to, *decision.cc)]


def texts(decision: Decision) -> str:
    return "\n".join(f"{each.line}: {each.text}" for each in decision.rulings)


@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        ("author", ["ida@example.org"]),
        ("maintainers", ["ida@example.org", "max@example.org", "mo@example.org"]),
        ("list", ["ida@example.org", "max@example.org", "ringmap@lists.example.org", "mo@example.org"]),
    ],
)
def test_audiences(audience: str, expected: list[str]) -> None:
    made = decide(MATTER, [SAY], policy(POLICY.replace('"list"', f'"{audience}"')), AT)
    assert made.allowed and addresses(made) == expected
    assert made.to == (IDA,)
    assert not made.automatic and made.not_before == "2026-11-03T09:00:00Z"
    assert "ida@example.org gets it: the author, by list.ring.audience" in texts(made)
    assert "kim@example.net gets nothing: no line lets it in" in texts(made)


def test_every_ruling_about_a_recipient_names_the_line_of_its_key() -> None:
    made = decide(MATTER, [SAY], policy(), AT)
    lines = POLICY.split("\n")
    let_in = [each for each in made.rulings if " gets it" in each.text]
    assert len(let_in) == 4
    assert {lines[each.line - 1] for each in let_in} == {'audience = "list"'}


def test_nobody_without_a_table() -> None:
    made = decide(replace(MATTER, inboxes=("netdev",)), [SAY], policy(), AT)
    assert not made.allowed and not addresses(made)
    assert "no table speaks of netdev" in texts(made)
    assert not decide(replace(MATTER, inboxes=()), [SAY], policy(), AT).allowed


def test_a_dashboard_gets_no_mail() -> None:
    quiet = policy().lists[0]
    mute = replace(policy(), lists=(replace(quiet, audience=Audience.DASHBOARD),))
    made = decide(MATTER, [SAY], mute, AT)
    assert not made.allowed and "nobody gets mail" in texts(made)


def test_a_cross_post_opens_no_door_for_others() -> None:
    """The second list lets the author in alone: its address, and those who are only there, get nothing."""
    crossed = replace(MATTER, inboxes=("ring", "kernel"))
    made = decide(crossed, [SAY], policy(POLICY + MORE), AT)
    assert made.lists == ("ring", "kernel")
    assert "linux-kernel@vger.example.org" not in addresses(made)
    assert "ringmap@lists.example.org" in addresses(made)
    alone = decide(replace(MATTER, inboxes=("kernel",)), [SAY], policy(POLICY + MORE), AT)
    assert addresses(alone) == ["ida@example.org"]


def test_a_cross_post_to_a_list_that_nobody_asked_for() -> None:
    made = decide(replace(MATTER, inboxes=("netdev", "ring")), [SAY], policy(), AT)
    assert made.allowed and made.lists == ("ring",)
    assert "linux-kernel@vger.example.org" not in addresses(made)


def test_what_one_list_mutes_is_said_to_none_of_a_cross_post() -> None:
    other = replace(SAY, fingerprint="f2", rule="retry-no-resched")
    at = replace(AT, muted={"kernel": {"retry-no-resched": "max: noisy"}})
    made = decide(replace(MATTER, inboxes=("ring", "kernel")), [SAY, other], policy(POLICY + MORE), at)
    assert made.findings == ("f1",)
    assert "retry-no-resched is mute on kernel: max: noisy" in texts(made)


def test_lists_that_agree_on_nothing_are_not_put_into_one_letter() -> None:
    other = replace(SAY, fingerprint="f2", rule="retry-no-resched")
    at = replace(AT, muted={"kernel": {"retry-no-resched": "x"}, "ring": {"unbounded-retry": "y"}})
    made = decide(replace(MATTER, inboxes=("ring", "kernel")), [SAY, other], policy(POLICY + MORE), at)
    assert made.lists == ("ring",) and made.findings == ("f2",)


@pytest.mark.parametrize(
    ("say", "reason"),
    [
        (replace(SAY, confidence=0.5), "0.50 sure, below list.ring.minimum_confidence = 0.8"),
        (replace(SAY, severity=Severity.NOTE), 'below list.ring.minimum_severity = "warning"'),
        (replace(SAY, grade=Grade.CLEAN), '"clean", worse than list.ring.base = "exact"'),
        (replace(SAY, doubts=("perhaps raised by Oda in <o@example.org>",)), "perhaps raised by Oda"),
    ],
)
def test_what_a_person_has_to_look_at(say: Say, reason: str) -> None:
    made = decide(MATTER, [say], policy(POLICY + 'release = "automatic"\n'), AT)
    assert made.allowed and not made.automatic
    assert any(reason in each for each in made.held)


def test_automatic_is_automatic_for_all_lists_or_not_at_all() -> None:
    automatic = POLICY + 'release = "automatic"\n'
    assert decide(MATTER, [SAY], policy(automatic), AT).automatic
    crossed = replace(MATTER, inboxes=("ring", "kernel"))
    assert not decide(crossed, [SAY], policy(automatic + MORE), AT).automatic
    assert decide(crossed, [SAY], policy(automatic + MORE + 'release = "automatic"\n'), AT).automatic


def test_the_longest_embargo_holds() -> None:
    text = POLICY + "embargo_hours = 2\n" + MORE + "embargo_hours = 48\n"
    made = decide(replace(MATTER, inboxes=("ring", "kernel")), [SAY], policy(text), AT)
    assert made.not_before == "2026-11-04T09:00:00Z"


def test_rules_that_have_not_come_far_enough() -> None:
    made = decide(MATTER, [replace(SAY, stage="queue")], policy(), AT)
    assert not made.allowed and 'has come to "queue"' in texts(made)


@pytest.mark.parametrize(
    ("matter", "text", "standing", "reason"),
    [
        (MATTER, 'ignored_authors = ["IDA@example.org"]', AT, "among the ignored_authors"),
        (MATTER, 'ignored_authors = ["@example.org"]', AT, "among the ignored_authors"),
        (replace(MATTER, sender=KIM), 'ignored_authors = ["@example.net"]', AT, "kim@example.net is among"),
        (MATTER, 'opted_out = ["ida@example.org"]', AT, "among the opted_out"),
        (MATTER, "", replace(AT, opted_out=frozenset({"ida@example.org"})), "asked for no mail"),
        (replace(MATTER, moot="applied as 1234"), "", AT, "applied as 1234"),
        (replace(MATTER, author=("", "")), "", AT, "nobody can be made out"),
        (MATTER, "", replace(AT, now="2026-11-10T09:00:01Z"), "max_age_days = 7"),
    ],
)
def test_refused(matter: Matter, text: str, standing: Standing, reason: str) -> None:
    made = decide(matter, [SAY], policy(f"{text}\n{POLICY}"), standing)
    assert not made.allowed and not addresses(made)
    assert [each for each in made.rulings if each.refuses and reason in each.text]


def test_who_wants_no_mail_gets_none() -> None:
    at = replace(AT, opted_out=frozenset({"max@example.org"}))
    made = decide(replace(MATTER, cc=(*MATTER.cc, ("", "bot@bot.example.org"))), [SAY], policy(), at)
    assert "max@example.org" not in addresses(made) and "bot@bot.example.org" not in addresses(made)


def test_also_to() -> None:
    text = POLICY.replace('"list"', '"author"') + 'also_to = ["eve@example.net"]\n'
    made = decide(MATTER, [SAY], policy(text), AT)
    assert addresses(made) == ["ida@example.org", "eve@example.net"]


def test_a_cap_that_is_reached_makes_it_wait() -> None:
    made = decide(MATTER, [SAY], policy(), replace(AT, sent={"ring": 3}))
    assert made.allowed and "daily_cap = 3 is reached, by default" in texts(made)


def test_a_patchwork_is_told_instead() -> None:
    text = POLICY + 'release = "automatic"\npatchwork = "https://p.example"\n'
    made = decide(MATTER, [SAY], policy(text), AT)
    assert made.allowed and made.patchwork == "https://p.example" and not addresses(made)


PEOPLE = st.sampled_from([IDA, MAX, KIM, EVE, RING, KERNEL, ("Mo", "mo@example.org")])


@given(
    st.lists(PEOPLE, max_size=6),
    st.lists(PEOPLE, max_size=6),
    st.lists(st.sampled_from(["ring", "kernel", "netdev"]), max_size=3),
    st.lists(PEOPLE, max_size=3),
    st.sampled_from(["author", "maintainers", "list"]),
    st.sampled_from(["author", "maintainers", "list"]),
)
def test_nobody_is_written_to_whom_no_list_lets_in(to, cc, inboxes, maintainers, first, second) -> None:  # type: ignore[no-untyped-def]
    text = POLICY.replace('"list"', f'"{first}"') + MORE.replace('"author"', f'"{second}"')
    matter = replace(MATTER, to=tuple(to), cc=tuple(cc), inboxes=tuple(inboxes), maintainers=tuple(maintainers))
    made = decide(matter, [SAY], policy(text), AT)
    open_for = {"ring": first, "kernel": second}
    audiences = {open_for[name]: name for name in inboxes if name in open_for}
    may = {IDA[1]} if audiences else set()
    if {"maintainers", "list"} & set(audiences):
        may |= {address for _, address in maintainers}
    for name in inboxes:
        if open_for.get(name) == "list":
            may.add({"ring": RING, "kernel": KERNEL}[name][1])
    assert set(addresses(made)) <= may
    assert len(set(addresses(made))) == len(addresses(made))
