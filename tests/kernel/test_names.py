"""Each name in the lists against the headers of the kernels they speak of.

A name is declared in include/, in an arch's headers, or in a header of mm/; one that stands in a driver alone does
not belong here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from lorelint.kernel.load import knowledge, known_versions

# Fields and conditional guards are no declarations of their own.
FIELDS = {"revoke_markers_fields", "dmabuf_ops_called_with_resv", "dmabuf_ops_called_without_resv"}
PUT_TOGETHER = re.compile(r"_(try|intr|kill)$")
WORD = re.compile(rb"[A-Za-z_]\w*")


def headers(tree: Path) -> list[Path]:
    found = [*tree.glob("include/**/*.h"), *tree.glob("mm/*.h"), *tree.glob("arch/*/**/*.h")]
    return [path for path in found if path.is_file()]


@cache
def declared(tree: Path) -> frozenset[str]:
    words: set[bytes] = set()
    for path in headers(tree):
        words.update(WORD.findall(path.read_bytes()))
    return frozenset(word.decode() for word in words)


@pytest.mark.parametrize("version", [pytest.param((6, 12), marks=pytest.mark.needs_tree("6.12"))])
def test_every_name_is_declared(version: tuple[int, int], tree_dir: Callable[[str], Path]) -> None:
    _every_name(version, tree_dir)


@pytest.mark.prove
@pytest.mark.parametrize("version", [each for each in known_versions() if each != (6, 12)])
def test_every_name_is_declared_in_the_others(version: tuple[int, int], tree_dir: Callable[[str], Path]) -> None:
    _every_name(version, tree_dir)


def _every_name(version: tuple[int, int], tree_dir: Callable[[str], Path]) -> None:
    words = declared(tree_dir(f"{version[0]}.{version[1]}"))
    known = knowledge(version)
    unknown = {
        f"{list_name}: {name}"
        for list_name, names in known.lists.items()
        if list_name not in FIELDS
        for name in names
        if name not in words and not (list_name == "guard_names" and PUT_TOGETHER.search(name))
    }
    unknown |= {
        f"closes {section.opener}: {name}"
        for section in known.sections.values()
        for name in section.closers
        # A section may be closed by either of two forms of which a version has one.
        if name not in words and not (section.closers & words)
    }
    flags = {flag for fact in known.calls.values() if fact.drops_when for flag in fact.drops_when.flags}
    unknown |= {f"flag: {flag}" for flag in flags - words}
    assert not unknown, sorted(unknown)


@pytest.mark.needs_shared
def test_no_function_that_a_label_is_about(shared: Path, tree_dir: Callable[[str], Path]) -> None:
    """Lists name what headers declare: a labelled function may be among them only when it is such an API."""
    labels = (shared / "corpora" / "kernel" / "labels.jsonl").read_text().splitlines()
    functions = {json.loads(line)["source"].get("function") for line in labels if line.strip()}
    words = declared(tree_dir("6.12"))
    named = {name for each, names in knowledge((6, 12)).lists.items() if each not in FIELDS for name in names}
    assert named & functions, "no label is about an API any more: the check would hold for want of a case"
    assert not (named & functions) - words
