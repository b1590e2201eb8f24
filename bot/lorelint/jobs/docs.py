"""The site: pages about the rules, made from them, their ledger, and what persons judged; and pages that are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lorelint.kernel.load import known_versions
from lorelint.model.measurement import WRONG, Judgement
from lorelint.report.site import RulePage, Table, TextPage, site
from lorelint.rule.door import Need, Rule
from lorelint.rule.explain import HEADINGS, doc
from lorelint.rule.figures import brief, tables, towards
from lorelint.rule.ledger import Entry

_FAR = {
    Need.PATCH: "the patch alone",
    Need.FILE: "the whole file",
    Need.TREE: "the whole tree",
    Need.CALLS: "calls across files",
}


def docs(
    rules: Sequence[Rule],
    ledger: Mapping[str, Entry],
    judgements: Iterable[Judgement],
    version: str,
    texts: Sequence[TextPage] = (),
    pictures: Mapping[str, str] = {},
) -> dict[str, str]:
    """All files of the site by name: rules, and the pages and pictures that are given."""
    said = tuple(judgements)
    pages = [page(rule, ledger.get(rule.name), [each for each in said if each.rule == rule.name]) for rule in rules]
    return site(pages, version, texts, pictures)


def page(rule: Rule, entry: Entry | None, said: Sequence[Judgement] = ()) -> RulePage:
    """What is told of one rule."""
    told = doc(rule)
    texts = (told.sees, told.hurts, told.silent, told.instead, told.references)
    return RulePage(
        name=rule.name,
        family=rule.module.split(".")[-2] if rule.module.count(".") else "",
        stage=rule.stage.value,
        summary=" ".join(told.summary.split()),
        headings=tuple(zip(HEADINGS, texts, strict=True)),
        versions=_versions(rule),
        example=rule.example,
        figures=() if entry is None else tuple(Table(*each) for each in tables(entry)),
        limits=_limits(entry, said),
        lacking=towards(rule.stage, entry),
        brief=brief(entry),
    )


def _versions(rule: Rule) -> tuple[tuple[str, str], ...]:
    first, last = (".".join(map(str, version)) for version in (known_versions()[0], known_versions()[-1]))
    return (
        ("since", f"lorelint {rule.since}"),
        ("kernels", f"its lists of APIs are by version, {first} to {last}"),
        ("looks at", _FAR[rule.need]),
        ("ask", f"`lorelint scan DIR --rule {rule.name}`, `lorelint why-not {rule.name} FUNCTION`"),
    )


def _limits(entry: Entry | None, said: Sequence[Judgement]) -> tuple[str, ...]:
    """Labels it gets wrong, and places where a person found it wrong."""
    found = [] if entry is None else [f"a label it gets wrong: {each}" for each in entry.wrong]
    for verdict, what in ((WRONG, "speaks wrongly"), ("missed", "is silent and should speak")):
        for each in sorted(said, key=lambda one: (one.path, one.line)):
            if each.verdict == verdict:
                found.append(f"{what} of `{each.function}()` in `{each.path}` ({each.tree}): {each.reason}")
    return tuple(found)
