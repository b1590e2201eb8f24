"""The site: guides and reference as they are given, a page for each rule, an index. Plain HTML, no script. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources

from msgspec import Struct

from lorelint.model.regex import regex
from lorelint.report.markdown import render, title
from lorelint.report.page import Html, escaped, join, prose, tag, words

FAMILIES: Mapping[str, str] = {
    "retry": "Loops that try again",
    "abi": "What user space is told",
    "vma": "Looking up a VMA",
    "pfn": "PFNs without a lifetime",
    "revoke": "Taking memory away",
    "mmap": "Handing memory out",
    "gup": "Pinned pages",
    "dmabuf": "dma-buf",
}
STAGES = {
    "list": "may be mailed",
    "queue": "shown to a maintainer",
    "trial": "asked by name only",
}
_WANT = regex(r"(/\*\s*want:.*?\*/)")


class Table(Struct, frozen=True):
    """Figures: a title, the heads of the columns, the rows."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


class RulePage(Struct, frozen=True):
    """What the page of one rule tells.

    headings  (heading, text) in order: what it sees, why it hurts, ...
    versions  (what, text): since when, which kernels, how far it looks
    figures   what was measured
    limits    where it is known to be wrong, a sentence each
    lacking   what keeps it from the next stage
    """

    name: str
    family: str
    stage: str
    summary: str
    headings: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    example: str
    figures: tuple[Table, ...] = ()
    limits: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    brief: str = ""  # the figures in a few words, for the index


class TextPage(Struct, frozen=True):
    """A page that is written, or made from what the code says: Markdown. `name` is that of its file."""

    name: str
    group: str
    text: str


def site(
    pages: Sequence[RulePage], version: str, texts: Sequence[TextPage] = (), pictures: Mapping[str, str] = {}
) -> dict[str, str]:
    """All files of the site by name, in order. `pictures`: name -> SVG that pages show."""
    ordered = sorted(pages, key=lambda page: (_rank(page.family), page.family, page.name))
    names = {
        "index.html",
        *pictures,
        *(f"{each.name}.html" for each in ordered),
        *(f"{each.name}.html" for each in texts),
    }
    made = {"index": ("Rules", _index(ordered, texts)), **{page.name: (page.name, _page(page)) for page in ordered}}
    made |= {each.name: (title(each.text), render(each.text, names)) for each in texts}
    files = {
        f"{name}.html": _document(head, body, _nav(ordered, texts, name), version)
        for name, (head, body) in made.items()
    }
    files |= pictures
    files["style.css"] = resources.files("lorelint.report").joinpath("site.css").read_text("utf-8")
    return files


def _rank(family: str) -> int:
    known = list(FAMILIES)
    return known.index(family) if family in known else len(known)


def _families(pages: Sequence[RulePage]) -> Iterator[tuple[str, list[RulePage]]]:
    for family in dict.fromkeys(page.family for page in pages):
        yield family, [page for page in pages if page.family == family]


def _document(title: str, body: Html, nav: Html, version: str) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} - lorelint"),
        tag("link", rel="stylesheet", href="style.css"),
    )
    foot = tag("footer", f"Made by lorelint docs. {version}")
    skip = tag("a", "To the text", href="#text", cls="skip")
    whole = tag("body", skip, nav, tag("main", body, foot, id="text"))
    return f"<!doctype html>\n{tag('html', head, whole, lang='en')}\n"


def _nav(pages: Sequence[RulePage], texts: Sequence[TextPage], here: str) -> Html:
    """Guides, reference, and the rules by family; on a phone it is folded away."""
    groups = [(group, [(each.name, title(each.text)) for each in members]) for group, members in _groups(texts)]
    groups += [(FAMILIES.get(family, family), [(page.name,) * 2 for page in of]) for family, of in _families(pages)]
    parts: list[Html] = []
    for group, members in groups:
        links = []
        for name, shown in members:
            current = {"aria_current": "page"} if name == here else {}
            links.append(tag("li", tag("a", shown, href=f"{name}.html", **current)))
        parts.append(tag("li", tag("span", group), tag("ul", *links)))
    home = tag("a", "lorelint", tag("small", "pages" if texts else "rules"), href="index.html", cls="home")
    folded = tag("details", tag("summary", "All pages"), tag("ul", *parts))
    return tag("nav", home, folded, tag("ul", *parts, cls="wide"), aria_label="Pages")


def _groups(texts: Sequence[TextPage]) -> Iterator[tuple[str, list[TextPage]]]:
    for group in dict.fromkeys(each.group for each in texts):
        yield group, [each for each in texts if each.group == group]


def _stage(stage: str) -> Html:
    return tag("span", stage, cls=f"stage {stage}", title=STAGES.get(stage, ""))


def _index(pages: Sequence[RulePage], texts: Sequence[TextPage]) -> Html:
    lead = (
        "What lorelint looks for in kernel patches: defects in memory that user space and devices share. A rule goes "
        "as far as its evidence carries it."
    )
    stages = [tag("li", _stage(stage), f" {told}") for stage, told in STAGES.items()]
    parts = []
    for group, those in _groups(texts):
        links = [tag("li", tag("a", title(each.text), href=f"{each.name}.html")) for each in those]
        parts.append(tag("section", tag("h2", group), tag("ul", *links)))
    parts = [tag("h1", "Rules"), tag("p", lead, cls="lead"), *parts, tag("ul", *stages, cls="stages")]
    for family, members in _families(pages):
        cards = []
        for page in members:
            link = tag("a", page.name, href=f"{page.name}.html")
            brief = tag("p", page.brief, cls="brief") if page.brief else Html("")
            cards.append(tag("li", tag("h3", link, _stage(page.stage)), tag("p", words(page.summary)), brief))
        parts.append(tag("section", tag("h2", FAMILIES.get(family, family)), tag("ul", *cards, cls="cards")))
    return join(*parts)


def _page(page: RulePage) -> Html:
    facts = [join(tag("dt", name), tag("dd", words(text))) for name, text in page.versions]
    parts = [
        tag("p", tag("a", FAMILIES.get(page.family, page.family), href="index.html"), cls="crumb"),
        tag("h1", page.name, _stage(page.stage)),
        tag("p", words(page.summary), cls="lead"),
        tag("dl", *facts),
    ]
    parts += [tag("section", tag("h2", heading), prose(text)) for heading, text in page.headings if text]
    if page.example:
        told = "What must be found is marked; every other line must stay silent."
        parts.append(tag("section", tag("h2", "Example"), tag("p", told), _diff(page.example)))
    parts.append(tag("section", tag("h2", "Measured"), *_measured(page)))
    if page.limits:
        limits = [tag("li", words(each)) for each in page.limits]
        parts.append(tag("section", tag("h2", "Known limits"), tag("ul", *limits)))
    return join(*parts)


def _measured(page: RulePage) -> Iterator[Html]:
    if not page.figures:
        yield tag("p", "Nothing was measured yet.")
    for table in page.figures:
        heads = tag("tr", *(tag("th", head, scope="col") for head in table.heads))
        rows = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in table.rows]
        caption = tag("caption", table.title)
        made = tag("table", caption, tag("thead", heads), tag("tbody", *rows))
        yield tag("div", made, cls="scroll", tabindex="0", role="region", aria_label=table.title)
        if table.note:
            yield tag("p", table.note, cls="note")
    if page.lacking:
        yield tag("ul", *(tag("li", each) for each in page.lacking))


def _diff(text: str) -> Html:
    """A whole-file diff, each line by its kind."""
    lines = []
    for line in text.rstrip("\n").split("\n"):
        kind = "file" if line.startswith(("--- ", "+++ ", "# ")) else {"+": "add", "-": "del"}.get(line[:1], "")
        parts = [tag("mark", part) if place % 2 else escaped(part) for place, part in enumerate(_WANT.split(line))]
        lines.append(tag("span", *parts, cls=kind) if kind else tag("span", *parts))
    return tag("pre", tag("code", Html("\n".join(lines))), cls="diff", tabindex="0", aria_label="Example")
