"""revoke-order: unmapped before new faults are kept out; over our own C and over kernel functions turned round."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.code.ir import Function
from lorelint.code.program import Cache, Program
from lorelint.edge.directory import DirectoryTree
from lorelint.kernel.load import knowledge
from lorelint.model.tree import OverlayTree
from lorelint.rule.door import Rule
from lorelint.rule.engine import Judge

RULE = "revoke-order"
Ask = Callable[..., Any]

TEXT = """
struct box { struct inode *inode; struct mutex lock; struct mutex other; struct pci_dev *pdev; unsigned long pfn;
	     bool dead; bool revoked; struct list_head list; struct list_head all; };

static vm_fault_t box_fault(struct vm_fault *vmf)
{
	struct box *b = vmf->vma->vm_private_data;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	mutex_lock(&b->lock);
	if (!b->dead && !b->revoked)
		ret = INSERT(vmf->vma, vmf->address, b->pfn);
	mutex_unlock(&b->lock);
	return ret;
}

static const struct vm_operations_struct box_vm_ops = { .fault = box_fault };

static int box_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct box *b = file->private_data;

	if (vma_pages(vma) > pci_resource_len(b->pdev, 0) >> PAGE_SHIFT)
		return -EINVAL;
	vma->vm_private_data = b;
	vma->vm_ops = &box_vm_ops;
	return 0;
}

static void box_zap(struct box *b)
{
	unmap_mapping_range(b->inode->i_mapping, 0, 0, 1);
}

static void box_kill(struct box *b)
{
	mutex_lock(&b->lock);
	b->dead = true;
	mutex_unlock(&b->lock);
}

static void f(struct box *b)
{
	struct box *each;

BODY
}

static RETURNS box_enter(ARGS)
{
	struct box *b = file->private_data;

	f(b);
	return 0;
}

static const struct file_operations box_fops = { .mmap = box_mmap, .ENTRY = box_enter };
"""
USER = ("long", "struct file *file, unsigned int cmd, unsigned long arg", "unlocked_ioctl")
CLOSE = ("int", "struct inode *inode, struct file *file", "release")


def box(body: str, entry: tuple[str, str, str] = USER, insert: str = "vmf_insert_pfn") -> str:
    returns, args, field = entry
    text = TEXT.replace("BODY", body).replace("RETURNS", returns).replace("ARGS", args)
    return text.replace("ENTRY", field).replace("INSERT", insert)


WRONG = {
    "here": "\tbox_zap(b);\n\tb->dead = true;",
    "the call itself": "\tunmap_mapping_range(b->inode->i_mapping, 0, 0, 1);\n\tb->dead = true;",
    "in a callee": "\tbox_zap(b);\n\tbox_kill(b);",
    "another lock": "\tmutex_lock(&b->other);\n\tbox_zap(b);\n\tb->dead = true;\n\tmutex_unlock(&b->other);",
    "the lock too late": "\tbox_zap(b);\n\tmutex_lock(&b->lock);\n\tb->dead = true;\n\tmutex_unlock(&b->lock);",
    "given back in between": "\tmutex_lock(&b->lock);\n\tbox_zap(b);\n\tmutex_unlock(&b->lock);\n\tbox_kill(b);",
    "before all of them": "\tbox_zap(b);\n\tlist_for_each_entry(each, &b->all, list)\n\t\tbox_kill(each);",
    "a reset under the lock": "\tbox_zap(b);\n\tmutex_lock(&b->lock);\n\tpci_reset_function(b->pdev);\n\tmutex_unlock(&b->lock);",
    "a lock for the caller": "\tbox_zap(b);\n\tmutex_lock(&b->lock);",
}  # fmt: skip
RIGHT = {
    "first the marker": ("\tb->dead = true;\n\tbox_zap(b);", ""),
    "under the lock": (
        "\tmutex_lock(&b->lock);\n\tbox_zap(b);\n\tb->dead = true;\n\tmutex_unlock(&b->lock);",
        "box.lock, which the handlers take, is held over both",
    ),
    "once more": ("\tbox_zap(b);\n\tb->dead = true;\n\tbox_zap(b);", "it is unmapped once more behind the marker"),
    "another marker first": (
        "\tb->revoked = true;\n\tbox_zap(b);\n\tb->dead = true;",
        "a marker that the handlers test is set before the unmap",
    ),
    "each in turn": ("\tlist_for_each_entry(each, &b->all, list) {\n\t\tbox_kill(each);\n\t\tbox_zap(each);\n\t}", ""),
    "the lock first": ("\tmutex_lock(&b->lock);\n\tbox_zap(b);", ""),
    "one or the other": ("\tif (b->pfn)\n\t\tbox_zap(b);\n\telse\n\t\tb->dead = true;", ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_seen(ask: Ask, name: str) -> None:
    said = ask(RULE, box(WRONG[name]))
    assert said.fires, said.reasons
    assert "the mappings are taken away before" in said.finding.message
    told = "\n".join(step.text for step in said.finding.steps)
    assert "a fault maps again in f()" in told
    assert "vmf_insert_pfn() in box_fault()" in told


def test_seen_through_a_table_of_the_folder(ask: Ask) -> None:
    text = box("\tb->ops->unmap(b);\n\tb->dead = true;").replace("struct list_head all;", "const struct box_ops *ops;")
    table = (
        "struct box_ops { void (*unmap)(struct box *b); };\nstatic const struct box_ops ops = { .unmap = box_zap };\n"
    )
    assert ask(RULE, text + table).fires
    assert not ask(RULE, text + table.replace(" = box_zap", " = box_kill")).fires


@pytest.mark.parametrize("name", RIGHT)
def test_left_alone(ask: Ask, name: str) -> None:
    body, reason = RIGHT[name]
    said = ask(RULE, box(body))
    assert not said.fires
    assert reason in said.reasons


def test_nothing_is_mapped_when_the_file_is_closed(ask: Ask) -> None:
    said = ask(RULE, box(WRONG["here"], CLOSE))
    assert not said.fires and "entered only when nothing can be mapped" in said.reasons


def test_pages_with_references_may_come_back(ask: Ask) -> None:
    assert not ask(RULE, box(WRONG["here"], insert="vm_insert_page")).fires


# -- functions of a kernel, turned round ------------------------------------------------------


FOLDERS = ("drivers/misc/uacce", "drivers/misc/cxl", "drivers/misc/ocxl")
UNMAP = re.compile(r"\n[ \t]*(?:if \([^()]*\)\n[ \t]*)?(?:unmap_mapping_range\([^;]*\);|\w*zap_bars\([^;]*\);)")


def turned(fn: Function) -> str | None:
    """The text with its first unmap before all other statements that take a lock or call somebody."""
    text = fn.text.decode("latin-1")
    found = UNMAP.search(text)
    head = re.search(r"\n[ \t]+(?:mutex_lock|down_write|\w+_detach)\([^;]*\);", text)
    if found is None or head is None or head.start() > found.start():
        return None
    rest = text[: found.start()] + text[found.end() :]
    return rest[: head.start()] + found.group() + rest[head.start() :]


@pytest.mark.needs_tree("6.12")
def test_a_right_function_turned_round_is_seen(rules: dict[str, Rule], tree_dir: Callable[[str], Path]) -> None:
    cache, know = Cache.empty(), knowledge((6, 12))
    judge = Judge(Program(DirectoryTree(tree_dir("6.12")), know, cache))
    told: dict[str, bool] = {}
    for folder in FOLDERS:
        for path in judge.program.tree.files(folder):
            raw = (judge.program.raw(path) or b"").decode("latin-1")
            for fn in judge.program.functions(path) if UNMAP.search(raw) and path.endswith(".c") else ():
                wrong = turned(fn)
                if wrong is None:
                    continue
                assert not judge.judge(rules[RULE], fn).defects, f"{fn.name}() is right as it is"
                text = raw.replace(fn.text.decode("latin-1"), wrong).encode("latin-1")
                again = Judge(Program(OverlayTree(judge.program.tree, {path: text}), know, cache))
                other = again.program.function(path, fn.name)
                assert other is not None
                told[fn.name] = bool(again.judge(rules[RULE], other).defects)
    assert len(told) >= 3
    assert all(told.values()), told
