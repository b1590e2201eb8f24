"""Every regular expression that is compiled late can be compiled, and none is compiled when its module is imported."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys

import pytest

import lorelint
import lorelint_rules
from lorelint.model.regex import _Late, regex


def modules() -> list[str]:
    return [
        each.name
        for package in (lorelint, lorelint_rules)
        for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not each.name.endswith("__main__")
    ]


def test_all_are_patterns() -> None:
    late = [
        value
        for name in modules()
        for value in vars(importlib.import_module(name)).values()
        if isinstance(value, _Late)
    ]
    assert len(late) > 300
    for each in late:
        assert each.pattern is not None


def test_it_is_the_pattern_it_stands_for() -> None:
    made, real = regex(r"(a+)b", re.IGNORECASE), re.compile(r"(a+)b", re.IGNORECASE)
    assert made.search("xAAb").groups() == ("AA",)  # type: ignore[union-attr]
    assert (made.pattern, made.flags, made.groups) == (real.pattern, real.flags, real.groups)
    assert made.sub("-", "abxaab") == real.sub("-", "abxaab") and made.findall("abab") == ["a", "a"]
    assert regex(rb"\w+").findall(b"a b") == [b"a", b"b"]
    with pytest.raises(re.error):
        regex("(").match("a")


def test_to_load_the_rules_compiles_nothing_of_ours() -> None:
    count = """
import re, sys
ours, real = [], re.compile
def compile(pattern, flags=0):
    at = sys._getframe(1)
    if "lorelint" in at.f_code.co_filename and at.f_code.co_name == "<module>":
        ours.append(f"{at.f_code.co_filename}:{at.f_lineno}")
    return real(pattern, flags)
re.compile = compile
from lorelint.rule import packs
from lorelint.jobs import check
packs.load()
print(*ours, sep="\\n")
"""
    done = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
