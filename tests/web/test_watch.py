"""Whether it lives, whether it can answer, numbers for Prometheus, and a line for each request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.web.conftest import NOW, SERVE, TOKENS, Browser, Small

from lorelint.web.app import application
from lorelint.web.guard import Door

STRANGE = "http://10.1.2.3:9999"  # a name that is not ours: as a supervisor would ask


def numbers(text: str) -> dict[str, float]:
    return {
        sample.name + "".join(f"/{value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_anybody_is_told_whether_it_is_well(small: Small, path: str) -> None:
    for base in ("http://127.0.0.1:8080", STRANGE):
        answer = Browser(small.app, base).get(path)
        assert (answer.status_code, answer.text) == (200, "yes\n")
    assert Browser(small.app, STRANGE).get("/queue").status_code == 421
    assert Browser(small.app, STRANGE).ask("POST", path).status_code == 421


def test_it_lives_but_is_not_ready_without_its_store(small: Small, tmp_path: Path) -> None:
    assert Browser(small.app).get("/readyz").status_code == 200
    small.outpost.close()
    (kept,) = (tmp_path / "data").glob("*.sqlite")
    kept.write_bytes(b"no database at all, and long enough to be looked at" * 100)
    for beside in (tmp_path / "data").glob("*.sqlite-*"):
        beside.unlink()
    answer = Browser(small.app).get("/readyz")
    assert (answer.status_code, answer.text) == (503, "no\n")
    assert Browser(small.app).get("/healthz").status_code == 200


def test_metrics_take_a_token(small: Small) -> None:
    asks = Browser(small.app, STRANGE)
    assert asks.get("/metrics").status_code == 421
    assert Browser(small.app).get("/metrics").status_code == 303  # to the door
    for wrong in ("Bearer ", "Bearer x", f"Basic {TOKENS['viewer']}", f"Bearer {TOKENS['nobody']}", "Bearer \u00e9"):
        assert asks.get("/metrics", headers={"authorization": wrong.encode()}).status_code == 421
    answer = asks.get("/metrics", headers={"authorization": f"Bearer {TOKENS['viewer']}"})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    told = numbers(answer.text)
    assert told["lorelint_healthy"] in (0, 1) and told["process_resident_memory_bytes"] > 1e6
    assert told["lorelint_http_requests_total/GET/421"] == 6 and told["lorelint_http_seconds_count"] >= 7


def test_metrics_are_a_page_for_who_has_come_in(small: Small) -> None:
    assert "lorelint_letters" in small.as_("viewer").get("/metrics").text


def test_each_request_is_told_without_what_it_asks(small: Small) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    door = Door(frozenset({"127.0.0.1:8080"}), SERVE, tokens={token: name for name, token in TOKENS.items()})
    app = application(small.outpost, door, lambda: NOW, lambda event, **facts: told.append((event, facts)))
    Browser(app).get("/login?token=secret")
    Browser(app).enter("triager").get("/queue?text=private")
    Browser(app).get("/healthz")
    assert [(event, each["path"], each["status"], each["who"]) for event, each in told] == [
        ("request", "/login", 200, ""),
        ("request", "/login", 303, ""),
        ("request", "/queue", 200, "triager"),
    ]
    assert "secret" not in str(told) and "private" not in str(told)
