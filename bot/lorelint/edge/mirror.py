"""A bare repository in the data folder that follows another one over the network; run so that it can do nothing else.

Only http, https and files are spoken, nobody is asked for a password, no hook runs, nothing goes on in the
background, and a server that says nothing is given up. A fetch that is ended at any point leaves what was there.
"""

from __future__ import annotations

import re
from pathlib import Path

from lorelint.edge.git import Git, text
from lorelint.model.errors import LorelintError
from lorelint.model.regex import regex

PROTOCOLS = "https:http:file"
STALL = 60  # seconds in which less than a kilobyte a second came
TIMEOUT = 900  # seconds for a fetch of what is new
FIRST = 4 * 3600  # and for the first one: a kernel has gigabytes
_SAFE = (
    "core.hooksPath=/dev/null",
    "credential.helper=",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "http.lowSpeedLimit=1000",
    f"http.lowSpeedTime={STALL}",
)
_ABSENT = regex(r"not found|does not (?:appear to be a git repository|exist)|no such file", re.IGNORECASE)


class Absent(LorelintError):
    """The server answers, and has no such repository."""


class Mirror:
    """One mirror; the folder need not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git = Git(path, {"GIT_ALLOW_PROTOCOL": PROTOCOLS, "GIT_CEILING_DIRECTORIES": str(path.parent)})

    @property
    def there(self) -> bool:
        return (self.path / "HEAD").is_file()

    @property
    def shallow(self) -> bool:
        return (self.path / "shallow").is_file()

    def fetch(
        self, url: str, *refs: str, options: tuple[str, ...] = (), timeout: int = TIMEOUT, tags: bool = False
    ) -> None:
        """Bring refs (``+HEAD:refs/...``) of the repository at a URL, and tags of what comes with them if wanted.

        Raises LorelintError; `Absent` for none there.
        """
        self._make()
        quiet = ("fetch", "--quiet", "--no-write-fetch-head", "--no-auto-gc", *(() if tags else ("--no-tags",)))
        done = self.git.run(*_configured(*quiet, *options, "--", url, *refs), timeout=timeout)
        if done.code != 0:
            raise _failure(url, done.err)

    def resolve(self, ref: str) -> str:
        """The full id of the commit a ref stands for, "" for none."""
        if not self.there:
            return ""
        found = self.git.run("rev-parse", "--quiet", "--verify", "--end-of-options", f"{ref}^{{commit}}")
        return text(found.out).strip() if found.code == 0 else ""

    def holds(self, ancestor: str, tip: str) -> bool:
        """Whether a commit is there and `tip` stands on it."""
        return self.git.run("merge-base", "--is-ancestor", "--end-of-options", ancestor, tip).code == 0

    def keep(self, ref: str, commit: str) -> None:
        """Make a ref, so that a commit is not lost when what it stood on is rewritten."""
        self.git.run(*_configured("update-ref", "--end-of-options", ref, commit))

    def drop(self, ref: str) -> None:
        self.git.run(*_configured("update-ref", "-d", "--end-of-options", ref))

    def tidy(self) -> None:
        """Pack what many small fetches left, where it is worth it."""
        self.git.run("-c", "core.hooksPath=/dev/null", "-c", "gc.autoDetach=false", "gc", "--auto", "--quiet")

    def size(self) -> int:
        """Bytes on disk."""
        return size_of(self.path)

    def _make(self) -> None:
        if self.there:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LorelintError(f"cannot be made: {error.strerror}", where=str(self.path)) from error
        done = self.git.run("init", "--quiet", "--bare", "--template=", ".")
        if done.code != 0:
            raise LorelintError(f"git cannot make a mirror: {done.err[:200]}", where=str(self.path))


def listed(url: str, pattern: str = "HEAD") -> dict[str, str]:
    """The refs of a repository at a URL, by name. Raises LorelintError; `Absent` for none there."""
    outside = Git(Path("/"), {"GIT_ALLOW_PROTOCOL": PROTOCOLS})
    asked = outside.run(*_configured("ls-remote", "--quiet", "--", url, pattern), timeout=STALL * 2)
    if asked.code != 0:
        raise _failure(url, asked.err)
    lines = [line.split("\t", 1) for line in text(asked.out).splitlines()]
    return {line[1]: line[0] for line in lines if len(line) == 2}


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except OSError:
            pass  # a temporary file of git's that is gone
    return total


def without_password(url: str) -> str:
    return re.sub(r"(?<=://)[^/@\s]*@", "", url)


def _configured(*arguments: str) -> tuple[str, ...]:
    """A git command with the settings that keep it from doing more. Git reads the command from the first argument
    that is no option, so they come before it."""
    return (*(part for each in _SAFE for part in ("-c", each)), *arguments)


def _failure(url: str, said: str) -> LorelintError:
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("warning:")]
    reason = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[0] if lines else "no answer")
    kind = Absent if _ABSENT.search(said) and "could not resolve" not in said.lower() else LorelintError
    reason = re.sub(r"^(?:fatal|error): ", "", without_password(reason))[:300]
    return kind(f"git cannot fetch it: {reason}", where=without_password(url), remedy="check the address and network")
