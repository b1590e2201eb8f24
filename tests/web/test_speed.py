"""How long pages take in the server, over very many findings; all of it made up, in both databases."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.web.conftest import SERVE, TOKENS, Browser
from tests.web.many import fill
from tests.web.world import POLICY

from lorelint.config import Config, InboxConfig, StoreConfig
from lorelint.jobs.standing import records
from lorelint.outpost import Outpost
from lorelint.web.app import application
from lorelint.web.guard import Door
from lorelint.wire import House

NOW = "2026-05-01T10:00:00Z"
BOUND = 0.100  # seconds
PAGES = (
    "/queue", "/queue?sort=newest", "/queue?sort=oldest&state=all", "/queue?inbox=kvm", "/queue?rule=fence-leak",
    "/queue?inbox=iommu&subsystem=XEN+DRIVER&severity=error", "/queue?state=sent&rule=retry-no-resched",
    "/queue?mine=1", "/queue?q=window_4321", "/queue?q=nowhere+at+all&state=all", "/queue?version=2&sort=newest",
    "/queue?after=2_2026-02-14T12:00:00Z_500", "/queue?inbox=kvm&rule=dmabuf-unpinned-map&state=not-ours",
    "/series/40", "/finding/320", "/message?id=40-patch@example.org", "/outbox", "/outbox?state=sent&after=9000",
    "/letter/7", "/rules", "/rule/errno-collapsed-to-retry", "/rule/retry-no-resched", "/lists", "/status", "/trail",
    "/help", "/area",
)  # fmt: skip


class Timed:
    """The seconds that pages take, each asked several times by somebody who has come in."""

    def __init__(self, folder: Path, url: str, findings: int) -> None:
        policy = folder / "policy.toml"
        policy.write_text(POLICY)
        config = Config(store=StoreConfig(url), inboxes=(InboxConfig("kvm", "x", address="kvm@example.org"),))
        self.outpost = Outpost(House(config, cwd=folder, cache=folder / "cache"), folder / "data", policy)
        start = time.perf_counter()
        fill(self.outpost.store, findings)
        self.filled = time.perf_counter() - start
        door = Door(frozenset({"127.0.0.1:8080"}), SERVE, tokens={token: name for name, token in TOKENS.items()})
        self.me = Browser(application(self.outpost, door, lambda: NOW))
        self.me.enter("releaser")
        self.me.post("/area", own="kvm")
        self.me.get("/status")  # that is looked at every minute, whoever asks

    def page(self, path: str, times: int) -> float:
        """The least of several: what else the machine does is not the page's. The first is not counted: it loads."""
        took = []
        for _ in range(times + 1):
            start = time.perf_counter()
            answer = self.me.get(path)
            took.append(time.perf_counter() - start)
            assert answer.status_code == 200, (path, answer.text[:300])
        return min(took[1:])

    def close(self) -> None:
        self.outpost.close()


@pytest.fixture
def url_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    def create(kind: str) -> str:
        if kind == "sqlite":
            return str(tmp_path / "store.sqlite")
        url: str = request.getfixturevalue("postgresql")()
        return url

    return create


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_few_thousand(kind: str, url_of: Callable[[str], str], tmp_path: Path) -> None:
    """Every page is quick enough; the bound is wide, for the machine may be busy with other tests."""
    timed = Timed(tmp_path, url_of(kind), 4_000)
    slow = {path: took for path in PAGES if (took := timed.page(path, 1)) > 5 * BOUND}
    timed.close()
    assert not slow


@pytest.mark.prove
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_hundred_thousand(kind: str, url_of: Callable[[str], str], tmp_path: Path, record: Any) -> None:
    """Each page takes less than a tenth of a second in the server."""
    timed = Timed(tmp_path, url_of(kind), 100_000)
    took = {path: timed.page(path, 7) for path in PAGES}
    decide, standing = _decided(timed), _standing(timed)
    timed.close()
    lines = [f"{kind}: 100,000 findings, made in {timed.filled:.0f} s", f"{decide * 1000:7.1f} ms  POST a decision"]
    lines += [f"{standing * 1000:7.1f} ms  how often rules are right on a list, by its verdicts"]
    lines += [f"{seconds * 1000:7.1f} ms  {path}" for path, seconds in sorted(took.items(), key=lambda each: -each[1])]
    record("\n".join(lines))
    assert max(took.values()) < BOUND and decide < BOUND and standing < 5 * BOUND, "\n".join(lines)


def _standing(timed: Timed) -> float:
    """What a pass of the listener asks of each list. It is no page, and may take longer than one."""
    took = []
    for _ in range(3):
        start = time.perf_counter()
        with timed.outpost.store.look() as session:
            assert len(records(session, "kvm")) > 10
        took.append(time.perf_counter() - start)
    return min(took)


def _decided(timed: Timed) -> float:
    """A decision and its undo, as long as one of the two takes: the least of several, as of a page."""
    csrf, took = timed.me.csrf(), []
    for _ in range(5):
        start = time.perf_counter()
        with timed.outpost.store.look() as session:
            series = session.queue.page(_open(), most=1).entries[0].series
        timed.me.post("/queue/decide", csrf=csrf, move="confirm", series=str(series))
        timed.me.post("/undo", csrf=csrf)
        took.append((time.perf_counter() - start) / 2)
    return min(took)


def _open() -> Any:
    from lorelint.model.queue import Filter

    return Filter()


@pytest.fixture
def record(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Shown whatever pytest hides: these are figures."""

    def show(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}")

    return show
