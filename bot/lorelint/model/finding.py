"""What a rule says, and what became of it."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from msgspec import Struct

from lorelint.model.base import Base, Grade
from lorelint.model.comment import Comment, Raised
from lorelint.model.mail import Series
from lorelint.model.trouble import Failure, Trouble, Unseen


class Severity(StrEnum):
    ERROR = "error"  # security or memory safety, user reachable
    WARNING = "warning"  # hang, lockup or leak by an unprivileged or confused user
    NOTE = "note"  # style of the contract, needs bad luck or privilege


class Kind(StrEnum):
    DEFECT = "defect"  # the rule fires
    REMARK = "remark"  # the rule is silent, but its reason is worth telling beside a defect


class Need(StrEnum):
    """How far one had to look."""

    PATCH = "P"
    FILE = "F"
    TREE = "T"
    CALLS = "C"


class Step(Struct, frozen=True):
    """One step of a proof: a place, and what is so there."""

    path: str
    line: int  # 1-based, in the tree the finding was made on
    text: str


class Sibling(Struct, frozen=True):
    """Another place in the tree with the same defect or with the right idiom."""

    path: str
    line: int
    function: str
    text: str


class Edit(Struct, frozen=True):
    """One line of a file and what stands there instead: nothing, itself among others, something else."""

    line: int  # 1-based, in the tree the finding was made on
    lines: tuple[str, ...]  # without line feeds


class Fix(Struct, frozen=True):
    """A correction that can be made without understanding more than the finding does.

    It ends the defect and nothing else: no fix makes an error look like success.
    """

    path: str
    edits: tuple[Edit, ...]  # ascending, one a line
    text: str  # what it does, lower case, no full stop


class Finding(Struct, frozen=True):
    """A statement of a rule about one function.

    Identity is rule + path + function + anchor (the API, label or object it is about); it holds
    no line number and no kernel version. `evidence` is the normalised path, for wording and ranking.
    `concern` groups findings about one loop or one object of one function.
    """

    rule: str
    path: str
    function: str
    line: int
    anchor: str
    message: str  # lower case, no full stop, no "you", no "please"
    severity: Severity
    confidence: float  # 0..1
    steps: tuple[Step, ...]
    need: Need = Need.FILE
    kind: Kind = Kind.DEFECT
    concern: str = ""
    facts: tuple[str, ...] = ()  # further true sentences for the wording, lower case, no full stop
    advice: str = ""  # what would end the defect
    siblings: tuple[Sibling, ...] = ()
    evidence: tuple[str, ...] = ()
    ask: str = ""  # the question a reply opens with: "can the loop in f() end while g() keeps failing?"
    fix: Fix | None = None

    @property
    def fingerprint(self) -> str:
        """16 hex digits of identity."""
        identity = "\0".join((self.rule, self.path, self.function, self.anchor))
        return hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest()[:16]


class Silence(Struct, frozen=True):
    """Why a rule did not fire on something it looked at; what `why-not` prints."""

    rule: str
    path: str
    function: str
    line: int
    reason: str
    steps: tuple[Step, ...] = ()


class Doubt(Struct, frozen=True):
    """A rule that could not decide: what matters was not seen. Unknown before = at most the queue."""

    rule: str
    path: str
    function: str
    line: int
    anchor: str
    reason: str


Verdict = Finding | Silence | Doubt


class Status(StrEnum):
    """What the patch has to do with a finding."""

    NEW = "new"  # silent before, fires after
    UNCERTAIN = "uncertain"  # fires after, unknown before
    EXPOSED = "exposed"  # fired before, reached by more entries now
    MOVED = "moved"
    FIXED = "fixed"  # fired before, silent after
    BEFORE = "there-before"


class Judged(Struct, frozen=True):
    """A finding with its status and how far the base under its own proof can be trusted."""

    finding: Finding
    status: Status
    patch: int  # seq of the patch that made it so; 0 outside a series
    grade: Grade  # the worst file on the proof path
    because: str = ""  # the changed fact that made an untouched function be judged again
    gone_in: int = 0  # seq of a later patch of the series that ends it; 0 = stays
    raised: tuple[Raised, ...] = ()  # what people said of it in the thread, the earliest first

    @property
    def said(self) -> bool:
        """Whether a person has surely raised it already."""
        return any(each.sure for each in self.raised)

    @property
    def mailable(self) -> bool:
        """New, a defect that stays, and raised by nobody yet."""
        return self.status is Status.NEW and self.finding.kind is Kind.DEFECT and self.gone_in == 0 and not self.said


class Concern(Struct, frozen=True):
    """Findings about one loop or one object, cause first: one paragraph of a reply."""

    patch: int
    findings: tuple[Judged, ...]


class Coverage(Struct, frozen=True):
    """What was looked at."""

    files: int = 0
    functions: int = 0
    degraded: int = 0
    rules: tuple[str, ...] = ()


class Report(Struct, frozen=True):
    """Everything one job has to say about one series (or, for a scan, about files)."""

    source: str
    series: Series | None
    base: Base | None
    findings: tuple[Judged, ...]
    concerns: tuple[Concern, ...]
    silences: tuple[Silence, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    failures: tuple[Failure, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    coverage: Coverage = Coverage()
    version: str = ""  # of lorelint and its rule packs
    comments: tuple[Comment, ...] = ()  # what people said of the series, and robots
