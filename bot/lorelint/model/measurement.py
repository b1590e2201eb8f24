"""What a measurement says of the rules: over labelled functions, over changes nobody labelled, over checks cut out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from math import sqrt

from msgspec import Struct
from msgspec.structs import asdict

from lorelint.model.placed import placed

SURE = 0.65  # labels of less confidence are counted apart
GROUPS = ("real", "synthetic", "unsure")
WRONG = "false"
VERDICTS = ("true", "false", "arguable", "fixed-later", "silent-right", "missed")  # what a person says of a place
SPOKEN = ("true", "false", "arguable", "fixed-later")  # those of them that are about a finding

Interval = tuple[float, float]


def wilson(hits: int, of: int, z: float = 1.96) -> Interval | None:
    """Where a share lies with 95 % confidence, by Wilson's score; None where it divides by nothing."""
    if not of:
        return None
    share, square = hits / of, z * z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = z * sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    return round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)


class Score(Struct):
    """Counts of verdicts; precision, recall and F1 are None where they divide by nothing."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def add(self, verdict: str) -> None:
        setattr(self, verdict, getattr(self, verdict) + 1)

    @property
    def precision(self) -> float | None:
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        return _share(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def recall_interval(self) -> Interval | None:
        return wilson(self.tp, self.tp + self.fn)

    def json(self) -> dict[str, object]:
        return {
            **asdict(self),
            "precision": self.precision,
            "recall": self.recall,
            "recall_interval": self.recall_interval,
        }


def _share(hits: int, of: int) -> float | None:
    return round(hits / of, 4) if of else None


class Label(Struct, frozen=True):
    """One labelled function: what a rule ought to say about it."""

    id: str
    rule: str
    positive: bool
    tree: str
    overlay: str
    path: str
    function: str
    lines: tuple[int, int]  # (0, 0) where the label gives none
    kind: str
    confidence: float

    @property
    def group(self) -> str:
        """Where it is counted: ``real``, ``synthetic``, or ``unsure``."""
        if self.confidence < SURE:
            return "unsure"
        return "synthetic" if self.kind == "synthetic" else "real"


class Case(Struct, frozen=True):
    """A label and what the rule said. `verdict` is tp, fp, fn or tn."""

    id: str
    rule: str
    tree: str
    overlay: str
    path: str
    function: str
    line: int
    kind: str
    group: str
    label: str
    confidence: float
    fired: bool
    verdict: str
    findings: tuple[str, ...]  # "line: severity: message"
    silences: tuple[str, ...]
    doubts: tuple[str, ...]
    failure: str


class Skip(Struct, frozen=True):
    """Something that could not be measured: a label, a series, a file."""

    id: str
    rule: str
    reason: str


class Judgement(Struct, frozen=True):
    """What a person made of a place that a rule spoke of, or was silent about."""

    rule: str
    tree: str
    path: str
    function: str
    line: int  # 0 where it is about the function
    verdict: str
    reason: str


class Spoken(Struct, frozen=True):
    """One finding over a change that nobody labelled; `verdict` is a person's, "" where nobody judged it."""

    rule: str
    source: str  # the thread's file and the series, or the file that changed
    path: str
    function: str
    line: int
    status: str
    mailable: bool
    message: str
    verdict: str = ""
    reason: str = ""


class Noise(Struct, frozen=True):
    """What all rules said over one body of changes.

    corpus    as a person would say it
    tree      name of the tree that the findings' lines are of
    changes   series, or files
    left_out  changes that could not be judged, each with the reason
    """

    corpus: str
    tree: str
    changes: int
    patches: int
    functions: int
    spoken: tuple[Spoken, ...]
    left_out: tuple[Skip, ...] = ()
    failures: tuple[str, ...] = ()
    grades: Mapping[str, int] = field(default_factory=dict)  # how well the changes lay on the tree


class Cut(Struct, frozen=True):
    """A check taken out of a function that a rule was silent about.

    operator  named by what it removes
    spoke     the rule speaks without the check
    restored  and is silent with the check put back
    why       its reasons for silence without the check
    """

    operator: str
    rule: str
    path: str
    function: str
    line: int
    spoke: bool
    restored: bool
    why: str = ""


class Mutation(Struct, frozen=True):
    """All checks that were taken out; `loud` are functions a rule spoke of before anything was taken out."""

    tree: str
    cuts: tuple[Cut, ...]
    loud: int = 0


@placed
class Measurement:
    """All that was measured. `seconds` of CPU per rule, which no two runs share, is no part of what is equal."""

    cases: tuple[Case, ...] = ()
    skipped: tuple[Skip, ...] = ()
    noises: tuple[Noise, ...] = ()
    mutation: Mutation | None = None
    judgements: tuple[Judgement, ...] = ()
    rules: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)
