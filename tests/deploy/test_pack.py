"""The tutorial's rule pack, as an outsider's would be: a distribution of its own, installed beside lorelint."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import ROOT

PACK = ROOT / "corpora" / "packs" / "tutorial"
C = """\
static long window_info(struct window *w, void __user *to)
{
	copy_to_user(to, &w->info, sizeof(w->info));
	return 0;
}

static long window_set(struct window *w, void __user *from)
{
	if (copy_from_user(&w->info, from, sizeof(w->info)))
		return -EFAULT;
	return 0;
}
"""
Ran = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with lorelint and the pack from their wheels; what these stand on is the tests' own."""
    folder = tmp_path_factory.mktemp("outsider")
    shutil.copytree(PACK, folder / "pack", ignore=shutil.ignore_patterns("__pycache__"))
    for source in (ROOT, folder / "pack"):
        build = [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(folder / "dist"),
            str(source),
        ]
        subprocess.run(build, check=True, capture_output=True)
    venv.create(folder / "venv", with_pip=True)
    wheels = sorted(map(str, (folder / "dist").glob("*.whl")))
    pip = [folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", *wheels]
    subprocess.run(pip, check=True, capture_output=True)
    (packages,) = (folder / "venv/lib").glob("python*/site-packages")
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    (folder / "window.c").write_text(C)
    shutil.copytree(ROOT / "corpora" / "trees" / "small", folder / "linux")
    (folder / "linux" / "drivers" / "misc" / "window.c").write_text(C)
    return folder


@pytest.fixture(scope="module")
def ask(place: Path) -> Callable[..., Ran]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LORELINT", "XDG"))}
    alone = {**kept, "HOME": str(place), "XDG_CACHE_HOME": str(place / "cache")}

    def run(*command: str, code: int = 0) -> Ran:
        done = subprocess.run(
            [place / "venv/bin" / command[0], *command[1:]],
            capture_output=True,
            text=True,
            env=alone,
            cwd=place,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def test_the_rule_is_there_beside_ours(ask: Callable[..., Ran]) -> None:
    rules = {each["rule"]: each for each in json.loads(ask("lorelint", "rules", "--json").stdout)["rules"]}
    assert len(rules) > 28 and rules["copy-unchecked"]["pack"] == "tutorial"
    assert rules["unbounded-retry"]["pack"] == "lorelint"
    told = ask("lorelint", "explain", "copy-unchecked").stdout
    assert "Why it hurts" in told and "becomes_wrong" in told


def test_it_speaks(ask: Callable[..., Ran]) -> None:
    told = json.loads(ask("lorelint", "scan", "window.c", "--rule", "copy-unchecked", "--json", code=1).stdout)
    (found,) = told["findings"]
    assert (found["function"], found["rule"], found["line"]) == ("window_info", "copy-unchecked", 3)
    assert "lorelint_tutorial 1.0.0" in told["version"]


def test_its_silence_is_told(ask: Callable[..., Ran]) -> None:
    told = ask("lorelint", "why-not", "copy-unchecked", "window_set", "--tree", "linux").stdout
    assert "what copy_from_user() returns is looked at or kept" in told


def test_its_own_tests_pass(ask: Callable[..., Ran], place: Path) -> None:
    told = ask(
        "python",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        "pack",
        "-c",
        "pack/pyproject.toml",
        "pack/tests",
    )
    assert "2 passed" in told.stdout


def test_it_imports_the_door_and_nothing_else() -> None:
    import ast

    for path in PACK.rglob("lorelint_tutorial/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lorelint"):
                assert node.module == "lorelint.rule"
