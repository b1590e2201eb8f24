"""revoke-without-unmap: each shape it must see, each it must leave alone and why; over our own C and over kernel trees."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lorelint.code.ir import Function
from lorelint.code.program import Cache, Program
from lorelint.edge.directory import DirectoryTree, overlay_files
from lorelint.kernel.load import knowledge
from lorelint.kernel.version import kernel_version
from lorelint.model.finding import Silence
from lorelint.model.tree import OverlayTree, Tree
from lorelint.rule.door import Rule
from lorelint.rule.engine import Judge
from lorelint.rule.outcome import Outcome

RULE = "revoke-without-unmap"
Ask = Callable[..., Any]

HEAD = """
struct box { struct pci_dev *pdev; struct inode *inode; struct rw_semaphore lock; unsigned long pfn; bool dead;
	     bool revoked; int state; struct device *dev; void *mem; unsigned long flags; size_t size; };

static vm_fault_t box_fault(struct vm_fault *vmf)
{
	struct box *b = vmf->vma->vm_private_data;

	if (b->dead || b->state == BOX_CLOSED || !b->dev || test_bit(BOX_GONE, &b->flags))
		return VM_FAULT_SIGBUS;
	return INSERT(vmf->vma, vmf->address, b->pfn);
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
"""
ENTRY = """
static long box_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct box *b = file->private_data;

	f(b);
	return 0;
}
"""
FOPS = "static const struct file_operations box_fops = { .mmap = box_mmap, .unlocked_ioctl = box_ioctl };\n"


def box(
    body: str,
    before: str = "",
    after: str = ENTRY + FOPS,
    insert: str = "vmf_insert_pfn",
    params: str = "struct box *b",
) -> str:
    return f"{HEAD}{before}\nint f({params})\n{{\n{body}\n\treturn 0;\n}}\n{after}".replace("INSERT", insert)


SEEN = {
    "a field": "\tb->dead = true;",
    "a field, released": "\tsmp_store_release(&b->dead, true);",
    "a field that no handler tests": "\tb->revoked = true;",
    "written once": "\tWRITE_ONCE(b->dead, true);",
    "a state": "\tb->state = BOX_CLOSED;",
    "the owner": "\tb->dev = NULL;",
    "a bit": "\tset_bit(BOX_GONE, &b->flags);",
    "a reset": "\tpci_reset_function(b->pdev);",
    "a reset by a local": "\tstruct pci_dev *pdev = b->pdev;\n\n\tpci_try_reset_function(pdev);",
    "power": "\tpci_set_power_state(b->pdev, PCI_D3hot);",
    "importers told": "\tb->dead = true;\n\tdma_buf_move_notify(b->dmabuf);",
    "unmapped only when that failed": "\tint ret;\n\n\tb->dead = true;\n\tret = stop(b);\n\tif (ret)\n"
    "\t\tunmap_mapping_range(b->inode->i_mapping, 0, 0, 1);",
    "unmapped for another command": "\tswitch (b->state) {\n\tcase 1:\n\t\tunmap_mapping_range(b->inode->i_mapping, 0, 0, 1);"
    "\n\t\tbreak;\n\tcase 2:\n\t\tb->dead = true;\n\t\tbreak;\n\t}",
}


@pytest.mark.parametrize("name", SEEN)
def test_seen(ask: Ask, name: str) -> None:
    said = ask(RULE, box(SEEN[name]))
    assert said.fires, said.reasons
    finding = said.finding
    told = "\n".join(step.text for step in finding.steps)
    assert ".mmap = box_mmap of file_operations" in told
    assert "vmf_insert_pfn() in box_fault()" in told
    assert "no unmap on the way" in told
    assert "entered by" in told
    assert "box" in finding.anchor and "b->" not in finding.anchor


def waiting(body: str, closes: str = "b->users--", put: str = "", caller: str = "f(b);") -> str:
    """A driver that is told to revoke by its sysfs file, and whose .release says that one user less is there."""
    helper = f"static void put(struct box *b)\n{{\n\t{put};\n}}\n" if put else ""
    return box(
        f"\t{body}",
        after=f"{helper}static int box_release(struct inode *inode, struct file *file)\n{{\n"
        f"\tstruct box *b = file->private_data;\n\n\t{closes};\n\twake_up(&b->wq);\n\treturn 0;\n}}\n"
        f"static long box_ioctl(struct file *file, unsigned int cmd, unsigned long arg)\n{{\n"
        f"\tstruct box *b = file->private_data;\n\n\t{caller}\n\treturn 0;\n}}\n"
        "static const struct file_operations box_fops = "
        "{ .mmap = box_mmap, .unlocked_ioctl = box_ioctl, .release = box_release };\n",
    )


UNMAP = "unmap_mapping_range(b->inode->i_mapping, 0, 0, 1);"
SILENT = {
    "unmapped behind": (box(f"\tb->dead = true;\n\t{UNMAP}"), "takes the mappings away, on every path"),
    "unmapped before": (box(f"\t{UNMAP}\n\tb->dead = true;"), "takes the mappings away, on every path"),
    "when it is yes": (
        box(f"\tb->dead = yes;\n\tif (yes)\n\t\t{UNMAP}", params="struct box *b, bool yes"),
        "on the paths on which it matters",
    ),
    "in a callee": (
        box("\tb->dead = true;\n\tzap(b);", before=f"static void zap(struct box *b)\n{{\n\t{UNMAP}\n}}\n"),
        "takes the mappings away",
    ),
    "in a callback": (
        box(
            "\tb->dead = true;\n\tfor_all_boxes(zap_one, b);",
            before=f"static int zap_one(struct box *b, void *data)\n{{\n\t{UNMAP}\n\treturn 0;\n}}\n",
        ),
        "takes the mappings away",
    ),
    "around, in every caller": (
        box(
            "\tb->dead = true;",
            after="static long box_ioctl(struct file *file, unsigned int cmd, unsigned long arg)\n{\n"
            f"\tstruct box *b = file->private_data;\n\n\tf(b);\n\t{UNMAP}\n\treturn 0;\n}}\n" + FOPS,
        ),
        "every caller unmaps",
    ),
    "from release alone": (
        box(
            "\tb->dead = true;",
            after="static int box_release(struct inode *inode, struct file *file)\n{\n\tf(file->private_data);\n"
            "\treturn 0;\n}\nstatic const struct file_operations box_fops = "
            "{ .mmap = box_mmap, .release = box_release };\n",
        ),
        "nothing can be mapped",
    ),
    "it waits for the last release": (
        waiting("b->revoked = true;\n\twait_event(b->wq, !b->users);"),
        "last file is closed",
    ),
    "it waits for a completion": (
        waiting("b->revoked = true;\n\twait_for_completion(&b->idle);", "put(b)", "complete(&b->idle)"),
        "last file is closed",
    ),
    "a caller waits": (
        waiting("b->revoked = true;", caller="f(b);\n\twait_event(b->wq, !b->users);"),
        "every caller unmaps",
    ),
    "from probe alone": (
        box(
            "\tpci_reset_function(b->pdev);",
            after="static int box_probe(struct pci_dev *pdev, const struct pci_device_id *id)\n{\n"
            "\treturn f(pci_get_drvdata(pdev));\n}\nstatic struct pci_driver box_driver = { .probe = box_probe };\n"
            "static const struct file_operations box_fops = { .mmap = box_mmap };\n",
        ),
        "nothing can be mapped",
    ),
    "made here": (
        box("\tstruct box *n = kzalloc(sizeof(*n), GFP_KERNEL);\n\n\tn->dead = true;\n\tb->mem = n;"),
        "",
    ),
    "no mmap in the table": (
        box("\tb->revoked = true;", after=ENTRY + FOPS.replace(".mmap = box_mmap, ", "")),
        "file_operations box_fops has no .mmap",
    ),
    "pages of their own": (box("\tb->dead = true;", insert="vm_insert_page"), "references of their own"),
    "awake": (box("\tpci_set_power_state(b->pdev, PCI_D0);"), ""),
    "undoing": (
        box(
            "\tint ret = start(b);\n\n\tif (ret)\n\t\tgoto err_start;\n\treturn 0;\nerr_start:\n\tb->dead = true;\n\treturn ret;"
        ),
        "undoes what it has begun",
    ),
    "no, not yes": (box("\tb->dead = false;"), ""),
}


@pytest.mark.parametrize(
    "body",
    [
        "b->revoked = true;\n\twait_event_interruptible(b->wq, !b->users);",  # a signal ends it
        "b->revoked = true;\n\twait_event(b->wq, !b->busy);",  # nobody who closes tells it
        "b->revoked = true;\n\tif (b->state)\n\t\twait_event(b->wq, !b->users);",  # a way goes past it
        "wait_event(b->wq, !b->users);\n\tb->revoked = true;",  # before, and who comes then?
    ],
)
def test_a_wait_that_proves_nothing(ask: Ask, body: str) -> None:
    assert ask(RULE, waiting(body)).fires


@pytest.mark.parametrize(("word", "fires"), [("removed", True), ("gone", True), ("dead", False), ("dying", False)])
def test_a_word_that_no_handler_tests(ask: Ask, word: str, fires: bool) -> None:
    """Registers of a device are mapped. One that is called dead may only not have answered."""
    mapped = HEAD.replace("b->pfn);", "pci_resource_start(b->pdev, 0) >> PAGE_SHIFT);").replace(
        "INSERT", "vmf_insert_pfn"
    )
    mapped = mapped.replace("b->dead || ", "").replace("bool dead;", f"bool dead; bool {word}_;".replace("_", ""))
    text = f"{mapped}\nint f(struct box *b)\n{{\n\tb->{word} = true;\n\treturn 0;\n}}\n{ENTRY}{FOPS}"
    assert ask(RULE, text).fires == fires


@pytest.mark.parametrize("name", SILENT)
def test_silent_and_says_why(ask: Ask, name: str) -> None:
    text, reason = SILENT[name]
    said = ask(RULE, text)
    assert not said.fires, said.finding
    assert not said.outcome.doubts, said.outcome.doubts
    assert reason in said.reasons


def test_the_sysfs_file_is_kernfss(ask: Ask) -> None:
    text = box("\tb->dead = true;", after=ENTRY + "static struct bin_attribute box_attr = { .mmap = box_mmap };\n")
    said = ask(RULE, text)
    assert not said.fires and "kernfs" in said.reasons


def test_an_unknown_way_in_is_a_doubt(ask: Ask) -> None:
    said = ask(
        RULE,
        box("\tb->dead = true;", after=FOPS.replace(", .unlocked_ioctl = box_ioctl", "")).replace(
            "int f(", "static int f("
        ),
    )
    assert not said.fires and said.outcome.doubts


CONTRAST = box(
    "\tb->state = BOX_CLOSED;",
    after=f"""
static long box_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{{
	struct box *b = file->private_data;

	f(b);
	{UNMAP}
	return 0;
}}

static void box_remove(struct pci_dev *pdev)
{{
	struct box *b = pci_get_drvdata(pdev);

	f(b);
}}

static struct pci_driver box_driver = {{ .remove = box_remove }};
"""
    + FOPS,
)


def test_the_one_caller_that_does_not_is_named(rules: dict[str, Rule], desk: SimpleNamespace) -> None:
    program = desk.program(CONTRAST)
    said = {name: desk.judge(program, rules[RULE], name) for name in ("f", "box_ioctl", "box_remove")}
    assert [name for name, each in said.items() if each.fires] == ["box_remove"]
    assert "it is for the callers to unmap" in said["f"].reasons
    assert any("box_ioctl() unmaps" in fact for fact in said["box_remove"].finding.facts)


EXPORT = """
struct slab { struct dma_buf *dmabuf; struct board *board; bool revoked; unsigned long pfn; };
struct board { struct slab *slab; struct inode *inode; };

static vm_fault_t slab_fault(struct vm_fault *vmf)
{
	struct slab *s = vmf->vma->vm_private_data;

	return s->revoked ? VM_FAULT_SIGBUS : vmf_insert_pfn(vmf->vma, vmf->address, s->pfn);
}

static const struct vm_operations_struct slab_vm_ops = { .fault = slab_fault };

static int slab_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	vma->vm_ops = &slab_vm_ops;
	return 0;
}

static void f(struct slab *s)
{
	s->revoked = true;
	dma_buf_move_notify(s->dmabuf);
	HERE
}

static long board_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct board *b = file->private_data;

	unmap_mapping_range(b->inode->i_mapping, 0, 0, 1);
	f(b->slab);
	return 0;
}

static int board_release(struct inode *inode, struct file *file)
{
	struct board *b = file->private_data;

	f(b->slab);
	return 0;
}

static const struct file_operations board_fops = { .unlocked_ioctl = board_ioctl, .release = board_release };
static const struct dma_buf_ops slab_ops = { .mmap = slab_mmap };
"""


def test_a_dma_bufs_mappings_are_in_its_own_file(ask: Ask) -> None:
    """The zap of the exporter's device does not reach them, nor does the end of its file."""
    said = ask(RULE, EXPORT.replace("HERE", ""))
    assert said.fires
    assert any("dmabuf->file->f_mapping" in fact for fact in said.finding.facts)
    assert any("dma_buf_move_notify() tells importers" in fact for fact in said.finding.facts)
    zap = "unmap_mapping_range(s->dmabuf->file->f_mapping, 0, 0, 1);"
    assert not ask(RULE, EXPORT.replace("HERE", zap)).fires


def test_without_mmap_in_the_table_it_says_so(ask: Ask) -> None:
    text = EXPORT.replace("HERE", "").replace(".mmap = slab_mmap", ".release = slab_release")
    release = "static void slab_release(struct dma_buf *d)\n{\n\tstruct slab *s = d->priv;\n\n\tkfree(s);\n}\n"
    said = ask(RULE, text.replace("static long board_ioctl", release + "static long board_ioctl"))
    assert not said.fires
    assert "dma_buf_ops slab_ops has no .mmap: no user PTE of struct slab can exist" in said.reasons


FREED = """
struct trace { u64 start; u64 size; };
static struct trace *traces;

static int trace_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct trace *t = file->private_data;

	return remap_pfn_range(vma, vma->vm_start, PHYS_PFN(t->start) + vma->vm_pgoff, t->size, vma->vm_page_prot);
}

static const struct file_operations trace_fops = { .mmap = trace_mmap };

static int give_back(u64 start, u64 size)
{
	free_contig_range(PHYS_PFN(start), PHYS_PFN(size));
	return 0;
}

static int f(void *data, u64 val)
{
	struct trace *t = &traces[val];

	HERE
	return give_back(t->start, t->size);
}

DEFINE_SIMPLE_ATTRIBUTE(trace_off_fops, NULL, f, "%llu\\n");
"""


def test_memory_given_back_by_a_helper(ask: Ask) -> None:
    said = ask(RULE, FREED.replace("HERE", ""))
    assert said.fires and said.finding.anchor == "free_contig_range() of struct trace"
    assert not ask(RULE, FREED.replace("HERE", "unmap_mapping_range(t->inode->i_mapping, 0, 0, 1);")).fires


def test_other_names_of_functions_and_locals(rules: dict[str, Rule], desk: SimpleNamespace) -> None:
    for text, fires in (
        (box(SEEN["a field"]), True),
        (SILENT["unmapped behind"][0], False),
        (FREED.replace("HERE", ""), True),
    ):
        other = renamed(text, ("b", "t", "s", "box_fault", "box_mmap", "box_ioctl", "give_back", "trace_mmap", "vma"))
        assert desk.judge(desk.program(other), rules[RULE], "f").fires is fires


def renamed(text: str, names: Sequence[str]) -> str:
    """Functions and variables by another name; fields keep theirs."""
    for name in names:
        text = re.sub(rf"(?<![\w.>])(?<!struct ){re.escape(name)}\b", f"{name}_by_another_name", text)
    return text


# -- kernel trees -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judges(tree_dir: Callable[[str], Path], overlays_dir: Path) -> Callable[[str, str], Judge]:
    """``judges("linux-source-6.12", overlay)``, one search of each tree for all."""
    trees: dict[str, Tree] = {}
    known: dict[tuple[str, str], Judge] = {}
    cache = Cache.empty()

    def judge(name: str, overlay: str) -> Judge:
        if (name, overlay) not in known:
            under = trees.setdefault(name, DirectoryTree(tree_dir(name)))
            tree = OverlayTree(under, overlay_files(overlays_dir / overlay)) if overlay else under
            known[(name, overlay)] = Judge(Program(tree, knowledge(kernel_version(under)), cache))
        return known[(name, overlay)]

    return judge


@pytest.mark.needs_tree("7.2")
def test_seed_003(rules: dict[str, Rule], judges: Callable[[str, str], Judge]) -> None:
    """Silent as posted; without its two unmaps it speaks at both places, and not before .mmap was there."""
    path = "drivers/vfio/pci/vfio_pci_dmabuf.c"
    spoke: dict[str, list[str]] = {}
    for overlay in ("seed-003-dmabuf-mmap", "syn-003-no-unmap", "base-seed-003"):
        judge = judges("linux-source-7.2", overlay)
        outcomes = {fn.name: judge.judge(rules[RULE], fn) for fn in judge.program.functions(path)}
        spoke[overlay] = sorted(name for name, each in outcomes.items() if each.defects)
        assert not any(each.failure for each in outcomes.values())
        reasons = [silence.reason for each in outcomes.values() for silence in each.silences]
        if overlay == "seed-003-dmabuf-mmap":
            assert sum("unmap_mapping_range() at" in reason for reason in reasons) >= 2
        if overlay == "base-seed-003":
            assert any("has no .mmap" in reason for reason in reasons)
    assert spoke == {
        "seed-003-dmabuf-mmap": [],
        "syn-003-no-unmap": ["vfio_pci_dma_buf_cleanup", "vfio_pci_dma_buf_move"],
        "base-seed-003": [],
    }


UNMAPS = ("unmap_mapping_range", "drm_vma_node_unmap", "zap_vma_ptes")
FOLDERS = ("kernel", "drivers/dax", "drivers/misc", "drivers/vfio/pci", "drivers/gpu/drm")


def without(text: str, line: int, name: str) -> str | None:
    """The text without the call of `name` that begins in this line; None where it is no statement of its own."""
    start = sum(len(each) for each in text.split("\n")[: line - 1]) + line - 1
    found = re.compile(rf"^[ \t]*{re.escape(name)}\(", re.M).match(text, start)
    if found is None:
        return None
    depth = 0
    for at in range(found.end() - 1, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if not depth:
            gone = text[found.start() : at + 1]
            return text[: found.start()] + re.sub(r"[^\n]", " ", gone) + text[at + 1 :] if text[at + 1] == ";" else None
    return None


def broken(judge: Judge, rule: Rule, fn: Function, outcome: Outcome) -> Judge | None:
    """The tree without the calls by which this function unmaps, as its silences tell; None where it has none."""
    text = (judge.program.raw(fn.path) or b"").decode("latin-1")
    for _ in range(6):
        calls = {
            (step.line, step.text.removeprefix("covered: ").partition("(")[0])
            for silence in outcome.verdicts
            if isinstance(silence, Silence)
            for step in silence.steps
            if step.path == fn.path and re.fullmatch(rf"(?:covered: )?\w+\(\) in {fn.name}\(\)", step.text)
        }
        cut = next((new for line, name in sorted(calls) if (new := without(text, line, name)) is not None), None)
        if cut is None:
            return None
        text = cut
        after = Judge(Program(OverlayTree(judge.program.tree, {fn.path: text.encode("latin-1")}), judge.program.know))
        again = after.program.function(fn.path, fn.name)
        assert again is not None
        outcome = after.judge(rule, again)
        if outcome.defects:
            return after
    return None


@pytest.mark.needs_tree("6.12")
def test_taking_the_unmap_out_makes_it_speak(rules: dict[str, Rule], judges: Callable[[str, str], Judge]) -> None:
    """Correct functions of 6.12, found by the rule's own silences; back in, the same function is silent by construction."""
    judge = judges("linux-source-6.12", "")
    rule = rules[RULE]
    spoke: dict[str, str] = {}
    for folder in FOLDERS:
        for path in judge.program.tree.files(folder):
            raw = judge.program.tree.read(path) or b""
            if not path.endswith(".c") or not re.search(rb"zap|unmap_mapping|vma_node_unmap|revoke_", raw):
                continue
            for fn in judge.program.functions(path):
                outcome = judge.judge(rule, fn)
                assert not outcome.failure, outcome.failure
                if outcome.defects or not any(
                    "unmap" in each.reason or "takes the" in each.reason for each in outcome.silences
                ):
                    continue
                after = broken(judge, rule, fn, outcome)
                if after is not None:
                    found = after.program.function(path, fn.name)
                    assert found is not None
                    spoke[fn.name] = after.judge(rule, found).defects[0].anchor
    assert len(spoke) >= 10, spoke
