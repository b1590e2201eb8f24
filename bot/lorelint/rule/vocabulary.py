"""What a person calls the defect of a rule, and whether some text does so. Pure.

A pack brings the words in ``words.toml`` beside its modules, a table for each rule with ``names`` and ``near``; a rule
may bring its own. One that brings none has words made of its name, its docstring and its tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import tomli
from msgspec import Struct

from lorelint.model.regex import regex
from lorelint.rule.door import Rule, Vocabulary
from lorelint.rule.explain import INSTEAD, SEES, sections

HINT = 2  # different words that go with a defect, in one paragraph, which hint at it

_WORD = regex(r"[a-z0-9_]+")
_PHRASE = regex(r"[a-z0-9_]+\*?")
_API = regex(r"\b[A-Za-z]\w*_\w+\b")
_DULL = frozenset("missing without before after check wrong some that with from into than then this must never".split())


class Met(Struct, frozen=True):
    """Words of a vocabulary that a text holds; `named`: they name the defect, else they hint at it."""

    named: bool
    words: tuple[str, ...]


def met(words: Vocabulary, text: str, also: Sequence[str] = ()) -> Met | None:
    """What of a vocabulary a text holds; None where that is not even a hint.

    also  further words that go with the defect: the API or object a finding is about
    """
    around = tuple(dict.fromkeys((*words.near, *also)))
    named: dict[str, None] = {}
    best: tuple[str, ...] = ()
    for paragraph in re.split(r"\n\s*\n", text):
        spoken = " ".join(_WORD.findall(paragraph.lower()))
        named.update((phrase, None) for phrase, _ in _said(spoken, words.names))
        near = {phrase for phrase, _ in _said(spoken, around)}  # a word counts for the first phrase that it meets
        best = max(best, tuple(phrase for phrase in around if phrase in near), key=len)
    if named:
        return Met(True, tuple(named))
    return Met(False, best) if len(best) >= HINT else None


def _said(spoken: str, phrases: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each place where the words of a phrase follow one another, with what was said there, from left to right."""
    form = _form(phrases)
    for found in form.finditer(spoken) if form else ():
        yield phrases[(found.lastindex or 1) - 1], found.group()


@lru_cache(maxsize=256)
def _form(phrases: tuple[str, ...]) -> re.Pattern[str] | None:
    """One expression for all phrases, each a group: a text is gone through once, however many there are."""
    forms = [" ".join(_PHRASE.findall(phrase.lower())).replace("*", "[a-z0-9_]*") or "(?!)" for phrase in phrases]
    return re.compile(rf"(?<!\S)(?:{'|'.join(f'({form})' for form in forms)})(?!\S)") if forms else None


def read_words(text: str) -> dict[str, Vocabulary]:
    """The words of a pack's rules. Raises ValueError with what is wrong."""
    found: dict[str, Vocabulary] = {}
    for rule, table in tomli.loads(text).items():
        if not isinstance(table, dict) or set(table) - {"names", "near"}:
            raise ValueError(f"[{rule}] is to hold names and near, nothing else")
        for key, value in table.items():
            if not isinstance(value, list) or not all(isinstance(each, str) and _WORD.search(each) for each in value):
                raise ValueError(f"{rule}.{key} is to be a list of words")
        found[rule] = Vocabulary(tuple(table.get("names", ())), tuple(table.get("near", ())))
    return found


def derived(rule: Rule) -> Vocabulary:
    """Words for a rule that brings none: its name names it, and what goes with it are the parts of that and APIs."""
    parts = [part for part in rule.name.split("-") if len(part) > 3 and part not in _DULL]
    return Vocabulary((rule.name,), tuple(dict.fromkeys([*(f"{part}*" for part in parts), *_apis(rule)])))


def _apis(rule: Rule) -> Iterator[str]:
    told = sections(rule.doc)
    for text in (told.get(SEES, ""), told.get(INSTEAD, "")):
        yield from (each.lower() for each in _API.findall(text))
    yield from (word.lower() for group in rule.tokens.groups for word in group if _API.fullmatch(word))
