"""A measurement as tables for people, and as plain data. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec import to_builtins

from lorelint.model.measurement import (
    GROUPS,
    SPOKEN,
    VERDICTS,
    WRONG,
    Case,
    Interval,
    Judgement,
    Measurement,
    Mutation,
    Noise,
    Score,
    Spoken,
    wilson,
)

NAMED = 300  # changes left out that are named one by one; of more only their number is told


def scores(cases: Iterable[Case]) -> dict[str, Score]:
    """By group, and ``sure``: real and synthetic together."""
    found = {name: Score() for name in ("sure", *GROUPS)}
    for case in cases:
        found[case.group].add(case.verdict)
        if case.group != "unsure":
            found["sure"].add(case.verdict)
    return found


def rates(noise: Noise, spoken: Sequence[Spoken]) -> dict[str, object]:
    """How much of what was said over some changes is wrong, by what persons said of it.

    ``wrong_per_100_patches`` counts findings judged false; ``at_most`` also those nobody has judged.
    """
    verdicts = Counter(each.verdict for each in spoken)
    wrong, open_ = verdicts[WRONG], verdicts[""]
    return {
        "findings": len(spoken),
        "mailable": sum(each.mailable for each in spoken),
        **{verdict: verdicts[verdict] for verdict in SPOKEN},
        "unjudged": open_,
        "per_100_patches": _per(len(spoken), noise.patches, 100),
        "per_1000_functions": _per(len(spoken), noise.functions, 1000),
        "wrong_per_100_patches": _per(wrong, noise.patches, 100),
        "at_most": _per(wrong + open_, noise.patches, 100),
    }


def _per(count: int, of: int, each: int) -> float | None:
    return round(count * each / of, 3) if of else None


def cut_out(mutation: Mutation) -> list[dict[str, object]]:
    """Per rule and operator: how many checks were taken out, and how many of them the rule misses."""
    rows: list[dict[str, object]] = []
    for rule, operator in sorted({(cut.rule, cut.operator) for cut in mutation.cuts}):
        cuts = [cut for cut in mutation.cuts if (cut.rule, cut.operator) == (rule, operator)]
        speak = sum(cut.spoke for cut in cuts)
        rows.append(
            {
                "rule": rule,
                "operator": operator,
                "cuts": len(cuts),
                "speak": speak,
                "silent_again": sum(cut.restored for cut in cuts),
                "recall": round(speak / len(cuts), 4),
                "recall_interval": wilson(speak, len(cuts)),
            }
        )
    return rows


def swept(judgements: Iterable[Judgement]) -> dict[str, dict[str, dict[str, int]]]:
    """Rule -> tree -> how many places persons gave each verdict."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for each in sorted(judgements, key=lambda one: (one.rule, one.tree)):
        counts = found.setdefault(each.rule, {}).setdefault(each.tree, dict.fromkeys(VERDICTS, 0))
        counts[each.verdict] += 1
    return found


# -- plain data --------------------------------------------------------------------------------


def to_json(measurement: Measurement, *, times: bool = False) -> dict[str, object]:
    """The measurement as plain data, with the seconds of each rule where `times` are wanted.

    ``rules``: per rule tp, fp, fn, tn, precision, recall over real and synthetic labels of confidence 0.65
    and more; the same under ``real``, ``synthetic`` and, for labels below that, ``unsure``. ``total``: the
    same over all rules. ``skipped``: how many labels were left out, and why. ``noise``, ``mutation``,
    ``sweep``: where they were measured.
    """
    names = sorted({case.rule for case in measurement.cases})
    total = _row("", measurement.cases)
    del total["rule"]
    found: dict[str, object] = {
        "rules": [_row(name, [case for case in measurement.cases if case.rule == name]) for name in names],
        "total": total,
        "cases": [to_builtins(case) for case in measurement.cases],
        "skipped": {
            "count": len(measurement.skipped),
            "reasons": _reasons(skip.reason for skip in measurement.skipped),
            "labels": [to_builtins(skip) for skip in measurement.skipped],
        },
    }
    if measurement.noises:
        found["noise"] = [_noise(noise, measurement.rules) for noise in measurement.noises]
    if measurement.mutation is not None:
        cuts = [to_builtins(cut) for cut in measurement.mutation.cuts]
        found["mutation"] = {**to_builtins(measurement.mutation), "cuts": cuts, "rules": cut_out(measurement.mutation)}
    if measurement.judgements:
        found["sweep"] = swept(measurement.judgements)
    if times:
        found["seconds"] = {name: round(measurement.seconds.get(name, 0.0), 2) for name in measurement.rules}
    return found


def _row(name: str, cases: Sequence[Case]) -> dict[str, object]:
    found = scores(cases)
    return {"rule": name, **found["sure"].json(), **{group: found[group].json() for group in GROUPS}}


def _reasons(reasons: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(reason.partition(":")[0] for reason in reasons).items()))


def _noise(noise: Noise, rules: Sequence[str]) -> dict[str, object]:
    return {
        **to_builtins(noise),
        "total": rates(noise, noise.spoken),
        "rules": {name: rates(noise, [each for each in noise.spoken if each.rule == name]) for name in rules},
    }


# -- tables ------------------------------------------------------------------------------------


def render(measurement: Measurement, *, times: bool = False) -> str:
    """A table of each kind that was measured, then what went wrong and what was left out.

    times  with the seconds of CPU of each rule, which no two runs share
    """
    lines: list[str] = []
    if (
        measurement.cases
        or measurement.skipped
        or not (measurement.noises or measurement.mutation or measurement.judgements)
    ):
        lines += [*_labels(measurement), ""]
    for noise in measurement.noises:
        lines += [*_noise_table(noise), ""]
    if measurement.mutation is not None:
        lines += [*_mutation_table(measurement.mutation), ""]
    if measurement.judgements:
        lines += [*_sweep_table(measurement.judgements), ""]
    if times:
        lines += [*_times(measurement), ""]
    return "\n".join(lines[:-1]) + "\n"


def _labels(measurement: Measurement) -> Iterator[str]:
    head = f"{'rule':28} {'group':9} {'tp':>4} {'fp':>4} {'fn':>4} {'tn':>4}"
    yield f"{head} {'precision':>9} {'recall':>7}  95 % of recall"
    names = sorted({case.rule for case in measurement.cases})
    for name in (*names, ""):
        cases = [case for case in measurement.cases if name in ("", case.rule)]
        for group, score in scores(cases).items():
            if group != "sure" and not any(to_builtins(score).values()):
                continue
            shown = (name or "all rules") if group == "sure" else ""
            counts = f"{score.tp:4} {score.fp:4} {score.fn:4} {score.tn:4}"
            what = "all" if group == "sure" else group
            row = f"{shown:28} {what:9} {counts} {_share(score.precision):>9} {_share(score.recall):>7}"
            yield f"{row}  {_interval(score.recall_interval)}"
    for case in measurement.cases:
        if case.verdict in ("fp", "fn"):
            yield from _wrong(case)
    if measurement.skipped:
        yield ""
        yield f"left out: {len(measurement.skipped)} ({_told(skip.reason for skip in measurement.skipped)})"


def _told(reasons: Iterable[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in _reasons(reasons).items())


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _interval(value: Interval | None) -> str:
    return "-" if value is None else f"{value[0]:.1%} to {value[1]:.1%}"


def _figure(value: object) -> str:
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def _wrong(case: Case) -> list[str]:
    what = "missed" if case.verdict == "fn" else "wrongly found"
    place = f"{case.path}:{case.line}: {case.function}() in {case.tree}" + (
        f" + {case.overlay}" if case.overlay else ""
    )
    said = [*case.findings, *(f"silent at {each}" for each in case.silences), *case.doubts, case.failure]
    return ["", f"{what}: {case.id} ({case.group}) {place}", *(f"  {each}" for each in said if each)]


def _noise_table(noise: Noise) -> Iterator[str]:
    grades = ", ".join(f"{count} {grade}" for grade, count in noise.grades.items())
    yield (
        f"noise: {noise.corpus}: {noise.changes} changes, {noise.patches} patches, {noise.functions} functions judged"
        + (f" ({grades})" if grades else "")
    )
    head = f"{'rule':28} {'said':>5} {'true':>5} {'false':>5} {'other':>5} {'open':>5}"
    yield f"{head} {'said/100 p':>10} {'said/1000 f':>11} {'wrong/100 p':>11} {'at most':>8}"
    for name in (*sorted({each.rule for each in noise.spoken}), ""):
        spoken = [each for each in noise.spoken if name in ("", each.rule)]
        row, other = rates(noise, spoken), sum(each.verdict in ("arguable", "fixed-later") for each in spoken)
        counts = f"{row['findings']:5} {row['true']:5} {row['false']:5} {other:5} {row['unjudged']:5}"
        figures = f"{_figure(row['per_100_patches']):>10} {_figure(row['per_1000_functions']):>11}"
        wrong = f"{_figure(row['wrong_per_100_patches']):>11} {_figure(row['at_most']):>8}"
        yield f"{name or 'all rules':28} {counts} {figures} {wrong}"
    for each in noise.spoken:
        mail = "" if each.mailable else ", not to be mailed"
        place = f"{each.path}:{each.line}: {each.function}()"
        yield f"{each.verdict or 'not judged'}: {each.rule} {place} ({each.status}{mail})"
        yield f"  {each.message}"
        yield f"  in {each.source}" + (f"; {each.reason}" if each.reason else "")
    yield from (f"failed: {each}" for each in noise.failures)
    if noise.left_out:
        yield f"left out: {len(noise.left_out)} ({_told(each.reason for each in noise.left_out)})"
        if len(noise.left_out) <= NAMED:
            yield from (f"  {each.id}: {each.reason}" for each in noise.left_out)


def _mutation_table(mutation: Mutation) -> Iterator[str]:
    yield f"checks taken out of functions of {mutation.tree}; {mutation.loud} that are spoken of as they are left alone"
    rows = cut_out(mutation)
    wide = max([9, *(len(str(row["operator"])) for row in rows)])
    head = f"{'rule':28} {'taken out':{wide}} {'cuts':>5} {'speak':>5}"
    yield f"{head} {'again silent':>12} {'recall':>7}  95 % of recall"
    for row in rows:
        share = row["recall"] if isinstance(row["recall"], float) else None
        interval = row["recall_interval"]
        told = _interval(interval if isinstance(interval, tuple) else None)
        head = f"{row['rule']:28} {row['operator']:{wide}} {row['cuts']:5} {row['speak']:5}"
        yield f"{head} {row['silent_again']:12} {_share(share):>7}  {told}"
    for cut in mutation.cuts:
        place = f"{cut.rule} {cut.path}:{cut.line}: {cut.function}()"
        if not cut.spoke:
            yield f"silent without its {cut.operator}: {place}: {cut.why or '-'}"
        if not cut.restored:
            yield f"speaks with its {cut.operator} put back: {place}"


def _sweep_table(judgements: Sequence[Judgement]) -> Iterator[str]:
    yield "judged by persons"
    yield f"{'rule':28} {'tree':20} " + " ".join(f"{verdict:>12}" for verdict in VERDICTS)
    for rule, trees in swept(judgements).items():
        for tree, counts in trees.items():
            yield f"{rule:28} {tree:20} " + " ".join(f"{counts[verdict]:12}" for verdict in VERDICTS)


def _times(measurement: Measurement) -> Iterator[str]:
    yield f"{'rule':28} {'seconds of CPU':>14}"
    for name in measurement.rules:
        yield f"{name:28} {measurement.seconds.get(name, 0.0):14.2f}"
    yield f"{'all rules':28} {sum(measurement.seconds.values()):14.2f}"
