"""Answers: who may what, what is meant, what changes with it, once."""

from __future__ import annotations

import pytest
from tests.edge.signing import dns_server
from tests.jobs.listing import NOW, RULES, ZONE, Listing, fingerprint, help_of

from lorelint.edge.dns import TextRecords
from lorelint.edge.proof import MailProver
from lorelint.jobs.answers import Obeyed, obey
from lorelint.model.store import Letter, Life

ANN, MARIA, STRANGER = "ann@author.example", "maria@rings.example", "sven@stranger.example"


@pytest.fixture
def listing(tmp_path):
    made = Listing(tmp_path)
    made.series()
    made.found("p1", *RULES[:2])
    return made


@pytest.fixture(scope="module")
def zone():
    with dns_server(ZONE) as found:
        yield found


@pytest.fixture
def help(zone):
    """With keys of all writers in a DNS of our own; `zone[1]` are the names that were asked for."""
    zone[1].clear()
    return help_of(MailProver(TextRecords(zone[0], lifetime=2.0)))


@pytest.fixture
def ask(listing, help):
    def ask(body, *, who=ANN, parent="letter-p1@lorelint.example", now=NOW, **more) -> Obeyed:
        """An answer, signed by its writer's domain unless it is not to be."""
        listing.answer(body, parent=parent, writer=f"Somebody <{who}>", **more)
        (done,) = obey(listing.store, help, now)
        return done

    return ask


def test_an_author_dismisses_a_finding_of_his_series(listing, ask):
    listing.letter("p1")
    done = ask("lorelint: false-positive retry-no-resched it sleeps\n")
    (row,) = done.verdicts
    assert (row.obeyed, row.why, row.who, row.weight, row.proof) == (True, "", ANN, "author", "dkim")
    assert (row.rule, row.fingerprint, row.reason) == (RULES[0], fingerprint(RULES[0]), "it sleeps")
    assert (row.series_key, row.inbox, row.at) == ("key", "ring", NOW)
    assert listing.states("p1") == {RULES[0]: "false-positive", RULES[1]: "new"}
    with listing.store.look() as session:
        assert session.mails.get("answer@author.example").why == "false-positive: obeyed"
        assert session.notes.trail("answer@author.example")[0][1:3] == (ANN, "answer")
        (number,) = (each.id for each in session.findings.of_series(listing.numbers["p1"]) if each.rule == RULES[0])
        (line,) = session.notes.trail(f"finding:{number}")
        assert line[1:3] == (ANN, "finding false-positive") and line[4] == "it sleeps"


@pytest.mark.parametrize(
    ("word", "state"), [("wontfix", "wontfix"), ("later", "snoozed"), ("FALSE-POSITIVE", "false-positive")]
)
def test_each_word_has_its_state(listing, ask, word, state):
    listing.letter("p1")
    assert ask(f"lorelint: {word} retry-no-resched\n").verdicts[0].obeyed
    assert listing.states("p1")[RULES[0]] == state
    with listing.store.look() as session:
        until = session.findings.of_series(listing.numbers["p1"])[0].snoozed_until
    assert until == ("2026-02-16T12:00:00Z" if word == "later" else "")


def test_an_answer_is_obeyed_once_however_often_it_is_met(listing, ask, help):
    listing.letter("p1")
    first = ask("lorelint: wontfix retry-no-resched\n")
    assert obey(listing.store, help, NOW) == ()
    with listing.store.begin() as session:
        session.mails.renature("answer@author.example", session.mails.get("answer@author.example").nature, "again")
    (again,) = obey(listing.store, help, NOW)
    assert again.verdicts == first.verdicts


REFUSED = {
    "a stranger": ({"who": STRANGER}, "only the author of the series"),
    "a reviewer of MAINTAINERS": ({"who": "rex@rings.example"}, "only the author"),
    "the author, not signed": ({"who": ANN, "sign": False}, "it is not proven who wrote it: not signed"),
    "a maintainer, not signed": ({"who": MARIA, "sign": False}, "it is not proven who wrote it"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_whoever_has_no_say_makes_a_claim(listing, ask, name):
    more, said = REFUSED[name]
    listing.letter("p1")
    done = ask("lorelint: false-positive retry-no-resched\n", **more)
    (row,) = done.verdicts
    assert (row.obeyed, row.weight) == (False, "claim")
    assert said in row.why
    assert set(listing.states("p1").values()) == {"new"}


@pytest.mark.parametrize(("who", "weight"), [("ann@new.example", "author"), ("maria@home.example", "maintainer")])
def test_who_has_several_addresses_speaks_from_each(listing, ask, who, weight):
    """As .mailmap of the tree has them: a new one of the author, the one by which a maintainer goes today."""
    listing.letter("p1")
    (row,) = ask("lorelint: false-positive retry-no-resched\n", who=who).verdicts
    assert (row.obeyed, row.who, row.weight) == (True, who, weight), row.why
    # What he said from one address he may change from another.
    (row,) = ask(
        "lorelint: wontfix retry-no-resched\n", who=ANN if weight == "author" else MARIA, msgid="a2@x"
    ).verdicts
    assert row.obeyed and listing.states("p1")[RULES[0]] == "wontfix"


def test_an_address_that_a_maintainer_has_left_mutes_nothing(listing, ask):
    """Its domain may be another's by now, who signs for it."""
    listing.letter("p1")
    (row,) = ask("lorelint: mute retry-no-resched noisy\n", who="maria@gone.example").verdicts
    assert (row.obeyed, row.weight) == (False, "claim")


def test_an_address_of_several_persons_is_none_of_them(listing, ask):
    listing.letter("p1")
    (row,) = ask("lorelint: false-positive retry-no-resched\n", who="shared@new.example").verdicts
    assert not row.obeyed and "only the author" in row.why


def test_nobody_is_asked_about_a_stranger(listing, ask, zone):
    listing.letter("p1")
    ask("lorelint: false-positive retry-no-resched\n", who=STRANGER)
    assert zone[1] == []


def test_an_author_mutes_nothing_and_a_maintainer_does(listing, ask):
    listing.letter("p1")
    done = ask("lorelint: mute retry-no-resched noisy\n")
    assert "only a maintainer of the files" in done.verdicts[0].why
    done = ask("lorelint: mute retry-no-resched noisy\n", who=MARIA, msgid="a2@x.example")
    assert (done.verdicts[0].obeyed, done.verdicts[0].weight) == (True, "maintainer")
    with listing.store.look() as session:
        assert session.verdicts.muted("ring") == {"retry-no-resched": f"{MARIA}: noisy"}
        assert session.verdicts.muted("other") == {}
    done = ask("lorelint: mute no-such-rule\n", who=MARIA, msgid="a3@x.example")
    assert done.verdicts[0].why == "no rule is called no-such-rule"


def test_a_maintainer_outweighs_an_author_and_not_the_other_way_round(listing, ask):
    listing.letter("p1")
    ask("lorelint: wontfix retry-no-resched\n", who=MARIA)
    done = ask("lorelint: later retry-no-resched\n", msgid="a2@x.example")
    assert done.verdicts[0].why == f"it is wontfix already, by {MARIA}"
    assert listing.states("p1")[RULES[0]] == "wontfix"
    ask("lorelint: false-positive retry-no-resched\n", who=MARIA, msgid="a3@x.example")
    assert listing.states("p1")[RULES[0]] == "false-positive"


def test_without_a_name_it_must_be_clear_which_is_meant(listing, ask):
    listing.letter("p1")
    done = ask("lorelint: false-positive because\n")
    assert done.verdicts[0].why == "several findings may be meant; name one of retry-no-resched, unbounded-retry"
    quoted = f"> unbounded-retry, confidence 0.90, {fingerprint(RULES[1])}\n\nlorelint: false-positive because\n"
    done = ask(quoted, msgid="a2@x.example")
    assert [(row.rule, row.obeyed, row.reason) for row in done.verdicts] == [(RULES[1], True, "because")]
    done = ask(f"lorelint: wontfix {fingerprint(RULES[0])}\n", msgid="a3@x.example")
    assert [(row.rule, row.obeyed) for row in done.verdicts] == [(RULES[0], True)]


def test_the_only_finding_of_a_letter_needs_no_name(listing, ask):
    listing.letter("p1", Letter.SENT, RULES[1])
    assert ask("lorelint: wontfix\n").verdicts[0].rule == RULES[1]
    done = ask("lorelint: wontfix no-such-rule\n", msgid="a2@x.example")
    assert done.verdicts[0].why == "no finding of no-such-rule is in what it answers"


def test_an_answer_to_the_patch_or_to_an_answer_is_about_the_series_too(listing, ask):
    listing.letter("p1")
    done = ask("lorelint: wontfix retry-no-resched\n", parent="p1@author.example")
    assert done.verdicts[0].obeyed
    done = ask("lorelint: wontfix unbounded-retry\n", parent="answer@author.example", msgid="a2@x.example")
    assert done.verdicts[0].obeyed


def test_what_answers_nothing_of_ours_is_not_obeyed(listing, ask):
    done = ask("lorelint: wontfix retry-no-resched\n", parent="unknown@elsewhere.example")
    assert done.verdicts[0].why == "it answers no mail of a series that is known here"


def test_letters_that_have_nothing_left_to_say_are_cancelled(listing, ask):
    listing.letter("p1", Letter.RELEASED)
    ask("lorelint: wontfix retry-no-resched\n", parent="p1@author.example")
    with listing.store.look() as session:
        (letter,) = session.outbox.of_series(listing.numbers["p1"])
        assert letter.state is Letter.HELD
        assert letter.why == (f"{ANN} has answered a finding that it names; edit or drop it",)
    ask("lorelint: false-positive unbounded-retry\n", parent="p1@author.example", msgid="a2@x.example")
    with listing.store.look() as session:
        (letter,) = session.outbox.of_series(listing.numbers["p1"])
        assert (letter.state, letter.why) == (Letter.CANCELLED, (f"answered by {ANN}: nothing is left to say",))


def test_later_versions_know_it_and_those_of_others_do_not(listing, ask):
    listing.letter("p1")
    for name, version, writer in (("p2", 2, ANN), ("p3", 3, STRANGER)):
        listing.series(name, version, writer=f"X <{writer}>")
        listing.found(name, RULES[0])
    ask("lorelint: false-positive retry-no-resched\n")
    assert listing.states("p2") == {RULES[0]: "false-positive"}
    assert listing.states("p3") == {RULES[0]: "new"}


def test_a_rerun_at_most_once_a_day(listing, ask):
    listing.letter("p1")
    assert ask("lorelint: rerun\n").verdicts[0].obeyed
    with listing.store.begin() as session:
        assert session.series.get(listing.numbers["p1"]).life is Life.READY
        session.series.move(listing.numbers["p1"], Life.REVIEWED)
    done = ask("lorelint: rerun\n", msgid="a2@x.example")
    assert "at most once a day" in done.verdicts[0].why
    done = ask("lorelint: rerun\n", msgid="a3@x.example", now="2026-02-03T12:00:01Z")
    assert done.verdicts[0].obeyed
    with listing.store.begin() as session:
        session.series.move(listing.numbers["p1"], Life.SUPERSEDED, "v2 came")
    done = ask("lorelint: rerun\n", msgid="a4@x.example", now="2026-02-09T12:00:00Z")
    assert done.verdicts[0].why == "the series is superseded: v2 came"


def test_whoever_wants_no_mail_says_so_for_himself(listing, ask):
    listing.letter("p1")
    done = ask("lorelint: stop\n", who=STRANGER, sign=False)
    assert not done.verdicts[0].obeyed
    done = ask("lorelint: stop\n", who=STRANGER, msgid="a2@x.example", parent="nothing@known.example")
    assert done.verdicts[0].obeyed
    with listing.store.look() as session:
        assert session.verdicts.opted_out() == {STRANGER}


@pytest.mark.parametrize(
    ("extra", "who", "msgid"),
    [
        ("Auto-Submitted: auto-replied\n", ANN, "a@x.example"),
        ("", "kernel-bot@author.example", "a@x.example"),
        ("", ANN, "a@LORELINT.example"),
    ],
)
def test_programs_are_not_obeyed_and_we_ourselves_least_of_all(listing, ask, help, zone, extra, who, msgid):
    listing.letter("p1")
    done = ask("lorelint: wontfix retry-no-resched\n", who=who, extra=extra, msgid=msgid)
    assert done.verdicts == () and done.why.endswith((" is not obeyed", "and none is obeyed"))
    assert zone[1] == [] and obey(listing.store, help, NOW) == ()


def test_a_dns_that_does_not_answer_is_asked_again_for_two_days(listing, ask, help):
    listing.letter("p1")
    with dns_server({}) as (address, _):
        pass
    nobody = help_of(MailProver(TextRecords(address, lifetime=0.2)))
    listing.answer("lorelint: wontfix retry-no-resched\n", parent="letter-p1@lorelint.example")
    (done,) = obey(listing.store, nobody, NOW)
    assert done.waits and done.verdicts == ()
    (later,) = obey(listing.store, help, NOW)
    assert later.verdicts[0].obeyed
    listing.answer("lorelint: wontfix unbounded-retry\n", parent="letter-p1@lorelint.example", msgid="a2@x.example")
    (done,) = obey(listing.store, nobody, "2026-02-05T12:00:00Z")
    assert not done.waits and "does not answer" in done.verdicts[0].why


def test_mistakes_are_told(listing, ask):
    listing.letter("p1")
    done = ask("lorelint: frobnicate\n")
    assert done.verdicts == () and done.why.startswith("line 1: no command; those there are")
