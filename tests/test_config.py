"""Settings: what is known is read, what is not known is named with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.config import Config, InboxConfig, LoreConfig, TreeConfig, parse
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


def test_lists_and_trees() -> None:
    text = """
    policy = "policy.toml"
    [inbox.kvm]
    url = "https://lore.example/kvm"
    address = "kvm@lists.example"
    [inbox."linux-mm"]
    url = "mm"
    mirrors = ["https://other.example/mm"]
    address = "linux-mm@lists.example"
    follow = "http"
    [tree.mainline]
    url = "https://git.example/linux.git"
    fetch_hours = 0.5
    [tree.mine]
    path = "~/src/linux"
    branch = "topic"
    lists = ["kvm"]
    [store]
    url = "postgresql://me@host/lore"
    [listen]
    since = "2026-03-17"
    poll_seconds = 60
    """
    read = parse(text, "x.toml")
    assert read.policy == "policy.toml" and read.store.url == "postgresql://me@host/lore"
    assert read.inboxes == (
        InboxConfig("kvm", "https://lore.example/kvm", (), "kvm@lists.example"),
        InboxConfig("linux-mm", "mm", ("https://other.example/mm",), "linux-mm@lists.example", "http"),
    )
    assert read.trees == (
        TreeConfig("mainline", "https://git.example/linux.git", fetch_hours=0.5),
        TreeConfig("mine", path="~/src/linux", branch="topic", lists=("kvm",)),
    )
    assert read.tree == "~/src/linux"
    assert (read.listen.since, read.listen.poll_seconds, read.listen.wait_hours) == ("2026-03-17", 60, 24)


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
        ('[inbox.kvm]\nurl = "x"\nadress = "x"', 3, "'inbox.kvm.adress'"),
        ('[inbox.a]\nurl = "x"\n[inbox.b]\nuri = "x"', 4, "'inbox.b.uri'"),
        ('[tree.a]\npath = "x"\n[tree.a.b]\npath = "x"', 3, "'tree.a.b'"),
        ('[store]\nurl = "x"\n[listen]\npoll = 1', 4, "'listen.poll'"),
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
        ("tree = 1", 1, "tree is not a string or tables [tree.NAME]"),
        ('\npacks = "x"', 2, "packs is not a list of strings"),
        ("packs = [1]", 1, "packs is not a list of strings"),
        ('lore = "x"', 1, "lore is not a table"),
        ("[lore]\nurl = 5", 2, "lore.url is not a string"),
        ('[inbox.kvm]\nurl = "x"\naddress = "kvm"', 3, "inbox.kvm.address is not the address of a list"),
        ('[inbox.kvm]\nurl = "x"\naddress = "k@x"\nfollow = "nntp"', 4, 'inbox.kvm.follow is not "git" or "http"'),
        ('[inbox.a]\nurl = "x"\naddress = "a@x"\n[inbox.b]\nurl = 1', 5, "inbox.b.url is not a string"),
        ('[inbox.a]\naddress = "a@x"', 1, "inbox.a names no url or no address"),
        ('inbox.a = "x"', 1, "inbox.a is not a table"),
        ('[inbox."../x"]\nurl = "x"', 1, "'inbox.../x' is no name"),
        ("[listen]\npoll_seconds = 0", 2, "listen.poll_seconds is not a number above 0"),
        ("[listen]\nwait_hours = true", 2, "listen.wait_hours is not a number above 0"),
        ('[tree.next]\nfetch_hours = "6"', 2, "tree.next.fetch_hours is not a number above 0"),
        ('\n[tree.next]\nurl = "x"\npath = "y"', 2, "tree.next needs a url or a path, and not both"),
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
