"""The patch-id of git-patch-id(1), --stable: the same where lines moved, or the files come in another order.

Written after git 2.39, so that no program is started for every patch of a list. Pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from lorelint.model.regex import regex

_NAMED = regex(rb"(?:commit |From )?[0-9a-f]{40}", re.IGNORECASE)  # the next patch of a log begins
_HUNK = regex(rb"@@ -\d*(?:,(\d+))? \+\d*(?:,(\d+))?")
_INDEX = regex(rb"index (.*?)\.\.([^ \n]*)")
_SPACE = b" \t\r\n"
_LARGEST = 2**31 - 1


def patch_id(body: str) -> str:
    """The id of the patch in the body of a mail, 40 hex digits; "" where there is none, or more than one.

    Text between two changes ends a patch for git, and so makes two of one.
    """
    found: list[str] = []
    rest = _lines(body)
    while len(found) < 2:
        patch = _Patch()
        more = patch.take(rest)
        if patch.length:
            found.append(patch.sum.to_bytes(20, "little").hex())
        if not more:
            break
    return found[0] if len(found) == 1 else ""


def _lines(body: str) -> Iterator[bytes]:
    # Only a line feed ends a line for git.
    for line in body.split("\n"):
        yield line.encode("utf-8", "backslashreplace") + b"\n"


class _Patch:
    """One patch on its way to an id: the sum of the hashes of its files."""

    def __init__(self) -> None:
        self.length = 0
        self.sum = 0
        self._hash = hashlib.sha1(usedforsecurity=False)
        self._before = self._after = -1  # lines of the hunk to come; before is -1 in the header of a file
        self._binary = False
        self._blobs = (b"", b"")

    def take(self, lines: Iterator[bytes]) -> bool:
        """Read up to the end of the patch; False where that is the end of the text."""
        for line in lines:
            line = line.partition(b"\0")[0]
            if line.startswith(b"\\ ") and len(line) > 12:  # "\ No newline at end of file", in any language
                continue
            if _NAMED.match(line):
                self._flush()
                return True
            if not self.length and not line.startswith(b"diff "):
                continue
            if not self._line(line):
                self._flush()
                return True
        self._flush()
        return False

    def _line(self, line: bytes) -> bool:
        """One line; False where the patch ended before it."""
        if self._before == -1:
            if self._header(line):
                return True
            if not (line.startswith(b"--- ") or line[:1].isalpha()):
                return False
        if self._binary:
            if line.startswith(b"diff "):
                self._binary, self._before = False, -1
            return True
        if self._before == 0 and self._after == 0:
            if line.startswith(b"@@ -"):
                self._before, self._after = _counts(line, self._before, self._after)
                return True
            if not line.startswith(b"diff "):
                return False
            self._flush()
            self._before = self._after = -1
        self._before -= line[:1] in (b"-", b" ")
        self._after -= line[:1] in (b"+", b" ")
        text = line.translate(None, _SPACE)
        self.length += len(text)
        self._hash.update(text)
        return True

    def _header(self, line: bytes) -> bool:
        """A line of a file's header that is dealt with; False for one that is hashed."""
        if line.startswith((b"GIT binary patch", b"Binary files")):
            self._binary, self._before = True, 0
            self._hash.update(b"".join(self._blobs))
            self._flush()
            return True
        if line.startswith(b"index "):
            if index := _INDEX.match(line):
                self._blobs = (index.group(1), index.group(2))
            return True
        if line.startswith(b"--- "):
            self._before = self._after = 1
        return False

    def _flush(self) -> None:
        self.sum = (self.sum + int.from_bytes(self._hash.digest(), "little")) % (1 << 160)
        self._hash = hashlib.sha1(usedforsecurity=False)


def _counts(line: bytes, before: int, after: int) -> tuple[int, int]:
    """How many lines a hunk has on both sides."""
    hunk = _HUNK.match(line)
    if hunk is None:
        return before, after
    old, new = (min(int(each), _LARGEST) if each is not None else 1 for each in hunk.groups())
    return old, new
