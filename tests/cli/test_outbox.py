"""What an operator reads and does: outbox, send, policy."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.jobs.outgoing import POLICY, Room, policy
from tests.report import samples

from lorelint.cli import run
from lorelint.model.store import Letter


@dataclass
class Ran:
    code: int
    out: str
    err: str


Shell = Callable[..., Ran]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    room = Room(tmp_path / "data" / "lorelint")
    row = room.take(samples.series_of_two())
    room.draft(row, policy())
    return room


@pytest.fixture
def shell(tmp_path: Path, room: Room, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    (tmp_path / "policy.toml").write_text(POLICY)
    (tmp_path / "config.toml").write_text(f'policy = "{tmp_path}/policy.toml"\n')
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("LORELINT_CONFIG", str(tmp_path / "config.toml"))

    def ask(*arguments: str) -> Ran:
        code = run(list(arguments))
        read = capsys.readouterr()
        return Ran(code, read.out, read.err)

    return ask


def test_the_outbox(shell: Shell) -> None:
    told = shell("outbox")
    assert told.code == 0 and max(map(len, told.out.split("\n"))) <= 80
    assert told.out.startswith(
        "held: a person has to look\n"
        "   1  Re: [PATCH v2] misc: ringmap: Try again when a frame is gone\n"
        "      to Ida Example <ida@example.org>, Ringmap list <ringmap@lists.example.org>\n"
        "         and Max Maintainer <max@example.org>\n"
        "      errno-collapsed-to-retry and unbounded-retry; over ring\n"
        "      - not before 2026-11-03 09:16 UTC\n"
        "      - the policy leaves it to a person\n"
    )
    assert told.out.endswith("\n2 held; `lorelint outbox show N` shows one\n")


def test_release_and_drop(shell: Shell, room: Room) -> None:
    told = shell("outbox", "release", "1", "7")
    assert told.code == 2 and told.out.startswith("letter 1 released: Re: [PATCH v2]")
    assert "letter 7 stays as it is: there is no such letter" in told.err
    assert shell("outbox", "drop", "2").code == 2
    assert shell("outbox", "drop", "2", "--why", "no use").code == 0
    assert [row.state for row in room.letters()] == [Letter.RELEASED, Letter.DROPPED]
    told = shell("outbox")
    assert "released: goes when it is its turn" in told.out and "dropped" not in told.out.split("\n\n")[0]
    assert "1 released and 1 dropped; --all shows those that ended" in told.out
    assert "- no use" in shell("outbox", "--all").out
    rows = json.loads(shell("outbox", "--all", "--json").out)["letters"]
    assert [row["state"] for row in rows] == ["released", "dropped"]


def test_show(shell: Shell) -> None:
    told = shell("outbox", "show", "1")
    assert told.code == 0 and "\nTo: Ida Example <ida@example.org>\n" in told.out
    assert f"\n> +{' ' * 21}return -EAGAIN;\n" in told.out
    assert told.out.endswith("a person answers at human@bot.example.org\n")
    raw = shell("outbox", "show", "1", "--raw").out
    assert raw.startswith("From: lorelint <bot@bot.example.org>\n") and "\nAuto-Submitted: auto-generated\n" in raw
    missing = shell("outbox", "show", "9")
    assert missing.code == 2 and "there is no such letter" in missing.err


def test_edit(shell: Shell, room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/^Should every/Shall every/' \"$1\"\n")
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)
    told = shell("outbox", "edit", "1")
    assert told.code == 0 and told.out.startswith("letter 1 changed, and held")
    assert "Shall every failure" in room.letters()[0].body
    assert shell("outbox", "edit", "1").err.strip().endswith("nothing was changed")
    editor.write_text("#!/bin/sh\necho 'Link: https://x.example' > \"$1\"\n")
    told = shell("outbox", "edit", "1")
    assert told.code == 2 and "your text is in" in told.err
    kept = Path(told.err.partition("your text is in ")[2].split("\n")[0])
    assert kept.read_text() == "Link: https://x.example\n"
    kept.unlink()
    assert "Shall every failure" in room.letters()[0].body


def test_bounced(shell: Shell, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    from types import SimpleNamespace

    from tests.mail.test_bounce import REPORT

    with room.store.begin() as session:
        for was, state in (
            (Letter.HELD, Letter.RELEASED),
            (Letter.RELEASED, Letter.SENDING),
            (Letter.SENDING, Letter.SENT),
        ):
            assert session.outbox.change(1, state, was=was, at="2026-11-03T10:00:00Z")
    raw = REPORT.replace(b"lorelint-1234@bot.example.org", room.letters()[0].msgid.encode())
    for given, told in ((b"any mail", ""), (raw, "letter 1 bounced: ida@example.org did not get it: 5.1.1"), (raw, "")):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(given)))
        done = shell("outbox", "bounced")
        assert done.code == 0 and told in done.err and bool(done.err) == bool(told)
    assert "bounced" in shell("outbox", "--all").out


def test_send_tells_what_would_go(shell: Shell, room: Room) -> None:
    assert "nothing is released" in shell("send", "--once", "--dry-run").err
    shell("outbox", "release", "1")
    told = json.loads(shell("send", "--once", "--dry-run", "--json").out)
    assert [step["step"] for step in told["steps"]] in (["would go"], ["would be held"])  # by how old the patch is now
    assert room.letters()[0].state is Letter.RELEASED


def test_policy_check(shell: Shell, tmp_path: Path, root: Path) -> None:
    told = shell("policy", "check")
    assert told.code == 0 and "1 list of 1 may get mail" in told.out and "asked for by Max Maintainer" in told.out
    shipped = shell("policy", "check", str(root / "deploy" / "policy.toml"))
    assert shipped.code == 0 and "well formed; nothing leaves" in shipped.out
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('[list.kvm]\naddress = "kvm@vger.example.org"\naudience = "list"\n')
    told = shell("policy", "check", str(wrong))
    assert told.code == 2 and f"{wrong}:3: " in told.err and told.err.count("\n") == 1
    assert json.loads(shell("policy", "check", "--json").out)["lists"][0]["audience"] == "list"
    assert shell("policy", "check", str(tmp_path / "none.toml")).code == 2


def test_policy_explain(shell: Shell, room: Room) -> None:
    msgid = room.report.series.patches[0].msgid  # type: ignore[union-attr]
    told = shell("policy", "explain", f"<{msgid}>")
    assert told.code == 0 and "letter 1 about it is held" in told.out
    assert "it came over ring" in told.out and "policy.toml, line" in told.out
    document = json.loads(shell("policy", "explain", msgid, "--json").out)
    assert document["rulings"] and not document["supposed"]
    missing = shell("policy", "explain", "nobody@example.org")
    assert missing.code == 2 and "is not in the store" in missing.err


def test_without_a_policy(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").unlink()
    assert shell("outbox").code == 0
    told = shell("send", "--once", "--for-real")
    assert told.code == 0 and "nothing is sent" in told.err
    assert "cannot go" in shell("outbox", "show", "1").out


def test_a_command_leaves_the_store_in_one_file(
    real: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """What it wrote stands in the store itself when it ends: a copy of that file misses nothing."""
    for command in ("outbox", "status"):
        assert real(command).returncode == 0
        assert [each.name for each in (tmp_path / "data" / "lorelint").glob("store*")] == ["store.sqlite"]
