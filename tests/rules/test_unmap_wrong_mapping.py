"""unmap-wrong-mapping: which address_space an unmap acts on, and where the VMAs are; over our own C and over a kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.code.program import Cache, Program
from lorelint.edge.directory import DirectoryTree, overlay_files
from lorelint.kernel.load import knowledge
from lorelint.model.tree import OverlayTree
from lorelint.rule.door import Rule
from lorelint.rule.engine import Judge

RULE = "unmap-wrong-mapping"
Ask = Callable[..., Any]


def mill(keep: str, unmap: str, make: str = "mill_find(iminor(inode))") -> str:
    return f"""
struct inode {{ struct address_space *i_mapping; }};
struct mill {{ struct inode *inode; struct inode *own; struct address_space *mapping; unsigned long pfn; int users; }};

static int mill_open(struct inode *inode, struct file *file)
{{
\tstruct mill *m = {make};

\t{keep}
\tfile->private_data = m;
\treturn 0;
}}

static int mill_mmap(struct file *file, struct vm_area_struct *vma)
{{
\tstruct mill *m = file->private_data;

\treturn remap_pfn_range(vma, vma->vm_start, m->pfn, PAGE_SIZE, vma->vm_page_prot);
}}

void f(struct mill *m)
{{
\t{unmap}
}}

static const struct file_operations mill_fops = {{ .open = mill_open, .mmap = mill_mmap }};
"""


BY_INODE = "unmap_mapping_range(m->inode->i_mapping, 0, 0, 1);"
BY_MAPPING = "unmap_mapping_range(m->mapping, 0, 0, 1);"
WRONG = {
    "its inode": mill("m->inode = inode;", BY_INODE),
    "its mapping": mill("m->mapping = inode->i_mapping;", BY_MAPPING),
    "the mapping of its file": mill("m->mapping = file->f_mapping;", BY_MAPPING),
    "the inode of its file": mill("m->inode = file_inode(file);", BY_INODE),
    "by a local": mill(
        "m->inode = inode;",
        "struct address_space *where = m->inode->i_mapping;\n\n\tunmap_mapping_range(where, 0, 0, 1);",
    ),
}
RIGHT = {
    "redirected": (
        mill("m->inode = inode;\n\tfile->f_mapping = m->own->i_mapping;", BY_INODE.replace("->inode", "->own")),
        "files are linked in this address_space when they are opened",
    ),
    "made for this file": (
        mill("m->mapping = file->f_mapping;", BY_MAPPING, make="kzalloc(sizeof(*m), GFP_KERNEL)"),
        "the object is made for this very file",
    ),
    "one at a time": (
        mill("if (test_and_set_bit(0, &m->flags))\n\t\treturn -EBUSY;\n\tm->inode = inode;", BY_INODE),
        "one file at a time",
    ),
    "the first opener's": (
        mill("if (!m->users++)\n\t\tm->inode = inode;", BY_INODE),
        "decides whether it is kept",
    ),
    "an inode of its own": (mill("", BY_INODE), "nothing was found by which the VMAs would be linked elsewhere"),
}


@pytest.mark.parametrize("name", WRONG)
def test_seen(ask: Ask, name: str) -> None:
    said = ask(RULE, WRONG[name])
    assert said.fires, said.reasons
    assert "is the one that was opened last" in said.finding.message
    assert said.finding.ask and len(said.finding.steps) == 3


@pytest.mark.parametrize("name", RIGHT)
def test_left_alone(ask: Ask, name: str) -> None:
    text, reason = RIGHT[name]
    said = ask(RULE, text)
    assert not said.fires
    assert reason in said.reasons


@pytest.mark.needs_tree("7.2")
def test_a_dma_bufs_mappings_are_not_those_of_the_device(
    rules: dict[str, Rule], tree_dir: Callable[[str], Path], overlays_dir: Path
) -> None:
    """Two revokes that unmap in the dma-buf's file: silent; in the inode of the device: both are seen."""
    path = "drivers/vfio/pci/vfio_pci_dmabuf.c"
    under = DirectoryTree(tree_dir("7.2"))
    right = OverlayTree(under, overlay_files(overlays_dir / "seed-003-dmabuf-mmap"))
    text = right.read(path)
    assert text is not None and text.count(b"priv->dmabuf->file->f_mapping") == 2
    wrong = OverlayTree(right, {path: text.replace(b"priv->dmabuf->file->f_mapping", b"vdev->vdev.inode->i_mapping")})
    spoke = []
    for tree in (right, wrong):
        judge = Judge(Program(tree, knowledge((7, 2)), Cache.empty()))
        fns = [fn for fn in judge.program.functions(path) if b"unmap_mapping_range(" in fn.text]
        spoke.append([fn.name for fn in fns if judge.judge(rules[RULE], fn).defects])
    assert spoke == [[], ["vfio_pci_dma_buf_move", "vfio_pci_dma_buf_cleanup"]]
