"""What a mail on a list is: a patch to this kernel, or one of the many things that are none. Pure.

Asked of one mail at a time, so that the answer never hangs on what came before it. Words and addresses are data
(`nature.toml`); what b4 reads out of a subject comes in as `Facts`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import tomli
from msgspec import Struct

from lorelint.mail.commands import parse as commands
from lorelint.mail.people import robot
from lorelint.mail.quotes import read as quotes
from lorelint.model.feed import Nature
from lorelint.model.mail import Message
from lorelint.model.regex import regex

HEAD = 64 << 10  # bytes of a mail in which its headers are looked for
LOOKED_AT = 1 << 20  # characters of a body
FLOOD = 30  # patches in one series for an older kernel: nobody wrote them to be reviewed
NOTICE_LINES = 8  # a longer answer is talk
_DIFFSTAT = regex(r"^ (?P<path>[^\s|]+)(?: => [^\s|]+)?\s+\|\s+(?:\d+\s[+-]*|Bin\b)", re.MULTILINE)
_DIFF = regex(r"^(?:diff --git [\"]?a/(?P<git>\S+) |\+\+\+ [\"]?[a-z]/(?P<plain>[^\s\"]+))", re.MULTILINE)
_ANNOUNCES = regex(r"patch|rfc|resend|v\d+\Z|\d+/\d+\Z", re.IGNORECASE)
_UNQUOTED_DIFF = regex(r"^(?:diff --git \S|--- \S[^\n]*\n\+\+\+ \S)", re.MULTILINE)
# "6.1", "5.10.y", "stable-5.10", "6.6-stable", "v5.4.y", "linux-6.1.y"; for-6.20 and 6.19-rc2 are of the mainline, and
# v2.1 alone is a revision.
_TAIL = r"(?:\.[yx]|[-.]?(?:stable|longterm|lts)(?:\.[yx])?)"
_NUMBER = r"(?:[2-9]|\d\d)\.\d+(?:\.\d+)?"
_OLD = regex(rf"(?:linux-|stable[-/])v?{_NUMBER}{_TAIL}?|v{_NUMBER}{_TAIL}|{_NUMBER}{_TAIL}?", re.IGNORECASE)
_UPSTREAM = regex(
    r"\A\s*(?:From: [^\n]*\n+)?(?:\[ ?upstream commit [0-9a-f]{7,64} ?\]|commit [0-9a-f]{12,64} upstream\.?$)",
    re.IGNORECASE | re.MULTILINE,
)


class Facts(Struct, frozen=True):
    """What b4 reads of one mail."""

    prefixes: tuple[str, ...] = ()  # words in the brackets before the subject
    bare: str = ""  # the subject without them
    reply: bool = False
    has_diff: bool = False
    cover: bool = False  # 0/N
    version: int = 1
    counter: int = 1
    expected: int = 1
    attached: bool = False  # the text is that of an attached file, or of a mail that is handed on

    @property
    def posted(self) -> bool:
        """A patch or a cover letter, by its form."""
        return not self.reply and (self.cover or self.has_diff)

    @property
    def announced(self) -> bool:
        """Whether it says that it is a patch: [PATCH], [RFC], [RESEND 1/2], and [PTACH v3] too."""
        return any(_ANNOUNCES.match(word) for word in self.prefixes)


class _Mail(Struct, frozen=True):
    message: Message
    facts: Facts
    domain: str
    head: str

    @property
    def body(self) -> str:
        return self.message.body[:LOOKED_AT]

    @property
    def words(self) -> set[str]:
        """Prefixes, and what stands on either side of a hyphen or slash in them."""
        whole = {word.lower().strip(",;:") for word in self.facts.prefixes}
        return whole | {part for word in whole for part in re.split(r"[/,:]", word)}

    @property
    def addresses(self) -> set[str]:
        return {address.lower() for _, address in (*self.message.to, *self.message.cc)}


def nature(message: Message, facts: Facts, domain: str = "") -> tuple[Nature, str]:
    """What a mail is, and what made it that. `domain` is that of our own Message-IDs, "" for none. Never raises."""
    head = message.raw[:HEAD].replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode("latin-1")
    mail = _Mail(message, facts, domain, head)
    for ask in _QUESTIONS:
        answer = ask(mail)
        if answer is not None:
            return answer
    return Nature.TALK, "neither a patch nor an answer to anything"


_Answer = tuple[Nature, str] | None


def _broken(mail: _Mail) -> _Answer:
    message = mail.message
    if not message.from_addr and not message.from_name:
        return Nature.BROKEN, "no sender that can be read"
    if not message.subject and not message.body.strip():
        return Nature.BROKEN, "no subject and no text that can be read"
    return None


def _ours(mail: _Mail) -> _Answer:
    if mail.domain and mail.message.msgid.lower().endswith("@" + mail.domain.lower()):
        return Nature.OURS, "its Message-ID is of our domain"
    return (Nature.OURS, "it says X-Lorelint") if _header(mail, "X-Lorelint") is not None else None


def _stable(mail: _Mail) -> _Answer:
    """Before robots: the tools of the stable team mark their mail as a robot's."""
    if not mail.facts.posted:
        return None
    sender = mail.message.from_addr.lower() in _known("stable.senders")
    old = _old(mail)
    for word in sorted(mail.words & _known("stable.words")):
        return Nature.STABLE, f"[{word}] of the stable team"
    if sender and old:
        return Nature.STABLE, f"the review of {old} by the stable team"
    for name in _lists()["stable.headers"]:
        if _header(mail, name) is not None and (sender or old):
            return Nature.STABLE, f"a patch of the stable team ({name})"
    if old and mail.facts.expected >= FLOOD:
        return Nature.STABLE, f"a review of {mail.facts.expected} patches for {old}"
    return None


def _robot(mail: _Mail) -> _Answer:
    return (Nature.ROBOT, "a program wrote it") if robot(mail.message) else None


def _notice(mail: _Mail) -> _Answer:
    for pattern in _lists()["notice.subjects"]:
        if re.match(pattern, mail.message.subject):
            return Nature.NOTICE, "tells what became of a patch"
    if not mail.facts.reply or mail.facts.has_diff:
        return None
    said = [line.strip() for line in _spoken(mail)]
    if said and len(said) <= NOTICE_LINES and _begins(said, _lists()["notice.replies"]):
        return Nature.NOTICE, "tells that a patch was taken"
    return None


def _pull(mail: _Mail) -> _Answer:
    if mail.facts.reply:
        return None
    for word in sorted(mail.words & _known("pull.words")):
        return Nature.PULL, f"[{word}]: reviewed before, and asked to be taken"
    lowered = mail.body.lower()
    if not mail.facts.has_diff and any(words in lowered for words in _lists()["pull.bodies"]):
        return Nature.PULL, "asks for a branch to be pulled"
    return None


def _answer(mail: _Mail) -> _Answer:
    if (mail.facts.posted and mail.facts.announced) or mail.facts.attached:
        return None  # the commands of a patch's own text are none, nor are those that were only handed on
    asked = commands(mail.body, mail.message.from_name)
    if not asked:
        return None
    return Nature.ANSWER, "it asks something of us" if asked.commands else "it begins to ask something of us"


def _said_in_reply(mail: _Mail) -> _Answer:
    if not mail.facts.reply and (mail.facts.posted or not mail.message.in_reply_to):
        return None
    if _UNQUOTED_DIFF.search(mail.body):
        return Nature.BURIED, "a diff within a reply"
    return Nature.REPLY, "Re:" if mail.facts.reply else "it answers another mail"


def _foreign(mail: _Mail) -> _Answer:
    if not mail.facts.posted:
        return None
    for word in sorted(mail.words & _known("foreign.words")):
        return Nature.FOREIGN, f"[{word}] is another project"
    paths = list(_paths(mail))
    outside = [path for path in paths if not _of_kernel(path)]
    there = sorted(mail.addresses & _known("foreign.lists"))
    theirs = [path for path in outside if path.split("/")[0] in _known("foreign.folders")]
    if outside and (there or theirs or 3 * len(outside) >= len(paths)):
        more = f", sent to {there[0]}" if there else ""
        return Nature.FOREIGN, f"Linux has no {outside[0][:100]}{more}"
    if there and not paths:
        return Nature.FOREIGN, f"sent to {there[0]}, and names no file of Linux"
    return None


def _backport(mail: _Mail) -> _Answer:
    if not mail.facts.posted:
        return None
    old = _old(mail)
    if old:
        return Nature.BACKPORT, f"for {old}"
    for word in _lists()["backport.words"]:
        if any(each == word or each.startswith(word + "-") for each in mail.words):
            return Nature.BACKPORT, f"[{word}]"
    if _UPSTREAM.search(mail.body):
        return Nature.BACKPORT, "names the commit it was upstream"
    if mail.addresses & _known("backport.lists") and "stable" in mail.words:
        return Nature.BACKPORT, "[stable]"
    return None


def _patch(mail: _Mail) -> _Answer:
    facts = mail.facts
    if not facts.posted:
        if facts.announced and not facts.reply:
            return Nature.TALK, "announced as a patch, and no diff is in it"
        return None
    if facts.cover:
        return Nature.COVER, f"0/{facts.expected}"
    if not facts.announced:
        return Nature.BURIED, "a diff in a mail that announces no patch"
    return Nature.PATCH, f"{facts.counter}/{facts.expected}"


# In this order: the first that knows an answer gives it.
_QUESTIONS: Sequence[Callable[[_Mail], _Answer]] = (
    _broken,
    _ours,
    _stable,
    _robot,
    _notice,
    _answer,
    _pull,
    _said_in_reply,
    _foreign,
    _backport,
    _patch,
)


def _header(mail: _Mail, name: str) -> str | None:
    found = re.search(rf"^{re.escape(name)}:[ \t]*(.*)", mail.head, re.IGNORECASE | re.MULTILINE)
    return found[1] if found else None


def _old(mail: _Mail) -> str:
    """The older kernel that a prefix names, "" for none."""
    return next((word for word in mail.facts.prefixes if _OLD.fullmatch(word.strip(",;"))), "")


def _paths(mail: _Mail) -> Iterator[str]:
    """The files a patch touches; of a cover letter those of its diffstat that are not cut."""
    found = _DIFFSTAT if mail.facts.cover else _DIFF
    for hit in found.finditer(mail.body):
        path = hit["path"] if mail.facts.cover else hit["git"] or hit["plain"]
        if not path.startswith("..."):
            yield path


def _of_kernel(path: str) -> bool:
    first, slash, _ = path.partition("/")
    return first in _known("kernel.folders" if slash else "kernel.files")


def _spoken(mail: _Mail) -> list[str]:
    """The lines the writer wrote, without greeting and signature."""
    reading = quotes(mail.body, mail.message.from_name)
    return [line for passage in reading.passages for line in passage.text.split("\n") if line.strip()]


def _begins(said: Sequence[str], words: Sequence[str]) -> bool:
    return any(re.match(rf"{re.escape(word)}\b", line, re.IGNORECASE) for line in said[:2] for word in words)


@cache
def _lists() -> dict[str, tuple[str, ...]]:
    """The lists of the data, each by the name of its table and its own: ``foreign.words``."""
    tables = tomli.loads(Path(__file__).with_name("nature.toml").read_text("utf-8"))
    return {f"{table}.{name}": tuple(rows) for table, lists in tables.items() for name, rows in lists.items()}


@cache
def _known(name: str) -> frozenset[str]:
    return frozenset(_lists()[name])
