"""A machine of its own for a test: a real systemd as the first process of new namespaces, in a folder.

/usr (Python with it) and the network are this machine's; /etc is a copy; /opt, /var, /run and /root are new. What needs
controllers of memory and tasks (MemoryMax=, TasksMax=) is read and has no effect here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import missing

BOOT = Path(__file__).with_name("boot.sh")
PROGRAMS = ("unshare", "nsenter", "systemd-analyze", "runuser")
KEPT = ("PIP_", "SSL_", "REQUESTS_CA", "http_proxy", "https_proxy", "no_proxy")  # how this machine reaches packages


class Machine:
    """`run` gives it commands as root; `root` is its root folder as seen from here."""

    def __init__(self, folder: Path, first: int) -> None:
        self.first = first
        self.root = Path(f"/proc/{first}/root")
        kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", **kept}

    def run(self, script: str, *, code: int | None = 0, cwd: str = "/root", seconds: float = 600) -> str:
        """What a script prints, on both streams. Its exit code must be `code`, unless that is None."""
        enter = ["nsenter", "-t", str(self.first), "-m", "-p", "-u", "-i", "-C", f"--wd={self.root}{cwd}"]
        done = subprocess.run(
            [*enter, "/bin/bash", "-c", f"set -euo pipefail\n{script}"],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
        told = done.stdout.decode("utf-8", "replace")
        assert code is None or done.returncode == code, f"{script}\nexit code {done.returncode}\n{told[-4000:]}"
        return told

    def wait(self, script: str, seconds: float = 60) -> str:
        """Run a script until its exit code is 0; what it printed then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(AssertionError):
                return self.run(script)
            time.sleep(0.5)
        return self.run(script)

    def copy(self, source: Path, to: str) -> None:
        target = Path(f"{self.root}{to}")
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target)

    def write(self, path: str, text: str) -> None:
        target = Path(f"{self.root}{path}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def log(self, unit: str) -> str:
        return self.run(f"journalctl --no-pager -o cat -u {unit}")


@contextlib.contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """One that is up, until the end of the block. Skips where that cannot be had."""
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if not _python():
        pytest.skip("the system's own Python is older than 3.11")
    if lacking or not Path("/lib/systemd/systemd").exists():
        missing(f"{', '.join(lacking) or 'systemd'} is not installed (make tools)")
    group = _group()
    if os.getuid() or group is None:
        pytest.skip("a machine of its own takes root, namespaces and cgroups of the second kind")
    root = folder / "machine"
    root.mkdir()
    log = folder / "machine.log"
    enter = f'echo $$ >{group}/cgroup.procs; exec unshare -m -p -u -i -C --fork --kill-child -- "$@"'
    with log.open("wb") as stream:
        outer = subprocess.Popen(
            ["/bin/bash", "-c", enter, "-", str(BOOT), str(root)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield _booted(folder, outer, log)
    finally:
        outer.send_signal(signal.SIGKILL)  # and with it the first process, and with that all others
        outer.wait(timeout=30)
        _gone(group)


def _booted(folder: Path, outer: subprocess.Popen[bytes], log: Path) -> Machine:
    for _ in range(300):
        time.sleep(0.1)
        if outer.poll() is not None:
            pytest.skip(f"no machine of its own can be had here: {log.read_text()[-500:]}")
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        if not children:
            continue
        made = Machine(folder, int(children[0]))
        if (made.root / "run/systemd/private").exists() and made.root.joinpath("run/systemd/journal/stdout").exists():
            return made
    pytest.fail(f"the machine does not come up: {log.read_text()[-2000:]}")


def _python() -> bool:
    """Whether the system's own Python will do."""
    with contextlib.suppress(OSError):
        told = subprocess.run(
            ["/usr/bin/python3", "-c", "import sys; raise SystemExit(sys.version_info < (3, 11))"], check=False
        )
        return told.returncode == 0
    return False


def _group() -> Path | None:
    """A new group of processes, for systemd to be the root of."""
    for base in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")):
        if (base / "cgroup.procs").exists() and (base / "cgroup.controllers").exists():
            made = base / f"lorelint-test-{os.getpid()}"
            try:
                made.mkdir()
            except OSError:
                return None
            return made
    return None


def _gone(group: Path) -> None:
    """Take the group away; what was in it is ending."""
    for _ in range(100):
        for path in sorted((each for each in group.rglob("*") if each.is_dir()), reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.1)
