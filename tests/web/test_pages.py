"""What the pages show and what their forms do, asked without a browser."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from msgspec.structs import replace
from tests.web.conftest import HOST, NOW, TOKENS, Browser, Small
from tests.web.world import World

from lorelint.config import ServeConfig
from lorelint.jobs.outbox import mark
from lorelint.model.store import CheckRow, Letter, State
from lorelint.web.app import application
from lorelint.web.guard import Door

PAGES = ("/queue", "/outbox", "/rules", "/rule/retry-no-resched", "/lists", "/status", "/trail", "/help", "/area")


@pytest.fixture
def filled(small: Small) -> Small:
    small.listing.series("p1")
    small.listing.found("p1", "retry-no-resched", "unbounded-retry")
    small.listing.letter("p1", Letter.HELD)
    small.listing.series("p2", key="other")
    small.listing.found("p2", "gup-pin-leak")
    return small


def state(small: Small, id: int) -> State:
    with small.listing.store.look() as session:
        row = session.findings.get(id)
        assert row is not None
        return row.state


@pytest.mark.parametrize("path", [*PAGES, "/series/1", "/finding/1", "/letter/1", "/message?id=p1@author.example"])
@pytest.mark.parametrize("who", ["viewer", "releaser"])
def test_every_page_is_there(filled: Small, path: str, who: str) -> None:
    answer = filled.as_(who).get(path)
    assert answer.status_code == 200 and "</html>" in answer.text
    assert "<script>" not in answer.text and " style=" not in answer.text and " onclick" not in answer.text


NOWHERE = ("/series/77", "/finding/77", "/finding/x", "/letter/77", "/message?id=no", "/rule/no")


@pytest.mark.parametrize("path", NOWHERE)
def test_what_is_not_there(filled: Small, path: str) -> None:
    assert filled.as_("viewer").get(path).status_code == 404


def test_the_queue_is_filtered(filled: Small) -> None:
    me = filled.as_("viewer")
    assert me.get("/queue").text.count("data-row") == 2
    assert me.get("/queue?rule=gup-pin-leak").text.count("data-row") == 1
    assert "Nothing is here" in me.get("/queue?rule=gup-pin-leak&severity=error").text
    assert me.get("/queue?q=ring").text.count("data-row") == 2
    assert "Nothing is here" in me.get("/queue?state=sent").text
    # What is none of ours asks for nothing.
    assert me.get("/queue?state=%00&sort=nonsense&after=nonsense").text.count("data-row") == 2


def test_a_finding_is_decided_and_taken_back(filled: Small) -> None:
    me = filled.as_("triager")
    answer = me.post("/finding/1", move="false-positive", reason="bounded elsewhere", back="/finding/1")
    assert answer.status_code == 303 and state(filled, 1) is State.FALSE
    assert re.fullmatch(r"/finding/1\?done=\d+", answer.headers["location"])
    page = me.get(answer.headers["location"]).text
    assert "bounded elsewhere" in page and "Undo" in page
    batch = re.search(r'name="batch" value="(\d+)"', page)
    assert batch
    assert me.post("/undo", batch=batch[1]).status_code == 303 and state(filled, 1) is State.NEW
    assert "Taken back" in me.get(answer.headers["location"]).text
    with filled.listing.store.look() as session:
        assert [what for _, _, what, _, _ in session.notes.trail("finding:1")] == [
            "finding undone",
            "finding false-positive",
        ]


def test_the_last_decision_is_taken_back_without_its_number(filled: Small) -> None:
    me = filled.as_("triager")
    me.post("/finding/1", move="confirm")
    me.post("/finding/2", move="snooze", days="7")
    assert (state(filled, 1), state(filled, 2)) == (State.CONFIRMED, State.SNOOZED)
    me.post("/undo")
    assert (state(filled, 1), state(filled, 2)) == (State.CONFIRMED, State.NEW)


def test_many_are_decided_together(filled: Small) -> None:
    me = filled.as_("triager")
    form = {"csrf": me.csrf(), "series": ["1", "2"], "move": "confirm", "back": "/queue?state=all&q=ring"}
    asked = me.ask("POST", "/queue/decide", data=form)
    assert asked.status_code == 200 and "3 findings" in asked.text and "2 series" in asked.text
    assert 'href="/queue?state=all&amp;q=ring"' in asked.text  # the way back
    told = me.ask("POST", "/queue/decide", data={**form, "move": "wontfix", "reason": "<i>as agreed</i>"})
    assert "Reason: &lt;i&gt;as agreed&lt;/i&gt;" in told.text
    stale = me.ask("POST", "/queue/decide", data={**form, "sure": "2"})  # one more came since it was asked
    assert stale.status_code == 200 and [state(filled, id) for id in (1, 2, 3)] == [State.NEW] * 3
    sure = re.findall(r'name="(sure|series|back|move)" value="([^"]*)"', asked.text)
    again = {"csrf": me.csrf()} | {name: [v for n, v in sure if n == name] for name in dict(sure)}
    answer = me.ask("POST", "/queue/decide", data={**again, "back": form["back"]})
    assert answer.status_code == 303
    assert re.fullmatch(r"/queue\?state=all&q=ring&done=\d+", answer.headers["location"])
    assert [state(filled, id) for id in (1, 2, 3)] == [State.CONFIRMED] * 3
    page = me.get(answer.headers["location"]).text
    assert "3 findings: confirm" in page
    # What is taken back leads to the same view.
    assert re.search(r'action="/undo".*?name="back" value="/queue\?state=all&amp;q=ring"', page)
    assert me.post("/queue/decide", move="confirm", series="1").status_code == 409  # nothing waits


def test_nobody_is_asked_about_what_cannot_be_done(filled: Small) -> None:
    me = filled.as_("triager")
    for form in ({"move": "wontfix", "reason": " "}, {"move": "snooze", "days": "0"}):
        answer = me.post("/queue/decide", series=["1", "2"], **form)
        assert answer.status_code == 409 and re.search("no reason is given|the time is over", answer.text)


def test_what_was_asked_is_what_is_done(filled: Small) -> None:
    """As many findings as were shown, and not the same ones: it is asked again."""
    me = filled.as_("triager")
    form = {"csrf": me.csrf(), "series": ["1", "2"], "move": "confirm"}

    def asked(answer: Any) -> str:
        assert answer.status_code == 200 and "3 findings" in answer.text
        return re.findall(r'name="sure" value="([^"]*)"', answer.text)[0]

    before = asked(me.ask("POST", "/queue/decide", data=form))
    filled.as_("releaser").post("/finding/1", move="wontfix", reason="known")
    filled.listing.found("p2", "fence-leak")
    now = asked(me.ask("POST", "/queue/decide", data={**form, "sure": before}))
    assert [state(filled, id) for id in (1, 2, 3, 4)] == [State.WONTFIX, State.NEW, State.NEW, State.NEW]
    assert me.ask("POST", "/queue/decide", data={**form, "sure": now}).status_code == 303
    assert [state(filled, id) for id in (1, 2, 3, 4)] == [State.WONTFIX, *[State.CONFIRMED] * 3]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"move": "false-positive"}, "no reason"),
        ({"move": "snooze", "days": "0"}, "time is over"),
        ({"move": "snooze", "days": "9999999"}, "time is over"),
        ({"move": "send"}, "no such decision"),
        ({}, "no such decision"),
        ({"move": "reopen"}, "it is new"),
    ],
)
def test_what_is_no_decision(filled: Small, fields: dict[str, str], why: str) -> None:
    answer = filled.as_("triager").post("/finding/1", **fields)
    assert answer.status_code == 409 and why in answer.text and state(filled, 1) is State.NEW


def test_a_letter_is_changed_released_and_dropped(filled: Small) -> None:
    me = filled.as_("releaser")

    def letter() -> Any:
        with filled.listing.store.look() as session:
            return session.outbox.get(1)

    shown = me.get("/letter/1").text
    assert "cannot go:" in shown  # "body" is no mail that quotes something
    seen = mark("body")
    assert f'name="seen" value="{seen}"' in shown
    refused = me.post("/letter/1/release", seen=seen)
    assert refused.status_code == 409 and letter().state is Letter.HELD
    for form in ({}, {"seen": mark("what another has made of it since")}):
        refused = me.post("/letter/1/release", **form)
        assert refused.status_code == 409 and re.search("which text was read|changed its text", refused.text)
    wrong = me.post("/letter/1/edit", seen=seen, body="Reviewed-by: A Person <a@example.org>\n")
    assert wrong.status_code == 409 and "Your text was not taken" in wrong.text
    assert "Reviewed-by: A Person" in wrong.text and letter().body == "body"
    assert me.post("/letter/1/drop", reason=" ").status_code == 409
    assert me.post("/letter/1/drop", reason="said in person").status_code == 303
    assert letter().state is Letter.DROPPED and letter().why == ("said in person",)
    assert me.get("/letter/1/raw").headers["content-type"].startswith("text/plain")


def test_checks_of_a_patchwork_stand_at_their_series(filled: Small) -> None:
    url = "https://patchwork.example.org"
    row = CheckRow(
        0, "p1@author.example", url, "lorelint", "warning", "2 findings, see below", at="2026-04-10T09:00:00Z"
    )
    with filled.listing.store.begin() as session:
        session.checks.put(row)
        session.checks.put(replace(row, context="other", state="fail"))
        waiting, refused = session.checks.of_patch(row.patch)
        session.checks.posted(waiting.id, "warning", "2026-04-10T09:59:00Z")
        session.checks.posted(refused.id, "", NOW, "answered with <403>")
    page = filled.as_("viewer").get("/series/1").text
    assert "Checks in Patchwork" in page and "2 findings, see below" in page and url in page
    assert re.search(r"check-warning.*?set <time class=\"when\" datetime=\"2026-04-10T09:59:00Z\"", page, re.S)
    assert "could not be set: answered with &lt;403&gt;" in page and "check-fail" in page
    assert "Checks in Patchwork" not in filled.as_("viewer").get("/series/2").text
    with filled.listing.store.begin() as session:
        session.checks.put(replace(row, description="1 finding", at=NOW))
    page = filled.as_("viewer").get("/series/1").text
    assert re.search(rf"waits, warning stands there <time class=\"when\" datetime=\"{NOW}\"", page), (
        "other words wait, too"
    )


def test_a_letter_that_a_decision_ends_says_so_where_one_looks(filled: Small) -> None:
    me = filled.as_("triager")
    me.post("/queue/decide", move="wontfix", reason="known", series="1")
    me.post("/undo")
    page = me.get("/letter/1").text
    assert "letter cancelled" in page and "letter held" in page and "a decision was taken back by triager" in page


def test_views_and_area(filled: Small) -> None:
    me = filled.as_("viewer")
    me.post("/views", name="pins", query="rule=gup-pin-leak&unknown=1&state=nonsense")
    page = me.get("/queue").text
    assert 'href="/queue?rule=gup-pin-leak"' in page and "unknown" not in page
    assert ">pins</a>" not in filled.as_("triager").get("/queue").text
    me.post("/views", name="pins", drop="1")
    assert ">pins</a>" not in me.get("/queue").text
    assert "Nothing is here" in me.get("/queue?mine=1").text
    assert me.post("/area", own="ring").headers["location"] == "/queue?mine=1"
    assert me.get("/queue?mine=1").text.count("data-row") == 2


@pytest.mark.parametrize(
    ("who", "path", "fields", "code"),
    [
        ("viewer", "/finding/1", {"move": "confirm"}, 403),
        ("viewer", "/queue/decide", {"move": "confirm", "series": "1"}, 403),
        ("viewer", "/undo", {}, 403),
        ("viewer", "/letter/1/drop", {"reason": "no"}, 403),
        ("triager", "/letter/1/drop", {"reason": "no"}, 403),
        ("triager", "/letter/1/release", {}, 403),
        ("triager", "/letter/1/edit", {"body": "x"}, 403),
        ("triager", "/finding/1", {"move": "confirm"}, 303),
        ("releaser", "/finding/1", {"move": "confirm"}, 303),
        ("releaser", "/letter/1/drop", {"reason": "no"}, 303),
    ],
)
def test_roles(filled: Small, who: str, path: str, fields: dict[str, str], code: int) -> None:
    assert filled.as_(who).post(path, **fields).status_code == code


def test_who_may_not_decide_is_offered_no_form(filled: Small) -> None:
    viewer, triager = filled.as_("viewer"), filled.as_("triager")
    assert 'action="/finding/1"' not in viewer.get("/finding/1").text
    assert 'action="/finding/1"' in triager.get("/finding/1").text
    assert "/letter/1/drop" not in triager.get("/letter/1").text
    assert "/letter/1/drop" in filled.as_("releaser").get("/letter/1").text


def test_nobody_comes_in_without_a_token(filled: Small) -> None:
    stranger = Browser(filled.app)
    for path in (*PAGES, "/series/1", "/finding/1"):
        answer = stranger.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={quote(path, safe='')}")
    assert stranger.ask("POST", "/login", data={"token": "x" * 30}).status_code == 403
    assert stranger.ask("POST", "/login", data={"token": "n" * 30}).status_code == 403  # no role
    assert stranger.get("/login?token=" + "r" * 30).status_code == 200  # in an address no person's token is taken
    assert stranger.get("/queue").status_code == 303


@pytest.mark.parametrize(
    "path", ["/finding/1", "/queue?rule=gup-pin-leak&state=all", "/message?id=p1%40author.example"]
)
def test_a_link_from_a_mail_leads_to_its_page(filled: Small, path: str) -> None:
    stranger = Browser(filled.app)
    door = stranger.get(stranger.get(path).headers["location"])
    (to,) = re.findall(r'name="next" value="([^"]*)"', door.text)
    assert to.replace("&amp;", "&") == path
    wrong = stranger.ask("POST", "/login", data={"token": "x" * 30, "next": path})
    assert f'value="{to}"' in wrong.text  # a typo does not lose it
    answer = stranger.ask("POST", "/login", data={"token": TOKENS["viewer"], "next": path})
    assert answer.headers["location"] == path and stranger.get(path).status_code == 200


def test_leaving_ends_the_session(filled: Small) -> None:
    me = filled.as_("viewer")
    before = dict(me.cookies)
    assert me.post("/logout").headers["location"] == "/login"
    me.cookies = before
    assert me.get("/queue").status_code == 303


def test_a_session_that_was_idle_too_long_has_ended(filled: Small) -> None:
    clock = [0.0]
    filled.app.app.clock = lambda: clock[0]
    me = filled.as_("viewer")
    clock[0] = 11.9 * 3600
    assert me.get("/queue").status_code == 200
    clock[0] += 12.1 * 3600
    assert me.get("/queue").status_code == 303


def test_a_policy_with_an_error_is_told(filled: Small) -> None:
    filled.outpost.policy_file.write_text("typo = 1\n")
    answer = filled.as_("viewer").get("/lists")
    assert answer.status_code == 409 and "typo" in answer.text


def test_static_files_are_kept_by_browsers_and_others_are_not(filled: Small) -> None:
    me = filled.as_("viewer")
    page = me.get("/queue")
    assert page.headers["cache-control"] == "no-store"
    for address in set(re.findall(r'"(/static/[^"]+)"', page.text)):
        answer = Browser(filled.app).get(address)
        assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]


def test_mine_follows_from_maintainers(full_world: World) -> None:
    """Who maintains the files of a series finds it as his own, by whatever of his names he comes in."""
    shown = {}
    for number, who in enumerate(("odile@example.org", "Odile.Brandt", "pavel", "tomas@example.org", "odi")):
        door = Door(frozenset({HOST}), ServeConfig(viewers=("*",)), {f"{number}" * 30: who})
        me = Browser(application(full_world.outpost, door, lambda: NOW))
        assert me.ask("POST", "/login", data={"token": f"{number}" * 30}).status_code == 303
        page = me.get("/queue?mine=1&state=all").text
        shown[who] = sorted(set(re.findall(r"data-open>misc: (\w+)", page)))
    assert shown == {
        "odile@example.org": ["dmamap"],
        "Odile.Brandt": ["dmamap"],
        "pavel": ["aperture"],
        "tomas@example.org": [],
        "odi": [],
    }


def test_counts_beside_filters_are_under_the_other_filters(filled: Small) -> None:
    me = filled.as_("viewer")

    def counts(path: str) -> dict[str, str]:
        found = re.findall(r'<span class="name">([\w-]+)</span> <span class="count">([\d,]+)</span>', me.get(path).text)
        return dict(found)

    assert counts("/queue")["gup-pin-leak"] == "1" and counts("/queue")["ring"] == "2"
    there = counts("/queue?rule=gup-pin-leak")
    assert (there["ring"], there["gup-pin-leak"], there["retry-no-resched"]) == ("1", "1", "1")
    there = counts("/queue?rule=gup-pin-leak&q=nowhere")
    assert there == {"gup-pin-leak": "0"}


def test_a_rule_is_named_once_at_a_letter(filled: Small) -> None:
    filled.listing.found("p2", "gup-pin-leak", of="other")
    filled.listing.letter("p2", Letter.HELD)
    page = filled.as_("viewer").get("/outbox").text
    assert page.count('href="/rule/gup-pin-leak"') == 1 and "gup-pin-leak</a> <small>&times;2</small>" in page
    assert "1 h after the patch, up to 365 days old" in filled.as_("viewer").get("/lists").text
