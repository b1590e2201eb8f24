"""What a rule says about itself: its docstring in parts, and the page made of it. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from msgspec import Struct

from lorelint.rule.door import Need, Rule

SEES = "What it sees"
HURTS = "Why it hurts"
SILENT = "When it is silent"
INSTEAD = "Do this instead"
REFERENCES = "References"
HEADINGS = (SEES, HURTS, SILENT, INSTEAD, REFERENCES)

_WIDTH = 80


class RuleDoc(Struct, frozen=True):
    """The parts of a rule's docstring; paragraphs are separated by an empty line, lists keep their lines."""

    name: str
    summary: str
    sees: str
    hurts: str
    silent: str
    instead: str
    references: str


def sections(docstring: str) -> dict[str, str]:
    """Text under each heading; the text before the first one is under "".

    A heading begins its line without indentation; what it says follows on the same line, or indented below.
    """
    found: dict[str, list[str]] = {"": []}
    here = ""
    lines = docstring.strip("\n").splitlines()
    indent = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    for number, line in enumerate(lines):
        line = line[indent:] if number and not line[:indent].strip() else line
        heading = next((each for each in HEADINGS if _begins(line, each)), None)
        if heading is None:
            found[here].append(line)
            continue
        here = heading
        found.setdefault(here, []).append(" " * 24 + line[len(heading) :].lstrip(": "))
    return {heading: _paragraphs(text) for heading, text in found.items()}


def _begins(line: str, heading: str) -> bool:
    rest = line[len(heading) :]
    return line.startswith(heading) and (not rest.strip() or rest.startswith((":", "  ")))


def _paragraphs(lines: list[str]) -> str:
    """Lines of a paragraph joined; lines that begin with ``-`` or ``*`` begin anew."""
    out: list[str] = []
    fresh = True
    for line in (line.strip() for line in lines):
        if not line:
            fresh = True
            continue
        item = line.startswith(("- ", "* "))
        if out and not fresh and not item:
            out[-1] = f"{out[-1]} {line}"
        else:
            out.append(line if item or not out or not fresh else f"\n{line}")
        fresh = False
    return "\n".join(out).strip()


def doc(rule: Rule) -> RuleDoc:
    """The docstring of a rule in parts; a part that is missing is empty."""
    told = sections(rule.doc)
    summary = told.get("", "")
    name, colon, rest = summary.partition(":")
    if colon and name.strip() == rule.name:
        summary = rest.strip()
    parts = (told.get(heading, "") for heading in HEADINGS)
    return RuleDoc(rule.name, summary, *parts)


def _filled(text: str) -> str:
    out = []
    for line in text.splitlines():
        hang = "  " if line.startswith(("- ", "* ")) else ""
        filled = textwrap.fill(
            line,
            _WIDTH,
            initial_indent="  ",
            subsequent_indent="  " + hang,
            break_long_words=False,
            break_on_hyphens=False,
        )
        out.append(filled)
    return "\n".join(out)


def explain(rule: Rule, evidence: Sequence[str] = (), limits: Sequence[str] = ()) -> str:
    """The page of a rule as text: what it is, the five headings, where it comes from, the example.

    evidence  what was measured of it, a sentence each
    limits    where it is known to be wrong, a sentence each
    """
    told = doc(rule)
    title = f"{rule.name}: {' '.join(told.summary.split())}"
    body = [textwrap.fill(title, _WIDTH, break_long_words=False, break_on_hyphens=False)]
    texts = (told.sees, told.hurts, told.silent, told.instead, told.references)
    body += [f"{heading}\n{_filled(text)}" for heading, text in zip(HEADINGS, texts, strict=True)]
    body.append(f"Stage\n  {rule.stage.value}, since {rule.since}, looks at {_looks(rule)}")
    for heading, sentences in (("Measured", evidence), ("Known limits", limits)):
        if sentences:
            body.append(f"{heading}\n" + "\n".join(_filled(f"- {each}") for each in sentences))
    if rule.example:
        body.append("Example\n" + "\n".join(f"    {line}".rstrip() for line in rule.example.rstrip("\n").splitlines()))
    return "\n\n".join(body) + "\n"


def _looks(rule: Rule) -> str:
    far = {Need.PATCH: "the patch alone", Need.FILE: "the whole file", Need.TREE: "the whole tree"}
    return far.get(rule.need, "calls across files")
