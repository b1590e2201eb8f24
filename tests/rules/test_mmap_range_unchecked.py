"""mmap-range-unchecked: what it must see, what it must leave alone and why, and checks taken out of correct handlers."""

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

RULE = "mmap-range-unchecked"
Ask = Callable[..., Any]

HANDLER = """
{above}
int f(struct file *file, struct vm_area_struct *vma)
{{
	struct window *w = file->private_data;
	unsigned long off = vma->vm_pgoff << PAGE_SHIFT;
	unsigned long len = vma->vm_end - vma->vm_start;
{checks}
	return {maps};
}}
static const struct {table} ops = {{ .mmap = f }};
"""
BOTH = "remap_pfn_range(vma, vma->vm_start, (w->base + off) >> PAGE_SHIFT, len, vma->vm_page_prot)"
LENGTH = "io_remap_pfn_range(vma, vma->vm_start, w->base >> PAGE_SHIFT, len, vma->vm_page_prot)"
FIXED = "remap_pfn_range(vma, vma->vm_start, (w->base + off) >> PAGE_SHIFT, w->size, vma->vm_page_prot)"
PFN = "vmf_insert_pfn(vma, vma->vm_start, vma->vm_pgoff)"
COHERENT = "dma_mmap_coherent(w->dev, vma, w->cpu, w->dma, {size})"


def handler(checks: str = "", maps: str = BOTH, table: str = "file_operations", above: str = "") -> str:
    return HANDLER.format(checks=checks, maps=maps, table=table, above=above)


def refuse(condition: str) -> str:
    return f"\tif ({condition})\n\t\treturn -EINVAL;"


SEEN = {
    "nothing compared": handler(),
    "one by one": handler(refuse("off >= w->size || len > w->size")),
    "the offset alone": handler(refuse("off > w->size")),
    "the length alone": handler(refuse("len > w->size")),
    "refused only together": handler(refuse("off > w->size && len > w->size - off")),
    "on one way only": handler("\tif (w->strict && off + len > w->size)\n\t\treturn -EINVAL;"),
    "compared with the sum itself": handler(refuse("off + len < off")),
    "clamped up": handler("\tif (len > w->size)\n\t\tw->size = len;"),
    "a result nobody tests": handler("\twindow_fits(w, off, len);"),
    "a test that keeps nobody": handler('\tif (off + len > w->size)\n\t\tpr_warn("odd");'),
    "length alone is needed": handler(maps=LENGTH),
    "the length for a coherent buffer": handler(maps=COHERENT.format(size="len")),
    "a fixed length at any place": handler(maps=FIXED),
    "a page frame as it came": handler(maps=PFN),
    "the offset kept in the VMA": handler(
        "\tvma->vm_pgoff += w->base >> PAGE_SHIFT;",
        "remap_pfn_range(vma, vma->vm_start, vma->vm_pgoff, len, vma->vm_page_prot)",
    ),
    "page by page": handler(
        "\tunsigned long at = vma->vm_start;\n\twhile (at < vma->vm_end) {\n"
        "\t\tif (remap_pfn_range(vma, at, (w->base + off) >> PAGE_SHIFT, PAGE_SIZE, PAGE_SHARED))\n"
        "\t\t\treturn -EAGAIN;\n\t\tat += PAGE_SIZE;\n\t\toff += PAGE_SIZE;\n\t}",
        "0",
    ),
    "fb_mmap": handler(table="fb_ops").replace(".mmap", ".fb_mmap"),
    "vfio": handler(table="vfio_device_ops"),
}

LEFT_ALONE = {
    "the sum": (handler(refuse("off + len > w->size")), "bounded together"),
    "the room behind the offset": (handler(refuse("off > w->size || len > w->size - off")), "bounded together"),
    "the room kept in a local": (
        handler("\tunsigned long room = w->size - off;\n" + refuse("room < len")),
        "bounded together",
    ),
    "vma_pages()": (handler(refuse("vma->vm_pgoff + vma_pages(vma) > w->pages")), "bounded together"),
    "check_add_overflow()": (
        handler("\tunsigned long end;\n" + refuse("check_add_overflow(off, len, &end) || end > w->size")),
        "bounded together",
    ),
    "a helper is asked": (handler(refuse("!window_fits(w, off, len)")), "bounded together"),
    "a helper that is handed the VMA": (
        handler(
            refuse("!fits(w, vma)"),
            above="static bool fits(struct window *w, struct vm_area_struct *vma)\n"
            "{\n\treturn vma->vm_pgoff + vma_pages(vma) <= w->pages ? true : false;\n}",
        ),
        "bounded together",
    ),
    "mapped only where it fits": (
        handler("\tif (off + len <= w->size)\n\t\treturn " + BOTH + ";", "-EINVAL"),
        "bounded together",
    ),
    "no offset but 0": (handler(refuse("vma->vm_pgoff || len > w->size")), "few known values"),
    "one offset": (handler(refuse("vma->vm_pgoff != WINDOW_PGOFF || len != PAGE_SIZE")), "few known values"),
    "a switch over the offset": (
        handler(
            refuse("len > PAGE_SIZE") + "\n\tswitch (vma->vm_pgoff) {\n\tcase 0:\n\tcase 1:\n\t\tbreak;\n"
            "\tdefault:\n\t\treturn -EINVAL;\n\t}"
        ),
        "few known values",
    ),
    "the length is enough": (handler(refuse("len > w->size"), LENGTH), "length is compared"),
    "a fixed length at a tested place": (handler(refuse("off >= w->size"), FIXED), "offset is compared"),
    "the mapper compares": (handler(maps=COHERENT.format(size="w->size")), "does not hang on"),
    "vm_iomap_memory()": (handler(maps="vm_iomap_memory(vma, w->base, w->size)"), "does not hang on"),
    "the offset selects": (
        handler(refuse("len > PAGE_SIZE") + "\n\tw = window_find(file, off);\n" + refuse("!w"), LENGTH),
        "length is compared",
    ),
    "the lesser of both": (handler("\tlen = min(len, w->size);", LENGTH), "does not hang on"),
    "the offset is put aside": (
        handler(
            refuse("len > w->size") + "\n\tvma->vm_pgoff = w->base >> PAGE_SHIFT;",
            "remap_pfn_range(vma, vma->vm_start, vma->vm_pgoff, len, vma->vm_page_prot)",
        ),
        "length is compared",
    ),
    "a privileged task": (handler("\tif (!capable(CAP_SYS_RAWIO))\n\t\treturn -EPERM;"), "privileged"),
    "the dma-buf core": (handler(table="dma_buf_ops"), "bounded together"),
    "the PCM core": (handler(table="snd_pcm_ops"), "bounded together"),
    "nobody calls it": (handler().replace(".mmap = f", ".open = g"), "nobody is seen"),
}

CALLED = """
static int f(struct window *w, struct vm_area_struct *vma)
{{
	return remap_pfn_range(vma, vma->vm_start, w->pfn + vma->vm_pgoff, vma->vm_end - vma->vm_start, vma->vm_page_prot);
}}
static int window_mmap(struct file *file, struct vm_area_struct *vma)
{{
	struct window *w = file->private_data;
{checks}
	return f(w, vma);
}}
static const struct file_operations ops = {{ .mmap = window_mmap }};
"""

OWN_TABLE = """
struct window_ops {{
	int (*mmap)(struct window *w, struct vm_area_struct *vma);
}};
static int f(struct window *w, struct vm_area_struct *vma)
{{
	return remap_pfn_range(vma, vma->vm_start, w->pfn + vma->vm_pgoff, vma->vm_end - vma->vm_start, vma->vm_page_prot);
}}
static const struct window_ops ops = {{ .mmap = f }};
{caller}
"""
THROUGH = """
static int window_mmap(struct file *file, struct vm_area_struct *vma)
{{
	const struct window_ops *ops = window_ops_of(file);
{checks}
	return ops->mmap(file->private_data, vma);
}}
static const struct file_operations fops = {{ .mmap = window_mmap }};
"""
CHECK = refuse("vma->vm_pgoff + vma_pages(vma) > WINDOW_PAGES")


@pytest.mark.parametrize("text", SEEN.values(), ids=SEEN.keys())
def test_seen(text: str, ask: Ask) -> None:
    assert ask(RULE, text).fires


@pytest.mark.parametrize(("text", "reason"), LEFT_ALONE.values(), ids=LEFT_ALONE.keys())
def test_left_alone(text: str, reason: str, ask: Ask) -> None:
    said = ask(RULE, text)
    assert not said.fires
    assert reason in said.reasons


def test_the_caller_has_compared(ask: Ask) -> None:
    assert ask(RULE, CALLED.format(checks="")).fires
    assert "bounded together" in ask(RULE, CALLED.format(checks=CHECK)).reasons


def test_a_table_of_the_drivers_own(ask: Ask) -> None:
    """What calls through it is looked for; where nothing is found nobody can tell."""
    assert ask(RULE, OWN_TABLE.format(caller=THROUGH.format(checks=""))).fires
    assert "bounded together" in ask(RULE, OWN_TABLE.format(caller=THROUGH.format(checks=CHECK))).reasons
    said = ask(RULE, OWN_TABLE.format(caller=""))
    assert not said.fires
    assert [each.reason for each in said.outcome.verdicts if isinstance(each, Doubt)] == [
        "who calls it is not in sight"
    ]


ASSIGNED = """
struct bin_attribute {{ struct attribute attr; int (*mmap)(void); }};
static int f(struct file *file, struct kobject *kobj, struct bin_attribute *attr, struct vm_area_struct *vma)
{{
	struct window *w = attr->private;
	{checks}
	return remap_pfn_range(vma, vma->vm_start, (w->base >> PAGE_SHIFT) + vma->vm_pgoff,
			       vma->vm_end - vma->vm_start, vma->vm_page_prot);
}}
int window_show(struct window *w)
{{
	struct {type} *attr = kzalloc(sizeof(*attr), GFP_ATOMIC);

	attr->mmap = f;
	return window_file(w, attr);
}}
"""


def test_a_handler_that_is_assigned_to_a_field(ask: Ask) -> None:
    finding = ask(RULE, ASSIGNED.format(type="bin_attribute", checks="")).finding
    assert any("of bin_attribute" in step.text for step in finding.steps)
    fits = "if (vma->vm_pgoff + vma_pages(vma) > w->pages)\n\t\treturn -EINVAL;"
    assert not ask(RULE, ASSIGNED.format(type="bin_attribute", checks=fits)).fires
    assert not ask(RULE, ASSIGNED.format(type="window_ops", checks="")).fires


def test_a_callee_out_of_sight_is_a_doubt(ask: Ask) -> None:
    said = ask(RULE, handler(refuse("!window_allows(w, vma)")))
    assert not said.fires
    assert any(isinstance(each, Doubt) and "window_allows()" in each.reason for each in said.outcome.verdicts)


def test_what_is_told(ask: Ask) -> None:
    """The table by which user space comes in, each test that is not enough, and the call."""
    found = ask(RULE, handler(refuse("off >= w->size || len > w->size"))).finding
    assert "one by one" in found.message
    texts = [step.text for step in found.steps]
    assert ".mmap = f of file_operations" in texts[0]
    assert "offset and length compared here, each alone" in texts
    assert "vm_pgoff and the length" in texts[-1]


#: Handlers that compare, by what they call, and the condition that is taken out of them.
CORRECT = [
    ("drivers/misc/bcm-vk/bcm_vk_dev.c", "bcm_vk_mmap", "vma->vm_pgoff + vma_pages(vma) >"),
    ("drivers/tee/tee_shm.c", "tee_shm_fop_mmap", "vma->vm_pgoff + vma_pages(vma) >"),
    ("drivers/soc/aspeed/aspeed-lpc-ctrl.c", "aspeed_lpc_ctrl_mmap", "vma->vm_pgoff + vma_pages(vma) >"),
    ("drivers/vfio/cdx/main.c", "vfio_cdx_mmap_mmio", "base + size >"),
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
    assert line is not None, "the handler still compares as it did"
    changed = fn.text.replace(line, b"\tif (0)")
    spoiled = OverlayTree(tree, {path: text.replace(fn.text, changed)})
    assert desk.judge(Program(spoiled, knowledge((6, 12))), rules[RULE], name, path).fires
