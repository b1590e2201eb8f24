"""A whole installation on the loopback: the parts of the units, a PostgreSQL, an archive, a mail server; and load.

`Site` has it all running under a supervisor. `Load` has mail come at a steady rate: threads of our own writing, shared
corpora between them, each time under names, dates and Message-IDs that were never seen. `Visitor` asks for pages.
"""

from __future__ import annotations

import contextlib
import email
import mailbox
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx
from tests.conftest import ROOT, SEED
from tests.deploy.installation import free_port
from tests.e2e.loop import POLICY, Loop
from tests.e2e.story import ago, answer
from tests.e2e.supervisor import Part, Supervisor
from tests.e2e.units import unit

OURS = ("lorelint-listen", "lorelint-send", "lorelint-serve")
OTHERS = ("database", "archive", "mailserver")
TIMED = ("lorelint-health", "lorelint-backup")  # services that a timer starts
TOKEN = "a-token-of-the-soak-that-is-long-enough"
RETRIED = ("aperture-mmap", "dmamap-retry", "winview-bounded", "dmamap-answered")  # threads of our own writing
SETTLED = 15.0  # seconds after which a part that was killed has to answer again
CONFIG = """
[store]
url = "{database}"

[serve]
viewers = ["watch"]
"""
_NO_HTML = 65  # what the archive says to mail that is no plain text
_NAMED = re.compile(rb"[A-Za-z0-9][\w.%+-]*@[A-Za-z0-9][A-Za-z0-9.-]*[A-Za-z0-9]")


class Site:
    """A context manager, in which parts can be started. `faster`: how much sooner than by its unit one is back."""

    def __init__(self, folder: Path, database: str, postgres: list[str], faster: float) -> None:
        self.root = folder / "root"
        (folder / "list").mkdir()
        self.loop = Loop(folder / "list")
        self.url = database
        self.postgres = postgres
        self.faster = faster
        self.supervisor = Supervisor(folder / "logs")
        self.port = free_port()
        self._open = ExitStack()

    def __enter__(self) -> Site:
        self._open.enter_context(self.loop)
        self.loop.inbox.close()  # from here on the supervisor serves it, where it was
        self._settle_in()
        mail_port = free_port()
        self._put("etc/lorelint/smtp.toml", f'host = "127.0.0.1"\nport = {mail_port}\n')
        office = [sys.executable, "-m", "tests.e2e.postoffice", str(self.loop.mails), self.loop.inbox.address]
        inbox = self.loop.inbox
        self._part("database", self.postgres, dict(os.environ))
        self._part("archive", inbox.command, inbox.environment)
        self._part("mailserver", [*office, str(mail_port)], inbox.environment)
        for name in OURS:
            self._unit(name)
        return self

    def __exit__(self, *error: object) -> None:
        self.supervisor.close()
        self._open.close()

    def _settle_in(self) -> None:
        """What the runbook installs: a program, settings, a policy, tokens; below a root of its own."""
        config = (
            (self.loop.folder / "config.toml").read_text().replace(f"{self.loop.folder}/cache", f"{self.root}/cache")
        )
        config = config.replace(f"{self.loop.folder}/policy.toml", f"{self.root}/etc/lorelint/policy.toml")
        self._put("etc/lorelint/config.toml", config + CONFIG.format(database=self.url))
        policy = (self.loop.folder / "policy.toml").read_text()
        assert policy.startswith(POLICY[:10])
        policy = policy.replace("daily_cap = 100", 'daily_cap = 1000\nrelease = "automatic"\nfloor = 0')
        self._put("etc/lorelint/policy.toml", policy.replace("hourly_cap = 100", "hourly_cap = 1000"))
        self._put("etc/lorelint/tokens", f"watch {TOKEN}\n")
        self._put("opt/lorelint/bin/lorelint", f'#!/bin/sh\nexec {sys.executable} -m lorelint "$@"\n').chmod(0o755)

    def _put(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def _part(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        folder = ROOT if name == "mailserver" else self.root
        self.supervisor.add(Part(name, command, environment, folder))

    def environment(self, own: dict[str, str]) -> dict[str, str]:
        """As a service has it: nothing of a user, and what its unit says."""
        kept = {name: os.environ[name] for name in ("PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")}
        paths = os.pathsep.join([str(ROOT / "bot"), str(ROOT / "rules")])
        return {**kept, "HOME": str(self.root), "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", **own}

    def _unit(self, name: str) -> None:
        read = unit(name, self.root, {"127.0.0.1:8080": f"127.0.0.1:{self.port}"})
        environment = self.environment(dict(read.environment))
        self.supervisor.add(Part(name, read.command, environment, self.root, read.restart / self.faster))

    def timed(self, name: str) -> int:
        """Run a service that a timer would start; its exit code."""
        read = unit(name, self.root, {})
        with (self.supervisor.logs / f"{name}.out").open("ab") as log:
            done = subprocess.run(
                read.command,
                env=self.environment(dict(read.environment)),
                cwd=self.root,
                stdout=log,
                stderr=log,
                check=False,
            )
        return done.returncode

    def archived(self) -> int:
        git = f"--git-dir={self.loop.inbox.path}/git/0.git"
        return int(self.loop.inbox.run("git", git, "rev-list", "--count", "HEAD"))


# -- load --------------------------------------------------------------------------------------------------------------


def renamed(raw: bytes, number: int, kept: tuple[str, ...]) -> bytes:
    """A mail as another's: every address and Message-ID in it is a new one, the same ones everywhere; sent just now."""
    same = {each.encode() for each in kept}

    def other(match: re.Match[bytes]) -> bytes:
        return match[0] if match[0] in same else b"r%d." % number + match[0]

    raw = _NAMED.sub(other, raw)
    raw = re.sub(rb"(?m)^change-id: ", b"change-id: r%d-" % number, raw)
    head, blank, body = raw.partition(b"\n\n")
    raw = (
        re.sub(rb"(?mi)^Received:.*\n(?:[ \t].*\n)*", b"", head + b"\n") + blank[1:] + body
    )  # by these, too, it is dated
    return re.sub(rb"(?m)^Date: .*$", b"Date: " + ago(seconds=1).encode(), raw, count=1)


@dataclass(slots=True)
class Copy:
    """A thread that was delivered whole. `first`: the Message-ID of its first mail."""

    name: str
    first: str
    number: int


@dataclass(slots=True)
class Load(threading.Thread):
    """Delivers mail after mail, `pause` seconds between two, until told to stop; and some letters are answered."""

    site: Site
    shared: Path
    pause: float
    ending: threading.Event = field(default_factory=threading.Event)
    delivered: int = 0
    answered: int = 0
    copies: list[Copy] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        threading.Thread.__init__(self, daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        try:
            for number, (name, mails) in enumerate(self._threads()):
                for mail in mails:
                    self._deliver(renamed(mail, number, (self.site.loop.inbox.address,)))
                    if self.ending.wait(self.pause):
                        return
                self.copies.append(Copy(name, _msgid(renamed(mails[0], number, ())), number))
                self._answer()
        except BaseException as error:  # the thread's end is looked at by who joins it
            self.wrong.append(repr(error))

    def _deliver(self, mail: bytes) -> None:
        inbox = self.site.loop.inbox
        command = ["public-inbox-mda", "--no-precheck"]
        done = subprocess.run(command, input=mail, capture_output=True, check=False, env=inbox.environment)
        assert done.returncode in (0, _NO_HTML), done.stderr.decode()
        self.delivered += done.returncode == 0

    def _threads(self) -> Iterator[tuple[str, list[bytes]]]:
        """One of our own, one of somebody's, in turn, for ever."""
        choice = Random(SEED)
        files = sorted((self.shared / "corpora" / "mail" / "linaro-mm-sig").rglob("*.mbox"))
        while True:
            choice.shuffle(files)
            for at, path in enumerate(files):
                own = RETRIED[at % len(RETRIED)]
                yield own, _mails(ROOT / "corpora" / "threads" / f"{own}.mbox")
                yield "", _mails(path)[:6]

    def _answer(self) -> None:
        """Every fifth letter is answered by the author of the patch, who says that the rule is wrong."""
        sent = self.site.loop.sent()
        if len(sent) < 5 * (self.answered + 1):
            return
        letter = sent[5 * (self.answered + 1) - 1]
        patch = str(letter["In-Reply-To"]).strip("<>")
        number = patch.partition(".")[0]
        author = f"Tomas Lindqvist <{number}.tomas@example.org>" if "dmamap" in patch else ""
        author = author or f"Renske Aalto <{number}.renske@example.org>"
        text = "lorelint: false-positive * this one ends"
        self.answered += 1
        self._deliver(answer(letter, text, author=author, msgid=f"answer.{patch}"))


def _mails(path: Path) -> list[bytes]:
    """Those of a mailbox that have a Message-ID, each once."""
    found = {_msgid(raw): raw for raw in (mail.as_bytes() for mail in mailbox.mbox(path)) if _msgid(raw)}
    return list(found.values())


def _msgid(raw: bytes) -> str:
    return str(email.message_from_bytes(raw)["Message-ID"] or "").strip().strip("<>")


@dataclass(slots=True)
class Visitor(threading.Thread):
    """Asks all the time: whether it lives, whether it is ready, its numbers, pages as somebody who has come in.

    refused  what was not answered although all that it takes was there for a while
    """

    site: Site
    ending: threading.Event = field(default_factory=threading.Event)
    asked: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def __post_init__(self) -> None:
        threading.Thread.__init__(self, daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        base = f"http://127.0.0.1:{self.site.port}"
        with httpx.Client(base_url=base, timeout=20) as client:
            while not self.ending.wait(0.5):
                self._ask(client, "/healthz", ("lorelint-serve",))
                for path in ("/readyz", "/metrics", "/queue", "/outbox", "/status", "/finding/1"):
                    self._ask(client, path, ("lorelint-serve", "database"))

    def _ask(self, client: httpx.Client, path: str, needs: tuple[str, ...]) -> None:
        fair = self.site.supervisor.settled(needs, SETTLED)
        start = time.monotonic()
        said = ""
        with contextlib.suppress(httpx.HTTPError):
            answered = client.get(path, headers={"authorization": f"Bearer {TOKEN}"} if path == "/metrics" else {})
            if answered.status_code == 303:  # it was started anew, and has forgotten who came in
                client.post("/login", data={"token": TOKEN})
                answered = client.get(path)
            said = str(answered.status_code)
        self.asked[path] += 1
        if said == "200" or (path == "/finding/1" and said == "404"):
            self.slowest = max(self.slowest, time.monotonic() - start) if fair else self.slowest
            return
        self.missed[path] += 1
        if fair and self.site.supervisor.settled(needs, SETTLED):
            self.refused.append(f"{path}: {said or 'no answer'} after {time.monotonic() - start:.1f} s")
