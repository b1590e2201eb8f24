"""A list on the loopback, all of it real, and lorelint beside it as an operator would run it.

An archive (public-inbox with its git epochs, over HTTP), a mail server that feeds it, a DNS with a key of ours, the
folders of a user with a config and a policy, and the commands as processes.
"""

from __future__ import annotations

import email
import email.policy
import gzip
import json
import mailbox
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, PublicInbox
from tests.edge.signing import RECORD, dns_server

from lorelint.edge.store.database import Database

TREE = ROOT / "corpora" / "trees" / "small"
BOT, DOMAIN = "bot@bot.example.net", "bot.example.net"

CONFIG = """\
policy = "{folder}/policy.toml"
cache = "{folder}/cache"

[inbox.small]
url = "{url}"
address = "{address}"

[tree.small]
path = "{tree}"

[listen]
poll_seconds = 0.5

[answers]
dns = "{dns}"
"""
POLICY = """\
sender = "{bot}"
domain = "{domain}"
contact = "ida@bot.example.net"
dry_run = false
hourly_cap = 100

[list.small]
address = "{address}"
asked_by = "Odile Brandt, maintainer"
asked_on = 2026-03-01
audience = "list"
stage = "queue"
minimum_confidence = 0.5
embargo_hours = 0
daily_cap = 100
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that was run."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Loop:
    """The list, and lorelint on it; a context manager, in which the servers run.

    database  URL of the store, "" for the file of a user's data folder
    """

    def __init__(self, folder: Path, database: str = "") -> None:
        self.folder = folder
        self.database = database
        self.inbox = PublicInbox(folder / "archive", "small")
        self.mails = folder / "sent"
        self.mails.mkdir()
        self.tree = Path(shutil.copytree(TREE, folder / "linux"))
        self._open = ExitStack()

    def __enter__(self) -> Loop:
        url = self.inbox.serve()
        self._open.callback(self.inbox.close)
        dns, _ = self._open.enter_context(dns_server({"sel._domainkey.example.org": RECORD}))
        port = self._open.enter_context(self._server())
        address = self.inbox.address
        values = {"folder": self.folder, "url": url, "address": address, "tree": self.tree, "dns": dns}
        store = f'\n[store]\nurl = "{self.database}"\n' if self.database else ""
        (self.folder / "config.toml").write_text(CONFIG.format(**values) + store)
        (self.folder / "policy.toml").write_text(POLICY.format(bot=BOT, domain=DOMAIN, address=address))
        (self.folder / "smtp.toml").write_text(f'host = "127.0.0.1"\nport = {port}\n')
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    @contextmanager
    def _server(self) -> Iterator[int]:
        command = [sys.executable, "-m", "tests.e2e.postoffice", str(self.mails), self.inbox.address]
        server = subprocess.Popen(command, env=self.inbox.environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        with server:
            assert server.stdout is not None
            try:
                yield int(server.stdout.readline())
            finally:
                server.send_signal(signal.SIGTERM)

    @contextmanager
    def store(self) -> Iterator[Database]:
        """The store, as any other process would open it."""
        opened = Database(self.database, self.folder / "data" / "lorelint")
        try:
            yield opened
        finally:
            opened.close()

    # -- lorelint --------------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """Of a user who has nothing but these folders."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "LORELINT_"))}
        paths = os.pathsep.join([str(ROOT / "bot"), str(ROOT / "rules")])
        return {
            **kept,
            "HOME": str(self.folder),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "LORELINT_CONFIG": str(self.folder / "config.toml"),
            "LORELINT_SMTP": str(self.folder / "smtp.toml"),
            "PYTHONPATH": paths,
        }

    def begin(self, *arguments: str, under: Sequence[str] = (), alone: bool = False) -> subprocess.Popen[str]:
        """Start a command, under another one that is told how to; `alone`: in a group with what it starts."""
        return subprocess.Popen(
            [*under, sys.executable, "-m", "lorelint", *arguments],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=alone,
        )

    def run(self, *arguments: str, code: int | None = 0, under: Sequence[str] = ()) -> Ran:
        """Run a command to its end; its exit code must be `code`, unless that is None."""
        with self.begin(*arguments, under=under) as process:
            try:
                out, err = process.communicate(timeout=120)
            except BaseException:
                process.kill()
                raise
        assert code is None or process.returncode == code, f"{arguments}: {process.returncode}\n{out}\n{err}"
        return Ran(process.returncode, out, err)

    # -- the archive and the mail server ---------------------------------------------------------------------------

    def thread(self, msgid: str) -> list[EmailMessage]:
        """The thread of a message as the archive gives it to whoever asks."""
        with urllib.request.urlopen(f"{self.inbox.url}/{msgid}/t.mbox.gz", timeout=20) as answer:
            raw = gzip.decompress(answer.read())
        (self.folder / "thread.mbox").write_bytes(raw)
        kept = mailbox.mbox(self.folder / "thread.mbox")
        return [email.message_from_bytes(mail.as_bytes(), policy=email.policy.default) for mail in kept]

    def sent(self) -> list[EmailMessage]:
        """What the mail server was handed, each time it was."""
        files = sorted(self.mails.glob("*.eml"), key=lambda path: int(path.stem))
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in files]
