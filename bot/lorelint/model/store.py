"""What is kept of the lists, and the port it is kept behind: one session is one transaction.

Times are RFC 3339 in UTC with seconds, "" for never: they sort as text, in every database alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from lorelint.model.feed import Arrival, Cursor, Nature

if TYPE_CHECKING:
    from lorelint.model.queue import Queue, Sights, Steps


class Kept(Struct, frozen=True):
    """A message in the store."""

    msgid: str
    root: str  # names its thread; the same for all messages of it
    at: str  # when the archive took it
    date: str  # what the mail itself says, "" for nothing that can be read
    author: tuple[str, str]
    subject: str
    nature: Nature
    why: str  # what made it that
    parent: str  # In-Reply-To
    references: tuple[str, ...] = ()
    inboxes: tuple[str, ...] = ()  # lists it came over, in order
    raw: bytes = b""


class Life(StrEnum):
    """Where the life of a series stands."""

    WAITING = "waiting"  # patches are missing, and may come
    READY = "ready"  # to be reviewed
    REVIEWED = "reviewed"
    SUPERSEDED = "superseded"  # a newer version came
    MUTED = "muted"  # not to be reviewed, `why` says why
    FAILED = "failed"  # the review itself failed as often as it may


class SeriesRow(Struct, frozen=True):
    """One revision of a series."""

    id: int  # 0 before it is stored
    root: str
    key: str  # change-id, else message-id of cover or first patch
    version: int
    subject: str
    author: tuple[str, str]
    first: str  # message-id of the cover, or of the first patch
    expected: int
    have: int
    life: Life
    why: str
    first_at: str
    last_at: str
    due_at: str  # when an incomplete one is reviewed as it is
    superseded_by: int = 0
    attempts: int = 0


class PatchRow(Struct, frozen=True):
    msgid: str
    series: int
    seq: int
    subject: str
    patch_id: str  # as `git patch-id --stable` has it, "" for none
    same_as: str = ""  # message-id of the same patch in an earlier version


class ReviewRow(Struct, frozen=True):
    """One review of a series. `report` is the JSON report, `tried` (tree, what came of it)."""

    id: int
    series: int
    at: str
    version: str  # of lorelint and its packs
    tree: str
    commit: str
    grade: str
    tried: tuple[tuple[str, str], ...]
    seconds: float
    failure: str = ""
    report: bytes = b""
    subsystems: tuple[str, ...] = ()  # of its files, as MAINTAINERS calls them
    exhibits: tuple[tuple[str, bytes], ...] = ()  # (fingerprint, what `Sights` tells of)
    people: tuple[tuple[str, str], ...] = ()  # (name, address): whom MAINTAINERS names for its files


class State(StrEnum):
    """What became of a finding."""

    NEW = "new"
    CONFIRMED = "confirmed"
    FALSE = "false-positive"
    WONTFIX = "wontfix"
    NOT_OURS = "not-ours"
    SNOOZED = "snoozed"
    SENT = "sent"
    FIXED = "fixed"  # gone in a later version
    RAISED = "raised"  # a person has said it

    @property
    def dismissed(self) -> bool:
        return self in (State.FALSE, State.WONTFIX, State.NOT_OURS)


class FindingRow(Struct, frozen=True):
    id: int
    review: int
    series: int
    patch: str  # message-id
    fingerprint: str
    rule: str
    path: str
    function: str
    line: int
    anchor: str
    message: str
    status: str  # of model.finding.Status
    severity: str
    confidence: float
    grade: str
    mailable: bool
    state: State = State.NEW
    since: int = 0  # version of the series that had it first
    fixed_in: int = 0  # version of the series in which it is gone
    reason: str = ""
    who: str = ""
    changed_at: str = ""
    snoozed_until: str = ""


class Letter(StrEnum):
    """Where a letter of ours stands."""

    HELD = "held"  # waits for a person
    RELEASED = "released"
    SENDING = "sending"  # handed to the mail server, which has not said that it has it
    SENT = "sent"
    REFUSED = "refused"  # by the mail server, for good
    BOUNCED = "bounced"
    DROPPED = "dropped"  # by a person
    CANCELLED = "cancelled"  # what it speaks of is no more: a newer version, an answer


US = "lorelint"  # who did it, where no person did
#: Why a letter is held whose fate is not known.
LOST = "was on its way when sending ended, and is not in the archive: it may have arrived"


class LetterRow(Struct, frozen=True):
    """One mail of ours: one a patch, whatever happens."""

    id: int
    patch: str  # message-id it answers; no second row has it
    series: int
    msgid: str  # ours
    state: Letter
    why: tuple[str, ...]  # why it waits, or what ended it
    subject: str
    body: str
    to: tuple[tuple[str, str], ...]
    cc: tuple[tuple[str, str], ...]
    references: tuple[str, ...]
    inboxes: tuple[str, ...]  # lists whose policies let it out
    automatic: bool  # goes out by itself at `not_before`
    not_before: str
    ruleset: str  # version of the rules
    fingerprints: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    created_at: str = ""
    released_by: str = ""
    released_at: str = ""
    sending_at: str = ""
    sent_at: str = ""
    attempts: int = 0
    error: str = ""


class CheckRow(Struct, frozen=True):
    """A check of a Patchwork that stands instead of a mail; one a patch and context."""

    id: int
    patch: str  # message-id
    url: str  # of the Patchwork
    context: str
    state: str  # pending, success, warning, fail
    description: str
    posted: str = ""  # the state that Patchwork has, "" for none
    at: str = ""  # when it may be posted; then, when that was last tried
    error: str = ""
    fingerprints: tuple[str, ...] = ()  # of the findings that it tells of
    held: bool = False  # a person has to look at them first
    said: str = ""  # the description that Patchwork has
    told_at: str = ""  # when it was last posted that it is a warning, or failed


class VerdictRow(Struct, frozen=True):
    """What somebody said of a finding, or of a rule on a list."""

    id: int
    verdict: str  # false-positive, wontfix, not-ours, confirmed, later, rerun, mute
    rule: str
    fingerprint: str  # "" for what is about a rule, or a whole series
    series_key: str  # "" for what is about a list
    inbox: str
    who: str  # address
    weight: str  # author, maintainer, operator
    proof: str  # how we know who it was: dkim, patatt, archive, local
    reason: str
    msgid: str  # of the mail, "" for the command line
    at: str
    obeyed: bool = True
    why: str = ""  # why it was not


class Told(Struct, frozen=True):
    """A finding of which something is known: a mail of ours said it, or a person decided about it.

    tree    it was made on
    sent    a letter with it went out over `inboxes`
    """

    finding: FindingRow
    series_key: str
    tree: str
    sent: bool
    inboxes: tuple[str, ...] = ()


class Note(Struct, frozen=True):
    """What a part of the house last said of itself."""

    name: str  # "inbox:kvm", "tree:mainline", "send"
    at: str
    ok: bool
    text: str


class Mails(Protocol):
    """Messages, and how far each archive was read."""

    def cursors(self, inbox: str) -> tuple[Cursor, ...]: ...
    def move(self, cursor: Cursor) -> None: ...
    def seen(self, msgid: str) -> bool: ...
    def add(self, kept: Kept, arrival: Arrival) -> str:
        """Keep a message, join the threads it connects, move the cursor; the root of its thread. Twice is once."""

    def get(self, msgid: str) -> Kept | None: ...
    def thread(self, root: str, most: int = 5_000) -> tuple[Kept, ...]:
        """All messages of a thread with their bytes, oldest first."""

    def heads(self, root: str, most: int) -> tuple[Kept, ...]:
        """The same without their bytes."""

    def replies(self, root: str, since: str, most: int = 100) -> tuple[Kept, ...]:
        """What persons said in a thread after a time, oldest first; without the bytes."""

    def root_of(self, msgid: str) -> str: ...
    def join(self, msgids: Iterable[str]) -> str:
        """Make the threads of some messages one; its root, "" where none of them is here."""

    def loose(self, address: str, since: str, until: str, most: int = 200) -> tuple[Kept, ...]:
        """What somebody sent that answers nothing, by the time the archive took it; without the bytes."""

    def renature(self, msgid: str, nature: Nature, why: str) -> None: ...
    def to_do(self, *natures: Nature) -> tuple[Kept, ...]:
        """Messages of some natures that nobody has dealt with, oldest first; without the bytes."""

    def done(self, msgid: str, why: str) -> None: ...
    def old(self, before: str, most: int, since: str = "") -> tuple[Kept, ...]:
        """Messages whose text may be let go, oldest first, without the bytes: older than a time, whole, and of threads
        with nothing newer, nothing to be done, and no finding, letter or verdict; those from `since` on."""

    def old_count(self, before: str) -> int: ...
    def let_go(self, msgid: str, stub: bytes) -> None:
        """Keep what stands for a message in the place of its bytes."""

    def counts(self) -> Sequence[tuple[str, str, int]]:
        """(inbox, nature, messages)."""


class SeriesBook(Protocol):
    """Series, their patches and reviews."""

    def put(self, row: SeriesRow, patches: Sequence[PatchRow]) -> int: ...
    def get(self, id: int) -> SeriesRow | None: ...
    def of_root(self, root: str) -> tuple[SeriesRow, ...]: ...
    def of_key(self, key: str) -> tuple[SeriesRow, ...]: ...
    def of_author(self, address: str, subject: str) -> tuple[SeriesRow, ...]: ...
    def of_patch(self, msgid: str) -> SeriesRow | None: ...
    def patches(self, id: int) -> tuple[PatchRow, ...]: ...
    def patch_ids(self, ids: Iterable[str]) -> tuple[PatchRow, ...]: ...
    def due(self, now: str, most: int = 100) -> tuple[SeriesRow, ...]:
        """Ready ones, and waiting ones whose time has come, oldest first."""

    def move(self, id: int, life: Life, why: str = "", superseded_by: int = 0, due_at: str = "") -> None:
        """`due_at` "" leaves that as it is."""

    def reviewed(self, review: ReviewRow) -> int: ...
    def reviews(self, id: int) -> tuple[ReviewRow, ...]: ...
    def review(self, id: int) -> ReviewRow | None: ...
    def reviewed_once(self, id: int) -> bool:
        """Whether a review of a series was done."""

    def recent(self, most: int = 100) -> tuple[SeriesRow, ...]: ...
    def counts(self) -> Sequence[tuple[str, int]]: ...
    def reviewing(self) -> tuple[int, int, float]:
        """Reviews that were done, those that failed, and the seconds of the former."""


class Findings(Protocol):
    def add(self, rows: Iterable[FindingRow]) -> None: ...
    def get(self, id: int) -> FindingRow | None: ...
    def of_series(self, id: int) -> tuple[FindingRow, ...]:
        """Those of its last review that was done."""

    def of_key(self, key: str) -> tuple[FindingRow, ...]:
        """Those of all versions of a series, the earliest version first; of each, of its last review."""

    def change(
        self, id: int, state: State, *, who: str, at: str, reason: str = "", fixed_in: int = 0, until: str = ""
    ) -> None:
        """What became of a finding; `until` is when one that was put off may be spoken of again."""


class Outbox(Protocol):
    def add(self, row: LetterRow) -> bool:
        """False where the patch has a letter already: nothing is changed then. One that was cancelled before it was
        handed to a mail server gives way."""

    def get(self, id: int) -> LetterRow | None: ...
    def of_patch(self, msgid: str) -> LetterRow | None: ...
    def of_msgid(self, msgid: str) -> LetterRow | None: ...
    def of_series(self, id: int) -> tuple[LetterRow, ...]: ...
    def waiting(self, *states: Letter) -> tuple[LetterRow, ...]: ...
    def change(self, id: int, state: Letter, *, was: Letter, at: str, who: str = "", why: Sequence[str] = ()) -> bool:
        """One step of a letter; False where it is not (any more) in the state `was`."""

    def edit(self, id: int, body: str, about: Mapping[str, str] | None = None) -> bool:
        """Only what is held or released can be changed. `about`: fingerprint -> rule of what it speaks of now."""

    def failed(self, id: int, error: str) -> None:
        """Back to released: another attempt is made later."""

    def sent_since(self, when: str, inbox: str = "") -> int: ...
    def counts(self) -> Sequence[tuple[str, int]]: ...


class Checks(Protocol):
    def put(self, row: CheckRow) -> None:
        """What is to stand at a patch; what is posted is not touched."""

    def withdraw(self, id: int) -> None:
        """Nothing is to stand there, and nothing does."""

    def to_post(self) -> tuple[CheckRow, ...]:
        """Those of which Patchwork has another state or text, in the order of `at`."""

    def told_since(self, when: str, url: str = "") -> int:
        """How many told of something at `when` or later, in one Patchwork or in all."""

    def of_patch(self, msgid: str) -> tuple[CheckRow, ...]: ...
    def posted(self, id: int, state: str, at: str, error: str = "", *, said: str | None = None) -> None:
        """Patchwork has `state` and the text `said` now (None: the one that is there); with an error, what it had."""


class Verdicts(Protocol):
    def add(self, row: VerdictRow) -> int: ...
    def of_mail(self, msgid: str) -> tuple[VerdictRow, ...]: ...
    def of_series(self, key: str) -> tuple[VerdictRow, ...]: ...
    def of_rule(self, rule: str, inbox: str = "") -> tuple[VerdictRow, ...]: ...
    def of_inbox(self, inbox: str) -> tuple[VerdictRow, ...]: ...
    def told(self) -> tuple[Told, ...]:
        """Findings that were sent, or that persons decided about; the earliest first."""

    def mended(self, inbox: str) -> tuple[tuple[str, str, str, str], ...]:
        """(rule, key of the series, fingerprint, when it was found) of what we mailed to a list and is gone since."""

    def muted(self, inbox: str) -> dict[str, str]:
        """Rule -> who muted it and why, on a list; what the bot demoted by itself among them."""

    def unmute(self, inbox: str, rule: str) -> bool: ...
    def opt_out(self, address: str, at: str, msgid: str = "") -> None: ...
    def opted_out(self) -> frozenset[str]: ...


class Notes(Protocol):
    """Health, and what was done by whom."""

    def say(self, note: Note) -> None: ...
    def all(self) -> tuple[Note, ...]: ...
    def audit(self, at: str, who: str, what: str, about: str, details: str = "") -> None: ...
    def trail(self, about: str = "", most: int = 100) -> Sequence[tuple[str, str, str, str, str]]: ...
    def get(self, key: str) -> str: ...
    def set(self, key: str, value: str) -> None: ...


class Session(Protocol):
    """One transaction: what is done in it is there whole, or not at all."""

    @property
    def mails(self) -> Mails: ...
    @property
    def series(self) -> SeriesBook: ...
    @property
    def findings(self) -> Findings: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def checks(self) -> Checks: ...
    @property
    def verdicts(self) -> Verdicts: ...
    @property
    def notes(self) -> Notes: ...
    @property
    def queue(self) -> Queue: ...
    @property
    def steps(self) -> Steps: ...
    @property
    def sights(self) -> Sights: ...


class Store(Protocol):
    def begin(self) -> AbstractContextManager[Session]:
        """A transaction that is committed at the end of the block, and undone where the block raises."""

    def look(self) -> AbstractContextManager[Session]:
        """A transaction that only reads: one state of the whole store, and nobody waits for it."""

    def close(self) -> None: ...
