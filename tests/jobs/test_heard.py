"""Which findings a remark in the thread is taken to speak of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lorelint.edge.b4.threads import read_threads
from lorelint.edge.mailbox import Mail, read_path
from lorelint.edge.trees import open_tree
from lorelint.jobs import heard
from lorelint.jobs.review import review
from lorelint.model.finding import Report
from lorelint.rule.packs import load

RULES = ("errno-collapsed-to-retry", "retry-no-resched", "unbounded-retry")
PATCH = "20260402-dmamap-zap-race-v1-1-7c21f0b9d4e3@example.org"
QUOTE = "> \t\terr = follow_pfnmap_start(&walk);\n> \t\tif (err)\n> -\t\t\treturn err;\n> +\t\t\treturn -EAGAIN;\n\n"
OTHER = "> toggles memory decoding ran over night without a failure.\n\n"

Hear = Callable[..., Report]


@pytest.fixture
def hear(root: Path) -> Hear:
    """A review of our thread with one answer of the test's making."""
    (patch, *_) = read_path(root / "corpora" / "threads" / "dmamap-retry.mbox").mails

    def run(*bodies: str, sender: str = "Odile Brandt <odile@example.org>", answers: bool = True) -> Report:
        mails = [
            Mail(
                f"From: {sender}\nDate: Fri, 03 Apr 2026 09:40:0{at} +0200\nMessage-ID: <{at}@example.org>\n"
                f"Subject: Re: [PATCH] misc: dmamap: start over\nIn-Reply-To: <{PATCH}>\n\n{body}\n".encode()
            )
            for at, body in enumerate(bodies)
        ]
        (thread,) = read_threads([patch, *mails], "thread")
        tree = open_tree(str(root / "corpora" / "trees" / "small"))
        return review(thread, tree, load(RULES), answers=answers).report

    return run


def links(report: Report) -> dict[str, list[bool]]:
    """Rule -> whether each of its links is sure."""
    return {each.finding.rule: [by.sure for by in each.raised] for each in report.findings if each.raised}


def test_the_same_place_and_a_name_of_the_defect(hear: Hear) -> None:
    report = hear(QUOTE + "This is an infinite loop.")
    assert links(report) == {"unbounded-retry": [True]}
    (finding,) = (each for each in report.findings if each.finding.rule == "unbounded-retry")
    assert finding.said and not finding.mailable
    assert (finding.raised[0].msgid, finding.raised[0].name) == ("0@example.org", "Odile Brandt")


@pytest.mark.parametrize(
    "body",
    [
        QUOTE + "The goto and the retry on -EAGAIN look odd.",  # words that only hint
        OTHER + "This is an infinite loop.",  # another place
        "This is an infinite loop.",  # none
    ],
)
def test_what_is_not_sure(body: str, hear: Hear) -> None:
    report = hear(body)
    assert links(report)["unbounded-retry"] == [False]
    assert all(each.mailable for each in report.findings if each.finding.rule == "unbounded-retry")


def test_a_remark_that_names_the_function_speaks_of_it_wherever_it_stands(hear: Hear) -> None:
    assert links(hear(OTHER + "dmamap_get_page() is an infinite loop now."))["unbounded-retry"] == [True]


@pytest.mark.parametrize("body", [QUOTE + "Nice.", OTHER + "The retry on -EAGAIN looks odd."])
def test_what_speaks_of_no_finding(body: str, hear: Hear) -> None:
    report = hear(body)
    assert links(report) == {} and len(report.comments) == 1


@pytest.mark.parametrize(
    "sender", ["Tomas Lindqvist <tomas@example.org>", "dmamap test robot <robot@example.org>"], ids=["author", "robot"]
)
def test_who_raises_nothing(sender: str, hear: Hear) -> None:
    report = hear(QUOTE + "This is an infinite loop.", sender=sender)
    assert links(report) == {} and len(report.comments) == 1


def test_as_if_nobody_had_answered(hear: Hear) -> None:
    report = hear(QUOTE + "This is an infinite loop.", answers=False)
    assert links(report) == {} and report.comments == ()


def test_what_was_found_does_not_hang_on_what_was_said(hear: Hear) -> None:
    answered, silent = hear(QUOTE + "This is an infinite loop."), hear()
    assert [each.finding for each in answered.findings] == [each.finding for each in silent.findings]


def test_so_much_was_said_that_not_all_is_looked_through(hear: Hear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heard, "MAX_SPOKEN", 40)
    report = hear(QUOTE + "This is an infinite loop.", QUOTE + "It is an infinite loop.")
    assert links(report)["unbounded-retry"] == [True]
    assert len(report.comments) == 2
    assert any("not linked" in each.text for each in report.troubles)
