"""Which rules are asked about a text is what the tokens of each say, however they are looked for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lorelint.rule.admission import Admission
from lorelint.rule.door import Rule, Tokens

WORDS = st.sampled_from(["a", "b", "ab", "bc", "pin", "unpin"])
GROUPS = st.lists(st.lists(WORDS, max_size=3).map(tuple), max_size=3).map(tuple)


@given(st.lists(GROUPS, max_size=5), st.lists(st.text("abcpinu ", max_size=8).map(str.encode), max_size=4))
def test_it_says_what_the_tokens_say(each: list[tuple[tuple[str, ...], ...]], texts: list[bytes]) -> None:
    rules = [
        Rule(f"rule-{at}", run=lambda view: (), since="0.1", cause_rank=1, tokens=Tokens(groups))
        for at, groups in enumerate(each)
    ]
    admission = Admission(rules)
    for text in (*texts, *texts):
        assert admission.of(text) == {rule.name for rule in rules if rule.tokens.admit(text)}
