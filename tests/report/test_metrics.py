"""Numbers for Prometheus: what its own parser reads, with names as it wants them."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from lorelint.model.status import ListStatus, Status
from lorelint.model.store import Letter, Life, Note
from lorelint.report.metrics import exposition

AT = "2026-04-03T10:00:00Z"
STATUS = Status(
    at=AT,
    lists=(
        ListStatus(
            name="kvm",
            cursors=(),
            read_at="2026-04-03T09:58:00Z",
            lag=120.0,
            note=Note("inbox:kvm", AT, True, "3 messages came"),
            natures=(("reply", 9), ("patch", 4)),
            audience="author",
            cap=(1, 3),
            muted=(("retry-no-resched", "too noisy"),),
        ),
        ListStatus("mm", (), "", None, None, ()),
    ),
    trees=(Note("tree:next", "2026-04-03T08:00:00Z", False, "no answer"),),
    others=(Note("send", AT, True, "nothing is released"),),
    series=(("reviewed", 7), ("ready", 2)),
    due=2,
    oldest="2026-04-03T09:00:00Z",
    letters=(("held", 5),),
    hourly=(1, 10),
    dry_run=True,
    problems=("tree next: no answer",),
    reviews=(7, 1, 61.5),
    waits=(("unbounded-retry", 3),),
    free=5_000_000,
)


def told() -> dict[tuple[str, ...], float]:
    text = exposition(STATUS, "9.9")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_is_told() -> None:
    found = told()
    wanted: dict[tuple[str, ...], float] = {
        ("lorelint_build_info", "9.9"): 1,
        ("lorelint_healthy",): 0,
        ("lorelint_problems",): 1,
        ("lorelint_series", "reviewed"): 7,
        ("lorelint_series_due_oldest_seconds",): 3600,
        ("lorelint_reviews", "failed"): 1,
        ("lorelint_reviews_seconds",): 61.5,
        ("lorelint_queue_series", "unbounded-retry"): 3,
        ("lorelint_letters", "held"): 5,
        ("lorelint_letters", "sent"): 0,
        ("lorelint_letters_hour_cap",): 10,
        ("lorelint_dry_run",): 1,
        ("lorelint_part_ok", "tree next"): 0,
        ("lorelint_part_age_seconds", "tree next"): 7200,
        ("lorelint_list_read_age_seconds", "kvm"): 120,
        ("lorelint_list_messages", "kvm", "reply"): 9,
        ("lorelint_list_letters_day", "kvm"): 1,
        ("lorelint_list_rules_muted", "kvm"): 1,
        ("lorelint_free_bytes",): 5_000_000,
    }
    assert {key: found.get(key) for key in wanted} == wanted
    assert ("lorelint_list_read_age_seconds", "mm") not in found


def test_every_state_has_a_number_even_where_nothing_is_in_it() -> None:
    found = told()
    assert {key[1] for key in found if key[0] == "lorelint_series"} == {each.value for each in Life}
    assert {key[1] for key in found if key[0] == "lorelint_letters"} == {each.value for each in Letter}


def test_names_are_as_prometheus_wants_them() -> None:
    for family in text_string_to_metric_families(exposition(STATUS, "9.9")):
        assert re.fullmatch(r"lorelint_[a-z_]+", family.name) and family.documentation.endswith(".")
        assert not re.search(r"_(total|count|sum|bucket|ms|minutes|hours)$", family.name), family.name
