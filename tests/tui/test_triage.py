"""The queue in a terminal: the real application under Textual's pilot, on a real store."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from msgspec.structs import replace
from tests.tui.seat import NOW, Seat, arrive
from textual.pilot import Pilot
from textual.widgets import Static

from lorelint.model.queue import Filter
from lorelint.model.store import CheckRow, Letter, State
from lorelint.report.text import width
from lorelint.tui.app import Triage
from lorelint.tui.face import Ask, Choose, Help
from lorelint.tui.queue import Queue

SIZES = ((80, 24), (160, 48))


class Hand:
    """Fingers on the keys, and eyes on the screen."""

    def __init__(self, app: Triage, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> str:
        """Keys, one after the other; the screen then."""
        for each in keys:
            await self.pilot.press(each)
        await self.pilot.pause()
        await self.pilot.pause()
        return self.screen

    async def type(self, text: str) -> str:
        assert isinstance(self.app.screen, Ask)
        for each in text:
            await self.pilot.press({" ": "space", ":": "colon", ".": "full_stop", "-": "minus"}.get(each, each))
        return await self.press("enter")

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, as text."""
        strips = self.app.screen._compositor.render_strips()
        return [strip.text.rstrip() for strip in strips]

    @property
    def screen(self) -> str:
        return "\n".join(self.lines)

    @property
    def said(self) -> str:
        return str(self.app.screen.query_one("#talk", Static).render())


@asynccontextmanager
async def sat(seat: Seat, size: tuple[int, int] = (80, 24), **more: Any) -> AsyncIterator[Hand]:
    app = seat.app(**more)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield Hand(app, pilot)


pytestmark = pytest.mark.asyncio


async def test_checks_of_a_patchwork_stand_at_their_series(seat: Seat) -> None:
    with seat.outpost.store.begin() as session:
        row = next(each for each in session.series.recent() if "aperture" in each.subject)
        patch = session.series.patches(row.id)[0].msgid
        session.checks.put(
            CheckRow(0, patch, "https://patchwork.example.org", "lorelint", "fail", "2 findings", at=NOW)
        )
    async with sat(seat) as hand:
        text = await hand.press("enter")
        assert "checks in Patchwork" in text and re.search(r"# fail +lorelint +2 findings ─ waits Apr 21", text)


async def test_to_confirm_many_takes_a_second_key(seat: Seat) -> None:
    async with sat(seat) as hand:
        await hand.press("t", "t", "c")
        assert isinstance(hand.app.screen, Choose) and "confirm 5 findings?" in hand.screen
        await hand.press("n")
        assert seat.states().get("confirmed", 0) == 0
        await hand.press("c", "y")
        assert seat.states()["confirmed"] == 5


@pytest.mark.parametrize("size", SIZES)
async def test_the_queue_tells_what_needs_eyes(seat: Seat, size: tuple[int, int]) -> None:
    async with sat(seat, size) as hand:
        text = hand.screen
        assert re.search(r"^ {2}E +2 +Apr 14 +dmamap +Renske Aalto +misc: aperture: map the BAR", text, re.MULTILINE)
        assert re.search(r"^ {2}W +3 +Apr 0[23] +dmamap +Tomas", text, re.MULTILINE)
        assert "1/2 series" in text and "q:Quit" in text and "?:Keys" in text
        assert "revoke-without-unmap x2" in text and "APERTURE DRIVER" in text
        assert "2/2 series" in await hand.press("j")
        assert "1/2 series" in await hand.press("k")


@pytest.mark.parametrize("size", [*SIZES, (60, 16), (41, 12)])
async def test_nothing_is_wider_than_the_screen(seat: Seat, size: tuple[int, int]) -> None:
    async with sat(seat, size) as hand:
        for key in ("j", "enter", "enter", "full_stop", "v", "question_mark"):
            await hand.press(key)
            assert max(map(width, hand.lines)) <= size[0] and len(hand.lines) == size[1]


async def test_the_whole_way(seat: Seat) -> None:
    """Opened, its path followed, confirmed, its letter changed and released: the audit tells it."""
    seat.edits.append(lambda text: text.replace("This is an automated review", "Here is an automated review"))
    async with sat(seat) as hand:
        assert "errno-collapsed-to-" in await hand.press("j", "enter")
        assert "48" in await hand.press("enter", "full_stop") and "step 1/8" in hand.screen
        assert re.search(r"1> +48 .*if \(err\)", hand.screen)
        assert re.search(r"2> +49 \+ .*return -EAGAIN;", await hand.press("full_stop")) and "step 2/8" in hand.screen
        assert "step 1/8" in await hand.press("comma")
        await hand.press("c")
        assert hand.said == "1 finding confirmed; u takes it back" and "confirmed by ida" in await hand.press("g")
        assert "In-Reply-To: <20260402-dmamap-zap-race" in await hand.press("v")
        assert "Here is an automated review" in await hand.press("e") and hand.said == "1 letter changed, and held"
        await hand.press("r")
        assert isinstance(hand.app.screen, Choose)
        await hand.press("y")
        assert hand.said == "1 letter released"
    with seat.outpost.store.look() as session:
        (letter,) = session.outbox.waiting(Letter.RELEASED)
        assert letter.released_by == "ida" and letter.body.startswith("Here is")
        told = {(who, what) for _, who, what, _, _ in session.notes.trail()}
    assert {("ida", "finding confirm"), ("ida", "letter released")} <= told


async def test_a_dismissal_needs_a_reason_and_is_taken_back(seat: Seat) -> None:
    async with sat(seat) as hand:
        await hand.press("j", "enter", "d")
        assert isinstance(hand.app.screen, Choose)
        await hand.press("escape")
        assert seat.states() == {"new": 5}
        await hand.press("d", "f")
        await hand.type("")
        assert "no reason is given" in hand.said and seat.states() == {"new": 5}
        await hand.press("d", "f")
        await hand.type("bounded by the caller")
        assert hand.said == "1 finding dismissed as false; u takes it back"
        assert seat.states() == {"new": 4, "false-positive": 1}
        await hand.press("u")
        assert hand.said == "1 finding as before" and seat.states() == {"new": 5}
        await hand.press("u")
        assert "nothing to take back" in hand.said


@pytest.mark.parametrize(("key", "state"), [("f", "false-positive"), ("w", "wontfix"), ("n", "not-ours")])
async def test_kinds_of_dismissal(seat: Seat, key: str, state: str) -> None:
    async with sat(seat) as hand:
        await hand.press("enter", "d", key)
        await hand.type("so it is")
        assert seat.states() == {"new": 4, state: 1}


async def test_a_whole_series_and_tagged_ones(seat: Seat) -> None:
    """Dismissed on the queue, all that waits in it is; then nothing waits, and the letter is cancelled."""
    async with sat(seat) as hand:
        assert "2 tagged" in await hand.press("t", "t")
        await hand.press("d", "w")
        await hand.type("old driver")
        assert hand.said == "5 findings dismissed: won't fix; u takes it back" and "nothing waits" in hand.screen
        with seat.outpost.store.look() as session:
            assert session.outbox.waiting(Letter.CANCELLED) and not session.outbox.waiting(Letter.HELD)
        await hand.press("u")
        assert "1/2 series" in hand.screen and seat.states() == {"new": 5}
        with seat.outpost.store.look() as session:
            assert session.outbox.waiting(Letter.HELD)


async def test_put_off(seat: Seat) -> None:
    async with sat(seat) as hand:
        await hand.press("enter", "s")
        await hand.press("ctrl+u")
        await hand.type("tomorrow")
        assert "is no time" in hand.said and "snoozed" not in seat.states()
        await hand.press("s")
        await hand.press("ctrl+u")
        await hand.type("2w")
        assert hand.said == "1 finding put off until 2026-05-05; u takes it back" and seat.states()["snoozed"] == 1
        await hand.press("j", "o")  # it has gone to the end: the next to decide took its place
        assert hand.said.startswith("1 finding open again")


async def test_limits(seat: Seat) -> None:
    async with sat(seat) as hand:
        await hand.press("l")
        await hand.type("all rule:unbounded-retry")
        assert "1/1 series" in hand.screen and "dmamap" in hand.screen and "aperture" not in hand.screen
        await hand.press("l", "ctrl+u")
        await hand.type("mine")
        assert "0/0 series" in hand.screen  # MAINTAINERS names no ida
        with seat.outpost.store.begin() as session:
            session.steps.set_area("ida", ["APERTURE DRIVER"])
        await hand.press("l", "ctrl+u")
        await hand.type("mine")
        assert "1/1 series" in hand.screen and "aperture" in hand.screen
        await hand.press("l", "ctrl+u")
        await hand.type("dismissed")
        assert "0/0 series" in hand.screen and "nothing waits" in hand.screen


async def test_mine_is_also_what_maintainers_names_one_for(seat: Seat) -> None:
    async with sat(seat, who="odile") as hand:
        await hand.press("l")
        await hand.type("mine")
        assert "1/1 series" in hand.screen and "dmamap" in hand.screen and "APERTURE" not in hand.screen


async def test_find(seat: Seat) -> None:
    async with sat(seat) as hand:
        await hand.press("slash")
        assert "2/2 series" in await hand.type("dmamap: start")
        await hand.press("n")
        assert hand.said == "there is no other"
        await hand.press("slash", "ctrl+u")
        await hand.type("nowhere")
        assert "is not among 2 lines" in hand.said


async def test_keys_are_told_on_every_screen(seat: Seat) -> None:
    async with sat(seat, (80, 40)) as hand:
        for opening, names in (("", "limit to"), ("enter", "the next series"), ("enter", "the next step")):
            text = await hand.press(*([opening] if opening else []), "question_mark")
            assert isinstance(hand.app.screen, Help) and names in text and "take back" in text
            assert "_bracket" not in text and "question_mark" not in text, "a key is told as what stands on it"
            await hand.press("q")


async def test_a_finding_says_what_it_is_and_how_it_stands(seat: Seat) -> None:
    async with sat(seat) as hand:
        text = await hand.press("enter", "enter")
        assert re.search(r"^ {2}revoke-without-unmap ─ new$", text, re.MULTILINE)


async def test_the_next_series(seat: Seat) -> None:
    async with sat(seat) as hand:
        assert "aperture" in (await hand.press("enter")).split("\n")[1]
        assert "dmamap" in (await hand.press("tab")).split("\n")[1]
        await hand.press("tab")
        assert hand.said == "that was the last of the queue"
        await hand.press("q")
        assert isinstance(hand.app.screen, Queue)


async def test_the_next_finding(seat: Seat) -> None:
    async with sat(seat) as hand:
        assert "1/2 revoke-without-unmap" in await hand.press("enter", "enter")
        assert "2/2 revoke-without-unmap" in await hand.press("n")
        await hand.press("n")
        assert hand.said == "that was the last"
        assert "1/2 revoke-without-unmap" in await hand.press("p")


async def test_mails(seat: Seat) -> None:
    """The thread goes to the user's reader; without one, a mail is shown here."""
    async with sat(seat) as hand:
        await hand.press("j", "m")
        ((first, second),) = seat.read
        assert b"dmamap-zap-race" in first and b"Re: [PATCH]" in second
        await hand.press("enter", "G")
        assert "Odile Brandt" in await hand.press("enter") and "Subject: Re: [PATCH]" in hand.screen
    async with sat(seat, reader=False) as hand:
        assert "Subject: [PATCH] misc: dmamap" in await hand.press("j", "m")
        assert "no mail reader" in hand.said


async def test_a_text_that_is_not_taken_is_not_lost(seat: Seat) -> None:
    seat.edits += [lambda text: "Link: https://x.example/\n", lambda text: None]
    async with sat(seat) as hand:
        await hand.press("j", "enter", "enter", "v", "e")
        assert isinstance(hand.app.screen, Choose)
        assert "for a trailer. [e]dit again, [f]orget it?" in " ".join(hand.screen.split())
        await hand.press("e")
        assert seat.asked[1] == "Link: https://x.example/\n" and hand.said == "nothing was changed"
    with seat.outpost.store.look() as session:
        assert not any("Link:" in row.body for row in session.outbox.waiting(Letter.HELD))


async def test_the_outbox(seat: Seat) -> None:
    """There u means nothing: it would take back what was decided about a finding, which is not what is looked at."""
    async with sat(seat) as hand:
        await hand.press("c", "O", "u")
        assert seat.states() == {"new": 3, "confirmed": 2}
        await hand.press("q")
        assert "2 letters ─ 2 held" in await hand.press("O")
        await hand.press("x")
        await hand.type("")
        assert "no reason is given" in hand.said
        await hand.press("x")
        await hand.type("not worth it")
        assert hand.said == "1 letter dropped" and "no letter" not in hand.lines[1]
    with seat.outpost.store.look() as session:
        (row,) = session.outbox.waiting(Letter.DROPPED)
    assert row.why == ("not worth it",)


async def test_versions_side_by_side(seat: Seat, root: Any) -> None:
    """A second version that has the first defect no more and the others still."""
    with seat.outpost.store.begin() as session:
        row = next(each for each in session.series.recent() if "dmamap" in each.subject)
        findings = session.findings.of_series(row.id)
        patches = session.series.patches(row.id)
        review = session.series.reviews(row.id)[-1]
        newer = session.series.put(
            replace(row, id=0, version=2, first="v2@example.org"), [replace(patches[0], msgid="v2@example.org")]
        )
        again = session.series.reviewed(replace(review, id=0, series=newer))
        session.findings.add(
            replace(each, id=0, review=again, series=newer, patch="v2@example.org", since=1) for each in findings[1:]
        )
        session.findings.change(findings[0].id, State.FIXED, who="", at=NOW, fixed_in=2)
    async with sat(seat, wanted=Filter(state="all", version="2")) as hand:
        text = await hand.press("enter")
        assert re.search(r"errno-collapsed-to-retry +dmamap_resolve_pfn\(\) +(fixed|-) +-|first +fixed", text), text
        assert re.search(r"unbounded-retry +dmamap_get_page\(\) +first +still", text), text


HOSTILE = "\u202eevil\x1b]0;owned\x07 [red]markup[/red] [@click=app.quit]x[/]"


async def test_what_strangers_wrote_is_shown_and_not_obeyed(seat: Seat) -> None:
    """Bidi, escape sequences and what a toolkit takes for markup: in subject, author and body of a mail."""
    with seat.outpost.store.begin() as session:
        for row in session.series.recent():
            session.series.put(replace(row, subject=HOSTILE, author=(HOSTILE, "a@b.example")), ())
    raw = (
        "From: =?utf-8?b?4oCuZXZpbA==?= <e@x.example>\nSubject: [bold]Re[/bold] \x1b[31m\n"
        "Message-ID: <evil@x.example>\n"
        "In-Reply-To: <20260402-dmamap-zap-race-v1-1-7c21f0b9d4e3@example.org>\nDate: Mon, 6 Apr 2026 10:00:00 +0000\n"
        "\n\u202e\x1b[2J[/]\n"
    ).encode()
    arrive(seat.outpost, raw, 99)
    async with sat(seat, (160, 48), wanted=Filter(state="all")) as hand:
        for keys in ([], ["G", "enter"], ["G", "enter"]):
            text = await hand.press(*keys)
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
            assert "<U+202E>" in text


async def test_without_colour(seat: Seat, monkeypatch: pytest.MonkeyPatch) -> None:
    """No colour at all, and what is chosen can be seen all the same: it stands in reverse."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with sat(seat, colour=False) as hand:
        await hand.press("j")
        strips = hand.app.screen._compositor.render_strips()
        for strip in strips:
            shown = list(strip)
            for each in hand.app._filters:
                shown = each.apply(shown, hand.app.background_colors[0]) if each.enabled else shown
            colours = [colour for s in shown if s.style for colour in (s.style.color, s.style.bgcolor)]
            assert all(colour is None or colour.is_default for colour in colours)
        chosen = [s for s in strips[3]._segments if s.style and s.style.reverse]
        other = [s for s in strips[2]._segments if s.style and s.style.reverse]
        assert chosen and not other


async def test_a_store_that_moves_on(seat: Seat) -> None:
    """What somebody else decided meanwhile is seen when the screen is read again, and nothing is decided twice."""
    async with sat(seat) as hand:
        await hand.press("enter")
        with seat.outpost.store.begin() as session:
            for row in session.series.recent():
                for each in session.findings.of_series(row.id):
                    session.findings.change(each.id, State.CONFIRMED, who="other", at=NOW)
        await hand.press("c")
        assert "stays: it is confirmed" in hand.said
        assert "confirmed" in await hand.press("ctrl+l")


async def test_what_cannot_be_read_is_told(seat: Seat) -> None:
    """A policy with a typo in it: the screen says so, nothing is done by it, and all goes on when it is mended."""
    async with sat(seat) as hand:
        policy = seat.outpost.policy_file.read_text()
        seat.outpost.policy_file.write_text(policy + "no_such_key = 1\n")
        await hand.press("j", "enter", "enter", "v")
        assert "unknown key" in hand.said
        await hand.press("r", "e")
        seat.outpost.policy_file.write_text(policy)
        assert "In-Reply-To" in await hand.press("ctrl+l")
        hand.app.open_mail(b"\xff\x00")  # a thread's mail may be anything
        await hand.press("j", "q", "q", "q", "q")
        assert isinstance(hand.app.screen, Queue)
