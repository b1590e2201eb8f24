"""What is built is whole: a wheel in a fresh environment does what a checkout does, and holds every file."""

from __future__ import annotations

import os
import re
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import ROOT

THREAD, TREE = ROOT / "corpora/threads/dmamap-retry.mbox", ROOT / "corpora/trees/small"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source distribution, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def held(archive: Path) -> set[str]:
    if archive.suffix == ".whl":
        return set(zipfile.ZipFile(archive).namelist())
    with tarfile.open(archive) as opened:
        return {name.partition("/")[2] for name in opened.getnames()}


def shipped(folder: str) -> set[str]:
    """Files that a checkout has there, as git knows them: `bot/lorelint/...`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard", folder], cwd=ROOT, capture_output=True, check=True
    )
    return {name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()}


def test_the_wheel_holds_every_file(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    there = {name for name in held(wheel) if ".dist-info/" not in name}
    packages = {name.partition("/")[2] for name in shipped("bot/lorelint") | shipped("rules/lorelint_rules")}
    assert packages - there == set()
    assert there - packages == {"lorelint_rules/ledger.toml"}
    kinds = {Path(name).suffix for name in packages}
    assert {".py", ".toml", ".diff", ".css", ".js", ".html", ".json", ".svg", ".tcss"} <= kinds


def test_the_source_distribution_holds_what_tests_and_installs(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    there = held(source)
    for folder in ("bot", "rules", "corpora", "tests", "deploy"):
        assert shipped(folder) - there == set()
    assert {"Makefile", "requirements.lock", "requirements-dev.lock", "CHANGELOG.md", "LICENSE"} <= there
    assert not [name for name in there if re.search(r"(^|/)(\.git|\.venv|__pycache__|\.cache)/", name)]


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``installed("review", ...)``: the command of a fresh environment, far from the checkout.

    What lorelint stands on is that of the tests' environment, put on its path; lorelint itself comes from the wheel.
    """
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "venv", with_pip=True)
    (wheel,) = built.glob("*.whl")
    pip = [folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    (packages,) = (folder / "venv/lib").glob("python*/site-packages")
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LORELINT", "XDG"))}
    alone = {**kept, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "COLUMNS": "80"}

    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [folder / "venv/bin/lorelint", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=alone, cwd=folder, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    where = subprocess.run(
        [folder / "venv/bin/python", "-c", "import lorelint; print(lorelint.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        env=alone,
        cwd=folder,
    )
    assert Path(where.stdout.strip()).is_relative_to(folder)
    return run


def test_it_tells_of_itself(installed: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert "lorelint review MESSAGE-ID" in installed("--help").stdout
    for command in re.findall(r"(?m)^  ([a-z][a-z-]+)  ", installed("--help").stdout):
        assert "Usage:" in installed(command, "--help").stdout


def test_it_reviews_as_a_checkout_does(installed: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    told = installed("review", str(THREAD), "--tree", str(TREE), code=1).stdout
    here = subprocess.run(
        [sys.executable, "-m", "lorelint", "review", str(THREAD), "--tree", str(TREE)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "80", "PYTHONPATH": f"{ROOT / 'bot'}:{ROOT / 'rules'}"},
    )
    assert "unbounded-retry" in told and told == here.stdout


def test_the_store_is_made_and_looked_after(
    installed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert "the tables are now" in installed("store", "upgrade").stdout
    assert "no faults" in installed("store", "check").stdout
    installed("store", "backup", str(tmp_path / "backup.sqlite"))
    assert installed("status", "--metrics").stdout.startswith("# HELP lorelint_")


def test_rules_bring_their_figures_and_pages(
    installed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert "precision" in installed("rules").stdout
    installed("docs", str(tmp_path / "site"))
    assert (tmp_path / "site/style.css").read_text() and "precision" in (
        tmp_path / "site/unbounded-retry.html"
    ).read_text()


@pytest.mark.prove
def test_with_what_the_lock_file_pins(built: Path, tmp_path: Path) -> None:
    """As somebody installs it who has nothing: only what `requirements.lock` names, by hash; no extra."""
    venv.create(tmp_path / "venv", with_pip=True)
    python, (wheel,) = tmp_path / "venv/bin/python", built.glob("*.whl")
    pip = [python, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True, capture_output=True)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, capture_output=True)
    alone = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [tmp_path / "venv/bin/lorelint", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=alone, cwd=tmp_path, check=False)

    assert run("review", str(THREAD), "--tree", str(TREE)).returncode == 1
    for arguments, extra in ((("serve",), "web"), (("status", "--metrics"), "metrics")):
        told = run(*arguments)
        assert told.returncode == 2 and f"install lorelint[{extra}]" in told.stderr and "Traceback" not in told.stderr
