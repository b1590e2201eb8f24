"""What each rule has earned on evidence, and how far that lets it go.

A ledger is one TOML file, written by `lorelint measure --ledger`. Stages follow from it, by the bars below: no rule is
shown to a maintainer, let alone mailed, on its author's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomli
from msgspec import Struct, field

from lorelint.model.errors import LorelintError
from lorelint.model.measurement import SPOKEN, WRONG, Score
from lorelint.rule.door import Stage

# The bars. `queue`: a maintainer's time is at stake; `list`: everybody's.
QUEUE_PRECISION = 0.90  # over labels of confidence 0.65 and more, real and synthetic
LIST_PRECISION = 0.95  # over at least FOUND findings on real functions
FOUND = 5
JUDGED = 10  # places of a sweep that persons have judged
QUEUE_FALSE = 0.20  # at most this share of the judged findings of a sweep is false
LIST_FALSE = 0.10
PATCHES = 100  # over fewer patches noise was not measured
WRONG_PER_100 = 0.1  # wrong findings of one rule per 100 patches; all rules together have 1


class Heard(Struct, frozen=True):
    """What one rule said over one body of changes; `unjudged` are findings nobody has read."""

    patches: int
    functions: int
    said: int
    wrong: int
    unjudged: int


class CutOut(Struct, frozen=True):
    """Checks of one kind taken out of correct functions."""

    cuts: int
    speak: int
    silent_again: int


class Entry(Struct, frozen=True):
    """All that was measured of one rule.

    wrong     labels it gets wrong, a line each
    sweep     tree -> verdict -> how many places persons judged so
    noise     body of changes -> what was said over it
    mutation  operator -> what came of it
    """

    rule: str
    real: Score = field(default_factory=Score)
    synthetic: Score = field(default_factory=Score)
    unsure: Score = field(default_factory=Score)
    wrong: tuple[str, ...] = ()
    sweep: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    noise: Mapping[str, Heard] = field(default_factory=dict)
    mutation: Mapping[str, CutOut] = field(default_factory=dict)

    @property
    def sure(self) -> Score:
        one, two = self.real, self.synthetic
        return Score(one.tp + two.tp, one.fp + two.fp, one.fn + two.fn, one.tn + two.tn)

    def judged(self, *verdicts: str) -> int:
        """Places of all sweeps with one of these verdicts; with any where none is named."""
        return sum(
            count for told in self.sweep.values() for name, count in told.items() if not verdicts or name in verdicts
        )


def parse(text: str, where: str = "ledger") -> dict[str, Entry]:
    """The entries of a ledger by rule. Raises LorelintError for what is none."""
    try:
        return {name: _entry(name, raw) for name, raw in tomli.loads(text).get("rule", {}).items()}
    except (tomli.TOMLDecodeError, TypeError, KeyError, AttributeError, ValueError) as error:
        what = f"no ledger: {type(error).__name__}: {error}"
        raise LorelintError(what, where=where, remedy="write it anew: lorelint measure --ledger FILE") from error


def _entry(name: str, raw: Mapping[str, Any]) -> Entry:
    scores = {group: Score(**raw.get(group, {})) for group in ("real", "synthetic", "unsure")}
    return Entry(
        rule=name,
        **scores,
        wrong=tuple(raw.get("wrong", ())),
        sweep={tree: dict(counts) for tree, counts in raw.get("sweep", {}).items()},
        noise={corpus: Heard(**told) for corpus, told in raw.get("noise", {}).items()},
        mutation={operator: CutOut(**told) for operator, told in raw.get("mutation", {}).items()},
    )


def earned(entry: Entry | None) -> Stage:
    """The furthest stage that the evidence is enough for."""
    for stage in (Stage.LIST, Stage.QUEUE):
        if not lacking(entry, stage):
            return stage
    return Stage.TRIAL


def lacking(entry: Entry | None, stage: Stage) -> tuple[str, ...]:
    """What keeps a rule from a stage, a sentence each; nothing keeps any rule from `trial`."""
    if stage is Stage.TRIAL:
        return ()
    if entry is None:
        return ("nothing was measured",)
    found = [*_on_labels(entry), *_on_sweep(entry, LIST_FALSE if stage is Stage.LIST else QUEUE_FALSE)]
    if stage is Stage.LIST:
        found += [*_on_real(entry), *_on_noise(entry)]
    return tuple(found)


def _on_labels(entry: Entry) -> list[str]:
    precision = entry.sure.precision
    if not entry.sure.tp or precision is None:
        return ["no labelled function is found by it"]
    if precision < QUEUE_PRECISION:
        return [f"precision on labels is {precision:.1%}, not {QUEUE_PRECISION:.0%}"]
    return []


def _on_real(entry: Entry) -> list[str]:
    found, precision = entry.real.tp + entry.real.fp, entry.real.precision
    if found < FOUND or precision is None:
        return [f"{found} findings on real labelled functions, not {FOUND}"]
    if precision < LIST_PRECISION:
        return [f"precision on real labelled functions is {precision:.1%}, not {LIST_PRECISION:.0%}"]
    return []


def _on_sweep(entry: Entry, bar: float) -> list[str]:
    judged, spoken = entry.judged(), entry.judged(*SPOKEN)
    if judged < JUDGED:
        return [f"{judged} places of a sweep are judged, not {JUDGED}"]
    share = entry.judged(WRONG) / spoken if spoken else 0.0
    return [f"{share:.0%} of the judged findings of a sweep are false, more than {bar:.0%}"] if share > bar else []


def _on_noise(entry: Entry) -> list[str]:
    patches = sum(each.patches for each in entry.noise.values())
    wrong = sum(each.wrong for each in entry.noise.values())
    unjudged = sum(each.unjudged for each in entry.noise.values())
    if patches < PATCHES:
        return [f"noise is measured over {patches} patches, not {PATCHES}"]
    if unjudged:
        return [f"{unjudged} findings over changes are not judged"]
    if wrong * 100 / patches > WRONG_PER_100:
        return [f"{wrong * 100 / patches:.2f} wrong findings per 100 patches, more than {WRONG_PER_100}"]
    return []
