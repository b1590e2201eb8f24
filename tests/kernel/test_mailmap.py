"""Which addresses are of one person; compared with git's own reading of real and of made-up files."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import Checkout

from lorelint.kernel import mailmap as module
from lorelint.kernel.mailmap import Mailmap, mailmap, parse
from lorelint.model.tree import EmptyTree, OverlayTree

TEXT = """\
# a comment <with@an.address> <and@another>
Ann Author <Ann@example.org>
Ann Author <ann@example.org> <ann@old.example>
<bob@example.org> <BOB@old.example>  # moved
Cy <cy@example.org> Cyril <shared@example.net>
Di <di@example.org> Diana <shared@example.net>
Ed <ed@example.org> Edward <ed@old.example>
Ed <ed@example.org> E. D. <ed@old.example>
no address here
<only@one.example>
broken < x@y> <z@z
"""


def test_addresses_of_one_person() -> None:
    known = parse(TEXT)
    assert known.person("ANN@old.example") == known.person("Ann@Example.org") == "ann@example.org"
    assert known.person("bob@OLD.example") == "bob@example.org"
    assert known.person("ed@old.example") == "ed@example.org"
    assert known.person("sven@stranger.example") == "sven@stranger.example" and known.person("") == ""


def test_what_several_persons_use_is_nobodys() -> None:
    """Which of them wrote a mail only its name would say, and that proves nothing."""
    assert parse(TEXT).person("shared@example.net") == "shared@example.net"


def test_of_a_tree() -> None:
    assert mailmap(EmptyTree()).person("a@b") == "a@b"
    tree = OverlayTree(EmptyTree(), {".mailmap": TEXT.encode()})
    assert mailmap(tree).person("ann@old.example") == "ann@example.org"
    assert mailmap(OverlayTree(EmptyTree(), {".mailmap": b"<a@b> <c@d>\xff\n" * 3})).person("c@d") == "c@d"


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "x" * module.MAX_LINE
    assert parse(f"{long} <a@b> <c@d>\n<e@f> <g@h>\n").person("c@d") == "c@d"
    assert parse(f"{long} <a@b> <c@d>\n<e@f> <g@h>\n").person("g@h") == "e@f"
    monkeypatch.setattr(module, "MAX_LINES", 2)
    assert parse("\n\n<a@b> <c@d>\n").person("c@d") == "c@d"
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    assert mailmap(OverlayTree(EmptyTree(), {".mailmap": TEXT.encode()})).person("ann@old.example") == "ann@old.example"


@given(st.text(alphabet=" <>@#ab.\t\r\0é\n", max_size=200))
def test_any_text_is_a_mailmap(text: str) -> None:
    known = parse(text)
    assert isinstance(known, Mailmap)
    for address in re.findall(r"[^<>\s]+", text):
        assert known.person(address) == known.person(address.upper())


ADDRESS = st.from_regex(r"[ab]{1,2}@[cd]", fullmatch=True)


@given(st.lists(st.tuples(ADDRESS, ADDRESS), max_size=8))
def test_an_address_has_one_person(pairs: list[tuple[str, str]]) -> None:
    known = parse("".join(f"<{proper}> <{other}>\n" for proper, other in pairs))
    for _, other in pairs:
        told = {proper for proper, each in pairs if each == other}
        assert known.person(other) == (told.pop() if len(told) == 1 else other)


@pytest.mark.needs_tree("6.12")
def test_as_git_reads_the_kernels(tree_dir: Callable[[str], Path], checkout: Checkout) -> None:
    """Every address of the real file, but for those that it gives to several persons."""
    text = (tree_dir("6.12") / ".mailmap").read_text()
    (checkout.path / ".mailmap").write_text(text)
    known = parse(text)
    entries = [re.findall(r"<([^<>\s]+)>", line.partition("#")[0]) for line in text.splitlines()]
    addresses = sorted({each[1].lower() for each in entries if len(each) == 2})
    asked = "".join(f"<{address}>\n" for address in addresses)
    done = subprocess.run(
        ["git", "-C", checkout.path, "check-mailmap", "--stdin"],
        input=asked,
        capture_output=True,
        text=True,
        check=True,
    )
    git = [re.search(r"<(.*)>", line) for line in done.stdout.splitlines()]
    told = {address: match[1].lower() for address, match in zip(addresses, git, strict=True) if match}
    differ = {address for address in addresses if known.person(address) != told[address]}
    several = {address for address in addresses if len({e[0].lower() for e in entries if e[1:] == [address]}) > 1}
    assert len(addresses) > 300 and len(differ) < 20, differ
    named = {each[1].lower() for each, line in zip(entries, text.splitlines(), strict=True) if len(each) == 2 and
             re.search(r">\s*[^<>\s][^<>]*<", line)}  # fmt: skip
    assert differ <= several | named  # asked without a name, git does not take the entries that need one
