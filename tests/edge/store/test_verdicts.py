"""What people said: kept in order, mutes that stand until they are lifted, and what is told of findings."""

from __future__ import annotations

from msgspec.structs import replace
from tests.web.many import LISTS, fill

from lorelint.model.store import Letter, State, VerdictRow

ROW = VerdictRow(
    0, "false-positive", "a-rule", "0123456789abcdef", "key", "kvm", "ann@example.org", "author", "dkim", "why",
    "m@example.org", "2026-03-01T00:00:00Z",
)  # fmt: skip
MUTE = replace(ROW, verdict="mute", fingerprint="", series_key="", who="maria@example.org", weight="maintainer")


def test_what_was_said_is_had_back_in_the_order_it_was_said(store):
    with store.begin() as session:
        first = session.verdicts.add(ROW)
        second = session.verdicts.add(replace(ROW, verdict="later", obeyed=False, why="no"))
        third = session.verdicts.add(replace(ROW, inbox="linux-mm", msgid="n@example.org"))
    with store.look() as session:
        assert session.verdicts.of_mail("m@example.org") == (
            replace(ROW, id=first),
            replace(ROW, id=second, verdict="later", obeyed=False, why="no"),
        )
        assert [row.id for row in session.verdicts.of_series("key")] == [first, second, third]
        assert [row.id for row in session.verdicts.of_rule("a-rule")] == [first, second, third]
        assert [row.id for row in session.verdicts.of_rule("a-rule", "linux-mm")] == [third]
        assert [row.id for row in session.verdicts.of_inbox("kvm")] == [first, second]
        assert session.verdicts.of_mail("") == session.verdicts.of_series("other") == ()


def test_a_rule_is_mute_where_it_was_muted_until_that_is_lifted(store):
    with store.begin() as session:
        session.verdicts.add(MUTE)
        session.verdicts.add(replace(MUTE, who="other@example.org", reason="", msgid="n@example.org"))
        session.verdicts.add(replace(MUTE, rule="b-rule", obeyed=False, why="no"))
    with store.begin() as session:
        assert session.verdicts.muted("kvm") == {"a-rule": "maria@example.org: why"}
        assert session.verdicts.muted("linux-mm") == {}
        assert session.verdicts.unmute("kvm", "a-rule")
        assert not session.verdicts.unmute("kvm", "a-rule")
        assert session.verdicts.muted("kvm") == {}


def test_who_wants_no_mail(store):
    with store.begin() as session:
        session.verdicts.opt_out(" Ann@Example.org ", "2026-03-01T00:00:00Z", "m@example.org")
        session.verdicts.opt_out("ann@example.org", "2026-03-02T00:00:00Z")
        session.verdicts.opt_out("  ", "2026-03-02T00:00:00Z")
        assert session.verdicts.opted_out() == {"ann@example.org"}


def test_what_is_told_of_findings(store, make):
    """Those that went out, and those that somebody decided about."""
    with store.begin() as session:
        series = session.series.put(make.series("p@x.example", key="k"), [make.patch("p@x.example")])
        review = session.series.reviewed(make.review(series, tree="linux"))
        session.findings.add(make.finding(review, series, each * 16, patch="p@x.example") for each in "fed")
        sent, decided, neither = session.findings.of_series(series)
        letter = replace(make.letter(series, "p@x.example", Letter.SENT), fingerprints=(sent.fingerprint,))
        session.outbox.add(letter)
        session.findings.change(decided.id, State.WONTFIX, who="ann", at="2026-03-01T00:00:00Z")
    with store.look() as session:
        told = session.verdicts.told()
        assert [(each.finding.id, each.sent, each.inboxes) for each in told] == [
            (sent.id, True, ("kvm",)),
            (decided.id, False, ()),
        ]
        assert {(each.series_key, each.tree) for each in told} == {("k", "linux")}
        assert told[1].finding.state is State.WONTFIX and neither.id not in {each.finding.id for each in told}


def test_what_was_mended_is_what_is_told_of_it(store):
    fill(store, 3_000)
    with store.look() as session:
        for inbox in LISTS:
            told = [
                (each.finding.rule, each.series_key, each.finding.fingerprint, each.finding.changed_at)
                for each in session.verdicts.told()
                if each.sent and inbox in each.inboxes and each.finding.state is State.FIXED
            ]
            assert told and list(session.verdicts.mended(inbox)) == told
        assert session.verdicts.mended("kv") == session.verdicts.mended("%") == ()
