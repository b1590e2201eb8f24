"""HTML that is escaped by construction: text is text, and markup is only what `tag` makes."""

from __future__ import annotations

import html

from lorelint.model.regex import regex
from lorelint.report.text import clean


class Html(str):
    """Markup. Any other string is text, and is escaped where it is put into markup."""

    __slots__ = ()


def escaped(content: object) -> Html:
    """Text as markup; control characters are shown, not obeyed. Markup stays as it is."""
    if isinstance(content, Html):
        return content
    shown = "\n".join(clean(line, tabs=True) for line in str(content).split("\n"))
    return Html(html.escape(shown, quote=True))


def tag(name: str, /, *content: object, **attributes: str) -> Html:
    """An element. An attribute ``cls`` is ``class``; underscores in names are hyphens."""
    named = {("class" if key == "cls" else key.replace("_", "-")): value for key, value in attributes.items()}
    told = "".join(f' {key}="{escaped(value)}"' for key, value in named.items() if value)
    if name in ("meta", "link", "br", "img"):
        return Html(f"<{name}{told}>")
    return Html(f"<{name}{told}>{''.join(map(escaped, content))}</{name}>")


def join(*content: object) -> Html:
    return Html("".join(map(escaped, content)))


_CODE = regex(r"`([^`\n]+)`")


def words(text: str) -> Html:
    """A sentence in which `this` is code."""
    parts = _CODE.split(text)
    return join(*(tag("code", part) if place % 2 else part for place, part in enumerate(parts)))


def prose(text: str) -> Html:
    """Paragraphs and lists as the docstrings of rules have them: a line each, lists by ``-`` or ``*``."""
    out: list[Html] = []
    items: list[Html] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith(("- ", "* ")):
            items.append(tag("li", words(line[2:])))
            continue
        if items:
            out.append(tag("ul", *items))
            items = []
        if line.strip():
            out.append(tag("p", words(line)))
    return join(*out)
