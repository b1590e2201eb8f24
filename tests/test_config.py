"""Settings: what is known is read, what is not known is named with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.config import Config, LoreConfig, parse
from lorelint.model.errors import LorelintError


def test_nothing_set() -> None:
    assert parse("", "x.toml") == Config()
    assert Config().lore.url == "https://lore.kernel.org/all/"


def test_all_set() -> None:
    text = """
    tree = "~/src/linux"
    cache = "/var/cache/lorelint"
    packs = ["lorelint", "mine"]
    [lore]
    url = "http://127.0.0.1:8080/all/"
    """
    assert parse(text, "x.toml") == Config(
        lore=LoreConfig("http://127.0.0.1:8080/all/"),
        tree="~/src/linux",
        cache="/var/cache/lorelint",
        packs=("lorelint", "mine"),
    )


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Config().tree = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ('tre = "x"', 1, "'tre'"),
        ('tree = "x"\n\n# a comment\nfoo = 1', 4, "'foo'"),
        ('[lore]\nurl = "x"\nuri = "y"', 3, "'lore.uri'"),
        ('tree = "x"\n[mail]\nfrom = "x"', 2, "'mail'"),
        ('lore.uri = "x"', 1, "'lore.uri'"),
        ('"t r e e" = 1', 1, "'t r e e'"),
        ('[lore]\nurl = "x"\n[other]\nurl = "x"', 3, "'other'"),
        ('foo = """\ntree = 1\n"""', 1, "'foo'"),
    ],
)
def test_an_unknown_key_is_named_with_its_line(text: str, line: int, key: str) -> None:
    with pytest.raises(LorelintError) as caught:
        parse(text, "conf.toml")
    assert caught.value.where == f"conf.toml:{line}"
    assert key in caught.value.what
    assert "tree" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("tree = 1", 1, "tree is not a string"),
        ('\npacks = "x"', 2, "packs is not a list of strings"),
        ("packs = [1]", 1, "packs is not a list of strings"),
        ('lore = "x"', 1, "lore is not a table"),
        ("[lore]\nurl = 5", 2, "lore.url is not a string"),
    ],
)
def test_a_value_of_the_wrong_kind(text: str, line: int, what: str) -> None:
    with pytest.raises(LorelintError) as caught:
        parse(text, "conf.toml")
    assert (caught.value.where, caught.value.what) == (f"conf.toml:{line}", what)


def test_what_is_no_toml() -> None:
    with pytest.raises(LorelintError) as caught:
        parse("tree = ", "conf.toml")
    assert caught.value.where == "conf.toml" and caught.value.what.startswith("not TOML: ")


@given(st.text(max_size=200))
def test_any_text_is_settings_or_a_clear_error(text: str) -> None:
    try:
        parse(text, "conf.toml")
    except LorelintError as error:
        assert error.what and error.where.startswith("conf.toml") and error.remedy
