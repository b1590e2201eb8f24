"""What a sweep found: one line of JSON a series, and a summary as tables for people and as plain data. Pure.

A finding counts once for all versions of its series, in the year of the version that had it first. Noise is what would
have been said and that neither a later version nor a person in the thread bears out: at most so much of it is wrong.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, field, to_builtins

from lorelint.model.base import Grade
from lorelint.model.sweep import Mails, Period, SweptFinding, SweptSeries, Tally
from lorelint.report.text import many, words

NAMED = 100  # failed series that are named one by one
SUBSYSTEMS = 25  # rows of the table for people
REASONS = 12
SCHEMA = 1


def line(series: SweptSeries) -> str:
    """A series as one line of JSON in ASCII, keys sorted."""
    return json.dumps(to_builtins(series), ensure_ascii=True, sort_keys=True, separators=(",", ":")) + "\n"


class Count(Struct):
    """Of a rule, a year, a subsystem, or all.

    patches    that touch C and were judged on a tree
    findings   each once
    said       of them those that may be mailed, in some version
    fixed      gone in a later version; raised: by a person in the thread; borne_out: either
    noise      said, and not borne out
    """

    series: int = 0
    patches: int = 0
    findings: int = 0
    said: int = 0
    fixed: int = 0
    raised: int = 0
    borne_out: int = 0
    noise: int = 0

    def add(self, told: _Told) -> None:
        self.findings += 1
        self.said += told.said
        self.fixed += told.fixed
        self.raised += told.raised
        self.borne_out += told.fixed or told.raised
        self.noise += told.said and not (told.fixed or told.raised)

    def document(self) -> dict[str, Any]:
        rates = {"findings_per_100_patches": self.per(self.findings), "said_per_100_patches": self.per(self.said)}
        return {**to_builtins(self), **rates, "noise_per_100_patches": self.per(self.noise)}

    def per(self, count: int) -> float | None:
        return round(100 * count / self.patches, 3) if self.patches else None


class _Told(Struct):
    """A finding over the versions of its series."""

    rule: str
    year: str
    subsystems: tuple[str, ...]
    said: bool = False
    fixed: bool = False
    raised: bool = False

    def see(self, finding: SweptFinding) -> None:
        self.said |= finding.mailable
        self.fixed |= finding.fixed_in > 0
        self.raised |= finding.raised_by != ""


class Summary(Struct):
    """All that is told of a sweep."""

    fates: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)  # why series were left out
    grades: Counter[str] = field(default_factory=Counter)
    functions: int = 0
    total: Count = field(default_factory=Count)
    rules: dict[str, Count] = field(default_factory=dict)
    years: dict[str, Count] = field(default_factory=dict)
    subsystems: dict[str, Count] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)


def summary(every: Iterable[SweptSeries]) -> Summary:
    """Add up the series of a sweep, in the order of their time."""
    made, told = Summary(), dict[tuple[str, str, int], _Told]()
    for series in every:
        made.fates[series.fate] += 1
        if series.fate == "left out":
            made.reasons[series.why.partition(":")[0]] += 1
        elif series.fate == "failed":
            made.failed.append((series.first, series.why))
        elif series.fate == "reviewed":
            _add(made, series, told)
    for each in told.values():
        made.total.add(each)
        made.rules.setdefault(each.rule, Count()).add(each)
        made.years[each.year].add(each)
        for name in each.subsystems:
            made.subsystems[name].add(each)
    for count in made.rules.values():
        count.series, count.patches = made.total.series, made.total.patches
    return made


def _add(made: Summary, series: SweptSeries, told: dict[tuple[str, str, int], _Told]) -> None:
    year = series.at[:4]
    areas = [made.subsystems.setdefault(name, Count()) for name in series.subsystems]
    made.grades[series.grade] += 1
    made.functions += series.functions
    for count in (made.total, made.years.setdefault(year, Count()), *areas):
        count.series += 1
        count.patches += series.patches if series.grade != Grade.FRAGMENTS.value else 0
    for finding in series.findings:
        key = (series.key, finding.fingerprint, finding.since)
        told.setdefault(key, _Told(finding.rule, year, series.subsystems)).see(finding)


# -- plain data ------------------------------------------------------------------------------------------------


def to_json(made: Summary, mails: Mails, period: Period, about: dict[str, Any], tally: Tally) -> dict[str, Any]:
    """`about` is what the sweep is of: the tree, the archives, the version."""
    return {
        "schema": SCHEMA,
        **about,
        "since": period.since,
        "until": period.until,
        "mails": dict(mails.natures),
        "no_mail": {"files": len(mails.left_out), "reasons": dict(_counted(why for _, why in mails.left_out))},
        "series": dict(sorted(made.fates.items())),
        "left_out": dict(sorted(made.reasons.items())),
        "grades": dict(sorted(made.grades.items())),
        "functions": made.functions,
        "total": made.total.document(),
        "rules": [{"rule": name, **made.rules[name].document()} for name in sorted(made.rules)],
        "years": [{"year": name, **made.years[name].document()} for name in sorted(made.years)],
        "subsystems": [{"subsystem": name, **made.subsystems[name].document()} for name in sorted(made.subsystems)],
        "failed": [{"first": first, "why": why} for first, why in made.failed],
        "troubles": list(tally.troubles),
    }


def _counted(texts: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(texts).items(), key=lambda row: (-row[1], row[0]))


# -- for people --------------------------------------------------------------------------------------------------


def render(made: Summary, mails: Mails, tally: Tally) -> str:
    """The summary as tables."""
    read = sum(count for _, count in mails.natures)
    natures = ", ".join(f"{count} {name}" for name, count in sorted(mails.natures, key=lambda row: (-row[1], row[0])))
    lines = [f"{many(read, 'mail')}: {natures or 'nothing'}"]
    if mails.left_out:
        lines.append(f"{many(len(mails.left_out), 'file')} that hold no mail")
    fates = ", ".join(f"{count} {name}" for name, count in made.fates.most_common())
    lines.append(f"{many(sum(made.fates.values()), 'series', 'series')}: {fates or 'none'}")
    lines += [f"    {count:6} left out: {words(why)}" for why, count in made.reasons.most_common(REASONS)]
    lines += [f"    {count:6} on a base that is {grade}" for grade, count in sorted(made.grades.items())]
    total = made.total
    lines += ["", f"{many(total.patches, 'patch', 'patches')} to C judged, {many(made.functions, 'function')}"]
    lines.append(
        f"{many(total.findings, 'finding')}, {total.said} that may be mailed; {total.fixed} gone in a later version, "
        f"{total.raised} raised by a person"
    )
    lines.append(f"noise: at most {_rate(total, total.noise)} per 100 patches (said, and borne out by neither)")
    lines += _table("rule", sorted(made.rules.items()))
    lines += _table("year", sorted(made.years.items()))
    named = sorted(made.subsystems.items(), key=lambda row: (-row[1].findings, -row[1].patches, row[0]))
    lines += _table("subsystem", named[:SUBSYSTEMS])
    if len(named) > SUBSYSTEMS:
        lines.append(f"and {many(len(named) - SUBSYSTEMS, 'subsystem')} more (--json has them)")
    if made.failed:
        lines += ["", f"{many(len(made.failed), 'series', 'series')} failed:"]
        lines += [f"    <{words(first)}>: {words(why)}" for first, why in made.failed[:NAMED]]
    lines += [f"not read: {words(each)}" for each in tally.troubles]
    return "\n".join(lines) + "\n"


_COLUMNS = ("patches", "findings", "said", "fixed", "raised", "noise")


def _table(what: str, rows: Sequence[tuple[str, Count]]) -> list[str]:
    if not rows:
        return []
    wide = max(len(what), *(len(words(name)) for name, _ in rows))
    head = f"{what:{wide}}" + "".join(f"{name:>10}" for name in _COLUMNS) + f"{'per 100':>10}"
    lines = ["", head]
    for name, count in rows:
        cells = "".join(f"{getattr(count, column):>10}" for column in _COLUMNS)
        lines.append(f"{words(name):{wide}}{cells}{_rate(count, count.noise):>10}")
    return lines


def _rate(count: Count, number: int) -> str:
    rate = count.per(number)
    return "-" if rate is None else f"{rate:.2f}"
