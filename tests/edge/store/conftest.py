"""A store of either kind, and rows to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from lorelint.edge.store.database import Database
from lorelint.model.feed import Arrival, Cursor, Nature
from lorelint.model.store import FindingRow, Kept, Letter, LetterRow, Life, PatchRow, ReviewRow, SeriesRow

KINDS = ("sqlite", "postgresql")


@pytest.fixture
def url_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """``url_of("postgresql")`` is where a new, empty store of that kind can be made."""
    made = iter(range(1000))

    def create(kind: str) -> str:
        if kind == "sqlite":
            return str(tmp_path / f"store{next(made)}.sqlite")
        url: str = request.getfixturevalue("postgresql")()
        return url

    return create


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, url_of: Callable[[str], str]) -> str:
    return url_of(request.param)


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Database]:
    opened = Database(url, tmp_path)
    yield opened
    opened.close()


def time_of(minute: int) -> str:
    return f"2026-03-{1 + minute // 1440:02}T{minute // 60 % 24:02}:{minute % 60:02}:00Z"


def kept(name: str, *references: str, at: int = 0, author: str = "ann@example.org", **more: object) -> Kept:
    """A message; the last reference is its parent."""
    raw = name.encode("utf-8", "replace")
    fields: dict[str, object] = {"subject": f"subject of {name}", "nature": Nature.TALK, "why": "", "raw": raw}
    fields |= {"parent": references[-1] if references else "", "references": references} | more
    return Kept(name, "", time_of(at), time_of(at), ("Ann", author), **fields)  # type: ignore[arg-type]


def arrival(each: Kept, inbox: str = "kvm", epoch: int = 0, commit: str = "") -> Arrival:
    return Arrival(each.raw, Cursor(inbox, epoch, commit or f"commit-{each.msgid}"), each.at, "b10b")


def series(first: str, **more: object) -> SeriesRow:
    fields: dict[str, object] = {
        "id": 0, "root": first, "key": first, "version": 1, "subject": "a: change",
        "author": ("Ann", "ann@example.org"), "first": first, "expected": 1, "have": 1, "life": Life.READY,
        "why": "", "first_at": time_of(0),
        "last_at": time_of(0), "due_at": "",
    }  # fmt: skip
    return SeriesRow(**(fields | more))  # type: ignore[arg-type]


def patch(name: str, seq: int = 1, patch_id: str = "", same_as: str = "") -> PatchRow:
    return PatchRow(name, 0, seq, f"patch {name}", patch_id, same_as)


def review(of: int, **more: object) -> ReviewRow:
    fields: dict[str, object] = {
        "id": 0, "series": of, "at": time_of(9), "version": "0.1", "tree": "mainline", "commit": "c0ffee",
        "grade": "exact", "tried": (("mainline", "applies"), ("next", "not asked")), "seconds": 1.5, "report": b"{}",
    }  # fmt: skip
    return ReviewRow(**(fields | more))  # type: ignore[arg-type]


def finding(of_review: int, of_series: int, fingerprint: str = "f" * 16, **more: object) -> FindingRow:
    fields: dict[str, object] = {
        "id": 0, "review": of_review, "series": of_series, "patch": "p1@x", "fingerprint": fingerprint,
        "rule": "bad-call", "path": "a.c", "function": "f", "line": 3, "anchor": "g", "message": "it is bad",
        "status": "new",
        "severity": "warning", "confidence": 0.9, "grade": "exact", "mailable": True, "since": 1,
    }  # fmt: skip
    return FindingRow(**(fields | more))  # type: ignore[arg-type]


def letter(of_series: int, of_patch: str, state: Letter = Letter.HELD) -> LetterRow:
    names = (("Ann", "ann@example.org"),)
    return LetterRow(
        0, of_patch, of_series, f"re-{of_patch}", state, (), "Re: x", "body", names, (), (of_patch,), ("kvm",),
        False, "", "rules-1", ("f" * 16,), ("bad-call",), time_of(9),
    )  # fmt: skip


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    return SimpleNamespace(
        kept=kept, arrival=arrival, series=series, patch=patch, review=review, finding=finding, letter=letter,
        time=time_of,
    )  # fmt: skip
