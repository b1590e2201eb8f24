"""What became of labelled concerns, as a table and as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import to_builtins

from lorelint.model.comment import Role
from lorelint.model.stated import Heard, Hearing, Near
from lorelint.report.text import clean, cut, many


def to_json(hearing: Hearing) -> dict[str, Any]:
    """``concerns``: each label and what became of it; ``bases``: the tree of each thread; ``total``: counts."""
    return {
        "bases": [to_builtins(each) for each in hearing.bases],
        "concerns": [
            {
                "id": each.stated.id,
                "thread": each.stated.thread,
                "patch": each.patch,
                "path": each.stated.path,
                "function": each.stated.function,
                "kind": each.stated.kind,
                "visible": each.stated.visible,
                "needs": each.stated.needs,
                "rules": list(each.stated.rules),
                "found": each.found,
                "why": each.why,
                "anchored": each.near.value,
                "role": each.role,
                "raised": list(each.raised),
            }
            for each in hearing.heard
        ],
        "total": _total(hearing.heard),
    }


def _total(heard: Sequence[Heard]) -> dict[str, Any]:
    near = Counter(each.near for each in heard)
    found = [each for each in heard if each.found]
    return {
        "concerns": len(heard),
        "visible": sum(each.stated.visible for each in heard),
        "with_rule": sum(bool(each.stated.rules) for each in heard),
        "found": len(found),
        "not_found": dict(_missed(heard)),
        "found_and_linked": sum(_linked(each, sure=False) for each in found),
        "found_and_surely_linked": sum(_linked(each, sure=True) for each in found),
        "anchored": {each.value: near[each] for each in Near},
    }


def _linked(heard: Heard, *, sure: bool) -> bool:
    """Whether the comment was linked to a finding of a rule that its label names."""
    marks = ("",) if sure else ("", "?")
    return any(f"{rule}{mark}" in heard.raised for rule in heard.stated.rules for mark in marks)


def render(hearing: Hearing, columns: int = 100) -> str:
    """A line for each concern with the reason below it, the bases, the counts."""
    lines = [f"{'concern':8} {'needs':5} {'found':5} {'anchored':8} {'linked':6} rules"]
    for each in hearing.heard:
        lines += _row(each, columns)
    lines += ["", "bases:"]
    for base in hearing.bases:
        where = f"{base.tree}, {base.grade}" if base.tree else "no tree"
        lines.append(f"  {clean(base.thread)}: {where}; {many(base.findings, 'finding')} of the series")
    lines += ["", *_counts(hearing.heard)]
    return "\n".join(lines) + "\n"


def _row(heard: Heard, columns: int) -> Iterator[str]:
    stated = heard.stated
    link = "yes" if _linked(heard, sure=True) else "unsure" if _linked(heard, sure=False) else "-"
    if heard.found and link == "-" and heard.role != Role.REVIEWER:
        link = heard.role or link  # authors and robots raise nothing
    found = "yes" if heard.found else "-"
    head = f"{clean(stated.id):8} {stated.needs or '?':5} {found:5} {heard.near.value:8} {link:6} "
    yield (head + (", ".join(stated.rules) or "-")).rstrip()
    yield cut(f"{'':9}{clean(heard.found or heard.why)}", columns)


def _counts(heard: Sequence[Heard]) -> Iterator[str]:
    total = _total(heard)
    yield (
        f"{many(total['concerns'], 'concern')}: {total['visible']} visible to a static rule, "
        f"{total['with_rule']} of them to one of the catalogue; found {total['found']}"
    )
    for why, count in _missed(heard):
        yield f"  not found: {count}, {why}"
    yield (
        f"of those found, linked to what was said: {total['found_and_linked']}"
        f" ({total['found_and_surely_linked']} surely)"
    )
    told = ", ".join(f"{count} {name}" for name, count in total["anchored"].items() if count)
    yield f"comments put at: {told} (of the place that the label names)"


def _missed(heard: Sequence[Heard]) -> list[tuple[str, int]]:
    """Why concerns with a rule were not found, most frequent first."""
    reasons = Counter(each.why.partition(":")[0] for each in heard if each.stated.rules and not each.found)
    return sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
