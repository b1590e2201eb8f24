"""The git program: run safely, its objects read through one long-lived child, words found by `git grep`.

Nothing here changes a user's repository: no locks, no index refresh, no checkout, replace refs ignored.
What strangers wrote reaches git on stdin, or after `--end-of-options`, never as an option.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from lorelint.model.errors import LorelintError
from lorelint.model.regex import regex

MAX_OBJECT = 32 << 20  # bytes; the largest source file of linux 6.12 has 23 MB
TIMEOUT = 120  # seconds without a byte from git; only a promisor remote that hangs takes so long
_WORD = regex(r"[A-Za-z_][A-Za-z0-9_]*\Z")

# What a hook or a shell may have set to point git at another repository (git rev-parse --local-env-vars, git 2.39),
# and what makes git start programs or talk more.
_FOREIGN = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
    "GIT_PAGER",
    "GIT_TRACE",
    "GIT_CEILING_DIRECTORIES",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
)


def text(raw: bytes) -> str:
    """Bytes of git as text; what is not UTF-8 comes back as it was."""
    return raw.decode("utf-8", "surrogateescape")


_SET = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
}


def with_environment(command: Sequence[str], extra: Mapping[str, str] | None = None) -> list[str]:
    """The command under env(1): the user's environment, less what would point git elsewhere.

    Only the command line reads the environment; here it is handed on unread.
    """
    unset = [part for name in _FOREIGN for part in ("-u", name)]
    return ["env", *unset, *(f"{name}={value}" for name, value in {**_SET, **(extra or {})}.items()), *command]


class Output(Struct, frozen=True):
    code: int
    out: bytes
    err: str
    late: bool = False  # stopped because it took too long


class Git:
    """The git program, bound to one repository (or to a plain folder, for what needs no repository)."""

    def __init__(self, where: Path, extra: Mapping[str, str] | None = None) -> None:
        self.where = where
        self._extra = dict(extra or {})

    def command(self, *arguments: str) -> list[str]:
        # Paths of strangers are paths, not patterns; only grep is given patterns, our own.
        literal = [] if arguments[0] == "grep" else ["--literal-pathspecs"]
        git = ["git", "--no-pager", *literal, "-C", str(self.where), *arguments]
        return with_environment(git, self._extra)

    def run(self, *arguments: str, stdin: bytes = b"", timeout: int = 600) -> Output:
        """Run git to its end. Raises LorelintError where git is not installed."""
        if shutil.which("git") is None:
            raise no_git(self.where)
        try:
            done = subprocess.run(
                self.command(*arguments),
                input=stdin,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Output(-1, b"", f"git took more than {timeout} s", late=True)
        return Output(done.returncode, done.stdout, text(done.stderr).strip())


def no_git(where: Path) -> LorelintError:
    return LorelintError("git is not installed", where=where.name, remedy="install git, or name a plain source folder")


class Object(Struct, frozen=True):
    id: str
    kind: str  # "blob", "tree", "commit", "tag"
    data: bytes


class Objects:
    """One `git cat-file --batch` child; started on first use, again in a forked process or when it died."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._buffer = bytearray()
        self._end: weakref.finalize[[subprocess.Popen[bytes]], Objects] | None = None
        self.lost: dict[str, str] = {}  # object -> why it could not be read

    def get(self, name: str, limit: int = MAX_OBJECT) -> Object | None:
        """The object a name stands for; None where there is none, or where it is larger than `limit` bytes."""
        if not name or "\n" in name or "\0" in name or name in self.lost:
            return None
        with self._lock:
            try:
                return self._ask(name, limit)
            except (OSError, EOFError, TimeoutError) as error:
                # A promisor remote that is gone ends the child: "could not fetch ... from promisor remote".
                self.lost[name] = str(error) or "git cat-file ended"
                self._stop()
                return None

    def close(self) -> None:
        with self._lock:
            self._stop()

    def _ask(self, name: str, limit: int) -> Object | None:
        child = self._running()
        assert child.stdin is not None
        child.stdin.write(name.encode("utf-8", "surrogateescape") + b"\n")
        child.stdin.flush()
        header = self._line().split(b" ")
        if len(header) != 3 or not header[2].isdigit():
            return None  # "NAME missing", "NAME ambiguous"
        size = int(header[2])
        data = self._bytes(size, keep=size <= limit)
        self._bytes(1, keep=False)
        return Object(header[0].decode(), header[1].decode(), data) if size <= limit else None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._pid == os.getpid():
            return self._child
        if shutil.which("git") is None:
            raise no_git(self._git.where)
        child = subprocess.Popen(
            self._git.command("cat-file", "--batch"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self._child, self._pid, self._buffer = child, os.getpid(), bytearray()
        self._end = weakref.finalize(self, _end, child)
        return child

    def _stop(self) -> None:
        if self._end is not None and self._pid == os.getpid():
            self._end()
        self._child, self._end = None, None

    def _fill(self) -> None:
        assert self._child is not None and self._child.stdout is not None
        handle = self._child.stdout.fileno()
        ready, _, _ = select.select([handle], [], [], TIMEOUT)
        if not ready:
            raise TimeoutError(f"git said nothing for {TIMEOUT} s")
        got = os.read(handle, 1 << 20)
        if not got:
            raise EOFError("git could not read it (a promisor remote that is gone, or a damaged object)")
        self._buffer += got

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _bytes(self, size: int, keep: bool) -> bytes:
        kept = bytearray()
        left = size
        while left:
            if not self._buffer:
                self._fill()
            part = self._buffer[:left]
            del self._buffer[: len(part)]
            left -= len(part)
            if keep:
                kept += part
        return bytes(kept)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child: it stops by itself when its input is closed."""
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                pass
    try:
        child.wait(timeout=2)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def is_word(word: str) -> bool:
    """Whether this is a C identifier, all that is ever looked for."""
    return bool(_WORD.match(word))


def grep_words(git: Git, words: Sequence[str], where: Sequence[str], commit: str = "") -> dict[str, set[str]] | None:
    """Which ``.c`` and ``.h`` files hold which identifiers, by one `git grep` for all of them.

    where   further options of `git grep` (``--no-index``)
    commit  full id of the commit to search, "" for files on disk
    None where git failed. ``-o`` says which word each hit is; on linux 6.12 it costs no more than ``-l``.
    """
    patterns = [part for word in words for part in ("-e", word)]
    options = ["-a", "-o", "-z", "-w", "-F", "--no-color", "--no-line-number", "--no-column", "--full-name"]
    done = git.run("grep", *where, *options, *patterns, *([commit] if commit else []), "--", "*.c", "*.h")
    found: dict[str, set[str]] = {word: set() for word in words}
    if done.code == 1 and not done.err:
        return found
    if done.code != 0:
        return None
    prefix = f"{commit}:" if commit else ""
    for line in done.out.split(b"\n"):
        path, _, word = line.partition(b"\0")
        if word:
            name = text(path)
            found[word.decode()].add(name[len(prefix) :] if name.startswith(prefix) else name)
    return found


def scan_words(content: bytes, words: Iterable[str]) -> list[str]:
    """Those of the words that stand in the content as whole identifiers. Plain search first: it is 9 times faster."""
    present = []
    for word in words:
        raw = word.encode()
        if raw in content and re.search(rb"(?<![A-Za-z0-9_])" + raw + rb"(?![A-Za-z0-9_])", content):
            present.append(word)
    return present
