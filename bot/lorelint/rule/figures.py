"""The evidence of a ledger in words and rows, for whoever shows it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lorelint.model.measurement import VERDICTS, Interval, Score
from lorelint.rule.door import Stage
from lorelint.rule.ledger import Entry, lacking

Rows = tuple[tuple[str, ...], ...]


def brief(entry: Entry | None) -> str:
    """One line: ``precision 100%, recall 83% on 21 labels; sweep: 8 true, 1 false; 0 wrong in 1,200 patches``."""
    return "; ".join(sentences(entry))


def sentences(entry: Entry | None) -> tuple[str, ...]:
    """The same, one kind of evidence each."""
    if entry is None:
        return ("nothing was measured",)
    parts = []
    sure = entry.sure
    labels = sure.tp + sure.fp + sure.fn + sure.tn
    if labels:
        parts.append(f"precision {share(sure.precision)}, recall {share(sure.recall)} on {labels} labels")
    judged = [f"{entry.judged(verdict)} {verdict}" for verdict in VERDICTS[:4] if entry.judged(verdict)]
    if judged:
        parts.append(f"sweep: {', '.join(judged)}")
    patches = sum(each.patches for each in entry.noise.values())
    if patches:
        wrong, unjudged = (sum(getattr(each, name) for each in entry.noise.values()) for name in ("wrong", "unjudged"))
        open_ = f", {unjudged} not judged" if unjudged else ""
        parts.append(f"{wrong} wrong{open_} in {patches:,} patches")
    cuts = sum(each.cuts for each in entry.mutation.values())
    if cuts:
        parts.append(f"{sum(each.speak for each in entry.mutation.values())} of {cuts} mutations found")
    return tuple(parts) or ("nothing was measured",)


def towards(stage: Stage, entry: Entry | None) -> tuple[str, ...]:
    """What keeps a rule from the stage after its own, with that stage; nothing where there is none."""
    order = list(Stage)
    after = order[order.index(stage) + 1 :]
    return tuple(f"not for the {after[0].value} yet: {each}" for each in lacking(entry, after[0])) if after else ()


def share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def interval(value: Interval | None) -> str:
    return "-" if value is None else f"{value[0]:.0%} to {value[1]:.0%}"


def tables(entry: Entry) -> Iterator[tuple[str, tuple[str, ...], Rows]]:
    """(title, heads, rows) of each kind of evidence that there is."""
    scores = (("real functions", entry.real), ("synthetic", entry.synthetic), ("unsure labels", entry.unsure))
    labelled = tuple((name, *_score(score)) for name, score in scores if score != Score())
    if labelled:
        heads = ("labels", "found", "wrong", "missed", "silent", "precision", "recall", "95 % of recall")
        yield "Over labelled functions", heads, labelled
    if entry.sweep:
        rows = tuple(
            (tree, *(str(told.get(verdict, 0)) for verdict in VERDICTS)) for tree, told in sorted(entry.sweep.items())
        )
        yield "Places in a whole tree, read by a person", ("tree", *VERDICTS), rows
    if entry.noise:
        rows = tuple(
            (corpus, f"{each.patches:,}", f"{each.functions:,}", str(each.said), str(each.wrong), str(each.unjudged))
            for corpus, each in sorted(entry.noise.items())
        )
        yield "Over changes nobody labelled", ("changes", "patches", "functions", "said", "wrong", "not judged"), rows
    if entry.mutation:
        rows = tuple(
            (operator, str(each.cuts), str(each.speak), str(each.silent_again))
            for operator, each in sorted(entry.mutation.items())
        )
        yield (
            "With a check taken out of correct functions",
            ("taken out", "cuts", "found", "silent with it again"),
            rows,
        )


def _score(score: Score) -> tuple[str, ...]:
    counts = tuple(str(each) for each in (score.tp, score.fp, score.fn, score.tn))
    return (*counts, share(score.precision), share(score.recall), interval(score.recall_interval))
