"""What reports look like, to the byte. `make bless` writes the expected outputs anew: read them in the diff."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lorelint.report import json, why_not
from lorelint.report.reply import replies
from lorelint.report.terminal import terminal

HERE = Path(__file__).parent
REPORTS = ("retry", "approximate", "clean_run", "scan", "series_of_two", "untouched_cause", "fragments", "answered")


def _samples() -> ModuleType:
    name = "lorelint_tests_report_samples"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, HERE.parent / "report" / "samples.py")
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


SAMPLES = _samples()


def _check(name: str, text: str, blessing: bool) -> None:
    path = HERE / "report" / name
    if blessing:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert path.is_file(), f"no expected output {path.name}: make bless"
    assert text == path.read_text("utf-8")


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize("name", REPORTS)
def test_terminal(name: str, columns: int, blessing: bool) -> None:
    text = terminal(getattr(SAMPLES, name)(), SAMPLES.source, width=columns)
    _check(f"{name}.{columns}.txt", text, blessing)


def test_terminal_in_colour(blessing: bool) -> None:
    _check("retry.ansi", terminal(SAMPLES.retry(), SAMPLES.source, width=80, colour=True), blessing)


@pytest.mark.parametrize("name", REPORTS)
def test_reply(name: str, blessing: bool) -> None:
    made = replies(getattr(SAMPLES, name)(), SAMPLES.source)
    text = "".join(
        f"Subject: {reply.subject}\nIn-Reply-To: <{reply.msgid}>\n"
        + "".join(f"Held: {why}\n" for why in reply.held)
        + f"\n{reply.body}\n"
        for reply in made
    )
    _check(f"{name}.reply", text, blessing)


@pytest.mark.parametrize("name", ["retry", "scan", "answered"])
def test_json(name: str, blessing: bool) -> None:
    _check(f"{name}.json", json.dump(json.document(getattr(SAMPLES, name)())), blessing)


def test_why_not(blessing: bool) -> None:
    answer = SAMPLES.answer()
    _check("why_not.txt", why_not.text(answer, lambda path, line: SAMPLES.source(0, path, line)), blessing)
