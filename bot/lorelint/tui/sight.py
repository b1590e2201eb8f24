"""A finding as lines of a terminal: what is so, the source with the path on it, the steps, what else is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct, field
from textual.content import Content

from lorelint.report.text import clean, cut, many, source, words, wrap
from lorelint.tui.office import FindingSight
from lorelint.tui.rows import day, fit, heading

PROSE = 110  # no prose is wider
LISTED = 12  # siblings and callers that are named
_GUTTER = 13  # columns before a line of source


class Shown(Struct):
    """Lines, and where each step of the path stands among them, in the order of the steps."""

    lines: list[Content] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)

    def add(self, text: str = "", style: str = "") -> None:
        self.lines.append(Content.styled(text, style) if style else Content(text))

    def prose(self, text: str, columns: int, first: str = "  ", rest: str = "  ", style: str = "") -> None:
        for each in wrap(text, min(columns, PROSE), first=first, rest=rest, split=True):
            self.add(each, style)


def shown(sight: FindingSight, columns: int, step: int = -1) -> Shown:
    """All of a finding. `step` is the one that is pointed at, -1 for none."""
    out = Shown()
    _head(out, sight, columns)
    steps: Sequence[dict[str, Any]] = sight.told.get("steps", ())
    places = _source(out, sight, steps, columns, step)
    _proof(out, steps, columns, step, places)
    _advice(out, sight.told, columns)
    _siblings(out, sight.told.get("siblings", ()), columns)
    _calls(out, sight, columns)
    _people(out, sight.told.get("raised", ()), columns)
    _history(out, sight, columns)
    return out


def _head(out: Shown, sight: FindingSight, columns: int) -> None:
    row = sight.row
    by = f" by {words(row.who)}, {day(row.changed_at)}" if row.who else ""
    until = f" until {row.snoozed_until[:10]}" if row.snoozed_until else ""
    out.add(cut(f"  {clean(row.rule)} ─ {row.state.value}{until}{by}", columns), "bold")
    if row.reason:
        out.prose(f"because: {row.reason}", columns, "    ", "    ")
    out.prose(row.message, columns)
    facts = [row.severity, f"confidence {row.confidence:.2f}", f"{row.grade} base", words(row.status)]
    facts += [f"in since v{row.since}"] if row.since and row.since != sight.series.version else []
    facts += [f"gone in v{row.fixed_in}"] if row.fixed_in else []
    out.prose(", ".join(facts), columns, style="$foreground 70%")
    if sight.told.get("because"):
        out.prose(f"judged again because {sight.told['because']}", columns, style="$foreground 70%")


def _source(
    out: Shown, sight: FindingSight, steps: Sequence[dict[str, Any]], columns: int, step: int
) -> dict[int, int]:
    """The pieces of source. Step -> its line among those that are shown."""
    at: dict[tuple[str, int], list[int]] = {}
    for number, each in enumerate(steps):
        at.setdefault((each["path"], each["line"]), []).append(number)
    places: dict[int, int] = {}
    for piece in sight.pieces:
        out.add()
        out.lines.append(heading(clean(piece["path"]), columns))
        last = 0
        for op, number, text in piece["lines"]:
            if number and last and number > last + 1:
                out.add(f"{'...':>10}", "$foreground 50%")
            last = number or last
            here = at.get((piece["path"], number), []) if number else []
            places |= dict.fromkeys(here, len(out.lines))
            itself = piece["path"] == sight.row.path and number == sight.row.line
            out.lines.append(_line(op, number, text, here, columns, itself, step in here))
    return places


def _line(op: str, number: int, text: str, steps: Sequence[int], columns: int, itself: bool, pointed: bool) -> Content:
    """``  2> 118 + text``: number of the step, of the line, and what the patch did."""
    mark = ",".join(str(each + 1) for each in steps)[:4]
    gutter = f"{mark:>4}{'>' if steps else ' '}{number or '':>5} {op} "
    code = cut(source(text), columns - _GUTTER)
    style = {"+": "$text-success", "-": "$text-error"}.get(op, "")
    if steps or itself:
        style = f"{style} bold".strip()
    back = " on $primary 35%" if pointed else " on $primary 18%" if steps or itself else ""
    whole = fit(code, columns - _GUTTER) if back else code
    edge = f"$text-accent{back}" if steps or itself else "$foreground 50%"
    return Content.assemble((gutter, edge), (whole, f"{style}{back}".strip()))


def _proof(out: Shown, steps: Sequence[dict[str, Any]], columns: int, step: int, places: dict[int, int]) -> None:
    """The steps in words. A step whose source is not shown is gone to here."""
    if not steps:
        return
    out.add()
    out.lines.append(heading("path", columns))
    for number, each in enumerate(steps):
        start = len(out.lines)
        head = f" {number + 1:>3}  "
        told = f"{clean(each['path'])}:{each['line']}  {words(each['text'])}"
        for line in wrap(told, min(columns, PROSE), first=head, rest="      ", split=True):
            out.add(*((fit(line, columns), "bold on $primary 35%") if number == step else (line,)))
        out.steps.append(places.get(number, start))


def _advice(out: Shown, told: dict[str, Any], columns: int) -> None:
    parts = [*told.get("facts", ()), told.get("advice", ""), told.get("ask", "")]
    if any(parts):
        out.add()
        out.lines.append(heading("what to know", columns))
        for each in filter(None, parts):
            out.prose(each, columns)


def _siblings(out: Shown, siblings: Sequence[dict[str, Any]], columns: int) -> None:
    if not siblings:
        return
    out.add()
    out.lines.append(heading("elsewhere in the tree", columns))
    for each in siblings[:LISTED]:
        out.prose(f"{each['path']}:{each['line']} {each['function']}(): {each['text']}", columns, rest="      ")
    if len(siblings) > LISTED:
        out.add(f"  and {many(len(siblings) - LISTED, 'more place')}")


def _calls(out: Shown, sight: FindingSight, columns: int) -> None:
    """Who calls the function and whom it calls, in words."""
    lines = list(_edges(sight))
    if not lines:
        return
    out.add()
    out.lines.append(heading("calls", columns))
    for each in lines:
        out.prose(each, columns, rest="      ")


def _edges(sight: FindingSight) -> Iterator[str]:
    graph = sight.graph or {}
    names = {node["id"]: node["name"] for node in graph.get("nodes", ())}
    own = {key for key, name in names.items() if name == sight.row.function}
    edges = [(each["source"], each["target"]) for each in graph.get("edges", ())]
    callers = list(dict.fromkeys(names.get(a, "") for a, b in edges if b in own and a not in own))
    callees = list(dict.fromkeys(names.get(b, "") for a, b in edges if a in own and b not in own))
    for told, found in (("called by", callers), ("calls", callees)):
        if found:
            more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
            yield f"{told} {', '.join(f'{words(each)}()' for each in found[:LISTED])}{more}"


def _people(out: Shown, raised: Sequence[dict[str, Any]], columns: int) -> None:
    if not raised:
        return
    out.add()
    out.lines.append(heading("a person said it", columns))
    for each in raised:
        sure = "" if each.get("sure") else " (perhaps)"
        out.prose(f"{each['name']}{sure}: {', '.join(each.get('words', ()))} <{each['in']}>", columns, rest="      ")


def _history(out: Shown, sight: FindingSight, columns: int) -> None:
    if not sight.history:
        return
    out.add()
    out.lines.append(heading("what was decided", columns))
    for each in sight.history:
        undone = f" (taken back by {words(each.undone)})" if each.undone else ""
        reason = f": {each.reason}" if each.reason else ""
        out.prose(f"{each.at[:10]} {words(each.who)} {each.move}{reason}{undone}", columns, rest="      ")
