"""The face on a store: asked as a program would (httpx, without a socket), and by a real browser on the loopback."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from tests.conftest import PublicInbox, missing
from tests.jobs.listing import Listing
from tests.web.world import POLICY, World, mails, second

from lorelint.config import Config, ServeConfig
from lorelint.outpost import Outpost
from lorelint.web.app import application
from lorelint.web.guard import Door
from lorelint.wire import House

T = TypeVar("T")
HOST = "127.0.0.1:8080"
TOKENS = {"viewer": "v" * 30, "triager": "t" * 30, "releaser": "r" * 30, "nobody": "n" * 30}
SERVE = ServeConfig(viewers=("viewer",), triagers=("triager",), releasers=("releaser",))
NOW = "2026-04-10T10:00:00Z"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


_ASKING = ThreadPoolExecutor(1)  # a thread of its own: a real browser's loop runs in the test's


def ask(asked: Coroutine[Any, Any, T]) -> T:
    return _ASKING.submit(asyncio.run, asked).result()


class Browser:
    """Somebody with cookies, who asks the application itself."""

    def __init__(self, app: Any, base: str = f"http://{HOST}") -> None:
        self.app = app
        self.cookies: dict[str, str] = {}
        self.base = base

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            sent = httpx.Cookies(self.cookies)
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=more.pop("raises", True))
            async with httpx.AsyncClient(transport=transport, base_url=self.base, cookies=sent) as client:
                answer = await client.request(method, path, follow_redirects=False, **more)
                for name, value in answer.cookies.items():
                    self.cookies[name] = value
                return answer

        return ask(asked())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def post(self, path: str, csrf: str | None = None, **fields: Any) -> httpx.Response:
        """A form of a page of ours, with its word unless another is given."""
        form = {"csrf": self.csrf() if csrf is None else csrf, **fields}
        return self.ask("POST", path, data=form)

    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.get("/help").text)
        return found[1] if found else ""

    def enter(self, who: str) -> Browser:
        answer = self.ask("POST", "/login", data={"token": TOKENS[who]})
        assert answer.status_code == 303, answer.text
        return self


class Small:
    """A store that is filled by hand, and the face on it."""

    def __init__(self, folder: Path, policy: str = POLICY) -> None:
        self.listing = Listing(folder / "data")
        policy_file = folder / "policy.toml"
        policy_file.write_text(policy)
        self.outpost = Outpost(House(Config(), cwd=folder, cache=folder / "cache"), folder / "data", policy_file)
        self.now = NOW
        self.app = self.face()

    def face(self, **door: Any) -> Any:
        given = {"hosts": frozenset({HOST}), "settings": SERVE, "tokens": {v: k for k, v in TOKENS.items()}} | door
        return application(self.outpost, Door(**given), lambda: self.now)

    def as_(self, who: str) -> Browser:
        return Browser(self.app).enter(who)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    made = Small(tmp_path)
    yield made
    made.outpost.close()
    made.listing.store.close()


@contextmanager
def served(app: Any, port: int) -> Iterator[str]:
    """A real server on the loopback, until the end of the block."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", proxy_headers=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(400):
        if server.started:
            break
        time.sleep(0.02)
    assert server.started
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A real browser without a window."""
    if not Path(CHROMIUM).exists():
        missing("Chromium is not installed (make tools)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def full_world(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[World]:
    """One with all threads of our own writing, a second version among them."""
    for name in ("public-inbox-init", "public-inbox-mda"):
        if shutil.which(name) is None:
            missing(f"{name} is not installed (make tools)")
    folder = tmp_path_factory.mktemp("world")
    tree = Path(shutil.copytree(root / "corpora" / "trees" / "small", folder / "small"))
    world = World(folder, tree, PublicInbox(folder / "archive", "dmamap"))
    world.take(mails(root, "dmamap-retry"), "2026-04-03T10:00:00Z")
    world.take([second(mails(root, "dmamap-retry")[0])], "2026-04-06T10:00:00Z")
    for name in ("dmamap-answered", "aperture-mmap", "winview-bounded"):
        world.take(mails(root, name), "2026-04-09T10:00:00Z")
    yield world
    world.close()


@pytest.fixture
def make_world(tmp_path: Path, root: Path, make_inbox: Callable[..., PublicInbox]) -> Iterator[Callable[[], World]]:
    """``make_world()``: an outpost that follows a list of our own writing."""
    made: list[World] = []

    def make() -> World:
        tree = Path(shutil.copytree(root / "corpora" / "trees" / "small", tmp_path / "small"))
        made.append(World(tmp_path, tree, make_inbox("dmamap")))
        return made[-1]

    yield make
    for world in made:
        world.close()
