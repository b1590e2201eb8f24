"""The parts of a patch mail's body: commit message, in-body headers, and what mailers do to text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from msgspec import Struct

from lorelint.model.mail import FileDiff
from lorelint.model.regex import regex
from lorelint.model.trouble import Trouble

# Invisible or direction-changing characters: what is shown is not what a compiler reads
# (CVE-2021-42574, "Trojan Source"; b4 refuses the same group when it applies a patch).
_HIDDEN = regex("[\u061c\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
# Control characters that no source text needs: all of C0 and C1 but tab, line feed, form feed, carriage return.
_CONTROL = regex("[\x00-\x08\x0b\x0e-\x1f\x7f\x80-\x9f]")
_IN_BODY = regex(r"(From|Subject|Date|Author|Commit|Reviewed-by)\s*:\s*(.*)", re.IGNORECASE)
_CONTINUED = regex(r"[ \t]+(\S.*)")


class Head(Struct, frozen=True):
    """What stands above the diff. Empty strings where the body does not say."""

    author: tuple[str, str]  # of the in-body "From:", ("", "") where there is none
    subject: str  # of the in-body "Subject:"
    message: str  # the commit message with its trailers, no line feed at its end


def read_head(body: str) -> Head:
    """The in-body headers and the commit message, as git-mailinfo(1) tells them from the rest."""
    lines = body.split("\n")
    at = 0
    while at < len(lines) and not lines[at].strip():
        at += 1
    headers, at = _in_body_headers(lines, at)
    end = at
    while end < len(lines) and not _breaks(lines, end):
        end += 1
    message = "\n".join(line.rstrip() for line in lines[at:end]).strip("\n")
    return Head(_author(headers.get("from", "")), _unprefixed(headers.get("subject", "")), message)


def _author(written: str) -> tuple[str, str]:
    if "@" not in written:
        return "", ""
    from email.utils import parseaddr  # loads sockets: milliseconds that a commit without the header need not wait

    author = parseaddr(written)
    return author if "@" in author[1] else ("", "")


def _in_body_headers(lines: list[str], at: int) -> tuple[dict[str, str], int]:
    """From:, Subject: and Date: lines at the top, with their continuations; nothing where the first is another."""
    headers: dict[str, str] = {}
    start = at
    name = ""
    while at < len(lines):
        field = _IN_BODY.match(lines[at])
        if field and field.group(1).lower() in ("from", "subject", "date"):
            name = field.group(1).lower()
            headers.setdefault(name, field.group(2).strip())
        elif not headers and re.match(r"\[PATCH\b[^\]]*\] *\S", lines[at]):
            headers["subject"] = lines[at]  # how mails pasted below a discussion begin
        elif name and (more := _CONTINUED.match(lines[at])):
            headers[name] = f"{headers[name]} {more.group(1).strip()}"
        else:
            break
        at += 1
    if not headers:
        return headers, start
    while at < len(lines) and not lines[at].strip():
        at += 1
    return headers, at


def _breaks(lines: list[str], at: int) -> bool:
    """Whether the commit message ends before this line (git: mailinfo.c, patchbreak())."""
    line = lines[at]
    if line.startswith(("diff -", "Index: ")):
        return True
    if not line.startswith("---"):
        return False
    return not line[3:].strip() or (line[3] == " " and not line[4:5].isspace() and line[4:5] != "")


def _unprefixed(subject: str) -> str:
    return re.sub(r"^\s*(?:\[[^\]]*\]\s*)+", "", subject)


def lines_of_transport(body: str) -> tuple[str, bool]:
    """The body with line feeds only, and whether carriage returns were taken from it.

    The lines that git writes about a diff never end in a carriage return; where they do, a mailer
    has put one at the end of every line. A file with such line ends keeps its own.
    """
    if "\r" not in body:
        return body, False
    marks = [line for line in body.split("\n") if line.startswith(("diff --git ", "@@ -", "+++ ", "index "))]
    if not marks:
        marks = [line for line in body.split("\n") if line]
    if sum(line.endswith("\r") for line in marks) * 2 <= len(marks):
        return body, False
    return re.sub(r"\r(?=\n|\Z)", "", body), True


def unflow(body: str, delsp: bool = False) -> str:
    """Undo format=flowed (RFC 3676): unstuff, and join a line that ends in a space to the next."""
    out: list[str] = []
    open_line = False
    for line in body.split("\n"):
        if line == "-- " or line.startswith(">"):
            out.append(line)
            open_line = False
            continue
        line = line.removeprefix(" ")
        if open_line:
            out[-1] += line
        else:
            out.append(line)
        open_line = line.endswith(" ")
        if open_line and delsp:
            out[-1] = out[-1][:-1]
    return "\n".join(out)


def odd_characters(body: str, files: Iterable[FileDiff], where: str) -> tuple[Trouble, ...]:
    """Hidden, direction-changing and control characters: where each kind stands first."""
    if not _HIDDEN.search(body) and not _CONTROL.search(body):
        return ()
    added = {line.mail_line: (file.path, line.new_line) for file in files for _, line in file.lines() if line.op == "+"}
    troubles: dict[tuple[str, bool], Trouble] = {}
    for number, line in enumerate(body.split("\n"), 1):
        for char in _HIDDEN.findall(line) + _CONTROL.findall(line):
            place = added.get(number)
            if (char, place is not None) in troubles:
                continue
            name = unicodedata.name(char, "control character").lower()
            text = f"U+{ord(char):04X} {name} in " + ("an added line" if place else "the mail")
            spot = f"{place[0]}:{place[1]}" if place else f"{where}:{number}"
            troubles[char, place is not None] = Trouble("unicode", spot, text)
    return tuple(troubles[key] for key in sorted(troubles))
