"""A rule's standing on a list, and its fall."""

from __future__ import annotations

import json

import pytest
from tests.jobs.listing import AT, NOW, RULES, Listing, fingerprint

from lorelint.jobs.measure.judged import judgements as read_judgements
from lorelint.jobs.standing import ENOUGH, judgements, records, watch
from lorelint.model.policy import ListPolicy, Policy
from lorelint.model.store import Letter, State, VerdictRow

RULE = RULES[0]
POLICY = Policy(lists=(ListPolicy("ring", "ring@lists.example", 1),))


@pytest.fixture
def listing(tmp_path):
    return Listing(tmp_path)


def said(listing, verdict, number, *, weight="maintainer", at=AT, inbox="ring", obeyed=True, key=None):
    who = f"{weight}@x.example"
    named = (0, verdict, RULE, f"{number:016x}", key or f"key{number}", inbox)
    row = VerdictRow(*named, who, weight, "dkim", "", "", at, obeyed)
    with listing.store.begin() as session:
        session.verdicts.add(row)


def record(listing, inbox="ring"):
    with listing.store.look() as session:
        return next((each for each in records(session, inbox) if each.rule == RULE), None)


def test_what_weighs_how_much(listing):
    said(listing, "false-positive", 1)
    said(listing, "wontfix", 2)
    said(listing, "false-positive", 3, weight="author")
    said(listing, "later", 4)
    said(listing, "false-positive", 5, weight="claim")
    said(listing, "false-positive", 6, obeyed=False)
    said(listing, "false-positive", 7, inbox="other")
    found = record(listing)
    assert (found.judged, found.right, found.wrong, found.precision) == (4, 2.0, 3.0, 0.4)


def test_of_several_words_on_one_finding_the_strongest_counts_and_of_equals_the_last(listing):
    said(listing, "wontfix", 1, at="2026-02-01T00:00:00Z")
    said(listing, "false-positive", 1, weight="author", at="2026-02-02T00:00:00Z")
    assert record(listing).precision == 1.0
    said(listing, "false-positive", 1, at="2026-02-03T00:00:00Z")
    assert record(listing).precision == 0.0


def test_a_finding_that_was_mailed_and_is_gone_was_right(listing):
    listing.series("p1")
    (row,) = listing.found("p1", RULE)
    listing.letter("p1", Letter.SENT)
    with listing.store.begin() as session:
        session.findings.change(row.id, State.FIXED, who="lorelint", at=AT, fixed_in=2)
    found = record(listing)
    assert (found.judged, found.precision) == (1, 1.0)
    assert record(listing, "other") is None


def test_a_rule_falls_under_the_floor_of_the_policy_once(listing):
    for number in range(ENOUGH - 1):
        said(listing, "false-positive", number)
    assert watch(listing.store, POLICY, NOW) == ()
    said(listing, "wontfix", 99)
    assert [(each.rule, each.judged) for each in watch(listing.store, POLICY, NOW)] == [(RULE, ENOUGH)]
    assert watch(listing.store, POLICY, NOW) == ()
    with listing.store.look() as session:
        assert session.verdicts.muted("ring") == {
            RULE: "lorelint: right in 20% of 5 findings that persons judged, less than the floor of 80%"
        }
        assert session.notes.trail(f"rule:{RULE}")[0][2] == "muted"


def test_whoever_lets_it_speak_again_lets_it_begin_anew(listing):
    for number in range(ENOUGH):
        said(listing, "false-positive", number)
    watch(listing.store, POLICY, NOW)
    with listing.store.begin() as session:
        assert session.verdicts.unmute("ring", RULE)
    assert watch(listing.store, POLICY, NOW) == ()
    for number in range(ENOUGH):
        said(listing, "false-positive", 50 + number, at="2026-03-01T00:00:00Z")
    assert len(watch(listing.store, POLICY, "2026-03-02T00:00:00Z")) == 1


def test_the_floor_is_the_lists_own(listing):
    for number in range(ENOUGH):
        said(listing, "false-positive" if number else "wontfix", number)
    low = Policy(lists=(ListPolicy("ring", "ring@lists.example", 1, floor=0.1),))
    assert watch(listing.store, low, NOW) == ()
    assert watch(listing.store, Policy(), NOW) == ()


def test_what_persons_decided_is_what_measure_reads(listing):
    listing.series("p1")
    rows = listing.found("p1", *RULES)
    with listing.store.begin() as session:
        session.findings.change(rows[0].id, State.FALSE, who="ann@author.example", at=AT, reason="it sleeps")
        session.findings.change(rows[1].id, State.WONTFIX, who="maria@rings.example", at=AT)
        session.findings.change(rows[2].id, State.FIXED, who="lorelint", at=AT)  # never mailed: says nothing
    with listing.store.look() as session:
        lines = list(judgements(session))
    found = read_judgements("\n".join(lines))
    assert [(each.rule, each.verdict, each.reason) for each in found] == [
        (RULES[0], "false", "it sleeps"),
        (RULES[1], "true", "wontfix by maria@rings.example"),
    ]
    assert json.loads(lines[0])["tree"] == "linux-6.12" and fingerprint(RULES[0])
