"""A decoded mail body to the file changes in it, each line traceable to the mail.

Tolerant and bounded: whatever comes in, a value comes out, with a Trouble for every oddity. What
counts as the start of a change is what git-apply(1) and GNU patch take for one, at column one only,
so that diffs quoted or indented in a discussion are not patches.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from lorelint.mail.hunks import HUNK, Reading, is_structure, read_hunk
from lorelint.mail.paths import DEV_NULL, git_names, unquote, unsafe, unstamped, without_prefix
from lorelint.model.mail import Change, FileDiff, Hunk
from lorelint.model.regex import regex
from lorelint.model.trouble import Trouble

MAX_LINES = 400_000  # of one body; the largest patches on the lists have some 100 000
MAX_FILES = 5_000
_NO_BLOB = regex(r"0+")
_INDEX = regex(r"index ([0-9a-f]{4,64})\.\.([0-9a-f]{4,64})(?: [0-7]{6})?\s*")
_BINARY = regex(r"(?:Binary files|Files) .* differ\s*")


class Diffs(Struct, frozen=True):
    """All file changes of one body, and what was odd about them."""

    files: tuple[FileDiff, ...]
    troubles: tuple[Trouble, ...]


class _Header(Struct):
    """What the lines before the first hunk of a file say."""

    at: int
    old: str = ""  # names with their prefixes
    new: str = ""
    old_bare: str = ""  # from rename and copy lines, which have no prefix
    new_bare: str = ""
    change: Change = Change.MODIFY
    old_blob: str = ""
    new_blob: str = ""
    mode_changed: bool = False
    binary: bool = False
    hunks: list[Hunk] = field(default_factory=list)


def parse_diff(body: str, where: str = "") -> Diffs:
    """The file changes in a mail body, lines separated by line feeds. Never raises.

    `where` (a message-id) is the place named by Troubles that belong to no file.
    """
    lines = body.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    parser = _Parser(lines[:MAX_LINES], where)
    if len(lines) > MAX_LINES:
        parser.trouble("too-large", where, f"only the first {MAX_LINES} lines of the body were read")
    parser.run()
    parser.indentation()
    return Diffs(tuple(parser.files), tuple(parser.troubles))


class _Parser:
    def __init__(self, lines: Sequence[str], where: str) -> None:
        self.lines = lines
        self.where = where
        self.files: list[FileDiff] = []
        self.troubles: list[Trouble] = []
        self.at = 0

    def trouble(self, kind: str, where: str, text: str) -> None:
        self.troubles.append(Trouble(kind, where, text))

    def run(self) -> None:
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if len(self.files) >= MAX_FILES:
                self.trouble("too-large", self.where, f"only the first {MAX_FILES} files of the patch were read")
                return
            if line.startswith("diff --git "):
                self.git_file()
            elif line.startswith("--- ") and self.plain_header():
                self.plain_file()
            elif line.startswith(("diff --cc ", "diff --combined ")):
                self.trouble("mangled", f"{self.where}:{self.at + 1}", "a combined diff of a merge is not read")
                self.at += 1
            else:
                self.at += 1

    def line(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.lines[at] if at < len(self.lines) else ""

    def plain_header(self) -> bool:
        return self.line(1).startswith("+++ ") and HUNK.match(self.line(2)) is not None

    # A file of a git diff

    def git_file(self) -> None:
        head = _Header(self.at)
        head.old, head.new = git_names(self.line()[len("diff --git ") :])
        self.at += 1
        if not head.old and self.line() and not self.extended(_Header(0), self.line()):
            self.at += 1  # the tail of a header line that a mailer has wrapped
        while self.at < len(self.lines) and self.extended(head, self.line()):
            self.at += 1
        if self.line().startswith("--- ") and self.line(1).startswith("+++ "):
            self.names(head)
        if self.line().startswith("GIT binary patch") or _BINARY.fullmatch(self.line()):
            head.binary = True
            self.skip_binary()
        self.hunks(head)
        self.finish(head)

    def extended(self, head: _Header, line: str) -> bool:
        """Take one extended header line of git; False where it is none."""
        if line.startswith(("similarity index ", "dissimilarity index ")):
            return True
        if line.startswith(("old mode ", "new mode ")):
            head.mode_changed = True
        elif line.startswith("new file mode "):
            head.change = Change.CREATE
        elif line.startswith("deleted file mode "):
            head.change = Change.DELETE
        elif line.startswith(("rename from ", "copy from ")):
            head.old_bare = unquote(line.split(" ", 2)[2])
            head.change = Change.RENAME if line[0] == "r" else Change.COPY
        elif line.startswith(("rename to ", "copy to ")):
            head.new_bare = unquote(line.split(" ", 2)[2])
        elif index := _INDEX.fullmatch(line):
            head.old_blob, head.new_blob = ("" if _NO_BLOB.fullmatch(blob) else blob for blob in index.groups())
        else:
            return False
        return True

    def skip_binary(self) -> None:
        self.at += 1
        while self.at < len(self.lines) and not self.line().startswith(("diff --git ", "-- ")):
            self.at += 1

    # A file of a plain diff, or the part of a git diff that is one

    def plain_file(self) -> None:
        head = _Header(self.at)
        self.names(head)
        self.hunks(head)
        self.finish(head)

    def names(self, head: _Header) -> None:
        head.old = unstamped(self.line()[4:])
        head.new = unstamped(self.line(1)[4:])
        if head.change is Change.MODIFY:
            if head.old == DEV_NULL:
                head.change = Change.CREATE
            elif head.new == DEV_NULL:
                head.change = Change.DELETE
        self.at += 2

    def hunks(self, head: _Header) -> None:
        total = Reading()
        while self.at < len(self.lines) and HUNK.match(self.line()):
            start = self.at
            hunk, reading, self.at = read_hunk(self.lines, start)
            head.hunks.append(hunk)
            total.stripped += reading.stripped
            total.wrapped += reading.wrapped
            total.unmarked += reading.unmarked
            if reading.recounted:
                self.miscounted(hunk, reading)
            self.gap()
        self.tell(head, total)

    def gap(self) -> None:
        """Go over blank lines between hunks; some mailers double them."""
        ahead = 0
        while ahead < 3 and self.at + ahead < len(self.lines) and not self.line(ahead).strip():
            ahead += 1
        if HUNK.match(self.line(ahead)):
            self.at += ahead

    def miscounted(self, hunk: Hunk, reading: Reading) -> None:
        old = sum(line.op != "+" for line in hunk.lines)
        new = sum(line.op != "-" for line in hunk.lines)
        if (old, new) == (hunk.old_count, hunk.new_count):
            return
        text = f"the hunk's header counts {hunk.old_count} and {hunk.new_count} lines, there are {old} and {new}"
        self.trouble("mangled", f"{self.where}:{hunk.mail_line}", text)

    def tell(self, head: _Header, total: Reading) -> None:
        place = f"{self.where}:{head.at + 1}"
        if total.stripped:
            self.trouble("mangled", place, f"white space at line ends was eaten: {_lines(total.stripped)} of context")
        if total.wrapped:
            self.trouble("mangled", place, f"long lines were wrapped: {total.wrapped} joined again")
        if total.unmarked:
            self.trouble("mangled", place, f"{_lines(total.unmarked)} without a mark read as context")

    def finish(self, head: _Header) -> None:
        old, new = without_prefix(head.old, head.new)
        old, new = head.old_bare or old, head.new_bare or new
        old = "" if head.change is Change.CREATE else old
        new = "" if head.change is Change.DELETE else new
        place = f"{self.where}:{head.at + 1}"
        if not old and not new:
            self.trouble("mangled", place, "the file this change is about has no name that can be read")
            return
        for path in filter(None, (old, new)):
            if reason := unsafe(path):
                self.trouble("unsafe-path", place, f"left out, {reason}: {_shown(path)}")
                return
        change = head.change
        if head.binary:
            change = Change.BINARY
        elif change is Change.MODIFY and not head.hunks:
            if head.mode_changed:
                change = Change.MODE
            else:
                self.trouble("mangled", place, f"no hunk for {_shown(new)}")
        self.files.append(
            FileDiff(old, new, change, head.old_blob, head.new_blob, tuple(head.hunks), head.at + 1),
        )

    def indentation(self) -> None:
        """Kernel C is indented by tabs; where a patch has none at all a mailer may have made them spaces."""
        deep = 0
        for file in self.files:
            if not file.path.endswith((".c", ".h")):
                continue
            for _, line in file.lines():
                if "\t" in line.text:
                    return
                deep += line.text.startswith("        ")
        if deep >= 3:
            self.trouble("mangled", self.where, "C with no tab at all; a mailer may have made them spaces")


def _lines(count: int) -> str:
    return f"{count} line" if count == 1 else f"{count} lines"


def _shown(path: str) -> str:
    """A stranger's path, cut, with nothing in it that a terminal would obey."""
    return ascii(path[:80])[1:-1]


__all__ = ["Diffs", "is_structure", "parse_diff"]
