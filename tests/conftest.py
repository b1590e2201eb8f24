"""What every test may lean on: where the shared corpora and the kernel trees are, and a machine that is quiet.

Environment, all of it optional:
  LORELINT_SHARED    the shared corpora (default: ../shared beside the checkout)
  LORELINT_TREES     unpacked kernel sources, linux-source-6.12 and so on (default: ~/.cache/lorelint/trees)
  LORELINT_OVERLAYS  the labelled changes over them (default: overlays beside LORELINT_TREES)
  LORELINT_SAMPLE    N: tests that go over many subjects take N of them (of cheap ones more), always the same
  LORELINT_SOAK      seconds of the run of everything (default: 1800, with LORELINT_SAMPLE 120)
  LORELINT_BLESS     1: expected outputs are written anew
  CI                 true: what is missing fails the test instead of skipping it
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest

ROOT = Path(__file__).resolve().parent.parent
SEED = 20260317
T = TypeVar("T")


def pytest_configure(config: pytest.Config) -> None:
    # Quiet and the same everywhere: no user's git configuration, no user's cache.
    os.environ["GIT_CONFIG_GLOBAL"] = os.devnull
    os.environ["GIT_CONFIG_NOSYSTEM"] = "1"
    os.environ["XDG_CACHE_HOME"] = os.environ.get("LORELINT_TEST_CACHE", str(ROOT / ".cache" / "tests"))
    os.environ.pop("LORELINT_CONFIG", None)


def pytest_make_parametrize_id(val: object) -> str | None:
    # A name of bytes is their length: what a compressor or a clock put in them would give every worker other names.
    return f"{len(val)}-bytes" if isinstance(val, bytes) else None


def missing(reason: str) -> NoReturn:
    """Skips with a reason; in CI, where everything was to be installed, fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing in CI: {reason}")
    pytest.skip(reason)


def shared_path() -> Path | None:
    path = Path(os.environ.get("LORELINT_SHARED") or ROOT.parent / "shared")
    return path.resolve() if (path / "corpora").is_dir() else None


def trees_path() -> Path:
    named = os.environ.get("LORELINT_TREES")
    return Path(named) if named else Path.home() / ".cache" / "lorelint" / "trees"


def overlays_path() -> Path:
    named = os.environ.get("LORELINT_OVERLAYS")
    return Path(named) if named else trees_path().parent / "overlays"


def tree_path(name: str) -> Path | None:
    """``6.12`` or ``linux-source-6.12``."""
    path = trees_path() / (name if name.startswith("linux-") else f"linux-source-{name}")
    return path if (path / "Makefile").is_file() else None


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared corpora's parent folder: ``shared / "corpora" / ...``."""
    path = shared_path()
    return path if path else missing("the shared corpora are not there (LORELINT_SHARED)")


@pytest.fixture(scope="session")
def tree_dir() -> Callable[[str], Path]:
    """``tree_dir("6.12")`` is the unpacked source of that kernel."""

    def find(name: str) -> Path:
        path = tree_path(name)
        return path if path else missing(f"kernel tree {name} is not there (make trees, or LORELINT_TREES)")

    return find


@pytest.fixture(scope="session")
def overlays_dir() -> Path:
    path = overlays_path()
    return path if path.is_dir() else missing("the overlays are not there (make trees, or LORELINT_OVERLAYS)")


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """``program("spatch")`` is the path of a program that is not Python's."""

    def find(name: str) -> str:
        path = shutil.which(name)
        return path if path else missing(f"{name} is not installed (make tools)")

    return find


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """``postgresql()`` is the URL of a new, empty database in a real PostgreSQL that lives as long as the session."""
    programs = [shutil.which("postgres") or "", *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/postgres")))]
    found = next((Path(each).resolve() for each in reversed(programs) if each), None)
    if found is None:
        missing("PostgreSQL is not installed (make tools)")
    folder = Path(tempfile.mkdtemp(prefix="lorelint-pg-"))  # the tests' own folder is closed to other users
    as_user = unprivileged(folder)
    try:
        with _cluster(found.parent, folder, as_user) as url:
            numbers = itertools.count()

            def create() -> str:
                name = f"store{next(numbers)}"
                _execute(url.format("postgres"), f"CREATE DATABASE {name}")
                return url.format(name)

            yield create
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unprivileged(folder: Path) -> list[str]:
    """How a program is run that refuses to be root's."""
    if os.getuid():
        return []
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            os.chown(folder, user.pw_uid, user.pw_gid)
            ids = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
            return ["setpriv", *ids, "--pdeathsig", "QUIT", "--"]  # no server outlives tests that were killed
    missing("no unprivileged user for PostgreSQL")


@contextlib.contextmanager
def _cluster(programs: Path, folder: Path, as_user: list[str]) -> Iterator[str]:
    """The URL of a database, its name left open."""
    data = folder / "data"
    made = [programs / "initdb", "-D", data, "-U", "lorelint", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
    subprocess.run([*as_user, *made], check=True, capture_output=True, cwd=folder)
    # On a socket in the folder alone: no port is taken.
    settings = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*as_user, programs / "postgres", "-D", data, *settings], stdout=log, stderr=log, cwd=folder
        )
    url = f"postgresql://lorelint@/{{}}?host={folder}"
    try:
        for _ in range(300):
            with contextlib.suppress(Exception):
                _execute(url.format("postgres"), "SELECT 1")
                break
            if server.poll() is not None:
                break
            time.sleep(0.1)
        else:
            pytest.fail(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
        yield url
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nobody needs what is in it
        server.wait(timeout=30)


def _execute(url: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.fixture(scope="session")
def sampled() -> Callable[..., list[Any]]:
    """All subjects, or with LORELINT_SAMPLE=N the same N of them every time, in their order.

    ``sampled(files, 100)`` takes N times 100: of subjects that are cheap.
    """

    def take(subjects: Sequence[T], times: int = 1) -> list[T]:
        count = int(os.environ.get("LORELINT_SAMPLE") or 0) * times
        if not count or count >= len(subjects):
            return list(subjects)
        chosen = random.Random(SEED).sample(range(len(subjects)), count)
        return [subjects[at] for at in sorted(chosen)]

    return take


@pytest.fixture(scope="session")
def blessing() -> bool:
    """Whether expected outputs are to be written anew (make bless)."""
    return os.environ.get("LORELINT_BLESS") == "1"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("needs_shared") and shared_path() is None:
        missing("the shared corpora are not there (LORELINT_SHARED)")
    for marker in item.iter_markers("needs_tree"):
        for name in marker.args or ("6.12",):
            if tree_path(str(name)) is None:
                missing(f"kernel tree {name} is not there (make trees, or LORELINT_TREES)")


class Checkout:
    """A git checkout of the small kernel of our own making, on the branch ``topic`` whose upstream is ``main``."""

    def __init__(self, path: Path, source: Path | None = None) -> None:
        self.path = path
        if source is not None:
            shutil.copytree(source, path, dirs_exist_ok=True)
            self.git("init", "-q", "-b", "main", ".")
            self.git("config", "user.name", "Ann Author")
            self.git("config", "user.email", "ann@example.org")
            self.git("add", "-A", "-f")  # a distribution's kernel ignores all its files
            self.git("commit", "-q", "-m", "start")
            self.git("checkout", "-q", "-b", "topic", "--track", "main")

    def git(self, *arguments: str, stdin: bytes = b"", code: int | None = 0) -> str:
        """What git prints. The exit code must be `code`, unless that is None."""
        done = subprocess.run(["git", "-C", self.path, *arguments], input=stdin, capture_output=True, check=False)
        assert code is None or done.returncode == code, done.stderr.decode()
        return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def write(self, path: str, text: str) -> None:
        (self.path / path).parent.mkdir(parents=True, exist_ok=True)
        (self.path / path).write_text(text)

    def swap(self, path: str, old: str, new: str) -> None:
        text = (self.path / path).read_text()
        assert old in text
        self.write(path, text.replace(old, new, 1))

    def commit(self, subject: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def am(self, mailbox: Path) -> str:
        """The patches of a mailbox as commits."""
        split = self.path.parent / f"{self.path.name}-mails"
        split.mkdir(exist_ok=True)
        self.git("mailsplit", f"-o{split}", str(mailbox))
        patches = [mail for mail in sorted(split.iterdir()) if b"\ndiff --git " in mail.read_bytes()]
        self.git("am", "-q", *map(str, patches))
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def checkout(root: Path, tmp_path: Path, program: Callable[[str], str]) -> Checkout:
    """A checkout of the small tree."""
    program("git")
    return Checkout(tmp_path / "linux", root / "corpora" / "trees" / "small")


@pytest.fixture(scope="session")
def make_checkout(program: Callable[[str], str]) -> Callable[..., Checkout]:
    """``make_checkout(path, source)``: a checkout of another tree, or of what is at `path` already."""
    program("git")
    return Checkout


class PublicInbox:
    """A real public-inbox (version 2) of one list on this machine; `serve` puts it on the loopback."""

    def __init__(self, folder: Path, name: str = "small") -> None:
        self.folder, self.name = folder, name
        folder.mkdir(parents=True)
        self.path = folder / name
        self.address = f"{name}@lists.example.org"
        self.url = ""
        self.port = 0
        self._server: subprocess.Popen[bytes] | None = None
        self.environment = {
            **os.environ,
            "PI_CONFIG": str(folder / "config"),
            "PI_DIR": str(folder / "dot"),
            "HOME": str(folder),
            "ORIGINAL_RECIPIENT": self.address,
        }
        self.run("public-inbox-init", "-V2", "-L", "full", "-j1", name, str(self.path), self._place(0), self.address)
        self.run("git", "config", "-f", str(folder / "config"), "publicinboxmda.spamcheck", "none")

    def _place(self, port: int) -> str:
        return f"http://127.0.0.1:{port}/{self.name}/"

    def run(self, *command: str, stdin: bytes = b"", code: int = 0) -> bytes:
        done = subprocess.run(command, input=stdin, capture_output=True, check=False, env=self.environment)
        assert done.returncode == code, done.stderr.decode()
        return done.stdout

    def deliver(self, *mails: bytes) -> None:
        """As a mail server would."""
        for mail in mails:
            self.run("public-inbox-mda", "--no-precheck", stdin=mail)

    def fill(self, mails: Sequence[bytes], epoch: int = 0, seconds: int = 1773655200, index: bool = True) -> None:
        """Many at once, a second apart: an epoch has one commit for each."""
        git = self.path / "git" / f"{epoch}.git"
        if not git.is_dir():
            self.run("git", "init", "-q", "--bare", str(git))
            (git / "HEAD").write_text("ref: refs/heads/master\n")
        onto = [b"from refs/heads/master^0\n"] if (git / "refs" / "heads" / "master").is_file() else [b""]
        stream = b""
        for at, mail in enumerate(mails):
            stream += b"commit refs/heads/master\ncommitter lists <> %d +0000\ndata 0\n" % (seconds + at)
            stream += (onto[0] if at == 0 else b"") + b"M 100644 inline m\ndata %d\n%s\n" % (len(mail), mail)
        self.run("git", f"--git-dir={git}", "fast-import", "--quiet", "--done", stdin=stream + b"done\n")
        if index:
            self.run("public-inbox-index", "-j0", str(self.path))

    def remove(self, mail: bytes) -> None:
        self.run("public-inbox-learn", "rm", stdin=mail)

    def serve(self, port: int = 0) -> str:
        """Its address, until the end of the test; on a port that it had before, else on a free one."""
        with socket.socket() as probe:
            if not port:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
        self.port = port
        self.url = self._place(port).rstrip("/")
        self.run("git", "config", "-f", str(self.folder / "config"), f"publicinbox.{self.name}.url", self.url)
        log = (self.folder / "httpd.log").open("wb")
        self._server = subprocess.Popen(self.command, stdout=log, stderr=log, env=self.environment)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return self.url
            except OSError:
                time.sleep(0.05)
        pytest.fail((self.folder / "httpd.log").read_text())

    @property
    def command(self) -> list[str]:
        """What serves it where it was served."""
        return ["public-inbox-httpd", "-l", f"http://127.0.0.1:{self.port}", "-W", "0"]

    def close(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait(timeout=20)
            self._server = None


@pytest.fixture
def make_inbox(tmp_path: Path, program: Callable[[str], str]) -> Iterator[Callable[..., PublicInbox]]:
    """``make_inbox("kvm")``: an empty public-inbox; what it serves ends with the test."""
    program("public-inbox-init")
    program("public-inbox-httpd")
    made: list[PublicInbox] = []

    def make(name: str = "small") -> PublicInbox:
        made.append(PublicInbox(tmp_path / f"archive-{name}", name))
        return made[-1]

    yield make
    for inbox in made:
        inbox.close()


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test speaks to anything but this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _loopback(str(address[0])):
            raise OSError(f"a test tried to reach {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    yield


def _loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What was skipped and why, once for each reason."""
    reasons = Counter(str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", ()))
    if reasons:
        terminalreporter.section("not tested here")
        for reason, count in sorted(reasons.items()):
            terminalreporter.write_line(f"{count:4} {reason.removeprefix('Skipped: ')}")
