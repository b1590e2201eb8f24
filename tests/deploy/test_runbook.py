"""deploy/RUNBOOK.md is followed on a machine of its own, under a real systemd, with both kinds of store."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import ROOT, PublicInbox
from tests.deploy.installation import NEWER, SOURCE, Site, wheel
from tests.deploy.machine import machine
from tests.deploy.runbook import KINDS, Block, blocks
from tests.e2e.story import ago, written

PAGE = ROOT / "deploy" / "RUNBOOK.md"
PARTS = ("lorelint-listen", "lorelint-send", "lorelint-serve")
POLICY = """
dry_run = false
hourly_cap = 100
audience = "list"
stage = "queue"
minimum_confidence = 0.5
embargo_hours = 0
daily_cap = 100
"""


def test_every_block_is_shell_that_can_be_read() -> None:
    every = blocks(PAGE)
    assert len(every) > 15 and {each.kind for each in every} == {"", *KINDS}
    for each in every:
        read = subprocess.run(["bash", "-n"], input=each.script, text=True, capture_output=True, check=False)
        assert read.returncode == 0, (each.line, read.stderr)


def test_every_file_that_is_installed_is_there() -> None:
    named = {name for each in blocks(PAGE) for name in re.findall(r"\bdeploy/[\w./*-]+", each.script)}
    assert named and not [name for name in named if not list(ROOT.glob(name))]


@contextlib.contextmanager
def postoffice(folder: Path, inbox: PublicInbox) -> Iterator[int]:
    command = [sys.executable, "-m", "tests.e2e.postoffice", str(folder), inbox.address]
    server = subprocess.Popen(command, env=inbox.environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=20)
        server.stdout.close()


class Walk:
    """The runbook, section by section, and what must be so before and after each."""

    def __init__(self, kind: str, site: Site, sent: Path, wheels: tuple[Path, Path]) -> None:
        self.kind, self.site, self.sent, self.wheels = kind, site, sent, wheels
        self.machine = site.machine
        self.every = [each for each in blocks(PAGE) if each.kind in ("", kind)]
        self.prelude = self.script("")

    def script(self, section: str) -> str:
        """One shell for a section: what an earlier block of it has set is known to the later ones."""
        found = [each for each in self.every if each.section == section]
        assert found, section
        return self.site.local("\n".join(self._numbered(each) for each in found))

    def _numbered(self, block: Block) -> str:
        return f": line {block.line} of the page\n{block.script}"

    def follow(self, section: str) -> str:
        return self.machine.run(f"{self.prelude}\nset -x\n{self.script(section)}", cwd=SOURCE)

    def lorelint(self, command: str, code: int | None = 0) -> str:
        return self.machine.run(f"{self.prelude}\nlorelint {command}", code=code, cwd="/")

    def healthy(self, seconds: float = 60) -> None:
        self.machine.wait(f"{self.prelude}\nlorelint status --health", seconds)

    def running(self) -> bool:
        told = self.machine.run(f"systemctl is-active {' '.join(PARTS)}", code=None).split()
        return told == ["active"] * len(PARTS)

    def status(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.lorelint("status --json"))
        return found

    def letters(self) -> dict[int, str]:
        found = json.loads(self.lorelint("outbox --all --json"))["letters"]
        return {each["letter"]: each["state"] for each in found}

    def until(self, what: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, self.machine.run("journalctl --no-pager -o cat | tail -n 60")
            time.sleep(0.5)

    def mails(self) -> int:
        return len(list(self.sent.glob("*.eml")))


@pytest.fixture
def walk(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    make_inbox: Callable[..., PublicInbox],
    program: Callable[[str], str],
) -> Iterator[Walk]:
    kind = request.param
    inbox, other = make_inbox("small"), make_inbox("other")
    inbox.serve()
    other.serve()
    (tmp_path / "sent").mkdir()
    wheels = (wheel(tmp_path), wheel(tmp_path, NEWER))
    with machine(tmp_path) as made, postoffice(tmp_path / "sent", inbox) as port:
        site = Site(made, inbox, other, port)
        site.bring(wheels[0])
        if kind == "postgresql":
            site.database(program)
        # A disk of its own, which can be filled without harm.
        made.run("mkdir -p /var/lib/lorelint && mount -t tmpfs -o size=400m tmpfs /var/lib/lorelint")
        yield Walk(kind, site, tmp_path / "sent", wheels)


@pytest.mark.prove
@pytest.mark.parametrize("walk", KINDS, indirect=True)
def test_the_runbook(walk: Walk) -> None:
    steps = (_install, _watch, _back_up, _mute, _misfires, _restore, _add, _mirror, _upgrade, _disk, _keep)
    for step in steps:
        step(walk)
    followed = {"", *(step.__doc__ or "" for step in steps)}
    assert {each.section for each in walk.every} == followed


def _install(walk: Walk) -> None:
    """Install"""
    walk.follow("Install")
    walk.healthy()
    assert walk.running()
    walk.machine.run("runuser -u lorelint-send -- cat /etc/lorelint/tokens", code=1)
    held = walk.machine.run("ls -ld /var/lib/lorelint /etc/lorelint/smtp.toml")
    assert re.search(r"(?m)^drwx------ .* lorelint lorelint .* /var/lib/lorelint$", held)
    shown = walk.machine.run("systemctl show -p MemoryDenyWriteExecute,NoNewPrivileges,ProtectSystem lorelint-listen")
    assert sorted(shown.split()) == ["MemoryDenyWriteExecute=yes", "NoNewPrivileges=yes", "ProtectSystem=strict"]
    # From here on the list has asked for mail, and a patch comes: it is reviewed under all that the units forbid.
    for line in POLICY.strip().splitlines():
        key = line.partition(" ")[0]
        walk.machine.run(f"sed -i '/^{key} = /d' /etc/lorelint/policy.toml")
        where = "$" if key not in ("dry_run", "hourly_cap") else "1"
        walk.machine.run(f"sed -i '{where}a {line}' /etc/lorelint/policy.toml")
    walk.lorelint("policy check")
    walk.site.inbox.deliver(*written("dmamap-retry", ago(hours=1)))
    walk.until(lambda: walk.letters() == {1: "held"})


def _watch(walk: Walk) -> None:
    """Watch"""
    walk.follow("Watch")
    walk.machine.run("systemctl start lorelint-health")


def _back_up(walk: Walk) -> None:
    """Back up"""
    assert re.search(r"lorelint-\d{8}T\d{6}Z\.sqlite", walk.follow("Back up"))


def _mute(walk: Walk) -> None:
    """Mute now"""
    on, off = (each.script for each in walk.every if each.section == "Mute now")
    walk.machine.run(f"{walk.prelude}\n{on}", cwd=SOURCE)
    walk.lorelint("outbox release 1")
    walk.machine.run("systemctl restart lorelint-send")
    walk.until(lambda: "the stop file is there" in walk.machine.log("lorelint-send"))
    assert walk.letters() == {1: "released"} and walk.mails() == 0
    walk.machine.run(f"{walk.prelude}\n{off}", cwd=SOURCE)
    walk.machine.run("systemctl restart lorelint-send")
    walk.until(lambda: walk.letters() == {1: "sent"})
    assert walk.mails() == 1


def _misfires(walk: Walk) -> None:
    """A rule misfires"""
    on, off = (each.script for each in walk.every if each.section == "A rule misfires")
    walk.machine.run(f"{walk.prelude}\n{on}", cwd=SOURCE)
    assert "unbounded-retry" in json.dumps(walk.status()["lists"])
    walk.machine.run(f"{walk.prelude}\n{off}", cwd=SOURCE)
    assert "unbounded-retry" not in json.dumps(walk.status()["lists"])


def _restore(walk: Walk) -> None:
    """Restore"""
    walk.follow("Restore")
    assert walk.letters() == {1: "held"}  # as it was when the backup was made
    walk.healthy()
    assert walk.running()


def _add(walk: Walk) -> None:
    """Add a list"""
    walk.follow("Add a list")
    walk.healthy()
    assert [each["name"] for each in walk.status()["lists"]] == ["kvm", "linux-mm"]  # type: ignore[index, attr-defined]


def _mirror(walk: Walk) -> None:
    """A mirror is gone"""
    inbox = walk.site.inbox
    walk.site.swaps["https://mirror.example.org/kvm"] = inbox.url  # the same address: it comes back by itself
    inbox.close()
    walk.until(lambda: "list kvm" in walk.lorelint("status --health", code=None))
    was = inbox.url
    walk.site.swaps["https://mirror.example.org/kvm"] = inbox.serve()
    assert inbox.url != was
    walk.site.swaps["https://lore.kernel.org/kvm"] = was
    walk.follow("A mirror is gone")
    walk.healthy()
    inbox.deliver(*written("winview-bounded", ago(hours=1)))
    before = walk.status()["series"]
    walk.until(lambda: walk.status()["series"] != before)


def _upgrade(walk: Walk) -> None:
    """Upgrade"""
    walk.site.bring(walk.wheels[1])
    there, back = (each.script for each in walk.every if each.section == "Upgrade")
    told = walk.machine.run(f"{walk.prelude}\n{walk.site.local(there)}", cwd=SOURCE)
    assert "the tables are now" in told
    assert NEWER in walk.lorelint("--version")
    walk.healthy()
    assert walk.running()
    walk.machine.run(f"{walk.prelude}\n{back}", cwd=SOURCE)
    assert NEWER not in walk.lorelint("--version")
    walk.healthy()
    assert walk.running()
    assert walk.letters()[1] == "held"


def _disk(walk: Walk) -> None:
    """The disk is full"""
    for _ in range(4):
        walk.machine.run("systemctl start lorelint-backup; sleep 1")
    walk.machine.run("dd if=/dev/zero of=/var/lib/lorelint/full bs=4k 2>/dev/null", code=1)
    walk.site.inbox.deliver(*written("aperture-mmap", ago(hours=1)))
    walk.until(
        lambda: re.search("(?i)full|no space|write|disk", walk.lorelint("status --health", code=None)) is not None
    )
    assert walk.running()
    series = walk.status()["series"]
    walk.follow("The disk is full")
    walk.machine.run("rm /var/lib/lorelint/full")
    walk.until(lambda: walk.status()["series"] != series)
    walk.healthy()
    assert "no faults" in walk.lorelint("store check")


def _keep(walk: Walk) -> None:
    """Keep less"""
    walk.site.inbox.deliver(b"From: Ann <ann@example.org>\nMessage-ID: <talk@example.org>\nSubject: hello\n\nWords.\n")
    told = walk.follow("Keep less")
    assert "0 mails from before" in told, told
    walk.healthy()
    assert "keep_days = 400" in walk.machine.run("cat /etc/lorelint/config.toml")
    assert walk.running() and "no faults" in walk.lorelint("store check")
