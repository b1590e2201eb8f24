"""What people said of a patch in its thread, and which findings they said it of."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Role(StrEnum):
    """Who speaks."""

    REVIEWER = "reviewer"
    AUTHOR = "author"  # of the series, in an answer of theirs
    ROBOT = "robot"


class Anchor(StrEnum):
    """What a comment stands under, best first."""

    LINE = "line"  # a line of a hunk
    FILE = "file"  # a header of the diff: the file is known, no line
    MESSAGE = "message"  # the commit message, or the text of a cover letter
    PATCH = "patch"  # a patch as a whole
    SERIES = "series"  # a cover letter as a whole
    NONE = "none"  # no patch that was read: its mail answers nothing that is here


class Comment(Struct, frozen=True):
    """What one person said at one place of one mail.

    patch      seq of the patch it is about; 0 for the cover letter, or where `anchor` is NONE
    of         message-id of the patch or cover letter it is about, "" where `anchor` is NONE
    mail_line  1-based in the body of the patch's mail: the line it stands under; 0 for none
    line       1-based in the file after the patch, as it lies in the tree; 0 where that is not known
    answers    message-id of the comment it goes on about, whose place it has; "" where it has its own
    missing    the mail is not here: its text is what an answer quotes of it
    """

    msgid: str
    name: str
    address: str
    date: str
    role: Role
    at: int  # 1-based line in the body of its mail (of the answer, where the mail is missing)
    text: str
    anchor: Anchor
    of: str = ""
    patch: int = 0
    path: str = ""
    function: str = ""
    mail_line: int = 0
    line: int = 0
    quote: str = ""  # the line it stands under, as the patch has it
    answers: str = ""
    missing: bool = False


class Raised(Struct, frozen=True):
    """A comment that speaks of the defect of a finding.

    sure   said of the same place, in words that name the defect; else it may be about something else
    words  the words of the rule's vocabulary that were met
    """

    msgid: str
    name: str
    at: int  # with `msgid`, the comment
    sure: bool
    words: tuple[str, ...]
