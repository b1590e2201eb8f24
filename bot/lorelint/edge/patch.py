"""GNU patch, for the fuzz that git does not do: context lines at the ends of a hunk are let go.

It is given one file of a fixed name in an empty folder, and a unified diff rebuilt from the parsed hunks: no
name, no ed script and no header of a stranger reaches it.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from lorelint.edge.git import with_environment
from lorelint.model.mail import Change, FileDiff, Hunk
from lorelint.model.regex import regex
from lorelint.model.source import Fuzzy, FuzzyHunk

FUZZ = 2  # GNU patch's default; at 3 a hunk of git has no context left
SECONDS = 30
MAX_BYTES = 32 << 20

# What GNU patch 2.7.6 says of each hunk, in the C locale; silent for one that lies where it should.
_SAID = regex(
    r"^Hunk #(?P<hunk>\d+) (?P<how>succeeded|FAILED|skipped|ignored)(?: at (?P<line>\d+))?"
    r"(?: with fuzz (?P<fuzz>\d+))?(?: \(offset (?P<offset>-?\d+) lines?\))?"
)


class GnuPatch:
    """The patch program; where it is not installed nothing applies with fuzz."""

    def fuzz(self, diff: FileDiff, content: bytes) -> Fuzzy | None:
        """See `model.source.Patcher`. None also where the program is missing or takes over `SECONDS` seconds."""
        if diff.change in (Change.BINARY, Change.CREATE, Change.DELETE) or not diff.hunks:
            return None
        if len(content) > MAX_BYTES:
            return None
        crlf = b"\r\n" in content
        with tempfile.TemporaryDirectory(prefix="lorelint-patch-") as folder:
            Path(folder, "before").write_bytes(content)
            Path(folder, "diff").write_bytes(_unified(diff, crlf))
            said = _run(folder)
            after = Path(folder, "after")
            if said is None or not after.is_file() or after.is_symlink():
                return None
            return _read(diff, after.read_bytes(), said)


def _run(folder: str) -> str | None:
    """What patch says; None when any hunk failed."""
    options = ["--unified", f"--fuzz={FUZZ}", "--batch", "--forward", "--binary", "--verbose"]
    options += ["--no-backup-if-mismatch", "--reject-file=-", "--input=diff", "--output=after", "--", "before"]
    if shutil.which("patch") is None:
        return None
    try:
        done = subprocess.run(
            with_environment(["patch", *options], {"POSIXLY_CORRECT": "1", "TMPDIR": folder, "PATCH_GET": "0"}),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.decode("ascii", "replace") if done.returncode == 0 else None


def _unified(diff: FileDiff, crlf: bool) -> bytes:
    lines = [b"--- before\n+++ before\n"]
    for hunk in diff.hunks:
        # The counts of the lines that are there: a mangled header may say otherwise.
        old, new = (sum(line.op in side for line in hunk.lines) for side in (" -", " +"))
        head = f"@@ -{hunk.old_start},{old} +{hunk.new_start},{new} @@\n"
        lines.append(head.encode())
        lines += _body(hunk, b"\r\n" if crlf else b"\n")
    return b"".join(lines)


def _body(hunk: Hunk, newline: bytes) -> list[bytes]:
    old = [at for at, line in enumerate(hunk.lines) if line.op in " -"]
    new = [at for at, line in enumerate(hunk.lines) if line.op in " +"]
    bare = set(old[-1:] if hunk.no_newline_old else ()) | set(new[-1:] if hunk.no_newline_new else ())
    body = []
    for at, line in enumerate(hunk.lines):
        raw = line.text.encode("utf-8", "surrogateescape")
        if newline == b"\r\n" and raw.endswith(b"\r"):
            raw = raw[:-1]
        if at in bare:
            body.append(line.op.encode() + raw + b"\n\\ No newline at end of file\n")
        else:
            body.append(line.op.encode() + raw + newline)
    return body


def _read(diff: FileDiff, content: bytes, said: str) -> Fuzzy | None:
    """Where each hunk went; None when patch did not say so for each."""
    found = []
    for line in said.splitlines():
        match = _SAID.match(line)
        if match is None:
            continue
        if match["how"] != "succeeded" or match["line"] is None:
            return None
        number, start = int(match["hunk"]), int(match["line"])
        if not 1 <= number <= len(diff.hunks):
            return None
        size = sum(each.op in " +" for each in diff.hunks[number - 1].lines)
        found.append(
            FuzzyHunk(number, start, start + max(size, 1) - 1, int(match["fuzz"] or 0), int(match["offset"] or 0))
        )
    return Fuzzy(content, tuple(found)) if len(found) == len(diff.hunks) else None
