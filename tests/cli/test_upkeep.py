"""What an operator does with the store and with rules, by the commands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lorelint.cli import lorelint

SETTINGS = """
[inbox.kvm]
url = "https://example.org/kvm"
address = "kvm@example.org"
[inbox.mm]
url = "https://example.org/mm"
address = "mm@example.org"
"""


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``ask("store", "check")``: the command, with settings and data of its own."""
    (tmp_path / "config.toml").write_text(SETTINGS)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LORELINT_CONFIG", str(tmp_path / "config.toml"))

    def run(*arguments: str, code: int = 0) -> Any:
        done = CliRunner().invoke(lorelint, list(arguments), standalone_mode=False)
        if code == 2:
            assert done.exception is not None
            return str(done.exception)
        assert done.exception is None, done.exception
        assert (done.return_value or 0) == code, done.output
        return done.output

    return run


def test_backups_in_a_folder(ask: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine\n")
    ask("store", "upgrade")
    for minute in range(4):
        monkeypatch.setattr("lorelint.cli.store.now", lambda minute=minute: f"2026-04-03T10:0{minute}:00Z")
        told = json.loads(ask("store", "backup", str(folder), "--keep", "2", "--json"))
        assert Path(told["file"]).name == f"lorelint-20260403T100{minute}00Z.sqlite"
    assert [Path(each).name for each in told["gone"]] == ["lorelint-20260403T100100Z.sqlite"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "lorelint-20260403T100200Z.sqlite",
        "lorelint-20260403T100300Z.sqlite",
        "notes.txt",
    ]
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.glob("*.sqlite"))
    assert "is there already" in ask("store", "backup", str(folder), code=2)  # within the same second
    assert len(list(folder.glob("*.sqlite"))) == 2
    assert "is no folder" in ask("store", "backup", str(tmp_path / "one.sqlite"), "--keep", "2", code=2)


def test_a_rule_is_muted_and_heard_again(ask: Callable[..., Any]) -> None:
    rule = "unbounded-retry"
    assert ask("policy", "mute", rule, "--inbox", "kvm", "--why", "wrong twice").splitlines() == [
        f"{rule} is mute on kvm"
    ]
    assert ask("policy", "mute", rule, "--why", "wrong everywhere").splitlines() == [
        f"{rule} is mute already on kvm",
        f"{rule} is mute on mm",
    ]
    status = json.loads(ask("status", "--json"))
    assert [list(each["muted"]) for each in status["lists"]] == [[rule], [rule]]
    assert "wrong twice" in status["lists"][0]["muted"][rule]
    assert ask("policy", "unmute", rule).splitlines() == [
        f"{rule} is heard again on kvm",
        f"{rule} is heard again on mm",
    ]
    assert json.loads(ask("policy", "unmute", rule, "--json")) == {"rule": rule, "lists": ["kvm", "mm"], "changed": []}
    assert not any(each["muted"] for each in json.loads(ask("status", "--json"))["lists"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("unbounded-retri", "--why", "x"), "did you mean unbounded-retry?"),
        (("unbounded-retry", "--inbox", "nowhere", "--why", "x"), "no list is called 'nowhere'"),
    ],
)
def test_what_cannot_be_muted(ask: Callable[..., Any], arguments: tuple[str, ...], said: str) -> None:
    assert said in ask("policy", "mute", *arguments, code=2)


def test_metrics(ask: Callable[..., Any]) -> None:
    text = ask("status", "--metrics")
    assert re.search(r"(?m)^lorelint_healthy 0\.0$", text) and 'lorelint_series{life="ready"} 0.0' in text
