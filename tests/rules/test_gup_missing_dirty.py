"""gup-missing-dirty: what was written to must be marked before it is released."""

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

RULE = "gup-missing-dirty"
Ask = Callable[..., Any]


def body(write: str, give: str = "unpin_user_page(page);", flags: str = "FOLL_WRITE", more: str = "") -> str:
    return f"""
    struct ctx {{ struct page *page; void *addr; }};
    int f(struct ctx *c, struct device *dev, unsigned long at, u32 value)
    {{
        struct page *page; void *base; u32 *slot;
        if (pin_user_pages_fast(at, 1, {flags}, &page) != 1)
            return -EFAULT;
        {write}
        {give}
        return 0;
    }}
    {more}"""


MAPPED = "base = kmap_local_page(page); "
SEEN = {
    "memcpy": body(MAPPED + "memcpy(base + 4, &value, 4);"),
    "a store": body("slot = kmap_atomic(page); *slot = value;"),
    "a store at an index": body("slot = page_address(page); slot[value] = 1;"),
    "a bit": body(MAPPED + "set_bit(value, base);"),
    "the page": body("memcpy_to_page(page, 0, c, 4);"),
    "a device": body("send(c, dma_map_page(dev, page, 0, PAGE_SIZE, DMA_FROM_DEVICE));"),
    "both ways": body("send(c, dma_map_page(dev, page, 0, PAGE_SIZE, DMA_BIDIRECTIONAL));"),
    "flags of a condition": body(MAPPED + "memset(base, 0, 8);", flags="value ? FOLL_WRITE : 0"),
    "not dirty by name": body(MAPPED + "memset(base, 0, 8);", give="unpin_user_pages_dirty_lock(&page, 1, false);"),
    "another function of the field": body(
        "c->page = page; work(c);",
        more="void work(struct ctx *c) { c->addr = kmap_local_page(c->page); memset(c->addr, 0, 8); }",
    ),
}
SILENT = {
    "marked": (body(MAPPED + "memset(base, 0, 8); set_page_dirty_lock(page);"), "marks pages dirty"),
    "marked at the release": (
        body(MAPPED + "memset(base, 0, 8);", give="unpin_user_pages_dirty_lock(&page, 1, true);"),
        "marks pages dirty",
    ),
    "marked by what is told": (
        body(MAPPED + "memset(base, 0, 8);", give="unpin_user_pages_dirty_lock(&page, 1, value);"),
        "marks pages dirty",
    ),
    "marked by a helper": (
        body(
            MAPPED + "memset(base, 0, 8);",
            give="drop(page);",
            more="static void drop(struct page *p) { set_page_dirty(p); unpin_user_page(p); }",
        ),
        "marks pages dirty",
    ),
    "for reading": (body(MAPPED + "memset(base, 0, 8);", flags="0"), "not got for writing"),
    "read": (body(MAPPED + "memcpy(&value, base, 4);"), "nothing in sight writes"),
    "to the device": (body("dma_map_page(dev, page, 0, PAGE_SIZE, DMA_TO_DEVICE);"), "nothing in sight writes"),
    "either way": (body("dma_map_page(dev, page, 0, PAGE_SIZE, c->dir);"), "nothing in sight writes"),
    "other memory": (body("slot = kmap_local_page(other); *slot = value;"), "nothing in sight writes"),
    "released elsewhere": (body(MAPPED + "memset(base, 0, 8);", give="c->page = page;"), "is not in sight"),
}


@pytest.mark.parametrize("text", SEEN.values(), ids=SEEN)
def test_seen(ask: Ask, text: str) -> None:
    found = ask(RULE, text).finding
    assert "written to" in found.message and len(found.steps) == 3


@pytest.mark.parametrize(("text", "reason"), SILENT.values(), ids=SILENT)
def test_silent(ask: Ask, text: str, reason: str) -> None:
    said = ask(RULE, text)
    assert not said.fires and reason in said.reasons


def test_the_release_of_another_function(ask: Ask) -> None:
    drop = "void drop(struct ctx *c) { MARK unpin_user_page(c->page); }"
    text = body(MAPPED + "memset(base, 0, 8);", give="c->page = page;", more=drop)
    assert ask(RULE, text.replace("MARK", "")).finding.steps[-1].text == "drop() releases them by unpin_user_page()"
    assert not ask(RULE, text.replace("MARK", "set_page_dirty_lock(c->page);")).fires


MARK = re.compile(rb"\bset_page_dirty_lock\([^;]*\);")
LOCK = re.compile(rb"\bunpin_user_pages_dirty_lock\(([^;,]+, [^;,]+), [^;]*\);")
PATHS = ("drivers/vhost/vhost.c", "kernel/trace/trace_events_user.c", "net/rds/info.c")


@pytest.mark.needs_tree("6.12")
def test_the_mark_taken_out_of_correct_functions(
    tree_dir: Callable[[str], Path], desk: SimpleNamespace, rules: dict[str, Rule]
) -> None:
    tree = DirectoryTree(tree_dir("6.12"))
    loud, quiet = [], []
    for path in PATHS:
        raw = tree.read(path) or b""
        whole = Program(tree, knowledge((6, 12)))
        for fn in whole.functions(path):
            cut = LOCK.sub(rb"unpin_user_pages(\1);", MARK.sub(b";", fn.text))
            if b"_user_pages" not in fn.text or cut == fn.text:
                continue
            assert not desk.judge(whole, rules[RULE], fn.name, path).fires, fn.name
            program = Program(OverlayTree(tree, {path: raw.replace(fn.text, cut)}), knowledge((6, 12)))
            (loud if desk.judge(program, rules[RULE], fn.name, path).fires else quiet).append(fn.name)
    print(loud, quiet)
    assert len(loud) >= 3 and not quiet, (loud, quiet)
