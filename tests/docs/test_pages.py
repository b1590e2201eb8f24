"""The site: pages are there, links lead somewhere, what is looked up is what the code has, what is shown was run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import ROOT, Checkout
from tests.report.test_site import checked

from lorelint import rule
from lorelint.config import _KNOWN
from lorelint.report.markdown import render, title

GUIDES = sorted((ROOT / "bot" / "docs").glob("*.md"))
MADE = ("commands", "settings", "policy", "json", "door")
_BLOCK = re.compile(r"(?ms)^```(sh|text)\n(.*?)^```$")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` writes."""
    made = tmp_path_factory.mktemp("site")
    recipe = re.search(r"(?m)^docs:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text())
    assert recipe
    words = recipe[1].replace("\\\n", " ").split()[1:]
    command = [sys.executable, "-m", "lorelint", *(str(made) if word == "build/docs" else word for word in words)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'bot'}:{ROOT / 'rules'}"}
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env=environment)
    return made


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_all_are_there(pages: dict[str, str]) -> None:
    guides = {re.sub(r"^\d-", "", path.stem) for path in GUIDES} | {"runbook", "contributing"}
    assert {f"{name}.html" for name in (*guides, *MADE, "index", "unbounded-retry")} <= set(pages)
    assert "calls.svg" in pages and "style.css" in pages


def test_every_link_leads_somewhere(pages: dict[str, str]) -> None:
    ids = {name: set(checked(text).ids) for name, text in pages.items() if name.endswith(".html")}
    for name in ids:
        for link in checked(pages[name]).links:
            if re.match(r"https?://", link):
                continue
            file, _, part = link.partition("#")
            assert (file or name) in pages, (name, link)
            assert not part or part in ids[file or name], (name, link)


def test_guides_link_to_files_that_are_there() -> None:
    for path in GUIDES:
        for link in re.findall(r"\]\(([^)#:]+)", path.read_text()):
            made = link.endswith(".md") and link.removesuffix(".md") in (*MADE, "runbook", "operator")
            assert made or (path.parent / link).exists(), (path.name, link)


def test_what_is_looked_up_is_what_the_code_has(pages: dict[str, str]) -> None:
    text = {name: checked(pages[f"{name}.html"]).text for name in MADE}
    for names, wanted in _KNOWN.items():
        assert ".".join(names) in text["settings"] or wanted == "a table"
    assert all(name in text["door"] for name in rule.__all__)
    for told in ("lorelint store backup", "--keep N", "lorelint policy mute", "--fail-on"):
        assert told in text["commands"], told
    assert "list.*.audience" in text["policy"] and "embargo_hours" in text["policy"]
    assert "finding.fingerprint" in text["json"]


def test_markdown() -> None:
    page = "# A <b>\n\none `c<d` **strong** *em* 2*3*4\ntwo [x](y.md), [z](gone/q.md), [w](https://example.org/)\n"
    page += "\n- a\n  b\n- c\n\n1. n\n"
    made = render(
        page + "\n| h | i |\n|---|---|\n| `a\\|b` | 2 |\n\n```sh\n<x>\n```\n![p](p.svg)\n", {"y.html", "p.svg"}
    )
    checked(made)
    assert title(page) == "A <b>"
    assert (
        '<h1 id="a-b">A &lt;b&gt;</h1><p>one <code>c&lt;d</code> <strong>strong</strong> <em>em</em> 2*3*4 two ' in made
    )
    assert '<a href="y.html">x</a>, <code>z</code>, <a href="https://example.org/">w</a></p>' in made
    assert "<ul><li>a b</li><li>c</li></ul><ol><li>n</li></ol>" in made
    assert (
        "<td><code>a|b</code></td>" in made and '<pre class="plain" tabindex="0"><code>&lt;x&gt;</code></pre>' in made
    )
    assert '<img src="p.svg" alt="p">' in made


def test_the_picture_is_fresh(root: Path, tmp_path: Path, blessing: bool, program: Callable[[str], str]) -> None:
    program("dot")
    (told,) = re.findall(r"(?m)^(lorelint graph .*)$", (root / "bot/docs/5-analysis.md").read_text())
    words = told.replace("--tree linux", "--tree corpora/trees/small").split()[1:]
    made = tmp_path / "calls.svg"
    command = [sys.executable, "-m", "lorelint", *words, "--format", "svg", "-o", str(made)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'bot'}:{ROOT / 'rules'}"}
    subprocess.run(command, cwd=root, check=True, capture_output=True, env=environment)
    if blessing:
        shutil.copy(made, root / "bot/docs/calls.svg")
    assert made.read_text() == (root / "bot/docs/calls.svg").read_text(), "make bless, and look at it"


@pytest.mark.parametrize("page", GUIDES, ids=lambda path: path.stem)
def test_what_is_shown_was_run(page: Path, tmp_path: Path, root: Path, program: Callable[[str], str]) -> None:
    """Its commands one after the other in one shell; what is shown below some stands in what they print."""
    program("git")
    checkout = Checkout(tmp_path / "linux", root / "corpora" / "trees" / "small")
    checkout.am(root / "corpora" / "threads" / "dmamap-retry.mbox")
    checkout.git("checkout", "-q", "topic" if "author" in page.name else "main")
    shutil.copy(root / "corpora" / "threads" / "dmamap-retry.mbox", tmp_path / "thread.mbox")
    shutil.copytree(root / "corpora" / "packs" / "tutorial", tmp_path / "tutorial")
    shutil.copytree(root / "deploy", tmp_path / "deploy")
    (tmp_path / "bin").mkdir()
    run = f'#!/bin/sh\nPYTHONPATH={ROOT / "bot"}:{ROOT / "rules"} exec {sys.executable} -m lorelint "$@"\n'
    (tmp_path / "bin" / "lorelint").write_text(run)
    python = f'#!/bin/sh\nPYTHONPATH=$PYTHONPATH:{ROOT / "bot"}:{ROOT / "rules"} exec {sys.executable} "$@"\n'
    (tmp_path / "bin" / "python3").write_text(python)
    for name in ("lorelint", "python3"):
        (tmp_path / "bin" / name).chmod(0o755)
    script, wanted = "", {}
    for number, match in enumerate(_BLOCK.finditer(page.read_text())):
        if match[1] == "sh":
            here = number
            script += f"echo '=== {number}'\n{match[2]}"
        else:
            wanted[here] = match[2].strip().splitlines()
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("LORELINT", "XDG_DATA", "XDG_CONFIG"))
    }
    done = subprocess.run(
        ["bash", "-c", f"trap 'code=$?; [ $code -le 1 ] || exit 9' ERR\n{script}"],
        cwd=tmp_path,
        env={**kept, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode <= 1 and "Traceback" not in done.stderr, done.stdout[-2000:] + done.stderr[-2000:]
    parts = dict(re.findall(r"(?ms)^=== (\d+)\n(.*?)(?=^=== \d|\Z)", done.stdout))
    assert wanted or "analysis" in page.name
    for number, lines in wanted.items():
        assert [line for line in lines if line not in parts[str(number)]] == [], parts[str(number)][-3000:]
