"""What a machine of its own is given before the runbook is followed: the source, wheels, a list, a mail server."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.conftest import ROOT, PublicInbox
from tests.deploy.machine import Machine

NEWER = "99.0.0"
SOURCE = "/srv/lorelint"
REVISION = '''"""A revision of a later version.

Revision ID: {revision}
"""

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
'''
POSTGRES = """
[Unit]
Description=PostgreSQL
[Service]
Type=exec
User=postgres
RuntimeDirectory=postgresql
ExecStart={folder}/postgres -D /var/lib/postgresql/data -c listen_addresses= -c fsync=off \
-c unix_socket_directories=/var/run/postgresql
KillSignal=SIGINT
"""


def wheel(folder: Path, version: str = "") -> Path:
    """A wheel of the checkout as it stands; of another `version` it has one revision of the tables more."""
    source = folder / f"source-{version or 'own'}"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", ".")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    if version:
        _later(source, version)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(source / "dist"), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (made,) = (source / "dist").glob("*.whl")
    return made


def _later(source: Path, version: str) -> None:
    for name, pattern in (
        ("pyproject.toml", r'(?m)^version = ".*"'),
        ("bot/lorelint/__init__.py", r'__version__ = ".*"'),
    ):
        text = (source / name).read_text()
        named = f'{"__version__" if "__" in pattern else "version"} = "{version}"'
        assert len(re.findall(pattern, text)) == 1
        (source / name).write_text(re.sub(pattern, named, text))
    folder = source / "bot/lorelint/edge/store/migrations/versions"
    before = max(path.name[:4] for path in folder.glob("[0-9]*.py"))
    after = f"{int(before) + 1:04}"
    (folder / f"{after}_later.py").write_text(REVISION.format(revision=after, before=before))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Site:
    """A machine with the source at /srv/lorelint, and how what the runbook names is called here."""

    def __init__(self, machine: Machine, inbox: PublicInbox, other: PublicInbox, mail_port: int) -> None:
        self.machine = machine
        self.inbox = inbox
        self.swaps = {
            "https://lore.kernel.org/kvm": inbox.url,
            "https://lore.kernel.org/linux-mm": other.url,
            "kvm@vger.kernel.org": inbox.address,
            "127.0.0.1:8080": f"127.0.0.1:{free_port()}",
            "port = 25": f"port = {mail_port}",
            "poll_seconds = 300": "poll_seconds = 1",
        }
        machine.copy(ROOT / "corpora" / "trees" / "small", "/srv/linux")
        self.put()

    def put(self) -> None:
        """The page and what lies beside it, with names that are reached from here."""
        self.machine.copy(ROOT / "deploy", f"{SOURCE}/deploy")
        for path in Path(f"{self.machine.root}{SOURCE}/deploy").rglob("*"):
            if path.suffix in (".toml", ".md", ".service"):
                text = self.local(path.read_text())
                # The trees of the example are far away: one that is here stands for them.
                text = re.sub(
                    r"(?ms)^\[tree\.mainline\].*?(?=^# On a socket)", '[tree.small]\npath = "/srv/linux"\n\n', text
                )
                path.write_text(text)

    def local(self, text: str) -> str:
        for name, here in self.swaps.items():
            text = text.replace(name, here)
        return text

    def bring(self, made: Path) -> None:
        """The wheel that `dist/` holds now."""
        self.machine.run(f"rm -rf {SOURCE}/dist")
        self.machine.copy(made, f"{SOURCE}/dist/{made.name}")

    def database(self, program: Callable[[str], str]) -> None:
        """A PostgreSQL as a distribution brings it: known by the socket is who is a user of the machine."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        folder = found[-1].parent if found else Path(program("postgres")).resolve().parent
        self.machine.write("/etc/systemd/system/postgresql.service", POSTGRES.format(folder=folder))
        self.machine.run(
            "install -d -o postgres -g postgres -m 700 /var/lib/postgresql /var/lib/postgresql/data\n"
            f"cd /; runuser -u postgres -- {folder}/initdb -D /var/lib/postgresql/data -A peer -N >/dev/null\n"
            "ln -sfn /run /var/run\nsystemctl daemon-reload\nsystemctl start postgresql"
        )
        self.machine.wait("cd / && runuser -u postgres -- psql -q -c 'SELECT 1'")
