"""MAINTAINERS of a tree: who looks after which files, as scripts/get_maintainer.pl reads it. Pure.

By patterns of files (F:, X:, N:) and, where changed lines are given, by words in them (K:); the history of the tree is
not asked. Differences to the script, all on purpose: a pattern that names a folder without a slash at its end is known
by the file that lies in it; the section of everything (``F: *``) gives its lists, but nobody of its people, as the
script leaves out the chief penguin; addresses are as the file has them, whatever .mailmap says; addresses that stand
in a file itself (.yaml) are not collected; K: patterns that only Perl understands are left out.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from email.utils import getaddresses
from functools import lru_cache

from msgspec import Struct, field

from lorelint.kernel.whole import understood
from lorelint.model.regex import regex
from lorelint.model.tree import Tree

NAME = "MAINTAINERS"
MAX_BYTES = 16 << 20
MAX_PATTERN = 300  # characters of one pattern
MAX_PATH = 1_000
MAX_PATHS = 2_000  # that are looked up at a time
MAX_WORDS = 200_000  # characters of changed lines in which words are looked for

Person = tuple[str, str]  # name, address


class Section(Struct):
    """One entry. `files`, `without`, `names` and `words` are the patterns of F:, X:, N: and K:."""

    name: str
    line: int  # 1-based, of its name
    maintainers: list[Person] = field(default_factory=list)
    reviewers: list[Person] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    trees: list[str] = field(default_factory=list)  # what T: names: "git git://..."
    status: str = ""
    files: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    @property
    def everything(self) -> bool:
        return "*" in self.files and "*/" in self.files


class Charge(Struct, frozen=True):
    """Those in charge of some files, those of the most precise section first, each once."""

    maintainers: tuple[Person, ...] = ()
    reviewers: tuple[Person, ...] = ()
    lists: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    subsystems: tuple[str, ...] = ()
    aliases: tuple[Person, ...] = ()  # other addresses of maintainers

    def addresses(self) -> frozenset[str]:
        """All addresses of maintainers, in lower case."""
        return frozenset(each.lower() for _, each in (*self.maintainers, *self.aliases))


class Maintainers:
    """All sections of one MAINTAINERS file."""

    def __init__(self, sections: Iterable[Section]) -> None:
        self.sections = tuple(sections)

    def of(self, paths: Iterable[str], changed: str = "") -> Charge:
        """Who is in charge of some files. `changed` are added and removed lines, for K: patterns."""
        found: dict[int, Section] = {}
        for path in sorted(set(paths))[:MAX_PATHS]:
            if len(path) <= MAX_PATH:
                found.update({id(section): section for section in self._of(path)})
        text = changed[:MAX_WORDS]
        for section in self.sections if text else ():
            if id(section) not in found and any(_says(pattern, text) for pattern in section.words):
                found[id(section)] = section
        return _charge(found.values())

    def _of(self, path: str) -> list[Section]:
        """The sections of one file, the most precise first."""
        depth: list[tuple[int, int]] = []
        for number, section in enumerate(self.sections):
            if any(_matches(path, pattern) for pattern in section.without):
                continue
            deep = [_depth(pattern) for pattern in section.files if _matches(path, pattern)]
            if deep:
                depth.append((-deep[-1], number))
            elif any(_named(pattern, path) for pattern in section.names):
                depth.append((0, number))
        return [self.sections[number] for _, number in sorted(depth)]


def _depth(pattern: str) -> int:
    """How precise a pattern is: the folders it names; one that may begin anywhere is the least."""
    return -1 if pattern.startswith("*") else pattern.count("/") + (not pattern.endswith("/"))


def _charge(sections: Iterable[Section]) -> Charge:
    chosen = list(sections)
    maintainers: list[Person] = []
    reviewers: list[Person] = []
    for section in chosen:
        if not section.everything:
            maintainers += section.maintainers
            reviewers += section.reviewers
    # Who reviews one part and maintains another maintains; of one name only the first address is told, as the script
    # tells it, but a maintainer may speak from any of them.
    named, others = _each_once(maintainers)
    reviewing, _ = _each_once([*named, *others, *reviewers])
    return Charge(
        maintainers=tuple(named),
        reviewers=tuple(each for each in reviewing if each not in named),
        lists=tuple(dict.fromkeys(each.lower() for section in chosen for each in section.lists)),
        trees=tuple(dict.fromkeys(each for section in chosen for each in section.trees)),
        subsystems=tuple(dict.fromkeys(section.name for section in chosen)),
        aliases=tuple(others),
    )


def _each_once(people: Iterable[Person]) -> tuple[list[Person], list[Person]]:
    """Each address and each name once, and what other addresses there are of them."""
    named: list[Person] = []
    others: list[Person] = []
    known: set[str] = set()
    for name, address in people:
        if address.lower() in known:
            continue
        (others if name and name.lower() in known else named).append((name, address))
        known.update((address.lower(), name.lower()))
    return named, others


def parse(text: str) -> Maintainers:
    """The sections of a MAINTAINERS file. Never raises: what is no entry is none."""
    sections: list[Section] = []
    name, at = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if line[1:2] == ":" and "A" <= line[0] <= "Z":
            if not sections or sections[-1].line != at:
                sections.append(Section(name, at))
            _take(sections[-1], line[0], line[2:].strip())
        elif line and not line.isspace() and not line.lstrip().startswith("#"):
            name, at = line.strip(), number
    return Maintainers(section for section in sections if section.line)


def _take(section: Section, kind: str, value: str) -> None:
    match kind:
        case "M":
            section.maintainers += _people(value)
        case "R":
            section.reviewers += _people(value)
        case "L":
            address, _, more = value.partition(" ")
            if "subscribers-only" not in more and "@" in address:
                section.lists.append(address)
        case "T":
            section.trees.append(value)
        case "S":
            section.status = section.status or value
        case "F":
            section.files.append(value[:MAX_PATTERN])
        case "X":
            section.without.append(value[:MAX_PATTERN])
        case "N" if len(value) <= MAX_PATTERN:
            section.names.append(value)
        case "K" if len(value) <= MAX_PATTERN:
            section.words.append(value)


_PLAIN_PERSON = regex(r"([^\"<>@,()]*?)\s*<([^<>@\s]+@[^<>@\s]+)>")


def _people(value: str) -> list[Person]:
    if plain := _PLAIN_PERSON.fullmatch(value):  # nearly all of them, and twenty times as fast
        return [(plain[1], plain[2])]
    return [(name, address) for name, address in getaddresses([value]) if "@" in address]


_WILD = regex(r"[*?\[]")


def _matches(path: str, pattern: str) -> bool:
    """As file_match_pattern() of the script: a folder holds all below it, a pattern only what is as deep as itself."""
    wild = _WILD.search(pattern)
    if wild is None:
        if pattern.endswith("/"):
            return path.startswith(pattern)
        # The script does not end the pattern: a file whose name goes on behind it, in the same folder, is meant too.
        return path.startswith(pattern) and (path.count("/") == pattern.count("/") or path[len(pattern)] == "/")
    if not path.startswith(pattern[: wild.start()]):
        return False
    if not pattern.endswith("/") and path.count("/") != pattern.count("/"):
        return False
    return _glob(pattern).match(path) is not None


@lru_cache(maxsize=20_000)
def _glob(pattern: str) -> re.Pattern[str]:
    """The script's regular expression: ``*`` is anything, slashes among it, ``?`` one character, ``[ch]`` one of
    them; only the begin is held."""
    parts = re.findall(r"\*+|\?|\[[^\]/]{1,40}\]|.", pattern)
    text = "".join(
        ".*"
        if part[0] == "*"
        else "."
        if part == "?"
        else part
        if part[0] == "[" and len(part) > 2
        else re.escape(part)
        for part in parts
    )
    return _compiled(text, 0) or re.compile(re.escape(pattern))


def _named(pattern: str, path: str) -> bool:
    compiled = _expression(pattern)
    return compiled is not None and compiled.search(path) is not None


def _says(pattern: str, text: str) -> bool:
    compiled = _expression(pattern)
    return compiled is not None and compiled.search(text) is not None


@lru_cache(maxsize=2_000)
def _expression(pattern: str) -> re.Pattern[str] | None:
    """A pattern of N: or K:, which Perl reads with /x."""
    return _compiled(pattern, re.VERBOSE)


def _compiled(text: str, flags: int) -> re.Pattern[str] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.compile(text, flags)
        except (re.error, OverflowError, RecursionError):
            return None


def maintainers(tree: Tree) -> Maintainers:
    """Those of a tree; nobody where it has no such file. Read once for each content of the file."""
    return understood(tree, NAME, MAX_BYTES, parse)


def changed_lines(patches: Iterable[str]) -> Iterator[str]:
    """The added and removed lines of patches, for `of`."""
    for text in patches:
        yield from (
            line[1:] for line in text.split("\n") if line.startswith(("+", "-")) and line[:3] not in ("+++", "---")
        )
