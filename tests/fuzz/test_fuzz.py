"""What strangers send is answered: with a value, or a clear error, in time.

A little of it each time, much more with `make prove`. What was not answered once goes into `found/TARGET-words`, as it
is, and is asked again each time.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from tests.fuzz.mutated import mutated
from tests.fuzz.targets import Target, targets

from lorelint.model.errors import LorelintError

FOUND = Path(__file__).with_name("found")
TARGETS = {each.name: each for each in targets()}
LITTLE = {"mail": 100, "diff": 150, "c": 100, "rules": 60, "policy": 150, "config": 150, "maintainers": 150}
MUCH = 25  # times as many
LONGEST = 20.0  # seconds of CPU for one text of at most 200,000 bytes
HEALTH = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def answered(target: Target, raw: bytes) -> None:
    start = time.process_time()
    try:
        target.take(raw)
    except LorelintError as error:
        assert str(error).strip() and "\n" not in str(error)
    took = time.process_time() - start
    assert took < LONGEST, f"{took:.1f} s for {len(raw)} bytes"


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_answered(name: str) -> None:
    for seed in TARGETS[name].seeds:
        answered(TARGETS[name], seed)


@pytest.mark.parametrize("path", sorted(FOUND.glob("*-*")), ids=lambda path: path.name)
def test_what_was_found_once_is_answered(path: Path) -> None:
    answered(TARGETS[path.name.partition("-")[0]], path.read_bytes())


def ask(target: Target, count: int, **how: Any) -> None:
    """So many texts that nobody has written."""

    @settings(max_examples=count, deadline=None, suppress_health_check=HEALTH, **how)
    @given(mutated(target.seeds, target.words))
    def one(raw: bytes) -> None:
        try:
            answered(target, raw)
        except Exception:
            kept = os.environ.get("LORELINT_FOUND")  # a folder, for whoever looks into it
            if kept:
                (Path(kept) / f"{target.name}-last").write_bytes(raw)
            raise

    one()


@pytest.mark.parametrize("name", TARGETS)
def test_a_little(name: str) -> None:
    ask(TARGETS[name], LITTLE[name], derandomize=True)


@pytest.mark.prove
@pytest.mark.parametrize("name", TARGETS)
def test_much(name: str) -> None:
    sampled = bool(os.environ.get("LORELINT_SAMPLE"))
    count = LITTLE[name] * (4 if sampled else MUCH)
    ask(TARGETS[name], count)


DEEP = 30_000  # times, of what can be nested
PAIRS = {
    "c": [
        (b"{", b"}"),
        (b"(", b")"),
        (b"[", b"]"),
        (b"if(a)", b""),
        (b"#if A\n", b"\n#endif\n"),
        (b"a?", b""),
        (b"*", b""),
    ],
    "mail": [(b">", b""), (b"(", b")"), (b"<", b">"), (b"Re: ", b""), (b"\n--", b"")],
    "policy": [(b"[", b"]"), (b"{a=", b"}"), (b"a.", b""), (b"9", b"")],
}
HEADS = {"c": b"int f(int a)\n{\n", "mail": b"From: a@b\nSubject: x\nMessage-ID: <a@b>\n\n", "policy": b"x = "}


@pytest.mark.parametrize(("name", "pair"), [(name, pair) for name, pairs in PAIRS.items() for pair in pairs])
def test_what_is_deep_is_answered(name: str, pair: tuple[bytes, bytes]) -> None:
    head = HEADS[name]
    for raw in (head + pair[0] * DEEP + b"1" + pair[1] * DEEP, head + pair[0] * DEEP, head + pair[1] * DEEP):
        for target in (name, "rules") if name == "c" else (name, "diff") if name == "mail" else (name, "config"):
            answered(TARGETS[target], raw[:200_000])


def test_what_breaks_is_found() -> None:
    """The search itself: a reader that cannot stand one word of its language."""

    def breaks(raw: bytes) -> None:
        if b"goto" in raw:
            raise ValueError("goto")

    with pytest.raises(ValueError, match="goto"):
        ask(Target("breaks", (b"int x;\n",), TARGETS["c"].words, breaks), 100, derandomize=True, database=None)
