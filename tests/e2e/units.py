"""The parts of an installation as their systemd units tell them, for a supervisor that is none.

Read out of deploy/systemd, so that what is run here is what is run there: the command line, the environment, the
credentials, how long systemd waits before it starts a part again. Folders of the machine are put below another root.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

SYSTEMD = ROOT / "deploy" / "systemd"
_SETTING = re.compile(r"(?m)^(\w+)=(.*)$")


@dataclass(frozen=True, slots=True)
class Unit:
    """One service.

    restart  seconds until it is started again, 0.0 where it is not
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    restart: float


def unit(name: str, root: Path, swaps: Mapping[str, str]) -> Unit:
    """A service of `deploy/systemd` below `root`; `swaps` are words of its command line that are others here."""
    settings = _SETTING.findall((SYSTEMD / f"{name}.service").read_text())
    held = root / "run" / "credentials" / name
    _hand_over([value for key, value in settings if key == "LoadCredential"], held, root)

    def placed(word: str) -> str:
        return swaps.get(word) or (f"{root}{word}" if word.startswith("/") else word.replace("%d", str(held)))

    for key, base in (("StateDirectory", "var/lib"), ("CacheDirectory", "var/cache")):
        for folder in (each for found, value in settings if found == key for each in value.split()):
            (root / base / folder).mkdir(parents=True, exist_ok=True)
    (line,) = (value for key, value in settings if key == "ExecStart")
    assigned = [each.partition("=") for key, value in settings if key == "Environment" for each in value.split()]
    restart = [value for key, value in settings if key == "RestartSec"]
    return Unit(
        command=tuple(placed(word) for word in line.split()),
        environment={key: placed(value) for key, _, value in assigned},
        restart=float(restart[0]) if restart else 0.0,
    )


def _hand_over(credentials: list[str], held: Path, root: Path) -> None:
    for each in credentials:
        name, _, path = each.partition(":")
        held.mkdir(parents=True, exist_ok=True)
        (held / name).unlink(missing_ok=True)
        shutil.copyfile(f"{root}{path}", held / name)
        (held / name).chmod(0o400)
