"""The layers of the house, as import-linter sees them; and that it would see a breach."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

LINTER = Path(sys.executable).parent / "lint-imports"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{folder / 'bot'}{os.pathsep}{folder / 'rules'}"}
    return subprocess.run(
        [str(LINTER), "--no-cache", "--config", "pyproject.toml"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_layers_hold(root: Path) -> None:
    done = lint(root)
    assert done.returncode == 0, done.stdout


def test_a_breach_would_be_seen(root: Path, tmp_path: Path) -> None:
    """One import upward, one foreign library out of its home, one rule past the door: each breaks its contract."""
    for name in ("bot", "rules"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    (tmp_path / "bot/lorelint/model/breach.py").write_text("import lorelint.rule\nimport networkx\nimport subprocess\n")
    (tmp_path / "rules/lorelint_rules/breach.py").write_text("import lorelint.model\nimport b4\n")
    (tmp_path / "bot/lorelint/report/breach.py").write_text("import b4\nimport liblore\n")
    done = lint(tmp_path)
    assert done.returncode != 0
    broken = set(re.findall(r"(?m)^(\S.*?) BROKEN\b", done.stdout))
    assert broken == {
        "imports run one way",
        "rule packs import lorelint.rule only",
        "tree-sitter and networkx live in lorelint.code",
        "b4 lives in lorelint.edge.b4",
        "liblore lives in lorelint.edge.lore",
        "what is pure starts no program and opens no socket",
    }, done.stdout
