"""Every page is looked through by axe-core in a real browser, light and dark, wide and narrow; and none runs over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.web.conftest import free_port, served
from tests.web.world import World

from lorelint.jobs.triage import By, Move, decide
from lorelint.model.store import Note
from lorelint.web.app import application
from lorelint.web.guard import Door

NOW = "2026-04-09T10:00:00Z"
TOKEN = "a-token-that-is-long-enough-00000"
PAGES = (
    "/login", "/queue", "/queue?state=all&q=misc", "/queue?state=sent&rule=nothing", "/series/{dmamap}", "/series/{v2}",
    "/finding/{finding}", "/finding/{decided}?done=1", "/message?id={patch}", "/outbox", "/outbox?state=sent",
    "/letter/{letter}", "/rules", "/rule/retry-no-resched", "/lists", "/status", "/trail", "/help", "/area",
    "/finding/999999",
)  # fmt: skip
LONG = pytest.mark.prove  # five times every page takes a minute: what is most unlike is looked at each time
LOOKS = (
    (1440, "light"),
    (390, "dark"),
    pytest.param(1440, "dark", marks=LONG),
    pytest.param(1024, "light", marks=LONG),
    pytest.param(390, "light", marks=LONG),
)
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module")
def face(full_world: World) -> Iterator[tuple[str, dict[str, object]]]:
    """Pages with all that they can show on them, and the numbers in their addresses."""
    world = full_world
    port = free_port()
    with world.outpost.store.begin() as session:
        every = session.series.recent()
        two = next(each for each in every if each.version == 2 and "zapped again" in each.subject)
        found = session.findings.of_series(two.id)
        decide(session, [found[0].id], Move.FALSE, By("odile"), NOW, reason="bounded by the caller")
        session.notes.say(Note("send", NOW, False, "the mail server refuses: 450 later"))
        named = {
            "dmamap": next(each.id for each in every if "zapped under" in each.subject),
            "v2": two.id,
            "finding": found[1].id,
            "decided": found[0].id,
            "patch": two.first,
            "letter": session.outbox.of_series(two.id)[0].id,
        }
    door = Door(frozenset({f"127.0.0.1:{port}"}), tokens={TOKEN: "odile"}, alone="odile")
    with served(application(world.outpost, door, lambda: NOW), port) as base:
        yield base, named


@pytest.mark.parametrize(("wide", "scheme"), LOOKS)
def test_no_page_has_a_violation(face: tuple[str, dict[str, object]], chromium: Any, wide: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    base, named = face
    context = chromium.new_context(viewport={"width": wide, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    wrong: list[str] = []
    for path in PAGES:
        if path == "/queue":
            page.goto(f"{base}/login?token={TOKEN}")
        page.goto(base + path.format(**named))
        if "details" in page.content():
            page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")
        for violation in Axe().run(page, options=WCAG).response["violations"]:
            places = [node["html"][:120] for node in violation["nodes"][:3]]
            wrong.append(f"{path} {violation['id']}: {violation['help']}: {places}")
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            wrong.append(f"{path} runs {over} px over the right edge")
    context.close()
    assert not wrong, "\n".join(wrong)


def test_axe_would_see_one(chromium: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = chromium.new_context()
    page = context.new_page()
    page.set_content("<html><body><img src='x'><input><p style='color:#eee;background:#fff'>pale</p></body></html>")
    found = {each["id"] for each in Axe().run(page, options=WCAG).response["violations"]}
    assert {"image-alt", "label", "color-contrast", "html-has-lang"} <= found
    context.close()
