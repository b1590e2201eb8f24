"""The Markdown that our pages are written in, to markup: headings, paragraphs, lists, tables, code, links. Pure.

Not all of Markdown, and no markup in it: what is not one of these is text. A link to another page of the site becomes
one; a link to a file that is none is its text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from lorelint.model.regex import regex
from lorelint.report.page import Html, escaped, join, tag

_INLINE = regex(r"(`[^`\n]+`)|(!?)\[([^\]\n]*)\]\(([^)\s]+)\)|\*\*([^*\n]+)\*\*|(?<![\w*])\*([^*\s][^*\n]*)\*(?![\w*])")
_ITEM = regex(r"(?:[-*]|\d+\.) ")
_HEADING = regex(r"(#{1,4}) (.+)")


def title(text: str) -> str:
    """The first heading of a page, "" where it has none."""
    found = re.search(r"(?m)^# (.+)$", text)
    return found[1].strip() if found else ""


def slug(heading: str) -> str:
    """What a heading is called in a link to it."""
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


def render(text: str, files: Collection[str] = ()) -> Html:
    """A page. `files` are those of the site that it may link to, as `author.html`."""
    return join(*_Page(text.split("\n"), files).blocks())


class _Page:
    """One page, read from its top to its end."""

    def __init__(self, lines: Sequence[str], files: Collection[str]) -> None:
        self.lines = lines
        self.files = files
        self.at = 0

    def blocks(self) -> Iterator[Html]:
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if not line.strip():
                self.at += 1
            elif line.startswith("```"):
                yield self._code()
            elif match := _HEADING.fullmatch(line):
                self.at += 1
                level, words = len(match[1]), match[2].strip()
                yield tag(f"h{level}", self.inline(words), id=slug(words))
            elif line.startswith("|"):
                yield self._table()
            elif _ITEM.match(line):
                yield self._list()
            else:
                yield tag("p", self.inline(" ".join(self._while(lambda each: not _starts(each)))))

    def _while(self, goes_on: object) -> list[str]:
        """Lines up to a blank one, or one that `goes_on` says no to; the first in any case."""
        found = [self.lines[self.at].strip()]
        self.at += 1
        while self.at < len(self.lines) and self.lines[self.at].strip() and goes_on(self.lines[self.at]):  # type: ignore[operator]
            found.append(self.lines[self.at].strip())
            self.at += 1
        return found

    def _code(self) -> Html:
        self.at += 1
        start = self.at
        while self.at < len(self.lines) and not self.lines[self.at].startswith("```"):
            self.at += 1
        text = "\n".join(self.lines[start : self.at])
        self.at += 1
        return tag("pre", tag("code", text), cls="plain", tabindex="0")

    def _list(self) -> Html:
        items: list[Html] = []
        numbered = self.lines[self.at][0].isdigit()
        while self.at < len(self.lines) and _ITEM.match(self.lines[self.at]):
            first, *rest = self._while(lambda each: each.startswith(" "))
            items.append(tag("li", self.inline(" ".join([_ITEM.sub("", first, count=1), *rest]))))
        return tag("ol" if numbered else "ul", *items)

    def _table(self) -> Html:
        rows = [_cells(line) for line in self._while(lambda each: each.startswith("|"))]
        marked = len(rows) > 1 and all(re.fullmatch(r":?-+:?", cell) for cell in rows[1])
        head, body = (rows[0], rows[2:]) if marked else ([], rows)
        top = (
            [tag("thead", tag("tr", *(tag("th", self.inline(cell), scope="col") for cell in head)))]
            if any(head)
            else []
        )
        made = [tag("tr", *(tag("td", self.inline(cell)) for cell in row)) for row in body]
        return tag(
            "div", tag("table", *top, tag("tbody", *made), cls="told"), cls="scroll", tabindex="0", role="region"
        )

    def inline(self, text: str) -> Html:
        parts: list[Html] = []
        at = 0
        for match in _INLINE.finditer(text):
            parts.append(escaped(text[at : match.start()]))
            code, picture, words, target, strong, stressed = match.groups()
            if code:
                parts.append(tag("code", code[1:-1]))
            elif strong:
                parts.append(tag("strong", strong))
            elif stressed:
                parts.append(tag("em", stressed))
            else:
                parts.append(self._link(words, target, bool(picture)))
            at = match.end()
        return join(*parts, escaped(text[at:]))

    def _link(self, words: str, target: str, picture: bool) -> Html:
        file, _, part = target.partition("#")
        name = file.rpartition("/")[2]
        page = re.sub(r"\.md$", ".html", name).lower()
        if picture:
            return tag("img", src=name, alt=words) if name in self.files else escaped(words)
        if re.match(r"https?://", target):
            return tag("a", words, href=target)
        if page in self.files or not file:
            return tag("a", words, href=page + (f"#{part}" if part else ""))
        return tag("code", words)


def _starts(line: str) -> bool:
    """Whether something other than a paragraph begins."""
    return line.startswith(("```", "|")) or _ITEM.match(line) is not None or _HEADING.fullmatch(line) is not None


def _cells(line: str) -> list[str]:
    """Of a row; a bar in code is no end of a cell where it is escaped."""
    inner = line.strip().strip("|").replace("\\|", "\0")
    return [cell.strip().replace("\0", "|") for cell in inner.split("|")]
