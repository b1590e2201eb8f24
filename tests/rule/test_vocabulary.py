"""Whether a text speaks of a rule's defect."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorelint.model.errors import LorelintError
from lorelint.rule.door import Rule, Tokens, Vocabulary
from lorelint.rule.packs import load, package_rules
from lorelint.rule.vocabulary import derived, met, read_words

WORDS = Vocabulary(("infinite* loop*", "cond_resched"), ("retr*", "eagain", "bound*"))


@pytest.mark.parametrize(
    "text",
    [
        "That is an infinite loop.",
        "This may loop: infinitely-looping, even.",
        "Have some cond_resched(() in there?",
        "an infinite\nloop",
    ],
)
def test_named(text: str) -> None:
    found = met(WORDS, text)
    assert found is not None and found.named


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It retries on -EAGAIN.", ("retr*", "eagain")),
        ("Bounded retries, then.", ("retr*", "bound*")),
        ("It retries on -EAGAIN without a bound.", ("retr*", "eagain", "bound*")),
    ],
)
def test_hinted_at(text: str, words: tuple[str, ...]) -> None:
    found = met(WORDS, text)
    assert found is not None and not found.named and found.words == words


@pytest.mark.parametrize("text", ["", "It retries.", "infinite patience, and a loop", "may_cond_resched()", "retro"])
def test_neither(text: str) -> None:
    assert met(WORDS, text) is None


def test_words_of_different_paragraphs_do_not_go_together() -> None:
    assert met(WORDS, "It retries.\n\nIt returns -EAGAIN.") is None


def test_one_word_counts_once() -> None:
    words = Vocabulary((), ("follow_pfn*", "follow_pfnmap*", "pte*"))
    assert met(words, "follow_pfnmap_start() fails, follow_pfnmap_end() does not") is None
    found = met(words, "follow_pfnmap_start() takes the ptes")
    assert found is not None and found.words == ("follow_pfn*", "pte*")


def test_words_are_looked_for_in_one_go() -> None:
    words = Vocabulary(tuple(f"some* thing {number}" for number in range(200)), tuple(f"w{n}*" for n in range(200)))
    start = time.process_time()
    for _ in range(20):
        met(words, "some thing " * 1_000)
    assert time.process_time() - start < 5


def test_what_a_finding_is_about_goes_with_it() -> None:
    assert met(WORDS, "x_walk() says -EAGAIN") is None
    found = met(WORDS, "x_walk() says -EAGAIN", ("x_walk",))
    assert found is not None and found.words == ("eagain", "x_walk")


@settings(deadline=None)  # each example makes an expression of its own
@given(st.text(max_size=200), st.lists(st.text(min_size=1, max_size=12), max_size=4))
def test_whatever_is_said(text: str, words: list[str]) -> None:
    found = met(Vocabulary(tuple(words), tuple(words)), text)
    assert found is None or set(found.words) <= set(words)


def test_a_rule_that_brings_none_has_words_of_its_own() -> None:
    doc = "x\n\nWhat it sees\n    A call of dma_buf_fd() and then dma_buf_put().\n"
    rule = Rule("some-odd-thing", lambda view: iter(()), "0.1", tokens=Tokens((("get_unused_fd", "x"),)), doc=doc)
    words = derived(rule)
    assert words.names == ("some-odd-thing",)
    assert set(words.near) == {"thing*", "dma_buf_fd", "dma_buf_put", "get_unused_fd"}
    found = met(words, "This is some odd thing.")
    assert found is not None and found.named


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[x]\nnames = 'a'\n", "list of words"),
        ("[x]\nnames = ['']\n", "list of words"),
        ("[x]\nother = ['a']\n", "nothing else"),
        ("x = 1\n", "nothing else"),
        ("[x\n", "Expected"),
    ],
)
def test_words_that_are_none(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        read_words(text)


def test_a_pack_brings_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = tmp_path / "somepack"
    pack.mkdir()
    headings = ("What it sees", "Why it hurts", "When it is silent", "Do this instead", "References")
    doc = '"""some-defect: a defect\n\n' + "".join(f"{each}\n    text\n\n" for each in headings) + '"""\n'
    code = "from lorelint.rule import Rule\nRULE = Rule('some-defect', lambda view: iter(()), '0.1')\n"
    (pack / "__init__.py").write_text("")
    (pack / "some_defect.py").write_text(doc + code)
    (pack / "some_defect.diff").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert package_rules("somepack")[0].words.names == ("some-defect",)
    (pack / "words.toml").write_text('[some-defect]\nnames = ["bad idea"]\n')
    assert package_rules("somepack")[0].words == Vocabulary(("bad idea",))
    (pack / "words.toml").write_text("[some-defect]\nnames = 1\n")
    with pytest.raises(LorelintError, match="list of words"):
        package_rules("somepack")


def test_each_of_our_rules_has_words(root: Path) -> None:
    words = read_words((root / "rules" / "lorelint_rules" / "words.toml").read_text("utf-8"))
    assert {rule.name for rule in load()} <= set(words)
    for name, each in words.items():
        assert each.names and len(each.near) >= 3, name
        assert len(set(each.names)) == len(each.names) and len(set(each.near)) == len(each.near), name
        assert all(phrase == phrase.lower() for phrase in (*each.names, *each.near)), name


@pytest.mark.needs_shared
def test_words_are_of_rules_of_the_catalogue(root: Path, shared: Path) -> None:
    catalogue = set(re.findall(r"(?m)^#### \d+\. `([a-z-]+)`", (shared / "reference" / "rules.md").read_text("utf-8")))
    words = read_words((root / "rules" / "lorelint_rules" / "words.toml").read_text("utf-8"))
    assert set(words) == catalogue
