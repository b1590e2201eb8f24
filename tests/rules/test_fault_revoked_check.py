"""fault-revoked-check: the holes it must see, what keeps a path shut; over our own C and over kernel handlers broken."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lorelint.code.program import Cache, Program
from lorelint.edge.directory import DirectoryTree
from lorelint.kernel.load import knowledge
from lorelint.model.tree import OverlayTree
from lorelint.rule.door import Rule
from lorelint.rule.engine import Judge

RULE = "fault-revoked-check"
Ask = Callable[..., Any]

HEAD = """
struct box { struct inode *inode; struct mutex lock; struct mutex other; struct rw_semaphore sem; unsigned long pfn;
	     bool dead; bool ready; struct info *info; struct list_head list; };

static bool box_dead(struct box *b)
{
	return b->dead;
}

static bool box_ask(struct box *b)
{
	bool dead;

	mutex_lock(&b->lock);
	dead = b->dead;
	mutex_unlock(&b->lock);
	return dead;
}

static void box_lock(struct box *b)
{
	mutex_lock(&b->lock);
}

static void box_unlock(struct box *b)
{
	mutex_unlock(&b->lock);
}

static vm_fault_t box_put_in(struct box *b, struct vm_fault *vmf)
{
	lockdep_assert_held(&b->lock);
	return vmf_insert_pfn(vmf->vma, vmf->address, b->pfn);
}
"""
SHUT = """
static void box_shut(struct box *b)
{
	mutex_lock(&b->lock);
	b->dead = true;
	b->ready = false;
	unmap_mapping_range(b->inode->i_mapping, 0, 0, 1);
	mutex_unlock(&b->lock);
}

static long box_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	box_shut(file->private_data);
	return 0;
}
"""
TABLES = """
static const struct vm_operations_struct box_vm_ops = { .fault = f };

static int box_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_private_data = file->private_data;
	vma->vm_ops = &box_vm_ops;
	return 0;
}

static const struct file_operations box_fops = { .mmap = box_mmap, .unlocked_ioctl = box_ioctl };
"""
INSERT = "ret = vmf_insert_pfn(vmf->vma, vmf->address, b->pfn);"


def box(body: str, shut: str = SHUT) -> str:
    start = "\tstruct box *b = vmf->vma->vm_private_data;\n\tvm_fault_t ret = VM_FAULT_SIGBUS;\n"
    fault = f"static vm_fault_t f(struct vm_fault *vmf)\n{{\n{start}\n{body}\n\treturn ret;\n}}\n"
    return HEAD + shut + fault + TABLES


HOLES = {
    "no lock": (f"\tif (!b->dead)\n\t\t{INSERT}", "dead is tested without box.lock"),
    "read once": (f"\tif (!READ_ONCE(b->dead))\n\t\t{INSERT}", "dead is tested without box.lock"),
    "tested too early": (
        f"\tif (b->dead)\n\t\treturn ret;\n\tmutex_lock(&b->lock);\n\t{INSERT}\n\tmutex_unlock(&b->lock);",
        "dead is tested without box.lock",
    ),
    "unlocked too early": (
        f"\tmutex_lock(&b->lock);\n\tif (b->dead) {{\n\t\tmutex_unlock(&b->lock);\n\t\treturn ret;\n\t}}\n"
        f"\tmutex_unlock(&b->lock);\n\t{INSERT}",
        "dead is tested under box.lock, which is not held any more",
    ),
    "taken again in between": (
        "\tbool dead;\n\n\tmutex_lock(&b->lock);\n\tdead = b->dead;\n\tmutex_unlock(&b->lock);\n\tprepare(b);\n"
        f"\tmutex_lock(&b->lock);\n\tif (!dead)\n\t\t{INSERT}\n\tmutex_unlock(&b->lock);",
        "dead is tested under box.lock, which is not held any more",
    ),
    "asked of a helper": (f"\tif (!box_ask(b))\n\t\t{INSERT}", "dead is tested under box.lock, which is not held"),
    "a guard that ends": (
        f"\tscoped_guard(mutex, &b->lock) {{\n\t\tif (b->dead)\n\t\t\treturn ret;\n\t}}\n\t{INSERT}",
        "dead is tested under box.lock, which is not held any more",
    ),
    "a helper that gives the lock back": (
        f"\tbox_lock(b);\n\tif (b->dead) {{\n\t\tbox_unlock(b);\n\t\treturn ret;\n\t}}\n\tbox_unlock(b);\n\t{INSERT}",
        "dead is tested under box.lock, which is not held any more",
    ),
    "never": (f"\t{INSERT}", "f() maps the object without a test of dead"),
    "locked, and never": (
        f"\tmutex_lock(&b->lock);\n\t{INSERT}\n\tmutex_unlock(&b->lock);",
        "f() maps the object without a test of dead",
    ),
    "a helper that wants the lock": (
        "\tif (!b->dead)\n\t\tret = box_put_in(b, vmf);",
        "dead is tested without box.lock",
    ),
}


@pytest.mark.parametrize("name", HOLES)
def test_seen(ask: Ask, name: str) -> None:
    body, message = HOLES[name]
    said = ask(RULE, box(body))
    assert said.fires, said.reasons
    assert message in said.finding.message
    told = "\n".join(step.text for step in said.finding.steps)
    assert "b->dead = true in box_shut(), under box.lock" in told
    assert "vmf_insert_pfn() in " in told
    assert said.finding.ask


LOCKED = f"\tmutex_lock(&b->lock);\n\tif (!b->dead)\n\t\t{INSERT}\n\tmutex_unlock(&b->lock);"
RIGHT = {
    "under the lock": (box(LOCKED), "the PTE made under box.lock"),
    "by a guard": (box(f"\tguard(mutex)(&b->lock);\n\tif (!b->dead)\n\t\t{INSERT}"), "the PTE made under box.lock"),
    "by a wrapper": (
        box(f"\tbox_lock(b);\n\tif (!b->dead)\n\t\t{INSERT}\n\tbox_unlock(b);"),
        "the PTE made under box.lock",
    ),
    "by a predicate": (
        box(f"\tmutex_lock(&b->lock);\n\tif (!box_dead(b))\n\t\t{INSERT}\n\tmutex_unlock(&b->lock);"),
        "the PTE made under box.lock",
    ),
    "in a helper that asserts": (
        box("\tmutex_lock(&b->lock);\n\tif (!b->dead)\n\t\tret = box_put_in(b, vmf);\n\tmutex_unlock(&b->lock);"),
        "the PTE made under box.lock",
    ),
    "by another field": (
        box(f"\tmutex_lock(&b->lock);\n\tif (b->ready)\n\t\t{INSERT}\n\tmutex_unlock(&b->lock);"),
        "b->ready is looked at and the PTE made under box.lock",
    ),
    "once early, once right": (
        box(f"\tif (READ_ONCE(b->dead))\n\t\treturn ret;\n{LOCKED}"),
        "the PTE made under box.lock",
    ),
    "a page with its own reference": (
        box("\tif (!b->dead) {\n\t\tstruct page *page = pfn_to_page(b->pfn);\n\n\t\tget_page(page);\n"
            "\t\tvmf->page = page;\n\t\tret = 0;\n\t}"),
        "",
    ),
    "until the device is gone": (
        box(f"\tint idx;\n\n\tif (drm_dev_enter(b->drm, &idx)) {{\n\t\t{INSERT}\n\t\tdrm_dev_exit(idx);\n\t}}"),
        "inside drm_dev_enter()",
    ),
    "the marker is set under no lock": (
        box(f"\tif (!b->dead)\n\t\t{INSERT}", SHUT.replace("mutex_lock(&b->lock);", "").replace("mutex_unlock(&b->lock);", "")),
        "no lock was found under which the marker is set",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_left_alone(ask: Ask, name: str) -> None:
    text, reason = RIGHT[name]
    said = ask(RULE, text)
    assert not said.fires
    assert reason in said.reasons


def test_a_lock_that_the_revoke_is_not_seen_to_hold(ask: Ask) -> None:
    """The handler does hold one over both: it may be that somebody up there holds it too."""
    said = ask(RULE, box(f"\tmutex_lock(&b->other);\n\tif (!b->dead)\n\t\t{INSERT}\n\tmutex_unlock(&b->other);"))
    assert not said.fires
    (doubt,) = said.outcome.doubts
    assert "box.other is held over the test and the insert; box_shut() is not seen to hold it" in doubt.reason


def test_a_lock_that_every_caller_holds(ask: Ask) -> None:
    """The marker is set under a lock that only the callers take."""
    shut = SHUT.replace("\tmutex_lock(&b->lock);\n", "").replace("\tmutex_unlock(&b->lock);\n", "")
    around = shut.replace(
        "\tbox_shut(file->private_data);\n",
        "\tstruct box *b = file->private_data;\n\n\tmutex_lock(&b->lock);\n\tbox_shut(b);\n\tmutex_unlock(&b->lock);\n",
    )
    assert ask(RULE, box(f"\tif (!b->dead)\n\t\t{INSERT}", around)).fires
    assert not ask(RULE, box(LOCKED, around)).fires


ZAP = "\tunmap_mapping_range(b->inode->i_mapping, 0, 0, 1);\n"
ELSEWHERE = "static void other_cut(struct other *o)\n{\n\tunmap_mapping_range(o->inode->i_mapping, 0, 0, 1);\n}\n"


@pytest.mark.parametrize(
    ("name", "fires"), [("unlocked too early", True), ("a guard that ends", True), ("no lock", False), ("never", False)]
)
def test_a_revoke_that_unmaps_nothing(ask: Ask, name: str, fires: bool) -> None:
    """Who takes the lock of the revoke to look, and gives it back before the insert, means to keep new PTEs out."""
    said = ask(RULE, box(HOLES[name][0], SHUT.replace(ZAP, "") + ELSEWHERE))
    assert said.fires is fires, said.reasons
    assert not fires or any("makes its PTE all the same" in fact for fact in said.finding.facts)


def test_a_revoke_that_comes_when_nothing_is_mapped(ask: Ask) -> None:
    shut = SHUT.replace(ZAP, "") + ELSEWHERE
    shut = shut.replace(
        "static long box_ioctl(struct file *file, unsigned int cmd, unsigned long arg)",
        "static int box_release(struct inode *inode, struct file *file)",
    )
    text = box(HOLES["unlocked too early"][0], shut)
    assert not ask(RULE, text.replace(".unlocked_ioctl = box_ioctl", ".release = box_release")).fires


STALE = """
struct key { u64 where; };
struct ring { struct mutex keys_lock; struct idr keys; struct inode *inode; };

static u64 key_address(struct ring *r, int id)
{
	struct key *key;
	u64 where = 0;

	mutex_lock(&r->keys_lock);
	key = idr_find(&r->keys, id);
	if (key)
		where = key->where;
	mutex_unlock(&r->keys_lock);
	return where;
}

static long ring_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ring *r = file->private_data;

	mutex_lock(&r->keys_lock);
	idr_remove(&r->keys, arg);
	unmap_mapping_range(r->inode->i_mapping, arg << PAGE_SHIFT, PAGE_SIZE, 1);
	mutex_unlock(&r->keys_lock);
	return 0;
}

static vm_fault_t f(struct vm_fault *vmf)
{
	struct ring *r = vmf->vma->vm_private_data;
	u64 where;
	vm_fault_t ret;

	BEFORE
	where = key_address(r, vmf->pgoff);
	if (!where)
		return VM_FAULT_SIGBUS;
	ret = vmf_insert_pfn(vmf->vma, vmf->address, where >> PAGE_SHIFT);
	return ret;
}

static const struct vm_operations_struct ring_vm_ops = { .fault = f };

static int ring_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_private_data = file->private_data;
	vma->vm_ops = &ring_vm_ops;
	return 0;
}

static const struct file_operations ring_fops = { .mmap = ring_mmap, .unlocked_ioctl = ring_ioctl };
"""


def test_what_was_looked_up_under_the_lock_is_stale_without_it(ask: Ask) -> None:
    said = ask(RULE, STALE.replace("BEFORE", ""))
    assert said.fires and "is looked up under ring.keys_lock" in said.finding.message
    one_lock = STALE.replace("BEFORE", "guard(mutex)(&r->keys_lock);").replace(
        "\tmutex_lock(&r->keys_lock);\n\tkey =", "\tkey ="
    )
    assert not ask(RULE, one_lock.replace("\tmutex_unlock(&r->keys_lock);\n\treturn where;", "\treturn where;")).fires


OWNER = """
struct part { struct info *info; struct mutex info_lock; };

static vm_fault_t f(struct vm_fault *vmf)
{
	struct part *p = vmf->vma->vm_private_data;
	struct page *page;

	HERE
	page = virt_to_page(p->info->memory);
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct part_vm_ops = { .fault = f };

static int part_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_private_data = file->private_data;
	vma->vm_ops = &part_vm_ops;
	return 0;
}

static const struct file_operations part_fops = { .mmap = part_mmap };

void part_unregister(struct part *p)
{
	mutex_lock(&p->info_lock);
	p->info = NULL;
	mutex_unlock(&p->info_lock);
}
"""


def test_an_owner_that_becomes_null(ask: Ask) -> None:
    said = ask(RULE, OWNER.replace("HERE", ""))
    assert said.fires and "f() follows info without a test" in said.finding.message
    test = "if (!p->info)\n\t\treturn VM_FAULT_SIGBUS;"
    assert "info is tested without part.info_lock" in ask(RULE, OWNER.replace("HERE", test)).finding.message
    assert not ask(RULE, OWNER.replace("HERE", f"guard(mutex)(&p->info_lock);\n\t{test}")).fires


# -- handlers of a kernel, broken -------------------------------------------------------------


FOLDERS = ("drivers/misc/cxl", "drivers/misc/ocxl", "drivers/misc/uacce", "drivers/uio")
TAKES = re.compile(r"\b(?:mutex_lock|down_read|down_write)\(&?\w+->\w+\);")
GIVES = re.compile(r"\b(?:mutex_unlock|up_read|up_write)\(&?\w+->\w+\);")


@pytest.mark.needs_tree("6.12")
def test_a_right_handler_without_its_lock_is_seen(rules: dict[str, Rule], tree_dir: Callable[[str], Path]) -> None:
    """Handlers that are silent for the lock they hold: with the lock taken out they must not be."""
    cache, know = Cache.empty(), knowledge((6, 12))
    judge = Judge(Program(DirectoryTree(tree_dir("6.12")), know, cache))
    tried, seen = [], []
    for path in handlers(judge.program):
        for fn in judge.program.functions(path):
            text = fn.text.decode("latin-1")
            if not (TAKES.search(text) and GIVES.search(text) and "vm" in text):
                continue
            right = judge.judge(rules[RULE], fn)
            if right.defects or not any("the PTE made under" in each.reason for each in right.silences):
                continue
            broken = GIVES.sub(";", TAKES.sub(";", text))
            raw = (judge.program.raw(path) or b"").decode("latin-1").replace(text, broken)
            tree = OverlayTree(judge.program.tree, {path: raw.encode("latin-1")})
            again = Judge(Program(tree, know, cache))
            other = again.program.function(path, fn.name)
            assert other is not None
            tried.append(fn.name)
            if again.judge(rules[RULE], other).defects:
                seen.append(fn.name)
    assert len(tried) >= 4
    assert sorted(seen) == sorted(tried)


def handlers(program: Program) -> list[str]:
    words = (b"vmf_insert_pfn", b"vm_operations_struct", b"remap_pfn_range")
    return [
        path
        for folder in FOLDERS
        for path in program.tree.files(folder)
        if path.endswith(".c") and any(word in (program.raw(path) or b"") for word in words)
    ]


def test_names_do_not_matter(rules: dict[str, Rule], desk: SimpleNamespace) -> None:
    for body, fires in ((HOLES["no lock"][0], True), (LOCKED, False)):
        text = re.sub(r"(?<![\w.>])(?<!\bstruct )(box_\w+|b|vmf|ret)\b", r"\1_by_another_name", box(body))
        assert desk.judge(desk.program(text), rules[RULE], "f").fires is fires


TWO = """
struct board { struct mutex lock; struct inode *inode; bool dead; };
struct part { struct board *board; struct inode *inode; unsigned long pfn; bool revoked; };

static void board_kill(struct board *board)
{
	mutex_lock(&board->lock);
	board->dead = true;
	unmap_mapping_range(board->inode->i_mapping, 0, 0, 1);
	mutex_unlock(&board->lock);
}

static void part_cut(struct part *p)
{
	mutex_lock(&p->board->lock);
	p->revoked = true;
	unmap_mapping_range(p->inode->i_mapping, 0, 0, 1);
	mutex_unlock(&p->board->lock);
}

static vm_fault_t f(struct vm_fault *vmf)
{
	struct part *p = vmf->vma->vm_private_data;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	EARLY
	mutex_lock(&p->board->lock);
	if (!p->board->dead LATE)
		ret = vmf_insert_pfn(vmf->vma, vmf->address, p->pfn);
	mutex_unlock(&p->board->lock);
	return ret;
}

static const struct vm_operations_struct part_vm_ops = { .fault = f };

static int part_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_private_data = file->private_data;
	vma->vm_ops = &part_vm_ops;
	return 0;
}

static const struct file_operations part_fops = { .mmap = part_mmap };
"""


def test_one_of_two_revokes_is_kept_out(ask: Ask) -> None:
    """That the device is looked at as it should be says nothing of the object itself."""
    early = "if (p->revoked)\n\t\treturn ret;"
    never = ask(RULE, TWO.replace("EARLY", "").replace("LATE", ""))
    assert "f() maps the object without a test of revoked" in never.finding.message
    too_early = ask(RULE, TWO.replace("EARLY", early).replace("LATE", ""))
    assert "revoked is tested without board.lock" in too_early.finding.message
    assert not ask(RULE, TWO.replace("EARLY", "").replace("LATE", "&& !p->revoked")).fires
