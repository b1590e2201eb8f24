"""Names in diffs: quoting, prefixes, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.mail.paths import git_names, quote, unquote, unsafe, without_prefix


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_quote_and_unquote(name: str) -> None:
    quoted = quote(name)
    assert quoted.isascii() and quoted.isprintable()
    assert unquote(quoted) == name or (quoted == name and name.startswith('"'))


def test_quoting_is_gits() -> None:
    assert quote("mm/gup.c") == "mm/gup.c"
    assert quote("a b") == "a b"
    assert quote('\u00e4\t"\\') == '"\\303\\244\\t\\"\\\\"'
    assert unquote('"not \\377 utf-8"') == "not \\xff utf-8"


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("a/x b/x", ("a/x", "b/x")),
        ("a/x y b/x y", ("a/x y", "b/x y")),
        ("a/b b/c b/b b/c", ("a/b b/c", "b/b b/c")),
        ("a/x b/y", ("a/x", "b/y")),
        ("a/x y b/z w", ("", "")),
        ('"a/\\t" "b/\\t"', ("a/\t", "b/\t")),
        ('a/x "b/\\t"', ("a/x", "b/\t")),
        ('"a/\\t', ("", "")),
        ("", ("", "")),
    ],
)
def test_names_of_a_git_header(line: str, names: tuple[str, str]) -> None:
    assert git_names(line) == names


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ("a/x", "b/x", ("x", "x")),
        ("a/x", "b/y", ("x", "y")),
        ("x/y", "x/y", ("x/y", "x/y")),
        ("a/x", "a/x", ("x", "x")),
        ("linux.orig/x/y", "linux/x/y", ("x/y", "x/y")),
        ("/dev/null", "b/x", ("", "x")),
        ("linux-6.1/x", "/dev/null", ("x", "")),
        ("/dev/null", "drivers/x", ("", "drivers/x")),
    ],
)
def test_prefixes(old: str, new: str, paths: tuple[str, str]) -> None:
    assert without_prefix(old, new) == paths


@pytest.mark.parametrize(
    "path",
    ["", "/x", "~x", "C:\\x", "C:/x", "a/../b", "..", ".", "a//b", "a/", ".git/x", "a/.Git", "a\nb", "x" * 5000],
)
def test_refused(path: str) -> None:
    assert unsafe(path)


@pytest.mark.parametrize("path", ["mm/gup.c", "a b", "...", "a/..b", ".gitignore", "x/.github/y", "\u00e4.c"])
def test_allowed(path: str) -> None:
    assert not unsafe(path)
