"""What a person calls the defect of a rule, and whether some text does so. Pure.

A pack brings the words in ``words.toml`` beside its modules, a table for each rule with ``names`` and ``near``; a rule
may bring its own. One that brings none has words made of its name, its docstring and its tokens.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lorelint.rule.door import Rule, Vocabulary
from lorelint.rule.explain import INSTEAD, SEES, sections

HINT = 2  # different words that go with a defect, in one paragraph, which hint at it
MAX_WORDS = 5_000  # of one text that are looked at

_WORD = re.compile(r"[a-z0-9_]+")
_API = re.compile(r"\b[A-Za-z]\w*_\w+\b")
_DULL = frozenset("missing without before after check wrong some that with from into than then this must never".split())


@dataclass(frozen=True, slots=True)
class Met:
    """Words of a vocabulary that a text holds; `named`: they name the defect, else they hint at it."""

    named: bool
    words: tuple[str, ...]


def met(words: Vocabulary, text: str, also: Sequence[str] = ()) -> Met | None:
    """What of a vocabulary a text holds; None where that is not even a hint.

    also  further words that go with the defect: the API or object a finding is about
    """
    named: list[str] = []
    best: tuple[str, ...] = ()
    for paragraph in re.split(r"\n\s*\n", text):
        spoken = _WORD.findall(paragraph.lower())[:MAX_WORDS]
        named += [phrase for phrase in words.names if phrase not in named and any(_said(spoken, phrase))]
        near: dict[str, str] = {}  # one word that is met by two of the vocabulary counts once
        for phrase in (*words.near, *also):
            heard = next((each for each in _said(spoken, phrase) if each not in near), "")
            if heard and phrase not in near.values():
                near[heard] = phrase
        best = max(best, tuple(near.values()), key=len)
    if named:
        return Met(True, tuple(named))
    return Met(False, best) if len(best) >= HINT else None


def _said(spoken: Sequence[str], phrase: str) -> Iterator[str]:
    """The places where the words of a phrase follow one another in what was spoken, as they were said there."""
    wanted = re.findall(r"[a-z0-9_]+\*?", phrase.lower())
    for at in range(len(spoken) - len(wanted) + 1 if wanted else 0):
        if all(_is(spoken[at + ahead], word) for ahead, word in enumerate(wanted)):
            yield " ".join(spoken[at : at + len(wanted)])


def _is(spoken: str, word: str) -> bool:
    return spoken.startswith(word[:-1]) if word.endswith("*") else spoken == word


def read_words(text: str) -> dict[str, Vocabulary]:
    """The words of a pack's rules. Raises ValueError with what is wrong."""
    found: dict[str, Vocabulary] = {}
    for rule, table in tomllib.loads(text).items():
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
