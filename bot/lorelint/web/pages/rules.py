"""The rules: what each says, what was measured of it, what persons made of it here."""

from __future__ import annotations

from starlette.responses import Response

from lorelint.web.source import coloured
from lorelint.web.visit import NotFound, Visit

MONTHS = 12  # of verdicts that are drawn


def index(visit: Visit) -> Response:
    """All rules by family, with what is found of each."""
    pages = visit.outpost.rule_pages()
    families: dict[str, list[object]] = {}
    for page in pages.values():
        families.setdefault(page.family, []).append(page)
    with visit.look() as session:
        counts = {count.value: count for count in session.queue.counts("rule")}
        return visit.show(session, "rules.html", families=families, counts=counts)


def show(visit: Visit) -> Response:
    """One rule."""
    page = visit.outpost.rule_pages().get(visit.names["name"])
    if page is None:
        raise NotFound
    with visit.look() as session:
        states = dict(session.queue.of_rule(page.name))
        trend = session.sights.trend(page.name)
        right, wrong = sum(each.right for each in trend), sum(each.wrong for each in trend)
        trend = trend[-MONTHS:]
        return visit.show(
            session,
            "rule.html",
            page=page,
            states=sorted(states.items(), key=lambda each: -each[1]),
            right=right,
            wrong=wrong,
            share=right / (right + wrong) if right + wrong else None,
            trend=trend,
            most=max((each.right + each.wrong for each in trend), default=1),
            said=session.sights.said_of(page.name),
            latest=session.queue.latest(page.name),
            example=_example(page.example),
        )


def _example(text: str) -> list[tuple[str, object]]:
    """A whole-file diff, as (kind, code)."""
    lines = text.rstrip("\n").split("\n") if text else []
    kinds = []
    for line in lines:
        head = line.startswith(("--- ", "+++ ", "# ", "@@"))
        kinds.append("meta" if head else {"+": "add", "-": "cut"}.get(line[:1], "same"))
    code = iter(coloured(tuple(line[1:] for line, kind in zip(lines, kinds, strict=True) if kind != "meta")))
    return [(kind, line if kind == "meta" else next(code)) for line, kind in zip(lines, kinds, strict=True)]
