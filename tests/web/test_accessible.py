"""Every page is looked through by axe-core in a real browser, light and dark, wide and narrow; and none runs over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.web.conftest import free_port, served
from tests.web.world import World

from lorelint.jobs.triage import By, Move, decide
from lorelint.model.store import CheckRow, Note
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
SURE = "/queue?state=all"  # and what is asked before many are decided about
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
        for context, state, error in (("lorelint", "warning", ""), ("other", "fail", "does not answer: Timeout " * 9)):
            session.checks.put(CheckRow(0, two.first, "https://patchwork.example.org", context, state, "one", at=NOW))
            session.checks.posted(session.checks.of_patch(two.first)[-1].id, "" if error else state, NOW, error)
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
    for path in (*PAGES, SURE):
        if path == "/queue":
            page.goto(f"{base}/login?token={TOKEN}")
        page.goto(base + path.format(**named))
        if path == SURE:
            for box in page.locator('input[name="series"]:enabled').all():
                box.check()
            page.locator('#bulk button[value="confirm"]').click()
            page.get_by_role("heading", name="Confirm: ").wait_for()
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


# What is over the right edge of the page, the outermost first.
OVER = """[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
    .map(e => e.outerHTML.slice(0, 80)).slice(0, 4)"""


def test_what_is_printed_is_whole(face: tuple[str, dict[str, object]], chromium: Any) -> None:
    """On paper nothing runs over, nothing is squeezed into a column of letters, and no empty box is left."""
    base, named = face
    context = chromium.new_context(viewport={"width": 794, "height": 1123})
    page = context.new_page()
    page.goto(f"{base}/login?token={TOKEN}")
    page.emulate_media(media="print")
    for path in PAGES[1:]:
        page.goto(base + path.format(**named))
        assert not page.evaluate(OVER), (path, page.evaluate(OVER))
        for part in page.locator(".row .what, .row .found, tbody th, tbody td.text").all():
            box = part.bounding_box()
            assert box and box["width"] > 60 and box["height"] < 260, (path, part.inner_text(), box)
        for box in page.locator(".verdict:visible").all():
            assert len(box.inner_text().split("\n")) > 1, path
    context.close()


def test_lines_of_a_table_meet(face: tuple[str, dict[str, object]], chromium: Any) -> None:
    """The cells of a row are of one height, so the line below them is one."""
    base, named = face
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{base}/login?token={TOKEN}")
    for path in ("/series/{v2}", "/status", "/trail", "/help", "/rule/retry-no-resched"):
        page.goto(base + path.format(**named))
        heights = "[...document.querySelectorAll('tbody tr')].map(r => [...r.children].map(c => c.offsetHeight))"
        rows = page.evaluate(heights)
        assert rows and all(max(row) - min(row) == 0 for row in rows), (path, rows)
    context.close()


def test_axe_would_see_one(chromium: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = chromium.new_context()
    page = context.new_page()
    page.set_content("<html><body><img src='x'><input><p style='color:#eee;background:#fff'>pale</p></body></html>")
    found = {each["id"] for each in Axe().run(page, options=WCAG).response["violations"]}
    assert {"image-alt", "label", "color-contrast", "html-has-lang"} <= found
    context.close()
