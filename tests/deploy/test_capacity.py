"""The page about capacity holds what its figures give, and each figure says where it is from."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


@pytest.fixture(scope="module")
def capacity() -> ModuleType:
    spec = importlib.util.spec_from_file_location("capacity", DEPLOY / "capacity.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["capacity"] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


def test_the_page_is_fresh(capacity: ModuleType, blessing: bool) -> None:
    page = DEPLOY / "CAPACITY.md"
    text = page.read_text()
    if blessing:
        page.write_text(capacity.page(text))
    assert page.read_text() == capacity.page(text)
    assert text.count(capacity.BEGIN) == text.count(capacity.END) == 1


def test_every_figure_says_what_it_is() -> None:
    figures = [line for line in (DEPLOY / "capacity.toml").read_text().splitlines() if re.match(r"\w+ = ", line)]
    assert len(figures) > 15 and all(" # " in line for line in figures)


def test_sums(capacity: ModuleType) -> None:
    costs = capacity.Costs(
        raw=10_000, store=5_000, patches=0.25, read=0.01, review=0.4, slower=3, worker=4e8, index=2e8, core_hour=0.5,
        gigabyte_month=1.0,
    )  # fmt: skip
    measured, assumed = {"list_mails": 3_600.0, "list_days": 36.0}, {
        "busy_mails_a_day": 100.0, "lore_mails_a_day": 1_000.0, "lore_mails": 36_000_000.0,
    }  # fmt: skip
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capacity.archives(measured, assumed, costs)]
    # 36 million mails: 9 million patches, 100 h of reading, 1,000 to 3,000 core hours, 540 GB.
    everything = dict(zip(rows[0], rows[-1], strict=True))
    assert everything["mails"] == "36,000,000" and everything["patches"] == "9,000,000"
    assert (everything["mail"], everything["store"]) == ("360.0 GB", "180.0 GB")
    assert everything["reading, one process"] == "4.2 d" and everything["reviews, cores x hours"] == "1,000 to 3,000"
    assert everything["with 2 cores"] == "25 d to 67 d" and everything["with 64"] == "4.8 d to 6.1 d"
    assert everything["EUR"] == "2,090"  # (100 + 3,000) h x 0.5 + 540 GB x 1
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capacity.followed(measured, assumed, costs)]
    assert rows[2][1:5] == ["100", "25", "31 s", "0.0 %"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2.0 min"), (7_199, "120 min"), (7_200, "2.0 h"), (864_000, "10 d")],
)
def test_lengths(capacity: ModuleType, seconds: float, text: str) -> None:
    assert capacity.length(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(5.84, "5.8"), (38.4, "38"), (1_769, "1,770"), (5_053_381, "5,050,000")])
def test_numbers(capacity: ModuleType, value: float, text: str) -> None:
    assert capacity.number(value) == text
