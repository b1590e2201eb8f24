"""gup-missing-longterm: who keeps pages beyond the call must say so."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lorelint.code.program import Program
from lorelint.edge.directory import DirectoryTree
from lorelint.kernel.load import knowledge
from lorelint.model.tree import OverlayTree
from lorelint.rule.door import Rule

RULE = "gup-missing-longterm"
Ask = Callable[..., Any]

FILE = """
struct ctx {{ struct page **pages; int n; unsigned int flags; }};
{before}
static long f(struct ctx *c, unsigned long at{more})
{{
	long n = {take};
	if (n < 0)
		return n;
	{after}
	return 0;
}}
static void drop(struct ctx *c)
{{
	int i;
	for (i = 0; i < c->n; i++)
		{give}(c->pages[i]);
}}
static long ctx_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{{
	return f(file->private_data, arg);
}}
static int ctx_end(struct inode *inode, struct file *file)
{{
	drop(file->private_data);
	return 0;
}}
{table}
"""
TABLE = "static const struct file_operations fops = {{ .unlocked_ioctl = ctx_ioctl, .{} = ctx_end }};"


def kept(
    take: str = "pin_user_pages_fast(at, c->n, FOLL_WRITE, c->pages)",
    after: str = "",
    before: str = "",
    give: str = "unpin_user_page",
    table: str = TABLE.format("release"),
    more: str = "",
) -> str:
    return FILE.format(take=take, after=after, before=before, give=give, table=table, more=more)


SEEN = {
    "until the file is closed": kept(),
    "remote": kept("pin_user_pages_remote(c->mm, at, c->n, FOLL_WRITE, c->pages, NULL)"),
    "get": kept("get_user_pages(at, c->n, FOLL_GET, c->pages)", give="put_page"),
    "no flags": kept("pin_user_pages(at, c->n, 0, c->pages)"),
    "until the device goes": kept(
        table="static const struct file_operations fops = { .unlocked_ioctl = ctx_ioctl };\n"
        "static struct pci_driver drv = { .remove = ctx_end };"
    ),
}
SILENT = {
    "given": kept("pin_user_pages_fast(at, c->n, FOLL_WRITE | FOLL_LONGTERM, c->pages)"),
    "given by a variable": kept(
        "pin_user_pages_fast(at, c->n, flags, c->pages)", before="static unsigned int flags = FOLL_LONGTERM;"
    ),
    "given by the caller": kept(
        "pin_user_pages_fast(at, c->n, flags, c->pages)",
        more=", unsigned int flags",
        before="/* FOLL_LONGTERM by those who keep them */",
    ),
    "within the call": kept(after="drop(c);"),
    "a notifier": kept(after="mmu_interval_notifier_insert(&c->mni, current->mm, at, 1, &ops);"),
    "when the work is done": kept(table="void g(struct bio *b) { b->bi_end_io = ctx_end; }"),
    "nobody releases": kept(give="look"),
    "no entry": kept(table=""),
}


@pytest.mark.parametrize("text", SEEN.values(), ids=SEEN)
def test_seen(ask: Ask, text: str) -> None:
    found = ask(RULE, text).finding
    assert "kept until drop() releases them" in found.message
    assert found.steps[1].text.startswith((".release = ctx_end", ".remove = ctx_end"))


@pytest.mark.parametrize("text", SILENT.values(), ids=SILENT)
def test_silent(ask: Ask, text: str) -> None:
    said = ask(RULE, text)
    assert not said.fires and said.reasons


def test_a_helper_that_releases_the_page_which_it_is_handed(ask: Ask) -> None:
    helper = "static void put_one(struct page *page) {{ if (page) {}(page); }}"
    assert ask(RULE, kept(before=helper.format("unpin_user_page"), give="put_one")).fires
    looks = kept(before=helper.format("count_one"), give="put_one")
    assert "not in sight" in ask(RULE, looks).reasons, "what it is handed it does not release"


def test_an_address_is_kept_in_place_of_the_page(ask: Ask) -> None:
    text = """
    static int f(unsigned long at, unsigned long *hpa)
    {
        struct page *page;
        if (pin_user_pages_fast(at, 1, FOLL_WRITE, &page) != 1)
            return -EFAULT;
        *hpa = page_to_phys(page);
        return 0;
    }
    static void drop(unsigned long hpa) { struct page *page = pfn_to_page(hpa >> PAGE_SHIFT); unpin_user_page(page); }
    static long t_ioctl(struct file *file, unsigned int cmd, unsigned long arg) { return f(arg, &table[cmd]); }
    static int t_end(struct inode *inode, struct file *file) { drop(table[0]); return 0; }
    static const struct file_operations fops = { .unlocked_ioctl = t_ioctl, .release = t_end };
    """
    assert ask(RULE, text).finding.confidence == 0.7
    assert not ask(RULE, text.replace("FOLL_WRITE", "FOLL_WRITE | FOLL_LONGTERM")).fires


FOLDERS = ("drivers/virt/acrn", "drivers/vdpa/vdpa_user")
FLAG = re.compile(rb"\s*\|\s*FOLL_LONGTERM\b|\bFOLL_LONGTERM\s*\|\s*|(?<== )FOLL_LONGTERM\b")


@pytest.mark.needs_tree("6.12")
def test_the_flag_taken_out_of_correct_functions(
    tree_dir: Callable[[str], Path], desk: SimpleNamespace, rules: dict[str, Rule]
) -> None:
    tree = DirectoryTree(tree_dir("6.12"))
    loud, quiet = [], []
    for path in (path for folder in FOLDERS for path in tree.files(folder) if path.endswith(".c")):
        raw = tree.read(path) or b""
        if not FLAG.search(raw):
            continue
        whole = Program(tree, knowledge((6, 12)))
        text = FLAG.sub(lambda m: b"0" if m.group() == b"FOLL_LONGTERM" else b"", raw)
        program = Program(OverlayTree(tree, {path: text}), knowledge((6, 12)))
        for fn in whole.functions(path):
            if b"_user_pages" in fn.text and FLAG.search(fn.text):
                assert not desk.judge(whole, rules[RULE], fn.name, path).fires, fn.name
                (loud if desk.judge(program, rules[RULE], fn.name, path).fires else quiet).append(fn.name)
    print(loud, quiet)
    assert len(loud) >= 2 and len(quiet) <= len(loud) + 2, (loud, quiet)
