"""A review becomes letters: once, and only of what may be said."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.jobs.outgoing import AUTOMATIC, LATER, MORE, NOW, POLICY, Room, again, policy
from tests.report import samples

from lorelint.edge.b4.trailers import harvested
from lorelint.mail.compose import compose
from lorelint.mail.gate import faults
from lorelint.model.policy import Policy
from lorelint.model.store import Letter, State

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_one_letter_a_patch(room: Room) -> None:
    row = room.take(samples.series_of_two())
    done = room.draft(row, policy())
    assert [each.letter is not None for each in done] == [True, True]
    first, second = room.letters()
    assert first.state is Letter.HELD and not first.why  # a person releases it, and there is nothing else to say
    assert first.not_before == "2026-11-03T09:16:00Z" and first.inboxes == ("ring",)
    assert [address for _, address in (*first.to, *first.cc)] == [
        "ida@example.org", "ringmap@lists.example.org", "max@example.org",
    ]  # fmt: skip
    assert second.rules == ("revoke-without-unmap",)


def test_never_twice(room: Room) -> None:
    row = room.take(samples.retry())
    assert room.draft(row, policy())[0].letter
    (done,) = room.draft(row, policy())
    assert done.letter is None and done.why == "the patch has a letter"
    assert len(room.letters()) == 1


def test_nothing_without_a_policy(room: Room) -> None:
    (done,) = room.draft(room.take(samples.retry()), Policy())
    assert not done.decision.allowed and room.letters() == ()


def test_clean_patches_get_nothing(room: Room) -> None:
    (done,) = room.draft(room.take(samples.clean_run()), policy())
    assert done.letter is None and "nothing to say" in done.decision.rulings[-1].text


def test_automatic(room: Room) -> None:
    letter = room.letter(policy(AUTOMATIC))
    assert letter.state is Letter.RELEASED and letter.released_by == "policy" and letter.automatic


def test_what_a_person_perhaps_said_is_held(room: Room) -> None:
    """The loop was perhaps raised, so a person looks; the cause was raised for sure and is no finding of the letter."""
    (done,) = room.draft(room.take(samples.answered()), policy(AUTOMATIC))
    assert done.letter is not None and done.letter.state is Letter.HELD
    assert any("perhaps raised by Kit Example" in each for each in done.letter.why)
    assert "errno-collapsed-to-retry" not in done.letter.rules


@pytest.mark.parametrize("state", [State.FALSE, State.WONTFIX, State.NOT_OURS, State.RAISED, State.SENT, State.FIXED])
def test_what_is_settled_is_not_said(room: Room, state: State) -> None:
    row = room.take(samples.retry())
    room.set(state)
    assert room.draft(row, policy())[0].letter is None


def test_one_finding_is_settled_and_the_other_said(room: Room) -> None:
    row = room.take(samples.retry())
    with room.store.begin() as session:
        for each in session.findings.of_series(row.id):
            if each.rule == "errno-collapsed-to-retry":
                session.findings.change(each.id, State.FALSE, who="max", at=NOW)
    (done,) = room.draft(row, policy())
    assert done.letter is not None
    assert "errno-collapsed-to-retry" not in done.letter.rules and "unbounded-retry" in done.letter.rules
    assert "errno-collapsed-to-retry" not in done.letter.body


def test_what_is_put_off_waits(room: Room) -> None:
    row = room.take(samples.retry())
    room.set(State.SNOOZED, until="2026-11-02T18:00:00Z")
    assert room.draft(row, policy(), NOW)[0].letter is None
    assert room.draft(row, policy(), LATER)[0].letter is not None


def test_what_a_letter_said_of_an_earlier_version_is_not_said_again(room: Room) -> None:
    letter = room.letter(policy(AUTOMATIC))
    _sent(room, letter.id)
    later = room.take(again(samples.retry(), 3), version=3)
    assert room.draft(later, policy())[0].letter is None


def test_a_cancelled_letter_said_nothing(room: Room) -> None:
    letter = room.letter(policy(AUTOMATIC))
    with room.store.begin() as session:
        session.outbox.change(letter.id, Letter.CANCELLED, was=Letter.RELEASED, at=NOW)
    later = room.take(again(samples.retry(), 3), version=3)
    assert room.draft(later, policy())[0].letter is not None


def test_an_unchanged_patch_that_was_answered(room: Room) -> None:
    """Even where the series goes by another name now, and so its findings are not known as those of before."""
    letter = room.letter(policy(AUTOMATIC))
    _sent(room, letter.id)
    later = room.take(again(samples.retry(), 3), key="other", version=3, same_as=letter.patch)
    (done,) = room.draft(later, policy())
    assert done.letter is None and done.why == f"the same patch was answered as <{letter.patch}>"


def _sent(room: Room, id: int) -> None:
    with room.store.begin() as session:
        session.outbox.change(id, Letter.SENDING, was=Letter.RELEASED, at=NOW)
        session.outbox.change(id, Letter.SENT, was=Letter.SENDING, at=NOW)


def test_a_muted_rule_is_left_out(room: Room) -> None:
    row = room.take(samples.retry())
    from lorelint.model.store import VerdictRow

    with room.store.begin() as session:
        session.verdicts.add(
            VerdictRow(0, "mute", "errno-collapsed-to-retry", "", "", "ring", "max", "maintainer", "dkim", "x", "", NOW)
        )
    (done,) = room.draft(row, policy())
    assert done.letter is not None and done.letter.rules == ("unbounded-retry",)


def test_a_letter_that_fails_the_gate_is_held(room: Room) -> None:
    room.gate = lambda row: ("it smells",)
    letter = room.letter(policy(AUTOMATIC))
    assert letter.state is Letter.HELD and letter.why == ("it smells",)


def test_a_series_that_is_settled(room: Room) -> None:
    (done,) = room.draft(room.take(samples.retry()), policy(), moot="applied as 1234")
    assert done.letter is None and done.decision.rulings[0].text == "applied as 1234"


def test_a_cross_post_is_decided_per_recipient(tmp_path: Path) -> None:
    room = Room(tmp_path, inboxes=("ring", "kernel"))
    letter = room.letter(policy(POLICY + MORE))
    assert set(letter.inboxes) == {"ring", "kernel"}
    assert "linux-kernel@vger.example.org" not in [address for _, address in letter.cc]


CHECKS = AUTOMATIC + 'patchwork = "https://p.example"\n'


def test_checks_instead_of_mail(room: Room) -> None:
    (done,) = room.draft(room.take(samples.retry()), policy(CHECKS))
    assert room.letters() == () and done.check is not None
    with room.store.look() as session:
        (check,) = session.checks.to_post()
    assert check.state in ("warning", "fail") and check.description.startswith("errno-collapsed-to-retry: ")
    assert check.at == "2026-11-03T09:16:00Z"  # when the embargo ends


def test_a_clean_patch_has_a_check_too(room: Room) -> None:
    (done,) = room.draft(room.take(samples.clean_run()), policy(CHECKS))
    assert done.check is not None and done.check.state == "success"


def test_a_check_that_a_person_would_have_to_look_at_is_pending(room: Room) -> None:
    (done,) = room.draft(room.take(samples.answered()), policy(CHECKS))
    assert done.check is not None and (done.check.state, done.check.held) == ("pending", True)
    assert done.check.description == "the review goes on"  # nothing of what was found


@pytest.mark.parametrize("name", ["retry", "approximate", "series_of_two", "untouched_cause", "answered"])
def test_letters_of_all_samples_pass_the_gate(room: Room, name: str) -> None:
    made = policy(POLICY + 'base = "fragments"\n')
    for done in room.draft(room.take(getattr(samples, name)()), made):
        assert done.letter is not None
        raw = compose(done.letter, made, LATER)
        assert faults(raw, done.letter, made) == () and harvested(raw) == ()
        assert message_from_bytes(raw, policy=default).defects == []


def test_a_whole_letter(room: Room, blessing: bool) -> None:
    """To the byte. `make bless` writes it anew: read it in the diff, aloud."""
    raw = compose(room.letter(policy()), policy(), LATER)
    path = GOLDEN / "letter" / "retry.eml"
    if blessing:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(raw)
    assert raw == path.read_bytes()


def test_drafting_is_the_same_each_time(tmp_path: Path) -> None:
    letters = [replace(Room(tmp_path / name).letter(policy())) for name in ("a", "b")]
    assert letters[0] == letters[1]
