"""pfnmap-vma-flags: what it must see, what it must leave alone and why, and checks taken out of correct handlers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lorelint.code.program import Program
from lorelint.edge.directory import DirectoryTree
from lorelint.kernel.load import knowledge
from lorelint.model.finding import Doubt
from lorelint.model.tree import OverlayTree
from lorelint.rule.door import Rule

RULE = "pfnmap-vma-flags"
Ask = Callable[..., Any]

SMALL = """
static vm_fault_t fault(struct vm_fault *vmf)
{{
	return {insert};
}}
static const struct vm_operations_struct vm_ops = {{ .fault = fault }};
{above}
int f(struct file *file, struct vm_area_struct *vma)
{{
{before}
	{sets};
	vma->vm_ops = &vm_ops;
{after}
	return 0;
}}
{table}
"""
PFN = "vmf_insert_pfn(vmf->vma, vmf->address, doorbell_pfn(vmf->vma))"
SETS = "vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND)"
TABLE = "static const struct file_operations ops = { .mmap = f };"


def small(
    before: str = "", after: str = "", sets: str = SETS, insert: str = PFN, above: str = "", table: str = TABLE
) -> str:
    return SMALL.format(before=before, after=after, sets=sets, insert=insert, above=above, table=table)


def refuse(condition: str) -> str:
    return f"\tif ({condition})\n\t\treturn -EINVAL;"


SEEN = {
    "vm_flags_set()": small(),
    "the field": small(sets="vma->vm_flags |= VM_PFNMAP"),
    "vm_flags_mod()": small(sets="vm_flags_mod(vma, VM_PFNMAP, VM_MAYEXEC)"),
    "with a protection": small(insert="vmf_insert_pfn_prot(vmf->vma, vmf->address, 0, vmf->vma->vm_page_prot)"),
    "huge": small(insert="vmf_insert_pfn_pmd(vmf, __pfn_to_pfn_t(0, PFN_DEV), false)"),
    "the length alone is tested": small(refuse("vma_pages(vma) != 1")),
    "writing now, not later": small(refuse("vma->vm_flags & VM_WRITE")),
    "tested on one way only": small("\tif (vma->vm_pgoff && !(vma->vm_flags & VM_SHARED))\n\t\treturn -EINVAL;"),
    "tested for a message": small('\tif (!(vma->vm_flags & VM_SHARED))\n\t\tpr_debug("private");'),
    "vm_ops of the file": small(table="static const struct vfio_device_ops ops = { .mmap = f };").replace(
        "vma->vm_ops = &vm_ops;", ""
    ),
}

LEFT_ALONE = {
    "VM_SHARED": (small(refuse("!(vma->vm_flags & VM_SHARED)")), "refused before"),
    "either flag": (small(refuse("(vma->vm_flags & (VM_SHARED | VM_MAYSHARE)) == 0")), "refused before"),
    "is_cow_mapping()": (small(refuse("is_cow_mapping(vma->vm_flags)")), "refused before"),
    "afterwards": (small(after=refuse("is_cow_mapping(vma->vm_flags)")), "is refused"),
    "cannot be written later": (small("\tvm_flags_clear(vma, VM_MAYWRITE);"), "cannot be written later"),
    "a helper refuses": (
        small(
            refuse("check(vma)"),
            above="static int check(struct vm_area_struct *vma)\n{\n\tif (!(vma->vm_flags & VM_SHARED))\n"
            "\t\treturn -EINVAL;\n\treturn 0;\n}",
        ),
        "refused before",
    ),
    "get_unmapped_area()": (
        small(
            above="static unsigned long area(struct file *file, unsigned long addr, unsigned long len,\n"
            "\t\tunsigned long pgoff, unsigned long flags)\n{\n\tif ((flags & MAP_TYPE) == MAP_PRIVATE)\n"
            "\t\treturn -EINVAL;\n\treturn 0;\n}",
            table="static const struct file_operations ops = { .mmap = f, .get_unmapped_area = area };",
        ),
        "get_unmapped_area() looks",
    ),
    "mapped at once": (small(after="\tremap_pfn_range(vma, 0, 0, 0, 0);"), "knows of copy-on-write"),
    "pages are inserted": (small(insert="vmf_insert_mixed(vmf->vma, vmf->address, pfn)"), "no fault handler"),
    "the flag is cleared": (small(sets="vm_flags_mod(vma, VM_MIXEDMAP, VM_PFNMAP)"), ""),
    "nobody calls it": (small(table=""), "nobody is seen"),
}


@pytest.mark.parametrize("text", SEEN.values(), ids=SEEN.keys())
def test_seen(text: str, ask: Ask) -> None:
    assert ask(RULE, text).fires


@pytest.mark.parametrize(("text", "reason"), LEFT_ALONE.values(), ids=LEFT_ALONE.keys())
def test_left_alone(text: str, reason: str, ask: Ask) -> None:
    said = ask(RULE, text)
    assert not said.fires
    assert reason in said.reasons


def test_a_caller_refuses(ask: Ask) -> None:
    """The flag is set in a helper; the handler that calls it may have refused before."""
    caller = "int mmap_it(struct file *file, struct vm_area_struct *vma)\n{{\n{}\n\treturn f(file, vma);\n}}\n"
    table = "static const struct file_operations ops = { .mmap = mmap_it };"
    assert ask(RULE, small(table=caller.format("") + table)).fires
    refused = small(table=caller.format(refuse("is_cow_mapping(vma->vm_flags)")) + table)
    assert "refused before" in ask(RULE, refused).reasons


def test_what_is_not_in_sight_is_a_doubt(ask: Ask) -> None:
    own = small(table="static const struct doorbell_ops ops = { .mmap = f };")
    asked = small(refuse("doorbell_check(vma)"))
    for text, reason in ((own, "who calls it"), (asked, "doorbell_check()")):
        said = ask(RULE, text)
        assert not said.fires
        assert any(isinstance(each, Doubt) and reason in each.reason for each in said.outcome.verdicts)


def test_what_is_told(ask: Ask) -> None:
    texts = [step.text for step in ask(RULE, small()).finding.steps]
    assert ".mmap = f of file_operations" in texts[0]
    assert "sets VM_PFNMAP" in texts[1]
    assert "vmf_insert_pfn() in fault()" in texts[2]


CORRECT = [
    ("drivers/vhost/vdpa.c", "vhost_vdpa_mmap", "VM_SHARED) == 0"),
    ("drivers/dma-buf/udmabuf.c", "mmap_udmabuf", "VM_SHARED | VM_MAYSHARE"),
    ("arch/powerpc/platforms/cell/spufs/file.c", "spufs_mem_mmap", "VM_SHARED"),
]


@pytest.mark.needs_tree("6.12")
@pytest.mark.parametrize(("path", "name", "condition"), CORRECT, ids=[name for _, name, _ in CORRECT])
def test_a_check_taken_out_of_a_correct_handler(
    path: str, name: str, condition: str, tree_dir: Callable[[str], Path], desk: SimpleNamespace, rules: dict[str, Rule]
) -> None:
    tree = DirectoryTree(tree_dir("6.12"))
    program = Program(tree, knowledge((6, 12)))
    assert not desk.judge(program, rules[RULE], name, path).fires
    text = program.raw(path)
    fn = program.function(path, name)
    assert text is not None and fn is not None
    line = next((each for each in fn.text.split(b"\n") if condition.encode() in each), None)
    assert line is not None, "the handler still refuses as it did"
    spoiled = OverlayTree(tree, {path: text.replace(fn.text, fn.text.replace(line, b"\tif (0)"))})
    assert desk.judge(Program(spoiled, knowledge((6, 12))), rules[RULE], name, path).fires
