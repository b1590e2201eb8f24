"""What persons made of findings: files of facts, from which a measurement takes its right and wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from lorelint.model.errors import LorelintError
from lorelint.model.measurement import SPOKEN, VERDICTS, Judgement, Noise, Spoken


def judgements(text: str, where: str = "judgements") -> tuple[Judgement, ...]:
    """Read judgements: ``{"rule", "tree", "path", "function", "line", "verdict", "reason"}`` a line.

    Raises LorelintError with the line that is none.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(_judgement(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"no judgement: {type(error).__name__}: {error}"
            remedy = f"one JSON object a line; the verdict is one of {', '.join(VERDICTS)}"
            raise LorelintError(what, where=f"{where}:{number}", remedy=remedy) from error
    return tuple(found)


def _judgement(raw: Mapping[str, object]) -> Judgement:
    if raw["verdict"] not in VERDICTS:
        raise ValueError(f"verdict is {raw['verdict']!r}")
    if not raw.get("reason"):
        raise ValueError("no reason is given")
    line = raw.get("line") or 0
    if not isinstance(line, int):
        raise TypeError("line is no number")
    rule, tree, path, function = (str(raw[key]) for key in ("rule", "tree", "path", "function"))
    return Judgement(rule, tree, path, function, line, str(raw["verdict"]), str(raw["reason"]))


def judged(noise: Noise, known: Iterable[Judgement]) -> Noise:
    """The same with the verdicts of persons on each finding, where they are about this tree."""
    by_place: dict[tuple[str, str, str], list[Judgement]] = {}
    for each in known:
        if each.verdict in SPOKEN and each.tree == noise.tree:
            by_place.setdefault((each.rule, each.path, each.function), []).append(each)
    spoken = tuple(_with(each, by_place.get((each.rule, each.path, each.function), ())) for each in noise.spoken)
    return replace(noise, spoken=spoken)


def _with(spoken: Spoken, said: Sequence[Judgement]) -> Spoken:
    """A judgement of that line, else one of the function as long as all of them agree."""
    exact = [each for each in said if each.line == spoken.line] or list(said)
    if len({each.verdict for each in exact}) != 1:
        return spoken
    return replace(spoken, verdict=exact[0].verdict, reason=exact[0].reason)
