"""MAINTAINERS: patterns and people, and the script of the tree as the judge."""

from __future__ import annotations

import random
import re
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelint.kernel.maintainers import Maintainers, changed_lines, maintainers, parse
from lorelint.model.tree import EmptyTree, OverlayTree

SEED = 20260317
TEXT = """List of maintainers
===================

	M: *Mail* patches to: FullName <address@domain>
	F: *Files* and directories

.. note:: a note

RING MAP DRIVERS
M:	Rita Ring <rita@rings.example>
M:	"Map, Jr." <map@rings.example>
R:	Rex Reader <rex@readers.example>
L:	ring-devel@lists.example (moderated for non-subscribers)
L:	ring-private@lists.example (subscribers-only)
S:	Maintained
T:	git git://git.example/ring.git
F:	drivers/misc/ring*
F:	drivers/misc/ringmap/
X:	drivers/misc/ringmap/old/
N:	[^a-z]ringlet
K:	ring_(map|unmap)_area

MISC DRIVERS
M:	Rex Reader <rex@readers.example>
M:	Rita Ring <rita@elsewhere.example>
L:	misc@lists.example
# F:	kernel/
F:	drivers/misc
F:	include/misc/?[ab].h

BROKEN
M:	nobody at all
F:	[
N:	(((
N:	*

THE REST
M:	Chief <chief@example>
L:	everything@lists.example
F:	*
F:	*/
"""


@pytest.fixture(scope="module")
def rings() -> Maintainers:
    return parse(TEXT)


def test_the_most_precise_section_comes_first(rings):
    charge = rings.of(["drivers/misc/ringmap/pin.c"])
    assert charge.subsystems == ("RING MAP DRIVERS", "MISC DRIVERS", "THE REST")
    assert charge.maintainers == (
        ("Rita Ring", "rita@rings.example"),
        ("Map, Jr.", "map@rings.example"),
        ("Rex Reader", "rex@readers.example"),
    )
    assert charge.reviewers == ()  # who maintains the folder above is no mere reviewer
    assert charge.lists == ("ring-devel@lists.example", "misc@lists.example", "everything@lists.example")
    assert charge.trees == ("git git://git.example/ring.git",)


def test_who_may_speak_as_a_maintainer(rings):
    charge = rings.of(["drivers/misc/ringmap/pin.c"])
    assert {"rita@rings.example", "rita@elsewhere.example"} <= charge.addresses()
    assert not {"chief@example", ""} & charge.addresses()
    only_read = parse("A\nM:\tM <m@x.example>\nR:\tR <r@x.example>\nF:\ta/\n").of(["a/b.c"])
    assert only_read.reviewers == (("R", "r@x.example"),) and "r@x.example" not in only_read.addresses()


@pytest.mark.parametrize(
    ("path", "section", "holds"),
    [
        ("drivers/misc/ring_core.c", "RING MAP DRIVERS", True),
        ("drivers/misc/deep/ring_core.c", "RING MAP DRIVERS", False),
        ("drivers/misc/ringmap/old/pin.c", "RING MAP DRIVERS", False),
        ("net/a-ringlet.c", "RING MAP DRIVERS", True),
        ("net/stringlet.c", "RING MAP DRIVERS", False),
        ("drivers/misc/x.c", "MISC DRIVERS", True),
        ("drivers/miscellany/x.c", "MISC DRIVERS", False),
        ("include/misc/xa.h", "MISC DRIVERS", True),
        ("include/misc/xc.h", "MISC DRIVERS", False),
        ("kernel/fork.c", "MISC DRIVERS", False),
        ("kernel/fork.c", "THE REST", True),
        ("kernel/fork.c", "BROKEN", False),
    ],
)
def test_patterns(rings, path, section, holds):
    assert (section in rings.of([path]).subsystems) == holds


def test_words_in_changed_lines(rings):
    patch = "--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-ring_map_area();\n+other();\n ring_unmap_area();\n"
    assert list(changed_lines([patch])) == ["ring_map_area();", "other();"]
    said = "\n".join(changed_lines([patch]))
    assert "RING MAP DRIVERS" in rings.of(["net/x.c"], said).subsystems
    assert "RING MAP DRIVERS" not in rings.of(["net/x.c"], "map_area").subsystems


def test_a_tree_is_read_once_for_each_content_of_the_file():
    tree = OverlayTree(EmptyTree(), {"MAINTAINERS": TEXT.encode()})
    assert maintainers(tree) is maintainers(OverlayTree(EmptyTree("other"), {"MAINTAINERS": TEXT.encode()}))
    other = maintainers(OverlayTree(tree, {"MAINTAINERS": b"A\nM: A <a@b.example>\nF: *\n"}))
    assert "a@b.example" in other.of(["x.c"]).addresses()
    assert maintainers(EmptyTree()).of(["x.c"]).maintainers == ()


@given(st.text(max_size=400), st.text(max_size=60))
def test_no_text_makes_it_raise(text, path):
    for made in (text, "A\n" + "".join(f"{kind}:\t{text[:80]}\n" for kind in "MRLTSFXNK")):
        parse(made).of([path], text)


@pytest.mark.needs_tree("6.12")
def test_the_script_of_the_tree_says_the_same(tree_dir, program):
    """But for .mailmap: a maintainer whom that gives another address is told by the one in the file."""
    program("perl")
    root = tree_dir("6.12")
    known = maintainers_of(root)
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*.[chS]") if path.is_file())
    mapped = (root / ".mailmap").read_text("utf-8", "replace").lower()
    for path in random.Random(SEED).sample(files, 60):
        command = ["perl", "scripts/get_maintainer.pl", "--no-git", "--no-git-fallback", "--no-rolestats", "-f", path]
        told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
        theirs = {re.sub(r".*<(.*)>", r"\1", line).strip().lower() for line in told if line.strip()}
        charge = known.of([path])
        ours = {address.lower() for _, address in (*charge.maintainers, *charge.reviewers)} | set(charge.lists)
        assert {each for each in ours ^ theirs if f"<{each}>" not in mapped} == set(), path
        assert len(ours) == len(theirs), path


@pytest.mark.needs_tree("6.12")
def test_it_is_read_fast(tree_dir):
    text = (tree_dir("6.12") / "MAINTAINERS").read_text("utf-8", "replace")
    times = []
    for _ in range(3):
        started = time.process_time()
        assert len(parse(text).sections) > 2_000
        times.append(time.process_time() - started)
    assert min(times) < 0.15


def maintainers_of(root) -> Maintainers:
    return parse((root / "MAINTAINERS").read_text("utf-8", "replace"))
