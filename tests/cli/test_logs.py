"""The log: one line for each thing, whatever a mail says; as text, as JSON, and as the journal likes it."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.cli.logs import log, with_libraries

EVIL = 'a "b" \\ \n\x1b[31m\u202e=c\u2028'


def text(capsys: pytest.CaptureFixture[str], form: str, event: str, **facts: object) -> str:
    log(form)(event, **facts)
    return capsys.readouterr().err


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    line = text(capsys, "text", "reviewed", series=3, ok=True, seconds=1.5, tree="", why="two words")
    assert re.fullmatch(r'time=\S+Z event=reviewed series=3 ok=yes seconds=1\.5 tree="" why="two words"\n', line)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(text(capsys, "json", "tree", ok=False, text=EVIL, files=7))
    assert list(told)[:3] == ["time", "level", "event"]
    assert (told["level"], told["event"], told["ok"], told["files"]) == ("warning", "tree", False, 7)
    assert "\x1b" not in told["text"] and "\u202e" not in told["text"]


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_line_is_a_line_and_can_be_read_back(first: str, second: str) -> None:
    read, write = os.pipe()
    was, sys.stderr = sys.stderr, os.fdopen(write, "w", encoding="utf-8", errors="backslashreplace")
    try:
        log("text")("event", first=first, second=second)
    finally:
        sys.stderr.close()
        sys.stderr = was
    with os.fdopen(read, encoding="utf-8") as stream:
        line = stream.read()
    assert line.count("\n") == 1 and line.endswith("\n")
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.quotes, lexer.escapedquotes = True, "", '"', '"'
    lexer.escape = "\\" if '"' in line else ""
    names = [part.partition("=")[0] for part in lexer]
    assert names[:2] == ["time", "event"] and {"first", "second"} <= set(names)


def test_libraries_are_heard(capsys: pytest.CaptureFixture[str]) -> None:
    with_libraries(log("json"), "lorelint.tests.library")
    logger = logging.getLogger("lorelint.tests.library")
    logger.info("nothing of note")
    try:
        raise ValueError("deep down")
    except ValueError:
        logger.exception("it broke")
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert told["level"] == "warning" and told["name"] == "lorelint.tests.library"
    assert "it broke" in told["text"] and "deep down" in told["text"]


LOGGING = 'from lorelint.cli.logs import log; say = log("text"); say("error", text="no"); say("pass", ok=True)'


@pytest.mark.parametrize("journal", [True, False])
def test_trouble_is_marked_for_the_journal_alone(journal: bool, tmp_path: Path, root: Path) -> None:
    """As systemd does: standard error is a file whose device and inode stand in the environment."""
    out = tmp_path / "stream"
    with out.open("w") as stream:
        there = os.fstat(stream.fileno())
        named = f"{there.st_dev}:{there.st_ino}" if journal else f"{there.st_dev}:{there.st_ino + 1}"
        environment: dict[str, Any] = {**os.environ, "JOURNAL_STREAM": named, "PYTHONPATH": str(root / "bot")}
        subprocess.run([sys.executable, "-c", LOGGING], check=True, stderr=stream, env=environment)
    first, second = out.read_text().splitlines()
    assert first.startswith("<4>time=" if journal else "time=") and second.startswith("time=")
