"""What others build upon stays as it is (bot/decisions/0022): what was promised is written down, and still there.

`make bless` writes down what is new. What is gone it leaves, and the test fails: a promise is taken back by hand, with
a version that says so.
"""

from __future__ import annotations

import enum
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import replace

from lorelint import rule as door
from lorelint.cli import lorelint
from lorelint.config import _KNOWN
from lorelint.jobs.policy.parse import _HOUSE, _LIST
from lorelint.model.finding import Finding, Severity

PAGE = Path(__file__).with_name("promised.toml")


def of_the_door() -> Iterator[str]:
    """Names that a pack may import, with the fields, members and methods of each."""
    for name in door.__all__:
        yield name
        thing = getattr(door, name)
        if isinstance(thing, type) and issubclass(thing, Struct):
            yield from (f"{name}.{each}" for each in thing.__struct_fields__ if each[0] != "_")
        elif isinstance(thing, type) and issubclass(thing, enum.Enum):
            yield from (f"{name}.{each.name}" for each in thing)
        if isinstance(thing, type):
            yield from (
                f"{name}.{each}()" for each in vars(thing) if not each.startswith("_") and callable(vars(thing)[each])
            )


def of_the_report(root: Path) -> Iterator[str]:
    """Keys of the JSON report that are always there."""
    schema = json.loads((root / "bot/lorelint/report/report.schema.json").read_text())
    yield f"schema {schema['properties']['schema']['const']}"
    yield from schema["required"]
    for name, each in schema["$defs"].items():
        yield from (f"{name}.{key}" for key in each.get("required", ()))


def of_the_commands() -> Iterator[str]:
    """Commands, and the options of each."""
    context = click.Context(lorelint)
    waiting: list[tuple[str, Any]] = [
        (name, lorelint.get_command(context, name)) for name in lorelint.list_commands(context)
    ]
    for name, command in waiting:
        yield name
        yield from (f"{name} {option}" for each in command.params for option in each.opts if option.startswith("-"))
        if isinstance(command, click.Group):
            waiting += [(f"{name} {below}", each) for below, each in command.commands.items()]


def of_the_store(root: Path) -> Iterator[str]:
    """Revisions of its tables. That one which went out is not edited either, a release looks at (tests/release.py)."""
    yield from (path.stem for path in (root / "bot/lorelint/edge/store/migrations/versions").glob("[0-9]*.py"))


def of_the_files() -> tuple[list[str], list[str]]:
    """Keys of the settings and of the policy."""
    return [".".join(key) for key in _KNOWN], [*_HOUSE, *(f"list.*.{key}" for key in _LIST)]


def now(root: Path) -> dict[str, list[str]]:
    settings, policy = of_the_files()
    return {
        "door": sorted(set(of_the_door())),
        "report": sorted(set(of_the_report(root))),
        "commands": sorted(set(of_the_commands())),
        "settings": sorted(settings),
        "policy": sorted(policy),
        "store": sorted(of_the_store(root)),
    }


def written(promised: dict[str, list[str]]) -> str:
    lines = ["# What others build upon (bot/decisions/0022): `make bless` adds to it, only a person takes away."]
    for name, those in promised.items():
        lines += ["", f"[{name}]", "names = [", *(f"    {json.dumps(each)}," for each in those), "]"]
    return "\n".join(lines) + "\n"


def promised() -> dict[str, list[str]]:
    return {name: table["names"] for name, table in tomllib.loads(PAGE.read_text()).items()} if PAGE.exists() else {}


def test_what_was_promised_is_there(root: Path, blessing: bool) -> None:
    found, before = now(root), promised()
    if blessing:
        PAGE.write_text(written({name: sorted({*before.get(name, ()), *those}) for name, those in found.items()}))
    gone = {name: sorted(set(those) - set(found[name])) for name, those in promised().items()}
    assert {name: those for name, those in gone.items() if those} == {}
    fresh = {name: sorted(set(those) - set(promised()[name])) for name, those in found.items()}
    assert {name: those for name, those in fresh.items() if those} == {}, "make bless, and read the diff"


def test_a_fingerprint_is_what_it_was() -> None:
    """Dismissals, and the store, know findings by it."""
    finding = Finding(
        rule="unbounded-retry",
        path="drivers/demo/window.c",
        function="window_pin",
        line=41,
        anchor="again",
        message="it never ends",
        severity=Severity.WARNING,
        confidence=1.0,
        steps=(),
    )
    assert finding.fingerprint == "e5211fe2e918bb1c"
    moved = replace(finding, line=9, message="other words", steps=(), confidence=0.1)
    assert moved.fingerprint == finding.fingerprint
    assert replace(finding, function="w\udcff").fingerprint != finding.fingerprint
