"""Thread, Series, Patch, FileDiff: mail as values, every line traceable to the mail it came in."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

from lorelint.model.trouble import Trouble


class Message(Struct, frozen=True):
    """One mail. Text is decoded; `raw` holds the bytes as they came."""

    msgid: str  # without angle brackets
    subject: str
    from_name: str
    from_addr: str
    date: str  # RFC 3339 in UTC, "" when the mail has none that can be read
    in_reply_to: str  # "" for a root
    references: tuple[str, ...]
    to: tuple[tuple[str, str], ...]  # (name, address)
    cc: tuple[tuple[str, str], ...]
    body: str
    raw: bytes = b""


class HunkLine(Struct, frozen=True):
    """One line of a hunk. `mail_line` is 1-based in the body of the patch's mail."""

    op: str  # " ", "+" or "-"
    text: str  # without op and newline
    mail_line: int
    old_line: int | None  # 1-based in the file before; None for "+"
    new_line: int | None  # 1-based in the file after, by the hunk header; None for "-"


class Hunk(Struct, frozen=True):
    old_start: int
    old_count: int
    new_start: int
    new_count: int
    section: str  # what git printed after the second @@
    lines: tuple[HunkLine, ...]
    mail_line: int  # of the @@ line
    no_newline_old: bool = False  # "\ No newline at end of file" after the last old line
    no_newline_new: bool = False


class Change(StrEnum):
    MODIFY = "modify"
    CREATE = "create"
    DELETE = "delete"
    RENAME = "rename"
    COPY = "copy"
    MODE = "mode"
    BINARY = "binary"


class FileDiff(Struct, frozen=True):
    """The change of one file. Paths are relative to the tree, "" where there is none."""

    old_path: str
    new_path: str
    change: Change
    old_blob: str  # as abbreviated in the index line, "" when absent or all zeros
    new_blob: str
    hunks: tuple[Hunk, ...]
    mail_line: int  # of the "diff --git" line (or of "---" where there is none)

    @property
    def path(self) -> str:
        """The name the file goes by after the patch (before it, when it is deleted)."""
        return self.new_path or self.old_path

    def lines(self) -> Iterator[tuple[Hunk, HunkLine]]:
        for hunk in self.hunks:
            for line in hunk.lines:
                yield hunk, line


class Patch(Struct, frozen=True):
    """One patch of a series, as mailed."""

    seq: int  # 1-based place in the series
    msgid: str
    subject: str  # without the [PATCH ..] prefix
    author: tuple[str, str]  # (name, address); the in-body From wins
    message: str  # the commit message, trailers included
    body: str  # the whole decoded mail body: what `mail_line` counts in
    diffs: tuple[FileDiff, ...]
    mail: Message
    troubles: tuple[Trouble, ...] = ()
    followups: tuple[str, ...] = ()  # trailers given in replies, to this patch or to the cover letter


class BaseHint(Struct, frozen=True):
    """What the mail itself says about where the series applies."""

    base_commit: str = ""
    prerequisites: tuple[str, ...] = ()  # prerequisite-patch-id values
    change_id: str = ""


class Series(Struct, frozen=True):
    """One revision of a series; `patches` holds those that came, in order of `seq`."""

    key: str  # change-id, else message-id of the cover or of the first patch
    version: int
    subject: str
    author: tuple[str, str]
    expected: int
    patches: tuple[Patch, ...]
    cover: Message | None
    hint: BaseHint
    troubles: tuple[Trouble, ...] = ()

    @property
    def complete(self) -> bool:
        return len(self.patches) == self.expected

    @property
    def mailed(self) -> bool:
        """Whether it came by mail: what lies in a checkout goes by its commits, which are no message-ids."""
        return self.cover is not None or any("@" in patch.msgid for patch in self.patches)


class Thread(Struct, frozen=True):
    """What came in: all messages, and the series found in them, newest revision last."""

    source: str  # what the user named: message-id, URL, file
    messages: tuple[Message, ...]
    series: tuple[Series, ...]
    troubles: tuple[Trouble, ...] = ()
