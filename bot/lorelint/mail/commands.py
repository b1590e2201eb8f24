"""What people ask of us in a reply: ``lorelint: false-positive RULE why``, a line of its own. Pure.

The words are one table. What is quoted, forwarded, below a signature or inside a diff is no speech of the writer and
therefore no command; nor is a line that does not begin with our name. What is begun like a command and is none is an
error with its line, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from enum import StrEnum

from msgspec import Struct

from lorelint.mail.quotes import Passage, Quoted, read
from lorelint.model.regex import regex

MAX_COMMANDS = 3  # of one mail that are obeyed; the others are told as ignored
MAX_ERRORS = 10  # of one mail that are told
MAX_REASON = 500  # characters of a reason that are kept
MAX_HINTS = 40  # names in the lines just above a command
MAX_ABOVE = 60  # quoted lines just above a command that are looked at


class Needs(StrEnum):
    """What has to be named, or to be clear, before a word can be obeyed."""

    FINDING = "a finding of the mail it answers"
    RULE = "a rule by its name"
    NOTHING = "nothing"


class May(StrEnum):
    """Who is obeyed; always somebody of whom it is proven that he wrote it."""

    AUTHOR = "the author of the series, or a maintainer of the files it touches"
    MAINTAINER = "a maintainer of the files the series touches"
    ANYBODY = "anybody, for himself"


class Word(Struct, frozen=True):
    """One line of the table."""

    word: str
    needs: Needs
    may: May
    does: str  # what becomes so
    help: str  # an example


FALSE, WONTFIX, LATER, RERUN, MUTE, STOP = "false-positive", "wontfix", "later", "rerun", "mute", "stop"
TABLE = (
    Word(
        FALSE,
        Needs.FINDING,
        May.AUTHOR,
        "the finding is wrong: it stays silent for this series, later versions of it among them",
        "lorelint: false-positive retry-no-resched the loop ends after three rounds",
    ),
    Word(
        WONTFIX,
        Needs.FINDING,
        May.AUTHOR,
        "the finding is right and the code stays as it is: silent for this series, later versions among them",
        "lorelint: wontfix retry-no-resched",
    ),
    Word(
        LATER,
        Needs.FINDING,
        May.AUTHOR,
        "nothing more is said of the finding for two weeks",
        "lorelint: later retry-no-resched",
    ),
    Word(RERUN, Needs.NOTHING, May.AUTHOR, "the series is reviewed once more, at most once a day", "lorelint: rerun"),
    Word(
        MUTE,
        Needs.RULE,
        May.MAINTAINER,
        "the rule is silent on the lists the series came over, until a person says otherwise",
        "lorelint: mute retry-no-resched too noisy for this driver",
    ),
    Word(STOP, Needs.NOTHING, May.ANYBODY, "no more mail of ours goes to the address it came from", "lorelint: stop"),
)
WORDS = {each.word: each for each in TABLE}


class Command(Struct, frozen=True):
    """Something asked for.

    rule   the name that follows the word, or a finding's fingerprint; "" where none does
    hints  names and fingerprints in the quoted lines just above, nearest first: they tell which finding is meant
    """

    line: int  # 1-based in the body
    word: str
    rule: str
    reason: str
    hints: tuple[str, ...] = ()

    @property
    def row(self) -> Word:
        return WORDS[self.word]


class Mistake(Struct, frozen=True):
    """A line that begins like a command and is not obeyed, and why."""

    line: int
    text: str


class Asked(Struct, frozen=True):
    commands: tuple[Command, ...] = ()
    mistakes: tuple[Mistake, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.commands or self.mistakes)


_BEGINS = regex(r"lorelint[ \t]*:[ \t]*(?P<rest>.*)", re.IGNORECASE)
_WORD = regex(r"(?P<word>[A-Za-z][A-Za-z-]{0,40})(?:[ \t,.:;]+|\Z)(?P<rest>.*)")
# Rules have names of several words; a lone word is the begin of a reason, but where a rule must follow.
_NAME = regex(r"(?P<name>[a-z][a-z0-9]{0,30}(?:-[a-z0-9]{1,30}){1,8}|[0-9a-f]{16})(?:[ \t,.:;]+|\Z)(?P<rest>.*)")
_LONE = regex(r"(?P<name>[a-z][a-z0-9]{0,60})(?:[ \t,.:;]+|\Z)(?P<rest>.*)")
_HINT = regex(r"(?<![\w-])(?:[a-z][a-z0-9]{0,30}(?:-[a-z0-9]{1,30}){1,8}|[0-9a-f]{16})(?![\w-])")


def parse(body: str, name: str = "") -> Asked:
    """The commands of a mail's decoded text. `name` is its writer's. Never raises."""
    if not may_ask(body):
        return Asked()
    reading = read(body, name)
    lines = body.split("\n")
    commands: list[Command] = []
    mistakes: list[Mistake] = []
    for passage in reading.passages:
        spoken = frozenset(passage.lines)
        for at in passage.lines:
            if len(commands) == MAX_COMMANDS and len(mistakes) == MAX_ERRORS:
                break
            begun = _BEGINS.match(lines[at - 1].rstrip())
            if begun is None:
                continue
            found = _command(at, begun["rest"].strip(), lines, spoken, passage, reading.quoted)
            if isinstance(found, Command) and len(commands) == MAX_COMMANDS:
                found = Mistake(at, f"ignored: only the first {MAX_COMMANDS} commands of a mail are obeyed")
            if isinstance(found, Command):
                commands.append(found)
            elif len(mistakes) < MAX_ERRORS:
                mistakes.append(found)
    return Asked(tuple(commands), tuple(mistakes))


def may_ask(body: str) -> bool:
    """Whether a line begins with our name: what is cheap to know of every mail."""
    return re.search(r"^lorelint[ \t]*:", body, re.IGNORECASE | re.MULTILINE) is not None


def _command(
    at: int, rest: str, lines: Sequence[str], spoken: Container[int], passage: Passage, quoted: Sequence[Quoted]
) -> Command | Mistake:
    said = _WORD.match(rest)
    row = WORDS.get(said["word"].lower()) if said else None
    if said is None or row is None:
        return Mistake(at, f"no command; those there are: {', '.join(WORDS)}")
    rest = said["rest"]
    named = _NAME.match(rest) or (_LONE.match(rest) if row.needs is Needs.RULE else None)
    if row.needs is Needs.RULE and named is None:
        return Mistake(at, f"{row.word} needs {row.needs}: {row.help}")
    rule = named["name"] if named and row.needs is not Needs.NOTHING else ""
    reason = named["rest"] if named and rule else rest
    return Command(at, row.word, rule, _reason(reason, at, lines, spoken), tuple(_hints(quoted, passage)))


def _reason(first: str, at: int, lines: Sequence[str], spoken: Container[int]) -> str:
    """The rest of the line, and of its paragraph: mailers wrap."""
    parts = [first[: 2 * MAX_REASON]]
    size = len(first)
    while at + 1 in spoken and size < MAX_REASON:
        following = lines[at].strip()
        if not following or _BEGINS.match(following):
            break
        parts.append(following)
        size += len(following)
        at += 1
    shown = "".join(char if char.isprintable() else " " for char in " ".join(parts))
    return " ".join(shown.split())[:MAX_REASON]


def _hints(quoted: Sequence[Quoted], passage: Passage) -> Iterator[str]:
    """Names in the lines the passage stands under, nearest first, each once."""
    seen: set[str] = set()
    for number in reversed(passage.above[-MAX_ABOVE:]):
        for name in _HINT.findall(quoted[number].text.lower()[:400]):
            if name not in seen and len(seen) < MAX_HINTS:
                seen.add(name)
                yield name
