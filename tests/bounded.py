"""Attacks of great size are measured in a process of their own: what one has once taken of memory cannot be told from
what it takes now."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def measured(root: Path, module: str, *arguments: str) -> dict[str, dict[str, Any]]:
    """What a module of the tests prints for each attack (a JSON object a line), by the attack's name."""
    path = os.pathsep.join(str(root / each) for each in ("", "bot", "rules"))
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {each["name"]: each for each in found}
