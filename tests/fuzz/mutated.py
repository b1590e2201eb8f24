"""Texts that are nearly right: what somebody wrote, changed here and there; and texts that never were."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

Change = tuple[str, int, int, int, bytes]  # what, where, how much, another number, a word
_KINDS = ("cut", "double", "put", "put", "flip", "swap", "lines")
_MOST = 1 << 20


def _changes(words: Sequence[bytes]) -> st.SearchStrategy[list[Change]]:
    numbers = st.integers(0, _MOST - 1)
    one = st.tuples(st.sampled_from(_KINDS), numbers, st.integers(1, 400), numbers, st.sampled_from(words))
    return st.lists(one, min_size=3, max_size=24)


def change(text: bytes, changes: Sequence[Change]) -> bytes:
    """`text` after some changes."""
    for what, where, length, number, word in changes:
        at = where % (len(text) + 1)
        some = text[at : at + length]
        if what == "cut":
            text = text[:at] + text[at + length :]
        elif what == "double":
            text = text[:at] + some * (number % 40) + text[at:]
        elif what == "put":
            text = text[:at] + word * (1 + number % 3) + text[at:]
        elif what == "flip" and some:
            text = text[:at] + bytes([some[0] ^ (1 + number % 255)]) + text[at + 1 :]
        elif what == "swap":
            there = number % (len(text) + 1)
            text = text[:at] + text[there : there + length] + text[at + length :]
        elif what == "lines":
            every = text.split(b"\n")
            here = where % len(every)
            every[here : here + 1] = every[here : here + 1] * (number % 5)
            text = b"\n".join(every)
    return text[:200_000]


def mutated(seeds: Sequence[bytes], words: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of the seeds with up to a dozen changes; now and then nothing but words, or any bytes."""
    nearly = st.builds(change, st.sampled_from(seeds), _changes(words))
    babble = st.lists(st.sampled_from(words), min_size=20, max_size=400).map(b"".join)
    return st.one_of(nearly, nearly, nearly, babble, st.binary(max_size=4_000))
