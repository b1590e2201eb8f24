"""What is released goes out once, through a real mail server; what is doubtful is held."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.jobs.outgoing import AUTOMATIC, LATER, MORE, NOW, POLICY, POSTED, Room, policy
from tests.mailserver import Handler, mailserver
from tests.report import samples

from lorelint.edge.b4.trailers import harvested
from lorelint.edge.smtp import Settings, Smtp
from lorelint.jobs import life
from lorelint.jobs.bounces import bounced
from lorelint.jobs.gate import gate
from lorelint.jobs.outbox import drop, edit, release, silenced
from lorelint.jobs.send import ATTEMPTS, LOST, Means, Step, recover, send
from lorelint.model.errors import LorelintError
from lorelint.model.feed import Arrival, Cursor, Nature
from lorelint.model.policy import Policy
from lorelint.model.store import Kept, Letter, LetterRow, Life, State, VerdictRow

EARLY = NOW  # within the embargo


class Desk:
    """A room, a mail server, and the sending of one process."""

    def __init__(self, room: Room, handler: Handler, port: int) -> None:
        self.room = room
        self.handler = handler
        self.port = port
        self.there: bool | None = False
        self.stopped = False

    def means(self, policy: Policy) -> Means:
        return Means(
            post=Smtp(Settings("127.0.0.1", self.port)),
            gate=gate(policy, harvested),
            archived=lambda msgid: self.there,
            stopped=lambda: self.stopped,
        )

    def send(self, made: Policy | None = None, now: str = LATER, dry_run: bool = False) -> list[Step]:
        made = made or policy(AUTOMATIC)
        return list(send(self.room.store, made, self.means(made), now, dry_run=dry_run))

    def recover(self, now: str = LATER) -> list[Step]:
        return list(recover(self.room.store, self.means(policy(AUTOMATIC)), now))

    def letter(self) -> LetterRow:
        (row,) = self.room.letters()
        return row

    @property
    def got(self) -> int:
        return len(self.handler.mails)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with mailserver() as (handler, port):
        room = Room(tmp_path)
        room.letter(policy(AUTOMATIC))
        yield Desk(room, handler, port)


def test_a_letter_goes_out_once(desk: Desk) -> None:
    (step,) = desk.send()
    assert step.what == "sent" and desk.letter().state is Letter.SENT and desk.letter().sent_at == LATER
    assert desk.send() == [] and desk.got == 1
    recipients, raw = desk.handler.mails[0]
    assert recipients == ["ida@example.org", "ringmap@lists.example.org", "max@example.org"]
    mail = message_from_bytes(raw)
    assert mail["Message-ID"] == f"<{desk.letter().msgid}>"
    assert raw.replace(b"\r\n", b"\n").decode().partition("\n\n")[2] == desk.letter().body
    with desk.room.store.look() as session:
        found = {
            each.state
            for each in session.findings.of_series(desk.letter().series)
            if each.fingerprint in desk.letter().fingerprints
        }
        assert found == {State.SENT}
        assert [what for _, _, what, _, _ in session.notes.trail(desk.letter().msgid)] == ["letter sent"]
        told = [(what, about) for _, _, what, about, _ in session.notes.trail() if what == "finding sent"]
        assert len(told) == len(desk.letter().fingerprints)


def test_lines_that_begin_with_a_dot(desk: Desk) -> None:
    body = desk.letter().body.replace("Only a missing", ".\n..two dots\nOnly a missing")
    with desk.room.store.begin() as session:
        session.outbox.edit(desk.letter().id, body)
    desk.send()
    assert desk.handler.mails[0][1].replace(b"\r\n", b"\n").decode().partition("\n\n")[2] == body


@pytest.mark.parametrize("where", ["asked", "policy"])
def test_dry_run_sends_nothing_and_changes_nothing(desk: Desk, where: str) -> None:
    before = desk.letter()
    quiet = replace(policy(AUTOMATIC), dry_run=where == "policy")
    (step,) = desk.send(quiet, dry_run=where == "asked")
    assert step.what == "would go" and desk.got == 0 and desk.letter() == before


def test_held_letters_stay(desk: Desk) -> None:
    with desk.room.store.begin() as session:
        session.outbox.change(desk.letter().id, Letter.HELD, was=Letter.RELEASED, at=NOW)
    assert desk.send() == [] and desk.got == 0


def test_the_embargo_is_asked_again(desk: Desk) -> None:
    (step,) = desk.send(now=EARLY)
    assert step.what == "waits" and step.text.startswith("embargo until 2026-11-03T09:16:00Z") and desk.got == 0
    (step,) = desk.send(policy(AUTOMATIC + "embargo_hours = 72\n"))  # the policy has become stricter
    assert step.what == "waits" and "2026-11-05" in step.text


@pytest.mark.parametrize(
    ("text", "says"), [("hourly_cap = 0\n" + AUTOMATIC, "hourly_cap"), (AUTOMATIC + "daily_cap = 0\n", "daily_cap")]
)
def test_caps(desk: Desk, text: str, says: str) -> None:
    (step,) = desk.send(policy(text))
    assert step.what == "waits" and says in step.text and desk.got == 0
    assert desk.letter().state is Letter.RELEASED


def test_a_cap_counts_what_goes_in_the_same_pass(tmp_path: Path) -> None:
    with mailserver() as (handler, port):
        room = Room(tmp_path)
        room.draft(room.take(samples.series_of_two()), policy(AUTOMATIC))
        desk = Desk(room, handler, port)
        one = policy(AUTOMATIC + "daily_cap = 1\n")
        assert sorted(step.what for step in desk.send(one, dry_run=True)) == ["waits", "would go"]
        assert sorted(step.what for step in desk.send(one)) == ["sent", "waits"] and desk.got == 1
        (step,) = desk.send(one, now="2026-11-04T09:59:59Z")
        assert step.what == "waits"
        (step,) = desk.send(one, now="2026-11-04T10:00:01Z")
        assert step.what == "sent" and desk.got == 2


def test_the_stop_file(desk: Desk) -> None:
    desk.stopped = True
    (step,) = desk.send()
    assert step.what == "waits" and "stop file" in step.text and desk.got == 0


def test_a_newer_version_cancels(desk: Desk) -> None:
    with desk.room.store.begin() as session:
        session.series.move(desk.letter().series, Life.SUPERSEDED)
    (step,) = desk.send()
    assert step.what == "cancelled" and desk.letter().state is Letter.CANCELLED and desk.got == 0


def test_a_series_that_was_muted_since_cancels(desk: Desk) -> None:
    """It was on its way when that came to be known, and no server took it."""
    with desk.room.store.begin() as session:
        session.series.move(desk.letter().series, Life.MUTED, "applied already: mainline holds it")
    (step,) = desk.send()
    assert step.what == "cancelled" and step.text == "applied already: mainline holds it" and desk.got == 0


def test_findings_that_were_dismissed_cancel(desk: Desk) -> None:
    desk.room.set(State.FALSE)
    (step,) = desk.send()
    assert step.what == "cancelled" and "false-positive" in step.text and desk.got == 0


def test_one_finding_that_was_dismissed_holds(desk: Desk) -> None:
    with desk.room.store.begin() as session:
        first = next(
            each for each in session.findings.of_series(desk.letter().series) if each.rule == desk.letter().rules[0]
        )
        session.findings.change(first.id, State.FALSE, who="max", at=NOW)
    (step,) = desk.send()
    assert step.what == "held" and desk.letter().state is Letter.HELD and desk.got == 0


def test_what_was_dismissed_is_edited_out_and_the_rest_goes(desk: Desk) -> None:
    with desk.room.store.begin() as session:
        first = next(
            each for each in session.findings.of_series(desk.letter().series) if each.rule == desk.letter().rules[0]
        )
        session.findings.change(first.id, State.FALSE, who="max", at=NOW)
        done = edit(session, desk.letter().id, desk.letter().body + "\n", "ida@example.org", NOW, lambda letter: ())
        assert not done.refused and done.letter is not None
        assert first.fingerprint not in done.letter.fingerprints and done.letter.fingerprints
        release(session, [desk.letter().id], "ida@example.org", NOW, lambda letter: ())
    (step,) = desk.send()
    assert step.what == "sent" and desk.got == 1


@pytest.mark.parametrize(
    ("who", "when", "what"),
    [
        ("rhea@example.org", LATER, "held"),
        ("rhea@example.org", POSTED, "sent"),
        ("ida@example.org", LATER, "sent"),  # the author
    ],
)
def test_a_person_who_answers_in_between_holds(desk: Desk, who: str, when: str, what: str) -> None:
    with desk.room.store.begin() as session:
        patch = session.mails.get(desk.letter().patch)
        assert patch is not None
        reply = Kept(
            "answer@example.org", patch.root, when, when, ("Somebody", who), "Re:", Nature.REPLY, "", patch.msgid
        )
        session.mails.add(reply, Arrival(b"", Cursor("ring", 0, "1"), when))
    (step,) = desk.send()
    assert step.what == what, step


def test_a_rule_that_was_muted_holds(desk: Desk) -> None:
    with desk.room.store.begin() as session:
        session.verdicts.add(
            VerdictRow(0, "mute", "unbounded-retry", "", "", "ring", "max", "maintainer", "dkim", "", "", NOW)
        )
    (step,) = desk.send()
    assert step.what == "held" and "mute on ring" in step.text and desk.got == 0


def test_somebody_opted_out(desk: Desk) -> None:
    with desk.room.store.begin() as session:
        session.verdicts.opt_out("max@example.org", NOW)
    (step,) = desk.send()
    assert step.what == "sent"
    assert desk.handler.mails[0][0] == ["ida@example.org", "ringmap@lists.example.org"]
    assert b"max@example.org" not in desk.handler.mails[0][1]


def test_the_author_opted_out(desk: Desk) -> None:
    with desk.room.store.begin() as session:
        session.verdicts.opt_out("ida@example.org", NOW)
    (step,) = desk.send()
    assert step.what == "cancelled" and desk.got == 0


@pytest.mark.parametrize(
    "text",
    [
        AUTOMATIC.replace('"list"', '"author"'),
        AUTOMATIC.replace('"list"', '"maintainers"'),
        AUTOMATIC.replace('"list"', '"dashboard"'),
        POLICY[: POLICY.index("[list")] + MORE,
    ],
)
def test_a_policy_that_became_narrower_holds(desk: Desk, text: str) -> None:
    (step,) = desk.send(policy(text))
    assert step.what == "held" and desk.got == 0


def test_a_patch_that_became_too_old_holds_until_a_person_wants_it(desk: Desk) -> None:
    weeks = "2026-11-20T10:00:00Z"
    (step,) = desk.send(now=weeks)
    assert step.what == "held" and "max_age_days" in step.text
    made = policy(AUTOMATIC)
    with desk.room.store.begin() as session:
        release(session, [desk.letter().id], "me", weeks, gate(made, harvested))
    (step,) = desk.send(now=weeks)
    assert step.what == "sent"


# -- what a mail server may do


def test_4xx_is_tried_again_later_and_not_for_ever(desk: Desk) -> None:
    desk.handler.data = lambda text: "451 greylisted"
    (step,) = desk.send(now="2026-11-03T10:00:00Z")
    assert step.what == "later" and desk.letter().state is Letter.RELEASED and "greylisted" in desk.letter().error
    (step,) = desk.send(now="2026-11-03T10:04:59Z")
    assert step.what == "waits" and "attempt 2 of 8" in step.text
    (step,) = desk.send(now="2026-11-03T10:05:00Z")
    assert step.what == "later"
    for hour in range(12, 12 + ATTEMPTS - 3):
        (step,) = desk.send(now=f"2026-11-{hour - 8:02}T{hour}:00:00Z")
        assert step.what == "later"
    (step,) = desk.send(now="2026-11-09T09:00:00Z")
    assert step.what == "held" and desk.letter().state is Letter.HELD and desk.letter().attempts == ATTEMPTS


def test_what_had_arrived_is_not_sent_again_by_a_person_either(desk: Desk) -> None:
    with desk.room.store.begin() as session:
        session.outbox.change(desk.letter().id, Letter.SENDING, was=Letter.RELEASED, at=NOW)
    desk.recover()
    with desk.room.store.begin() as session:
        assert not release(session, [desk.letter().id], "ida", LATER, lambda row: ())[0].refused
    desk.there = True
    assert [step.what for step in desk.send()] == ["found"]
    assert desk.got == 0 and desk.letter().state is Letter.SENT


@pytest.mark.parametrize("what", ["a newer version", "dismissed"])
def test_what_may_have_arrived_is_not_called_off(desk: Desk, what: str) -> None:
    """Whatever comes while nobody knows whether it went out: it stays named until that is known."""
    with desk.room.store.begin() as session:
        row = desk.letter()
        assert session.outbox.change(row.id, Letter.SENDING, was=Letter.RELEASED, at=NOW)
    desk.recover()
    with desk.room.store.begin() as session:
        series = session.series.get(row.series)
        assert series is not None
        if what == "dismissed":
            for each in session.findings.of_series(series.id):
                session.findings.change(each.id, State.FALSE, who="ida@example.org", at=LATER)
            silenced(session, series, "ida@example.org", LATER)
        else:
            life.supersede(session, series, replace(series, id=series.id + 1, version=9), frozenset(), LATER)
    assert desk.letter().state is Letter.HELD and LOST in desk.letter().why
    desk.there = True
    assert [step.what for step in desk.recover()] == ["found"] and desk.letter().state is Letter.SENT


def test_4xx_then_taken(desk: Desk) -> None:
    desk.handler.mail = lambda address: "421 busy"
    assert desk.send()[0].what == "later"
    desk.handler.mail = lambda address: None
    assert desk.send(now="2026-11-03T11:00:00Z")[0].what == "sent" and desk.got == 1
    assert desk.letter().error == ""


def test_5xx_is_refused_for_good(desk: Desk) -> None:
    desk.handler.data = lambda text: "554 we want none of it"
    (step,) = desk.send()
    assert step.what == "refused" and desk.letter().why == ("554 we want none of it",)
    assert desk.send() == []


def test_some_recipients_are_refused(desk: Desk) -> None:
    desk.handler.rcpt = lambda address: "550 no such user" if address.startswith("max") else None
    (step,) = desk.send()
    assert step.what == "sent" and desk.letter().why == ("max@example.org was refused: 550 no such user",)
    assert desk.handler.mails[0][0] == ["ida@example.org", "ringmap@lists.example.org"]


@pytest.mark.parametrize(("said", "what"), [("550 no such user", "refused"), ("450 later", "later")])
def test_all_recipients_are_refused(desk: Desk, said: str, what: str) -> None:
    desk.handler.rcpt = lambda address: said
    (step,) = desk.send()
    assert step.what == what and desk.got == 0


def test_a_server_that_is_not_there(desk: Desk) -> None:
    desk.port = 1
    with pytest.raises(LorelintError, match="takes nothing"):
        desk.send()
    assert desk.letter().state is Letter.RELEASED


def test_a_line_that_breaks_at_the_end_of_the_mail(desk: Desk) -> None:
    """The server had the mail and said nothing: it is not sent again, but looked up."""

    async def dies(server: object, session: object, envelope: object) -> str:
        desk.handler.mails.append(([], b""))
        server.transport.abort()  # type: ignore[attr-defined]
        return "250 nobody hears it"

    desk.handler.handle_DATA = dies  # type: ignore[method-assign]
    (step,) = desk.send()
    assert step.what == "unknown" and desk.letter().state is Letter.SENDING and desk.got == 1
    assert desk.send() == []
    (step,) = desk.recover()
    assert step.what == "held" and desk.letter().why == (LOST,)
    assert desk.send() == [] and desk.got == 1
    desk.there = True
    (step,) = desk.recover()
    assert step.what == "found" and desk.letter().state is Letter.SENT


# -- what an earlier process left


@pytest.mark.parametrize(("there", "state"), [(True, Letter.SENT), (False, Letter.HELD), (None, Letter.HELD)])
def test_a_letter_found_half_way(desk: Desk, there: bool | None, state: Letter) -> None:
    with desk.room.store.begin() as session:
        session.outbox.change(desk.letter().id, Letter.SENDING, was=Letter.RELEASED, at=NOW)
    desk.there = there
    desk.recover()
    assert desk.letter().state is state and desk.got == 0
    if there is None:
        assert desk.letter().why == (LOST, "the archive could not be asked")


def test_held_by_another_machine_while_it_went(desk: Desk) -> None:
    def meddle(text: str) -> None:
        desk.recover()  # there is no lock over two machines

    desk.handler.data = meddle
    (step,) = desk.send()
    assert step.what == "sent" and desk.letter().state is Letter.SENT and desk.got == 1


# -- what a person does


def test_a_person_releases_drops_and_edits(tmp_path: Path) -> None:
    room = Room(tmp_path)
    row = room.letter(policy())
    ask = gate(policy(), harvested)
    with room.store.begin() as session:
        bad = edit(session, row.id, row.body.replace("\nShould", "\nCc: Me <me@x.example>\nShould"), "me", NOW, ask)
        assert "like a trailer" in bad.refused and session.outbox.get(row.id).body == row.body  # type: ignore[union-attr]
        assert edit(session, row.id, row.body, "me", NOW, ask).refused == "nothing was changed"
        good = edit(session, row.id, row.body.replace("Should every", "Shall every"), "me", NOW, ask)
        assert not good.refused and good.letter is not None and "Shall every" in good.letter.body
        (done,) = release(session, [row.id, row.id], "me", NOW, ask)
        assert done.letter is not None and done.letter.state is Letter.RELEASED and done.letter.released_by == "me"
        assert release(session, [row.id], "me", NOW, ask)[0].refused == "it is released, not held"
        assert release(session, [99], "me", NOW, ask)[0].refused == "there is no such letter"
        once_more = edit(session, row.id, row.body, "you", NOW, ask)
        assert once_more.letter is not None and once_more.letter.state is Letter.HELD  # released is not changed unseen
        with pytest.raises(LorelintError, match="no reason"):
            drop(session, [row.id], "me", NOW, " ")
        (gone,) = drop(session, [row.id], "me", NOW, "not worth it")
        assert gone.letter is not None and gone.letter.state is Letter.DROPPED and gone.letter.why == ("not worth it",)
        assert drop(session, [row.id], "me", NOW, "x")[0].refused == "it is dropped"
        trail = [(who, what) for _, who, what, _, _ in session.notes.trail(row.msgid)]
    assert sorted(trail) == sorted(
        [("me", "letter edited"), ("me", "letter released"), ("you", "letter edited"), ("me", "letter dropped")]
    )


def test_a_letter_that_became_no_good_is_not_released(tmp_path: Path) -> None:
    room = Room(tmp_path)
    row = room.letter(policy())
    with room.store.begin() as session:
        session.outbox.edit(row.id, "Link: https://x.example/\n")
        (done,) = release(session, [row.id], "me", NOW, gate(policy(), harvested))
    assert "signature" in done.refused and "b4 would take" in done.refused
    assert room.letters(Letter.HELD)


def test_a_bounce_is_put_to_its_letter(desk: Desk) -> None:
    from tests.mail.test_bounce import REPORT

    desk.send()
    raw = REPORT.replace(b"lorelint-1234@bot.example.org", desk.letter().msgid.encode())
    with desk.room.store.begin() as session:
        assert bounced(session, REPORT, LATER) is None
        assert bounced(session, raw, LATER) is not None
        assert bounced(session, raw, LATER) is None
    assert desk.letter().state is Letter.BOUNCED and "ida@example.org did not get it: 5.1.1" in desk.letter().why[0]
    assert desk.send() == []


def test_every_step_is_taken_by_one_alone(tmp_path: Path) -> None:
    room = Room(tmp_path)
    row = room.letter(policy(AUTOMATIC))
    with room.store.begin() as session:
        assert session.outbox.change(row.id, Letter.SENDING, was=Letter.RELEASED, at=NOW)
        assert not session.outbox.change(row.id, Letter.SENDING, was=Letter.RELEASED, at=NOW)
        assert not session.outbox.change(row.id, Letter.DROPPED, was=Letter.HELD, at=NOW)
        assert not session.outbox.edit(row.id, "x")
        assert session.outbox.sent_since(POSTED) == 1  # it may have gone
        assert session.outbox.sent_since(LATER) == 0 and session.outbox.sent_since(POSTED, "other") == 0
        session.outbox.failed(row.id, "451")
        assert session.outbox.get(row.id).state is Letter.RELEASED  # type: ignore[union-attr]
        assert not session.outbox.add(replace(row, msgid="another@bot.example.org"))
        assert session.outbox.counts() == [("released", 1)]
