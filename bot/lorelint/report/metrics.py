"""How the lists stand, for Prometheus: numbers by name, in its text format. Pure.

What is counted in the store is told as it stands there (gauges): a store that was restored counts less, and nobody is
to take that for a restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lorelint.model.store import Letter, Life
from lorelint.report.text import words

if TYPE_CHECKING:
    from lorelint.model.status import ListStatus, Status

Value = tuple[tuple[str, ...], float]  # (values of the labels, number)


def exposition(status: Status, version: str) -> str:
    """All of it as text. Raises ModuleNotFoundError where prometheus_client is not installed."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(Standing(status, version))
    return generate_latest(registry).decode()


class Standing:
    """A collector of prometheus_client."""

    def __init__(self, status: Status, version: str) -> None:
        self._status = status
        self._version = version

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily

        for name, told, labels, values in (*_house(self._status, self._version), *_lists(self._status.lists)):
            family = GaugeMetricFamily(f"lorelint_{name}", told, labels=labels)
            for of, value in values:
                family.add_metric([words(each) for each in of], value)
            yield family


Family = tuple[str, str, tuple[str, ...], Iterable[Value]]  # name, what it is, labels, values


def _house(status: Status, version: str) -> Iterator[Family]:
    done, failed, seconds = status.reviews
    series, letters = dict(status.series), dict(status.letters)
    waited = _since(status.oldest, status.at) if status.oldest else 0.0
    notes = (*status.others, *status.trees)
    parts = [(note.name.replace(":", " "), note) for note in notes]
    yield "build_info", "The version that says this.", ("version",), [((version,), 1)]
    yield "healthy", "1 where nothing is stale and nothing failed.", (), [((), not status.problems)]
    yield "problems", "What `lorelint status --health` tells.", (), [((), len(status.problems))]
    yield "series", "Series by where their life stands.", ("life",), _all(Life, series)
    yield "series_due", "Series that are to be reviewed now.", (), [((), status.due)]
    yield "series_due_oldest_seconds", "How long the first of them waits.", (), [((), waited)]
    yield "reviews", "Reviews that are kept.", ("outcome",), [(("done",), done), (("failed",), failed)]
    yield "reviews_seconds", "What those that were done took together.", (), [((), seconds)]
    yield (
        "queue_series",
        "Series with findings of a rule that wait for a person.",
        ("rule",),
        [((rule,), count) for rule, count in status.waits],
    )
    yield "letters", "Letters by where they stand.", ("state",), _all(Letter, letters)
    yield "letters_hour", "Letters that were sent in the last hour.", (), [((), status.hourly[0])]
    yield "letters_hour_cap", "Letters that may be sent in an hour.", (), [((), status.hourly[1])]
    yield "dry_run", "1 where the policy lets nothing be sent.", (), [((), status.dry_run)]
    yield "part_ok", "Whether a part did what it last began.", ("part",), [((name,), note.ok) for name, note in parts]
    yield (
        "part_age_seconds",
        "How long ago a part last said how it went.",
        ("part",),
        [((name,), _since(note.at, status.at)) for name, note in parts],
    )
    if status.free is not None:
        yield "free_bytes", "What is free on the disk of the data.", (), [((), status.free)]


def _lists(lists: Iterable[ListStatus]) -> Iterator[Family]:
    every = tuple(lists)
    kinds = [((one.name, nature), count) for one in every for nature, count in one.natures]
    read = [((one.name,), one.lag) for one in every if one.lag is not None]
    capped = [(one.name, one.cap) for one in every if one.cap is not None]
    yield "list_read_age_seconds", "How long ago a list was read to its end.", ("list",), read
    followed = [((one.name,), one.note.ok) for one in every if one.note is not None]
    yield "list_ok", "Whether a list could be followed last.", ("list",), followed
    yield "list_messages", "Messages of a list by what they are.", ("list", "nature"), kinds
    yield "list_letters_day", "Letters sent in 24 hours.", ("list",), [((name,), cap[0]) for name, cap in capped]
    yield "list_letters_day_cap", "Letters that may be.", ("list",), [((name,), cap[1]) for name, cap in capped]
    yield (
        "list_rules_muted",
        "Rules that are mute on a list.",
        ("list",),
        [((one.name,), len(one.muted)) for one in every],
    )


def _all(states: type[Life] | type[Letter], counts: dict[str, int]) -> list[Value]:
    """Every state, those that nothing is in too: a number that comes and goes is of no use."""
    return [((state.value,), counts.get(state.value, 0)) for state in states]


def _since(at: str, now: str) -> float:
    try:
        return (datetime.fromisoformat(now) - datetime.fromisoformat(at)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
