"""What corpora/README.md promises of our own threads, by the command line as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def lorelint(root: Path, tmp_path: Path) -> Run:
    """Runs a command in the checkout, with a cache of its own and an odd locale."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lorelint", *arguments],
            cwd=root,
            env={
                **os.environ,
                "PYTHONPATH": f"{root / 'bot'}{os.pathsep}{root / 'rules'}",
                "XDG_CACHE_HOME": str(tmp_path / "cache"),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def review(lorelint: Run) -> Callable[[str], dict[str, Any]]:
    def run(name: str) -> dict[str, Any]:
        done = lorelint("review", f"corpora/threads/{name}", "--tree", "corpora/trees/small", "--format", "json")
        assert done.returncode in (0, 1), done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        assert not document["failures"] and not document["troubles"]
        assert document["base"]["grade"] == "exact"
        return document

    return run


def found(document: dict[str, Any], status: str = "new", kind: str = "defect") -> set[tuple[str, str, str]]:
    return {
        (each["rule"], each["path"], each["function"])
        for each in document["findings"]
        if each["status"] == status and each["kind"] == kind
    }


def test_the_untouched_caller_of_a_callee_that_turns_all_into_eagain(review: Callable[[str], dict[str, Any]]) -> None:
    document = review("dmamap-retry.mbox")
    source = "drivers/misc/dmamap/dmamap.c"
    assert found(document) == {
        ("errno-collapsed-to-retry", source, "dmamap_resolve_pfn"),
        ("unbounded-retry", source, "dmamap_get_page"),
        ("retry-no-resched", source, "dmamap_get_page"),
    }
    # The fault looks at fatal signals: said, and no defect.
    assert found(document, kind="remark") == {("retry-no-fatal-signal", source, "dmamap_get_page")}
    places = {(each["path"], each["function"]) for one in document["findings"] for each in one["siblings"]}
    assert any(path == "drivers/misc/winview/winview.c" for path, _ in places)
    assert len(document["concerns"]) == 1


def test_what_people_said_is_put_beside_what_was_found(review: Callable[[str], dict[str, Any]]) -> None:
    document = review("dmamap-answered.mbox")
    raised = {
        each["rule"]: {(by["name"], by["sure"]) for by in each["raised"]}
        for each in document["findings"]
        if each["status"] == "new"
    }
    assert raised == {
        "errno-collapsed-to-retry": set(),
        "unbounded-retry": {("Odile Brandt", True)},
        "retry-no-resched": {("Ines Marchetti", False)},
        "retry-no-fatal-signal": {("Ines Marchetti", True)},
    }
    mailable = {each["rule"] for each in document["findings"] if each["mailable"]}
    assert mailable == {"errno-collapsed-to-retry", "retry-no-resched"}
    comments = document["comments"]
    assert [(each["name"], each["role"], each["anchor"], each["about"]["function"]) for each in comments] == [
        ("Odile Brandt", "reviewer", "message", ""),
        ("Odile Brandt", "reviewer", "line", "dmamap_resolve_pfn"),
        ("Lindqvist, Tomas", "author", "line", "dmamap_resolve_pfn"),
        ("Ines Marchetti", "reviewer", "line", "dmamap_resolve_pfn"),
        ("Ines Marchetti", "reviewer", "line", "dmamap_resolve_pfn"),
        ("dmamap test robot", "robot", "patch", ""),
        ("Jorge Amaral", "reviewer", "patch", ""),
    ]


def test_a_mail_is_held_where_somebody_may_have_said_it(lorelint: Run) -> None:
    command = ("review", "corpora/threads/dmamap-answered.mbox", "--tree", "corpora/trees/small", "--stage", "queue")
    done = lorelint(*command, "--format", "reply")
    assert "held: perhaps raised by Ines Marchetti in <20260404081530.GB771@example.org>" in done.stdout
    assert "not mailed: unbounded-retry in dmamap_get_page(), raised by Odile Brandt" in done.stderr
    assert "people said 2 other things" in done.stderr
    letters = json.loads(lorelint(*command, "--format", "reply", "--json").stdout)
    assert letters["replies"][0]["held"] and [each["rule"] for each in letters["unmailed"]] == ["unbounded-retry"]
    unanswered = lorelint(*command, "--format", "reply", "--unanswered")
    assert "held:" not in unanswered.stdout and "raised" not in unanswered.stdout + unanswered.stderr


def test_mmap_added_elsewhere_makes_a_revoke_wrong(review: Callable[[str], dict[str, Any]]) -> None:
    document = review("aperture-mmap.mbox")
    source = "drivers/misc/aperture/reset.c"
    assert found(document) == {
        ("revoke-without-unmap", source, "aperture_reset"),
        ("revoke-without-unmap", source, "aperture_detach"),
    }
    assert {each["patch"] for each in document["findings"] if each["status"] == "new"} == {2}


def test_a_fix_is_no_finding(review: Callable[[str], dict[str, Any]]) -> None:
    document = review("winview-bounded.mbox")
    assert found(document) == set()
    fixed = {rule for rule, _, _ in found(document, status="fixed")}
    assert {"unbounded-retry", "errno-collapsed-to-retry", "retry-no-resched", "retry-no-fatal-signal"} <= fixed


@pytest.mark.parametrize(
    ("thread", "code"),
    [("dmamap-retry.mbox", 1), ("dmamap-answered.mbox", 1), ("aperture-mmap.mbox", 1), ("winview-bounded.mbox", 0)],
)
def test_exit_codes(thread: str, code: int, lorelint: Run) -> None:
    assert lorelint("review", f"corpora/threads/{thread}", "--tree", "corpora/trees/small").returncode == code


@pytest.mark.parametrize("form", ["terminal", "reply", "json"])
def test_same_bytes_twice(form: str, lorelint: Run) -> None:
    """Cold and warm, whatever the order in which sets of strings happen to be walked, whatever the locale."""
    thread, tree = "corpora/threads/dmamap-retry.mbox", "corpora/trees/small"
    command = ("review", thread, "--tree", tree, "--format", form, "--stage", "queue")
    first = lorelint(*command, PYTHONHASHSEED="1", LC_ALL="C.UTF-8")
    second = lorelint(*command, PYTHONHASHSEED="2", LC_ALL="C.UTF-8", TZ="Asia/Kolkata")
    assert first.stdout and first.stdout == second.stdout
    assert first.returncode == second.returncode == 1


def test_the_right_idiom_is_silent(lorelint: Run) -> None:
    done = lorelint("scan", "drivers/misc/barpeek", "--tree", "corpora/trees/small", "--json")
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["findings"] == []


def test_the_sibling_speaks_by_itself(lorelint: Run) -> None:
    done = lorelint("scan", "drivers/misc/winview", "--tree", "corpora/trees/small", "--json")
    assert done.returncode == 1
    assert "unbounded-retry" in {each["rule"] for each in json.loads(done.stdout)["findings"]}
