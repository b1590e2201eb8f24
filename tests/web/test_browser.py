"""The whole way in a real browser: a thread, our own or a seed, is reviewed, decided about, and its letter is sent."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from tests.mailserver import mailserver
from tests.web.conftest import free_port, served
from tests.web.world import World, mails, second

from lorelint.edge.mailbox import read_path
from lorelint.jobs.send import send
from lorelint.model.store import Letter
from lorelint.outpost_send import Sender
from lorelint.web.app import application
from lorelint.web.guard import Door

NOW, LATER, SENT = "2026-04-03T10:00:00Z", "2026-04-06T10:00:00Z", "2026-04-03T18:00:00Z"
TOKEN = "a-token-that-is-long-enough-00000"


class Seat:
    """Somebody before a browser."""

    def __init__(self, world: World, page: Any, base: str, now: list[str]) -> None:
        self.world, self.page, self.base, self.now = world, page, base, now
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)

    def key(self, *keys: str) -> None:
        for each in keys:
            self.page.keyboard.press(each)

    def at(self, pattern: str) -> None:
        self.page.wait_for_url(re.compile(re.escape(self.base) + pattern))

    def heading(self) -> str:
        return str(self.page.locator("h1").first.inner_text())


@pytest.fixture
def seat(make_world: Callable[[], World], chromium: Any, root: Path) -> Iterator[Seat]:
    world = make_world()
    world.take(mails(root, "dmamap-retry"), NOW)
    with seated(world, chromium, NOW) as made:
        yield made


@contextmanager
def seated(world: World, chromium: Any, at: str) -> Iterator[Seat]:
    """Somebody who has come in, before a browser in which nothing may go wrong."""
    now = [at]
    port = free_port()
    door = Door(frozenset({f"127.0.0.1:{port}"}), tokens={TOKEN: "odile"}, alone="odile")
    with served(application(world.outpost, door, lambda: now[0]), port) as base:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        made = Seat(world, context.new_page(), base, now)
        made.page.goto(f"{base}/login?token={TOKEN}")
        yield made
        context.close()
        assert not made.errors


def sent(world: World, at: str) -> tuple[list[str], bytes]:
    """The one letter that is let out, as a mail server on the loopback gets it."""
    with mailserver() as (handler, port):
        smtp = world.folder / "smtp.toml"
        smtp.write_text(f'host = "127.0.0.1"\nport = {port}\n')
        policy = world.outpost.policy()
        means = Sender(world.outpost).means(policy, str(smtp))
        done = list(send(world.outpost.store, policy, means, at, dry_run=False))
    assert [step.what for step in done] == ["sent"], done
    ((to, raw),) = handler.mails
    return to, raw


def test_from_the_queue_to_a_letter_that_is_sent(seat: Seat) -> None:
    page = seat.page
    seat.at("/queue$")
    assert page.locator("[data-row]").count() == 1

    # By the keyboard: the series, its first finding, the path through the source.
    seat.key("j", "o")
    seat.at(r"/series/\d+$")
    assert seat.heading().startswith("misc: dmamap: start over")
    seat.key("j", "o")
    seat.at(r"/finding/\d+$")
    steps = page.locator("[data-step]").count()
    assert steps >= 3 and page.locator(".ln.stepped").count() >= 3
    seat.key("n", "n")
    assert page.locator('[data-step][aria-current="step"]').get_attribute("data-step") == "2"
    assert page.locator(".lit").count() == 1 and "return -EAGAIN" in page.locator(".lit").inner_text()
    seat.key(*"n" * (steps + 3))
    assert page.locator('[data-step][aria-current="step"]').get_attribute("data-step") == str(steps)
    lit = page.locator(".lit").bounding_box()
    assert lit and 0 <= lit["y"] <= 900  # it was scrolled to

    # Before and after.
    cut, written = page.locator(".ln.cut").first, page.locator(".ln.add").first
    assert cut.is_visible() and written.is_visible()
    page.get_by_text("Before", exact=True).click()
    assert cut.is_visible() and not written.is_visible()
    page.get_by_text("After", exact=True).click()
    assert written.is_visible() and not cut.is_visible()

    # The picture of calls: by the pointer and by the keyboard.
    node = page.locator("svg.calls .node.root")
    node.hover()
    assert page.locator("svg.calls.led .edge.on").count() >= 2
    page.mouse.move(1, 1)
    assert page.locator("svg.calls.led").count() == 0
    node.focus()
    assert page.locator("svg.calls.led .node.on").count() >= 3
    page.evaluate("document.activeElement.blur()")

    # Confirmed, and taken back, and confirmed.
    seat.key("c")
    page.locator(".flash").get_by_text("confirm").wait_for()
    assert page.locator(".kicker .state").inner_text() == "confirmed"
    seat.key("u")
    page.locator(".flash").get_by_text("Taken back").wait_for()
    assert page.locator(".kicker .state").inner_text() == "new"
    seat.key("c")
    page.locator(".kicker .state.confirmed").wait_for()

    # The next finding is dismissed, with a reason.
    page.locator("a[rel=next]").click()
    page.locator(".kicker", has_text="retry-no-resched").wait_for()
    seat.key("d")
    page.keyboard.type("the caller gives up after a second")
    page.get_by_role("button", name="False positive").click()
    page.locator(".kicker .state.false-positive").wait_for()

    # The letter is about the one before. It is changed, and let out.
    page.locator("a[rel=prev]").click()
    page.locator(".kicker", has_text="errno-collapsed-to-retry").wait_for()
    _let_out(seat)

    # Sending is no work of the pages.
    to, raw = sent(seat.world, SENT)
    assert "tomas@example.org" in to and b"Is there a bound elsewhere?" in raw
    page.goto(f"{seat.base}/outbox?state=sent")
    page.locator("[data-open]").click()
    page.locator("h1 .state.sent").wait_for()
    assert page.locator("textarea").count() == 0


# What of a kernel the seed thread is about: to read all of it takes minutes, and that is tested elsewhere.
PARTS = (
    "MAINTAINERS",
    "Makefile",
    "drivers/vfio",
    "include/linux/vfio.h",
    "include/linux/mm.h",
    "mm/gup.c",
    "mm/memory.c",
)
SEEN, GONE = "2026-03-18T10:00:00Z", "2026-03-18T18:00:00Z"


@pytest.mark.needs_shared
@pytest.mark.needs_tree("7.2")
def test_a_seed_thread_goes_the_whole_way(
    shared: Path, tree_dir: Callable[[str], Path], tmp_path: Path, make_inbox: Callable[..., Any], chromium: Any
) -> None:
    """A patch as it was posted, before anybody had answered: reviewed, followed, confirmed, edited, let out, sent."""
    kernel, tree = tree_dir("7.2"), tmp_path / "kernel"
    for part in PARTS:
        (tree / part).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (kernel / part).is_dir() else shutil.copyfile)(kernel / part, tree / part)
    (path,) = (shared / "corpora" / "seeds").glob("002-*.mbox")
    patch = read_path(path).mails[0].raw
    with closing(World(tmp_path, tree, make_inbox("dmamap"))) as world:
        world.take([patch], SEEN)
        _goes_the_whole_way(world, patch, chromium)


def _let_out(seat: Seat) -> None:
    """From a finding to its letter, which is changed and released, and on to the outbox, where it waits to be sent."""
    page = seat.page
    page.locator(".verdict").get_by_role("link", name="held").click()
    seat.at(r"/letter/\d+$")
    seat.key("e")
    text = page.locator("textarea").input_value()
    changed = text.replace("-- \n", "Is there a bound elsewhere?\n\n-- \n", 1)
    assert changed != text
    page.locator("textarea").fill(changed)
    page.get_by_role("button", name="Keep the change").click()
    page.locator(".mail").get_by_text("Is there a bound elsewhere?").wait_for()
    page.get_by_role("button", name="Release").click()
    page.locator("h1 .state.released").wait_for()
    seat.key("g", "o")
    seat.at("/outbox$")
    assert page.locator(".state.released").count() == 1


def _goes_the_whole_way(world: World, patch: bytes, chromium: Any) -> None:
    with seated(world, chromium, SEEN) as seat:
        page = seat.page
        seat.key("j", "o")
        seat.at(r"/series/\d+$")
        assert seat.heading().startswith("vfio/type1: Retry follow_pfnmap_start()")
        page.locator("tr", has_text="errno-collapsed-to-retry").get_by_role("link").click()
        seat.at(r"/finding/\d+$")
        assert page.locator("[data-step]").count() >= 3
        seat.key("n")
        assert page.locator(".lit").count() == 1
        seat.key("c")
        page.locator(".kicker .state.confirmed").wait_for()
        _let_out(seat)
        _, raw = sent(world, GONE)
        assert message_from_bytes(raw)["In-Reply-To"] == message_from_bytes(patch)["Message-ID"]
        assert b"Is there a bound elsewhere?" in raw
        page.goto(f"{seat.base}/outbox?state=sent")
        page.locator("[data-open]").click()
        page.locator("h1 .state.sent").wait_for()


def test_a_dismissal_goes_on_to_the_next_version(seat: Seat, root: Path) -> None:
    page = seat.page
    page.goto(f"{seat.base}/series/1")
    page.locator("tr", has_text="unbounded-retry").get_by_role("link").click()
    seat.at(r"/finding/\d+$")
    seat.key("d")
    page.keyboard.type("the caller gives up after a second")
    page.get_by_role("button", name="Won't fix").click()
    page.locator(".kicker .state.wontfix").wait_for()

    seat.world.take([second(mails(root, "dmamap-retry")[0])], LATER)
    page.goto(f"{seat.base}/queue")
    assert page.locator(".row .v").inner_text() == "v2"
    page.locator("[data-open]").click()
    row = page.locator("tr", has_text="unbounded-retry")
    assert row.locator("td").all_inner_texts() == ["new wontfix", "still there wontfix"]
    row.get_by_role("link", name="still there").click()
    assert page.locator(".kicker .state").inner_text() == "wontfix"
    assert "the caller gives up after a second" in page.locator(".verdict .was").inner_text()
    versions = page.locator(".history").first.locator("li").all_inner_texts()
    assert versions[0].startswith("v1 new in v1") and versions[1].startswith("v2 still there in v2, since v1")

    # Nor is it said to the author of v2: the letter about v1 is cancelled, that about v2 is silent on it.
    with seat.world.outpost.store.look() as session:
        one, two = (session.outbox.of_series(each.id) for each in reversed(session.series.recent()))
    assert one[0].state is Letter.CANCELLED
    assert two[0].state is Letter.HELD and "unbounded-retry" not in two[0].rules and len(two[0].rules) == 2


def test_many_are_decided_by_the_keyboard(seat: Seat, root: Path) -> None:
    seat.world.take(mails(root, "aperture-mmap"), LATER)
    page = seat.page
    page.goto(f"{seat.base}/queue")
    assert page.locator("[data-row]").count() == 2 and not page.locator("#bulk").is_visible()
    seat.key("j", "x", "j", "x")
    assert page.locator("[data-chosen]").inner_text() == "2 series:"
    seat.key("d")
    page.keyboard.type("seen before")
    page.get_by_role("button", name="Not ours").click()
    # How many findings that is, is asked before it is done; Enter does it, i goes back.
    page.get_by_role("heading", name="Not ours: 5 findings").wait_for()
    assert page.url == f"{seat.base}/queue" and "wide" not in page.locator("body").get_attribute("class")
    assert page.evaluate("document.activeElement.textContent") == "Do it for 5 findings"
    seat.key("Enter")
    page.locator(".flash").get_by_text("5 findings: not-ours").wait_for()
    assert page.locator("[data-row]").count() == 0
    seat.key("u")
    page.locator(".flash").get_by_text("Taken back").wait_for()
    assert page.locator("[data-row]").count() == 2
    # Writing is no command.
    page.locator("#q").focus()
    page.keyboard.type("aperture")
    page.keyboard.press("Enter")
    seat.at(r"/queue\?.*q=aperture")
    assert page.locator("[data-row]").count() == 1
    seat.key("?")
    seat.at("/help$")


def test_it_is_read_and_decided_without_script(seat: Seat, chromium: Any) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{seat.base}/login?token={TOKEN}")
    page.goto(f"{seat.base}/queue")
    assert page.locator("#bulk").is_visible() and page.locator(".facets li").first.is_visible()
    page.locator("[data-open]").click()
    page.locator("[data-row]").first.click()
    page.locator("[data-step]").nth(1).click()
    assert page.locator(":target").count() == 1
    page.get_by_role("button", name="Confirm").click()
    assert page.locator(".kicker .state").inner_text() == "confirmed"
    page.get_by_role("button", name="Undo").click()
    assert page.locator(".kicker .state").inner_text() == "new"
    context.close()
