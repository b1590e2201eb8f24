"""A measurement written into a ledger: what was measured now replaces what stood there, the rest stays."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import asdict, replace

from lorelint.model.measurement import Case, Measurement, Score
from lorelint.model.regex import regex
from lorelint.report.measure import cut_out, rates, scores, swept
from lorelint.rule.ledger import CutOut, Entry, Heard

HEAD = """\
# What each rule has earned: the outcome of `lorelint measure`, which writes this file (--ledger). How far a rule may go
# follows from it by the bars of bot/lorelint/rule/ledger.py, and a test refuses a stage that is not earned.
#
# real, synthetic, unsure   functions of public kernels; mutations of correct ones; labels of confidence below 0.65
# wrong                     labels it gets wrong, and what it said
# sweep                     places in a whole tree that persons judged: the files in corpora/kernel
# noise                     findings over changes nobody labelled; wrong and unjudged as persons said
# mutation                  checks taken out of correct functions: it must speak, and be silent with the check put back
"""

_BARE = regex(r"[A-Za-z0-9_-]+\Z")


def entries(old: Mapping[str, Entry], measurement: Measurement) -> dict[str, Entry]:
    """The entries of a ledger after a measurement, by rule."""
    found = dict(old)
    labelled = {case.rule for case in measurement.cases} | {skip.rule for skip in measurement.skipped}
    sweep = swept(measurement.judgements)
    for rule in measurement.rules:
        entry = found.get(rule, Entry(rule))
        if rule in labelled:
            entry = _labels(entry, [case for case in measurement.cases if case.rule == rule])
        if rule in sweep:
            entry = replace(entry, sweep=sweep[rule])
        entry = replace(entry, noise={**entry.noise, **_noise(rule, measurement)})
        cuts = _mutation(rule, measurement)
        found[rule] = replace(entry, mutation=cuts) if cuts else entry
    return found


def _labels(entry: Entry, cases: Sequence[Case]) -> Entry:
    found = scores(cases)
    wrong = tuple(
        f"{case.id} {case.verdict}: {case.path} {case.function}(): {_said(case)}" for case in cases if _bad(case)
    )
    return replace(entry, real=found["real"], synthetic=found["synthetic"], unsure=found["unsure"], wrong=wrong)


def _bad(case: Case) -> bool:
    return case.verdict in ("fp", "fn") and case.group != "unsure"


def _said(case: Case) -> str:
    said = (*case.findings, *case.silences, *case.doubts, case.failure)
    return next((each for each in said if each), "nothing was said")


def _noise(rule: str, measurement: Measurement) -> dict[str, Heard]:
    found = {}
    for noise in measurement.noises:
        row: dict[str, Any] = rates(noise, [each for each in noise.spoken if each.rule == rule])
        found[noise.corpus] = Heard(noise.patches, noise.functions, row["findings"], row["false"], row["unjudged"])
    return found


def _mutation(rule: str, measurement: Measurement) -> dict[str, CutOut]:
    if measurement.mutation is None:
        return {}
    rows: list[dict[str, Any]] = [row for row in cut_out(measurement.mutation) if row["rule"] == rule]
    return {row["operator"]: CutOut(row["cuts"], row["speak"], row["silent_again"]) for row in rows}


# -- as TOML -----------------------------------------------------------------------------------


def render(found: Mapping[str, Entry]) -> str:
    """The text of a ledger; rules in order, nothing in it that two runs would not share."""
    lines = [HEAD.rstrip("\n")]
    for name in sorted(found):
        lines += ["", f"[rule.{_key(name)}]", *_entry(found[name])]
    return "\n".join(lines) + "\n"


def _entry(entry: Entry) -> Iterator[str]:
    for group in ("real", "synthetic", "unsure"):
        score: Score = getattr(entry, group)
        if group == "real" or any(asdict(score).values()):
            yield f"{group} = {_inline(asdict(score))}"
    if entry.wrong:
        yield "wrong = [" + "".join(f"\n  {json.dumps(each)}," for each in entry.wrong) + "\n]"
    for title, table in (("sweep", entry.sweep), ("noise", entry.noise), ("mutation", entry.mutation)):
        for name in sorted(table):
            value: Any = table[name]
            yield f"{title}.{_key(name)} = {_inline(value if isinstance(value, Mapping) else asdict(value))}"


def _inline(table: Mapping[str, int]) -> str:
    return "{ " + ", ".join(f"{_key(name)} = {value}" for name, value in table.items()) + " }"


def _key(name: str) -> str:
    return name if _BARE.match(name) else json.dumps(name)
