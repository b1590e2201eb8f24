"""What a tree's Makefile says of its version."""

from __future__ import annotations

import pytest

from lorelint.kernel.version import is_kernel, kernel_release, kernel_version
from lorelint.model.errors import LorelintError
from lorelint.model.tree import EmptyTree, OverlayTree


def tree(makefile: str) -> OverlayTree:
    return OverlayTree(EmptyTree("somewhere"), {"Makefile": makefile.encode()})


def test_version_and_release() -> None:
    kernel = tree("# SPDX-License-Identifier: GPL-2.0\nVERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 117\nEXTRAVERSION =\n")
    assert is_kernel(kernel)
    assert kernel_version(kernel) == (6, 12)
    assert kernel_release(kernel) == "6.12.117"


def test_a_release_candidate_and_a_makefile_without_sublevel() -> None:
    assert kernel_release(tree("VERSION = 7\nPATCHLEVEL = 2\nSUBLEVEL = 0\nEXTRAVERSION = -rc3\n")) == "7.2.0-rc3"
    assert kernel_release(tree("VERSION=6\nPATCHLEVEL=1 # comment\n")) == "6.1.0"


@pytest.mark.parametrize(
    "makefile",
    ["", "all:\n\tcc x.c\n", "VERSION = 1.2.3\nPATCHLEVEL = 4\n", "VERSION = 6\n", "#" * 5000 + "\nVERSION = 6\n"],
)
def test_what_is_no_kernel(makefile: str) -> None:
    assert not is_kernel(tree(makefile))
    with pytest.raises(LorelintError, match=r"somewhere: not a kernel tree.*\(name the top folder"):
        kernel_version(tree(makefile))
