"""The pages about the rules: whole, linked, escaped, and the same every time."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace

from lorelint.jobs.docs import docs
from lorelint.model.measurement import Judgement, Score
from lorelint.report.page import Html, prose, tag, words
from lorelint.report.site import FAMILIES, RulePage, Table, site
from lorelint.rule.ledger import CutOut, Entry, Heard
from lorelint.rule.packs import load

VOID = {"meta", "link", "br", "img"}
PAGE = RulePage(
    name="some-defect",
    family="retry",
    stage="trial",
    summary="a <loop> of `x & y`",
    headings=(("What it sees", "one\n- a <b>\n- `c`\ntwo"), ("Why it hurts", "")),
    versions=(("since", "0.1"),),
    example="--- a/x.c\n+++ b/x.c\n int f(void)\n+\tif (a < b) /* want: <loop> */\n-\told();\n",
    figures=(Table("T", ("a", "b"), (("<r>", "1"),), "note"),),
    limits=("speaks wrongly of `f()`",),
    lacking=("nothing was measured",),
)


class Checker(HTMLParser):
    """Every element is closed where it must be; links, ids and scripts are noted."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        assert tag != "script" and not any(key.startswith("on") for key in named), tag
        self.links += [value for key in ("href", "src") if (value := named.get(key))]
        self.ids += [value] if (value := named.get("id")) else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def checked(text: str) -> Checker:
    found = Checker()
    found.feed(text)
    found.close()
    assert not found.open and len(found.ids) == len(set(found.ids))
    return found


def test_text_is_escaped_and_markup_is_made() -> None:
    assert tag("p", "<b>", Html("<i></i>"), title='"x"') == '<p title="&quot;x&quot;">&lt;b&gt;<i></i></p>'
    assert words("a `b<c` d") == "a <code>b&lt;c</code> d"
    assert "\x1b" not in tag("p", "\x1b[31mred") and "\u202e" not in tag("p", "\u202eodd")
    assert prose("one\n- a\n- b\ntwo") == "<p>one</p><ul><li>a</li><li>b</li></ul><p>two</p>"


def test_a_page_holds_all_that_is_known() -> None:
    files = site([PAGE], "lorelint 0.1")
    found = checked(files["some-defect.html"])
    for told in ("a <loop> of x & y", "What it sees", "a <b>", "speaks wrongly of f()", "nothing was measured", "note"):
        assert told in found.text, told
    assert "Why it hurts" not in found.text, "a heading without text is left out"
    assert (
        '<span class="add">+\tif (a &lt; b) <mark>/* want: &lt;loop&gt; */</mark></span>' in files["some-defect.html"]
    )
    assert '<span class="del">' in files["some-defect.html"]


def test_nothing_from_elsewhere_is_loaded() -> None:
    for name, text in site([PAGE], "v").items():
        assert "http:" not in text and "https:" not in text and "url(" not in text and "@import" not in text, name


def test_all_rules_have_a_page_and_every_link_leads_somewhere() -> None:
    rules = load()
    files = docs(rules, {}, (), "lorelint 0.1")
    assert set(files) == {"index.html", "style.css", *(f"{rule.name}.html" for rule in rules)}
    for name, text in files.items():
        if name.endswith(".html"):
            found = checked(text)
            local = {link.partition("#")[0] for link in found.links} - {""}
            assert local <= set(files), name
            assert all(link[1:] in found.ids for link in found.links if link.startswith("#"))
    assert files == docs(tuple(reversed(rules)), {}, (), "lorelint 0.1"), "in whatever order they come"


def test_every_family_of_ours_has_a_title() -> None:
    families = {rule.module.split(".")[-2] for rule in load() if rule.module.startswith("lorelint_rules.")}
    assert families <= set(FAMILIES)


def test_figures_and_judgements_are_shown() -> None:
    rule = replace(load(["unbounded-retry"])[0])
    entry = Entry(
        rule.name,
        real=Score(tp=9, fn=1),
        wrong=("r-1 fn: a.c g(): why",),
        sweep={"t": {"true": 3, "false": 1}},
        noise={"post": Heard(1200, 90, 2, 1, 0)},
        mutation={"yield": CutOut(4, 3, 4)},
    )
    said = (
        Judgement(rule.name, "t", "a.c", "f", 1, "false", "it ends"),
        Judgement(rule.name, "t", "b.c", "h", 1, "missed", "no bound"),
        Judgement("another", "t", "c.c", "k", 1, "false", "no"),
    )
    text = checked(docs([rule], {rule.name: entry}, said, "v")[f"{rule.name}.html"]).text
    for told in ("90%", "60% to 98%", "1,200", "speaks wrongly of f()", "is silent and should speak of h()", "r-1 fn"):
        assert told in text, told
    assert "k()" not in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: str) -> None:
    """Contrast by WCAG 2: 4.5 for text, 7 for what is read at length."""
    css = site([PAGE], "v")["style.css"]
    blocks = re.findall(r":root \{([^}]*)\}", css)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[0 if scheme == "light" else 1]))
    assert contrast(colours["ink"], colours["ground"]) >= 7 and contrast(colours["ink"], colours["paper"]) >= 7
    for front in ("soft", "link", "list", "queue", "trial"):
        assert contrast(colours[front], colours["ground"]) >= 4.5, front
        assert contrast(colours[front], colours["paper"]) >= 4.5, front
    for name in ("add", "del", "mark"):
        assert contrast(colours[f"{name}-ink"], colours[name]) >= 4.5, name


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
