"""What a person who works through findings asks of the store: the queue of series, and steps that can be taken back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from lorelint.model.store import FindingRow, Kept, LetterRow, State, VerdictRow

OPEN = "open"  # of `Filter.state`: the newest version of a series, with findings that wait for a person
DISMISSED = "dismissed"  # any of the three
ALL = "all"
PERSON = "person"  # kind of a tag: one of `person_keys`
STATES = (OPEN, *(state.value for state in State if not state.dismissed), DISMISSED, ALL)


class Sort(StrEnum):
    """In what order the queue is shown."""

    GRAVEST = "gravest"
    NEWEST = "newest"
    OLDEST = "oldest"


class Filter(Struct, frozen=True):
    """Which series; "" for any. What is said of findings is said of those that are open where the state is `OPEN`.

    inbox      the list it came over
    subsystem  as MAINTAINERS of the tree of its review calls it
    version    "1", "2", ... as `version_tag` has it
    mine       series of one of these subsystems or lists alone, and of those that `me` is named for; None for all
    me         somebody who has come in, "" for nobody: MAINTAINERS names him for files of a series (`person_keys`)
    text       is in the subject, the author, or the name of a function
    """

    state: str = OPEN
    inbox: str = ""
    subsystem: str = ""
    rule: str = ""
    severity: str = ""
    version: str = ""
    mine: tuple[str, ...] | None = None
    me: str = ""
    text: str = ""
    sort: Sort = Sort.GRAVEST


class Entry(Struct, frozen=True):
    """One series in the queue.

    at      when its last mail came
    grave   the gravest severity of its findings, "" for none
    rules   (rule, how many findings), most first; `states` likewise
    waits   findings that wait for a person
    key     its place in the order, for the page after it
    """

    series: int
    subject: str
    author: tuple[str, str]
    version: int
    newest: bool
    at: str
    grave: str
    waits: int
    findings: int
    rules: tuple[tuple[str, int], ...]
    states: tuple[tuple[str, int], ...]
    inboxes: tuple[str, ...]
    subsystems: tuple[str, ...]
    key: str


class Slice(Struct, frozen=True):
    """One page of something ordered. `before` and `after` are keys, "" where there is nothing more on that side."""

    entries: tuple[Entry, ...]
    before: str = ""
    after: str = ""


class Count(Struct, frozen=True):
    """How many series have a value: all of them, and those that are open."""

    kind: str  # inbox, subsystem, rule, severity, version, state
    value: str
    waits: int
    every: int


class Change(Struct, frozen=True):
    """One step of a person with one finding; those of one `batch` were made, and are taken back, together.

    was, became  the finding before and after, as far as a step can change it
    letters      (letter, the state it was in before) of letters that the step ended or held
    verdicts     its rows among the verdicts
    undone       who took it back and when, "" for nobody
    """

    id: int
    batch: int
    finding: int
    series: int
    fingerprint: str
    at: str
    who: str
    move: str
    reason: str
    was: FindingRow
    became: FindingRow
    letters: tuple[tuple[int, str], ...] = ()
    verdicts: tuple[int, ...] = ()
    undone: str = ""


class Trend(Struct, frozen=True):
    """What persons said of a rule in one month, "2026-03"."""

    month: str
    right: int
    wrong: int


class Queue(Protocol):
    """The queue of series; what it is made of follows every change of series and findings by itself."""

    def page(self, wanted: Filter, *, most: int = 50, after: str = "", before: str = "") -> Slice:
        """Series in order, those after (before) a key. A key that is none is as if it were not given."""

    def count(self, wanted: Filter) -> int:
        """How many series there are."""

    def counts(self, *kinds: str) -> tuple[Count, ...]:
        """The values of some kinds, those with most open series first."""

    def under(self, wanted: Filter, *kinds: str) -> tuple[tuple[str, str, int], ...]:
        """(kind, value, how many series there would be with it in place of what `wanted` asks of the kind), most first.

        Values that no series has then are not told.
        """

    def next(self, wanted: Filter, series: int) -> int:
        """The series after one in the queue, 0 for none."""

    def of_rule(self, rule: str) -> tuple[tuple[str, int], ...]:
        """(state, how many findings) of a rule."""

    def latest(self, rule: str, most: int = 30) -> tuple[FindingRow, ...]:
        """The last findings of a rule."""


class Steps(Protocol):
    """What persons did with findings, so that it can be taken back; views and areas they keep."""

    def batch(self) -> int:
        """A number for steps that belong together."""

    def add(self, change: Change) -> None: ...
    def of_batch(self, batch: int) -> tuple[Change, ...]: ...
    def of_finding(self, series_key: str, fingerprint: str) -> tuple[Change, ...]:
        """All steps with a finding in any version of its series, the earliest first."""

    def of_letter(self, letter: int) -> tuple[Change, ...]: ...
    def last(self, who: str) -> int:
        """The last batch of somebody that was not taken back, 0 for none."""

    def undo(self, batch: int, by: str) -> None: ...
    def take_back(self, verdict: int, why: str) -> None:
        """A verdict does not count any more."""

    def asleep(self, until: str, most: int = 500) -> tuple[FindingRow, ...]:
        """Findings that were put off until a time that is over then."""

    def views(self, who: str) -> tuple[tuple[str, str], ...]:
        """(name, what it asks for) of somebody's saved views."""

    def keep_view(self, who: str, name: str, query: str) -> None:
        """`query` "" takes it away."""

    def area(self, who: str) -> tuple[str, ...]:
        """The subsystems and lists that are somebody's."""

    def set_area(self, who: str, values: Sequence[str]) -> None: ...


class Sights(Protocol):
    """What a page shows beside findings: pieces of source of the review, heads of mails, letters a page at a time."""

    def exhibit(self, review: int, fingerprint: str) -> bytes:
        """What was kept of the source around a finding, b"" for nothing."""

    def heads(self, root: str, most: int = 200) -> tuple[Kept, ...]:
        """The messages of a thread without their bytes, oldest first."""

    def letters(self, *states: str, after: int = 0, most: int = 50) -> tuple[LetterRow, ...]:
        """Letters in some states, those with the highest numbers first, below `after` where that is given."""

    def letters_of(self, series: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """The states of the letters about some series, each state once."""

    def said_of(self, rule: str, most: int = 30) -> tuple[VerdictRow, ...]:
        """The last verdicts on a rule."""

    def trend(self, rule: str) -> tuple[Trend, ...]: ...


def person_keys(name: str, address: str) -> tuple[str, ...]:
    """What somebody may be called where he comes in who is called so in MAINTAINERS: by the address, by what stands
    before its @, or by the name with dots for spaces; in small letters."""
    dotted = ".".join(re.findall(r"\w+", name.lower()))
    keys = (address.lower(), address.lower().partition("@")[0], dotted)
    return tuple(dict.fromkeys(each for each in keys if each))


def version_tag(version: int) -> str:
    """Versions from the tenth on are one."""
    return str(version) if version < 10 else "10+"
