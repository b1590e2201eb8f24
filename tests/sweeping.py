"""An archive of our own threads, many times over; and a real Dask cluster on the loopback."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAM = [sys.executable, "-m", "lorelint", "sweep"]


def copied(mailbox: bytes, number: int) -> bytes:
    """A thread as other people would have it, under other names: no series of it is one of another copy."""
    text = mailbox.replace(b"example.org", b"n%d.example.org" % number)
    return re.sub(rb"(?i)(change-id: [\w-]+)", rb"\1-n%d" % number, text)


def second(mailbox: bytes) -> bytes:
    """The next version of the patch that makes every failure -EAGAIN: it makes none."""
    text = mailbox.replace(b"[PATCH]", b"[PATCH v2]").replace(b"-v1-", b"-v2-").replace(b"02 Apr", b"12 Apr")
    return text.replace(b"+\t\t\treturn -EAGAIN;", b"+\t\t\treturn err;")


def archive(threads: Path, folder: Path, copies: int) -> Path:
    """A folder of mailboxes: our threads so many times, the first patch with a second version."""
    folder.mkdir()
    for number in range(copies):
        for path in sorted(threads.glob("*.mbox")):
            text = copied(path.read_bytes(), number)
            if path.name == "dmamap-retry.mbox":
                text += second(text)
            (folder / f"{number:03}-{path.name}").write_bytes(text)
    return folder


def epochs(path: Path, mails: list[bytes]) -> Path:
    """A public-inbox of version 2, as far as its history goes: two epochs."""
    half = len(mails) // 2
    for number, some in enumerate((mails[:half], mails[half:])):
        git = path / "git" / f"{number}.git"
        subprocess.run(["git", "init", "-q", "--bare", str(git)], check=True)
        stream = b""
        for at, mail in enumerate(some):
            stream += b"commit refs/heads/master\ncommitter lists <> %d +0000\ndata 0\n" % (1773655200 + at)
            stream += b"M 100644 inline m\ndata %d\n%s\n" % (len(mail), mail)
        (git / "HEAD").write_text("ref: refs/heads/master\n")
        subprocess.run(["git", f"--git-dir={git}", "fast-import", "--quiet"], input=stream, check=True)
    return path


def damage(git: Path) -> None:
    """Take the last message out of a repository that says it is there."""
    found = subprocess.run(["git", f"--git-dir={git}", "rev-parse", "HEAD:m"], capture_output=True, check=True)
    blob = found.stdout.decode().strip()
    (git / "objects" / blob[:2] / blob[2:]).unlink()


class Cluster:
    """A scheduler and workers, each a process of its own that lives as long as the block."""

    def __init__(self, folder: Path, environment: dict[str, str], workers: int) -> None:
        self.folder, self.environment = folder, environment
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.executor = f"dask://127.0.0.1:{self.port}"
        self._started: list[subprocess.Popen[bytes]] = []
        self._expected = 0
        (folder / "worker.log").touch()
        self.start(workers)

    def start(self, workers: int) -> None:
        address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler = self._run("scheduler", "--host", "127.0.0.1", "--port", str(self.port))
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                break
            time.sleep(0.1)
        options = ["--nthreads", "1", "--nworkers", "1", "--host", "127.0.0.1", "--death-timeout", "60"]
        self.workers = [
            self._run("worker", address, *options, "--local-directory", str(self.folder / f"worker-{number}"))
            for number in range(workers)
        ]
        self._expected += workers
        for _ in range(600):
            if (self.folder / "worker.log").read_bytes().count(b"Registered to:") >= self._expected:
                return
            time.sleep(0.1)
        raise AssertionError((self.folder / "worker.log").read_text())

    def _run(self, what: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli." + f"dask_{what}", *arguments, "--no-dashboard"]
        with (self.folder / f"{what}.log").open("ab") as log:
            child = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        self._started.append(child)
        return child

    def working(self) -> list[int]:
        """The processes that nannies look after: those that take tasks."""
        return [each for child in self.workers for each in children(child.pid) if b"spawn_main" in command_of(each)]

    def close(self) -> None:
        for child in reversed(self._started):
            child.terminate()
        for child in self._started:
            try:
                child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextlib.contextmanager
def cluster(folder: Path, environment: dict[str, str], workers: int = 3) -> Iterator[Cluster]:
    made = Cluster(folder, environment, workers)
    try:
        yield made
    finally:
        made.close()


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(each) for each in task.read_text().split()]
    return sorted(found)


def command_of(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def environment(root: Path, folder: Path) -> dict[str, str]:
    """Of a user with nothing in his folders."""
    homes = {f"XDG_{name}_HOME": str(folder / name.lower()) for name in ("CONFIG", "CACHE", "DATA")}
    path = os.pathsep.join(str(root / each) for each in ("bot", "rules", "."))
    return {**os.environ, **homes, "PYTHONPATH": path}
