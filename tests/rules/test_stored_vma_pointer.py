"""stored-vma-pointer: what it must see, what it must leave alone and why, over our own C and over kernel trees."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lorelint.model.finding import Doubt, Severity
from lorelint.rule.door import Rule
from lorelint.rule.engine import Judge

RULE = "stored-vma-pointer"
Ask = Callable[..., Any]

HEAD = """
struct bell { struct mutex lock; struct vm_area_struct *vma; struct list_head vmas; unsigned long pfn; int count; };
struct bell_vma { struct list_head node; struct vm_area_struct *vma; };
"""
OPS = "static const struct vm_operations_struct bell_ops = {{ .fault = bell_fault,{more} }};\n"
FAULT = "static vm_fault_t bell_fault(struct vm_fault *vmf)\n{\n\treturn VM_FAULT_SIGBUS;\n}\n"
FOPS = "static const struct file_operations bell_fops = { .mmap = f, };\n"
USER = """
int bell_revoke(struct bell *b)
{
	zap_vma_ptes(b->vma, b->vma->vm_start, PAGE_SIZE);
	return 0;
}
"""


def bell(
    keep: str = "\tb->vma = vma;",
    close: str = "",
    ops: str = "\tvma->vm_ops = &bell_ops;",
    after: str = FOPS,
    before: str = "",
) -> str:
    body = f"static void bell_close(struct vm_area_struct *vma)\n{{\n{close}\n}}\n" if close else ""
    table = OPS.format(more=" .close = bell_close," if close else "")
    handler = (
        f"int f(struct file *file, struct vm_area_struct *vma)\n{{\n\tstruct bell *b = file->private_data;\n"
        f"\tstruct bell_vma *each = kmalloc(sizeof(*each), GFP_KERNEL);\n\n{keep}\n{ops}\n\treturn 0;\n}}\n"
    )
    return HEAD + FAULT + before + body + table + handler + after


CLEARS = (
    "\tstruct bell *b = vma->vm_private_data;\n\n\tmutex_lock(&b->lock);\n\tb->vma = NULL;\n\tmutex_unlock(&b->lock);"
)
SEEN = {
    "a field": bell(),
    "used later": bell(after=FOPS + USER),
    "written once": bell("\tWRITE_ONCE(b->vma, vma);"),
    "released": bell("\tsmp_store_release(&b->vma, vma);"),
    "a node of a list": bell("\teach->vma = vma;\n\tlist_add(&each->node, &b->vmas);"),
    "no vm_ops at all": bell(ops=""),
    "a close that counts": bell(close="\tstruct bell *b = vma->vm_private_data;\n\n\tb->count--;"),
    "cleared on release alone": bell(
        after=FOPS.replace(".mmap", ".release = bell_release, .mmap"),
        before="static int bell_release(struct inode *i, struct file *file)\n{\n\tstruct bell *b = file->private_data;\n\n"
        "\tb->vma = NULL;\n\treturn 0;\n}\n",
    ),
    "a global": bell("\tlast.vma = vma;", before="static struct bell last;\n"),
}


@pytest.mark.parametrize("name", SEEN)
def test_seen(ask: Ask, name: str) -> None:
    said = ask(RULE, SEEN[name])
    assert said.fires, said.reasons
    assert said.finding.steps[0].text == ".mmap = f of file_operations"
    assert (said.finding.severity is Severity.ERROR) == (name == "used later")


def test_through_a_helper_and_from_a_fault(ask: Ask) -> None:
    text = HEAD + (
        "static int f(struct bell *b, struct vm_area_struct *vma)\n{\n\tb->vma = vma;\n\treturn 0;\n}\n"
        "static vm_fault_t bell_fault(struct vm_fault *vmf)\n{\n\treturn f(vmf->vma->vm_private_data, vmf->vma);\n}\n"
    )
    said = ask(RULE, text + OPS.format(more=""))
    assert said.fires and said.finding.confidence > 0.7
    assert said.finding.anchor == "bell.vma"


SILENT = {
    "cleared": (bell(close=CLEARS), "the close operation takes it out"),
    "cleared below": (
        bell(
            close="\tbell_forget(vma->vm_private_data);",
            before="static void bell_forget(struct bell *b)\n{\n\tb->vma = NULL;\n}\n",
        ),
        "the close operation takes it out",
    ),
    "off the list": (
        bell(
            "\teach->vma = vma;\n\tlist_add(&each->node, &b->vmas);",
            close="\tstruct bell_vma *each = vma->vm_private_data;\n\n\tlist_del(&each->node);\n\tkfree(each);",
        ),
        "the close operation takes it out",
    ),
    "only for the call": (bell("\tb->vma = vma;\n\twork(b);\n\tb->vma = NULL;"), ""),
    "the other direction": (bell("\tvma->vm_private_data = b;"), ""),
    "a struct of arguments": (bell("\tstruct vm_fault x;\n\n\tx.vma = vma;"), ""),
    "nobody maps by it": (bell(after=""), "no mmap or fault operation leads to it"),
    "another kind of VMA": (
        HEAD + "int f(struct i915_vma *vma, struct ring *r)\n{\n\tr->vma = vma;\n\treturn 0;\n}\n",
        "",
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_silent_and_says_why(ask: Ask, name: str) -> None:
    text, reason = SILENT[name]
    said = ask(RULE, text)
    assert not said.fires, said.finding
    assert reason in said.reasons


def test_vm_ops_that_cannot_be_read_are_a_doubt(rules: dict[str, Rule], desk: SimpleNamespace) -> None:
    program = desk.program(bell(ops="\tvma->vm_ops = b->ops;"))
    outcome = Judge(program).judge(rules[RULE], program.function("drivers/demo/a.c", "f"))
    assert [type(each) for each in outcome.verdicts] == [Doubt]


# -- kernel trees -----------------------------------------------------------------------------

KERNEL = {
    "coproc_mmap": ("arch/powerpc/platforms/book3s/vas-api.c",),
    "remember_vma": ("kernel/bpf/arena.c",),
    "binder_alloc_set_vma": ("drivers/android/binder.c", "drivers/android/binder_alloc.c"),
}
CLOSE = re.compile(r"\n\s*\.close\s*=\s*\w+,")


@pytest.mark.needs_tree("6.12")
@pytest.mark.parametrize("name", KERNEL)
def test_taking_the_close_operation_out_makes_it_speak(
    rules: dict[str, Rule], tree_dir: Callable[[str], Path], desk: Any, name: str
) -> None:
    files = {path: (tree_dir("6.12") / path).read_text(encoding="latin-1") for path in KERNEL[name]}
    place = KERNEL[name][-1]
    said = desk.judge(desk.program(files), rules[RULE], name, place)
    assert "close operation" in said.reasons and not said.fires
    without = {path: CLOSE.sub("", text) for path, text in files.items()}
    assert without != files
    found = desk.judge(desk.program(without), rules[RULE], name, place).finding
    assert "no close operation" in found.message
