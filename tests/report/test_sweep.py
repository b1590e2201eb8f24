"""What a sweep tells: counts, noise, lines of JSON, and how long it will take."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from lorelint.cli.sweep import told
from lorelint.model.sweep import Mails, Period, Progress, SweptFinding, SweptSeries, Tally
from lorelint.report.sweep import line, render, summary, to_json

FINDING = SweptFinding(
    patch="p@x",
    fingerprint="00ff",
    rule="unbounded-retry",
    path="mm/x.c",
    function="x",
    line=7,
    status="new",
    severity="warning",
    confidence=0.9,
    grade="exact",
    mailable=True,
    message="loops",
    since=1,
)
ONE = SweptSeries(
    first="a@x", at="2024-03-01T00:00:00Z", key="a", version=1, subject="x", have=2, expected=2, fate="reviewed",
    grade="exact", patches=2, functions=10, subsystems=("MM", "VFIO"), findings=(FINDING,),
)  # fmt: skip
MAILS = Mails((("patch", 9), ("reply", 4)), (("box/README", "holds nothing"),))


def test_a_finding_counts_once_for_all_versions() -> None:
    fixed = replace(FINDING, fixed_in=3)
    versions = [
        replace(ONE, findings=(fixed,)),
        replace(ONE, first="b@x", version=2, at="2025-01-01T00:00:00Z", findings=(replace(fixed, mailable=False),)),
        replace(ONE, first="c@x", version=3, at="2025-02-01T00:00:00Z", findings=()),
    ]
    made = summary(versions)
    assert (made.total.series, made.total.patches, made.total.findings) == (3, 6, 1)
    assert (made.total.said, made.total.fixed, made.total.raised, made.total.noise) == (1, 1, 0, 0)
    assert made.years["2024"].findings == 1 and made.years["2025"].findings == 0
    assert {name: count.findings for name, count in made.subsystems.items()} == {"MM": 1, "VFIO": 1}
    assert made.rules["unbounded-retry"].patches == 6


def test_one_that_comes_again_is_another() -> None:
    again = replace(FINDING, since=3)
    made = summary([replace(ONE, findings=(replace(FINDING, fixed_in=2),)), replace(ONE, version=3, findings=(again,))])
    assert (made.total.findings, made.total.fixed, made.total.noise) == (2, 1, 1)


@pytest.mark.parametrize(
    ("finding", "counts"),
    [
        (FINDING, (1, 0, 0, 0, 1)),
        (replace(FINDING, raised_by="Odile", mailable=False), (0, 0, 1, 1, 0)),
        (replace(FINDING, raised_by="Odile", fixed_in=2), (1, 1, 1, 1, 0)),
        (replace(FINDING, mailable=False), (0, 0, 0, 0, 0)),
    ],
)
def test_noise(finding: SweptFinding, counts: tuple[int, ...]) -> None:
    total = summary([replace(ONE, findings=(finding,))]).total
    assert (total.said, total.fixed, total.raised, total.borne_out, total.noise) == counts
    assert total.document()["noise_per_100_patches"] == 50.0 * counts[-1]


def test_hunks_alone_are_no_patches_that_were_judged() -> None:
    made = summary([replace(ONE, grade="fragments", findings=())])
    assert (made.total.series, made.total.patches) == (1, 0)
    assert made.total.document()["noise_per_100_patches"] is None


def test_what_was_not_reviewed() -> None:
    made = summary(
        [
            replace(ONE, fate="left out", why="foreign: Linux has no hw/vfio", findings=()),
            replace(ONE, fate="left out", why="foreign: Linux has no target/x", findings=()),
            replace(ONE, fate="left out", why="touches no C", findings=()),
            replace(ONE, fate="failed", why="took too long", findings=()),
            replace(ONE, fate="missing", findings=()),
        ]
    )
    assert made.reasons == {"foreign": 2, "touches no C": 1}
    assert made.fates == {"left out": 3, "failed": 1, "missing": 1}
    assert made.failed == [("a@x", "took too long")] and made.total.series == 0
    text = render(made, MAILS, Tally(troubles=["list: damaged"]))
    assert "    <a@x>: took too long\n" in text and "2 left out: foreign\n" in text
    assert text.endswith("not read: list: damaged\n")


def test_strangers_words_are_shown_and_not_obeyed() -> None:
    made = summary([replace(ONE, fate="failed", first="\x1b[2J@x", why="a\u202eb", findings=())])
    text = render(made, MAILS, Tally())
    assert "<<U+001B>[2J@x>: a<U+202E>b" in text


def test_tables() -> None:
    text = render(summary([ONE]), MAILS, Tally())
    assert "13 mails: 9 patch, 4 reply\n1 file that hold no mail\n1 series: 1 reviewed\n" in text
    assert "noise: at most 50.00 per 100 patches (said, and borne out by neither)\n" in text
    assert "\nMM                2         1         1         0         0         1     50.00\n" in text


def test_plain_data() -> None:
    made = to_json(summary([ONE]), MAILS, Period("2024-01-01T00:00:00Z"), {"version": "1"}, Tally())
    assert made["series"] == {"reviewed": 1} and made["no_mail"] == {"files": 1, "reasons": {"holds nothing": 1}}
    assert made["rules"][0]["rule"] == "unbounded-retry" and made["years"][0]["year"] == "2024"
    json.dumps(made)


def test_a_line() -> None:
    text = line(replace(ONE, subject="caf\u00e9\n\x1b"))
    assert text.isascii() and text.count("\n") == 1 and text.endswith("\n")
    loaded = json.loads(text)
    assert list(loaded) == sorted(loaded) and loaded["findings"][0]["rule"] == "unbounded-retry"


@pytest.mark.parametrize(
    ("progress", "seconds", "text"),
    [
        (Progress("reading", 12_345), 0.5, "reading: 12,345 mails"),
        (Progress("reading", 12_345), 60, "reading: 12,345 mails, 206 a second"),
        (Progress("reviewing", 0, 400, 0, 700), 30, "reviewing: 0 of 400 series"),
        (
            Progress("reviewing", 20, 400, 35, 700),
            30,
            "reviewing: 20 of 400 series, 70 patches a minute, 10 min left",
        ),
        (
            Progress("reviewing", 10, 9_000_000, 20, 18_000_000),
            10,
            "reviewing: 10 of 9,000,000 series, 120 patches a minute, 104 days left",
        ),
    ],
)
def test_how_long_it_will_take(progress: Progress, seconds: float, text: str) -> None:
    assert told(progress, seconds) == text
