"""gup-put-mismatch: unpin for pin, put for get."""

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

RULE = "gup-put-mismatch"
Ask = Callable[..., Any]


def local(take: str, give: str) -> str:
    return f"""
    int f(unsigned long at, int n)
    {{
        struct page *pages[8]; int i, got = {take}(at, n, 0, pages);
        if (got < 0) return got;
        use(n);
        {give}
        return 0;
    }}
    static void drop(struct page **p, int k) {{ while (k--) put_page(p[k]); }}
    """


EACH = "for (i = 0; i < got; i++) {}(pages[i]);"


@pytest.mark.parametrize(
    ("take", "give", "fires"),
    [
        ("pin_user_pages_fast", EACH.format("put_page"), True),
        ("pin_user_pages", "release_pages(pages, got);", True),
        ("pin_user_pages", "folio_put(page_folio(pages[0]));", True),
        ("get_user_pages_fast", "unpin_user_pages(pages, got);", True),
        ("get_user_pages", EACH.format("__free_page"), True),
        ("pin_user_pages", EACH.format("__free_page"), True),
        ("pin_user_pages_fast", EACH.format("unpin_user_page"), False),
        ("pin_user_pages_fast", "unpin_user_pages_dirty_lock(pages, got, true);", False),
        ("get_user_pages_fast", EACH.format("put_page"), False),
        ("get_user_pages_fast", "release_pages(pages, got);", False),
        ("pin_user_pages_fast", "get_page(pages[0]); unpin_user_pages(pages, got); put_page(pages[0]);", False),
        ("pin_user_pages_fast", "free_page((unsigned long)buffer);", False),  # memory of another kind
    ],
)
def test_in_one_function(ask: Ask, take: str, give: str, fires: bool) -> None:
    said = ask(RULE, local(take, give))
    assert said.fires is fires
    if fires:
        assert take in said.finding.message and len(said.finding.steps) == 2


FIELD = """
struct ctx {{ struct page **pages; int n; bool user; }};
static int fill(struct ctx *c, unsigned long at) {{ return pin_user_pages(at, c->n, 0, c->pages); }}
{more}
void f(struct ctx *c) {{ struct page **p = c->pages; int i; for (i = 0; i < c->n; i++) {give}(p[i]); }}
"""


@pytest.mark.parametrize(
    ("more", "give", "fires"),
    [
        ("", "put_page", True),
        ("", "unpin_user_page", False),
        ("long g(struct ctx *c, long at) { return get_user_pages(at, c->n, 0, c->pages); }", "put_page", False),
        ("void g(struct ctx *c, int i) { c->pages[i] = alloc_page(GFP_KERNEL); }", "put_page", False),
        ("void g(struct ctx *c) { c->pages = drm_gem_get_pages(c->obj); }", "put_page", False),
        ("void g(struct ctx *c) { c->pages = kvcalloc(c->n, 8, GFP_KERNEL); }", "put_page", True),
        ("void g(struct ctx *c) { kvfree(c->pages); c->pages = NULL; }", "put_page", True),
    ],
)
def test_through_a_field(ask: Ask, more: str, give: str, fires: bool) -> None:
    assert ask(RULE, FIELD.format(more=more, give=give)).fires is fires


def test_a_flag_says_which(ask: Ask) -> None:
    text = """
    struct ctx { struct page **pages; int n; bool user; };
    static int fill(struct ctx *c, unsigned long at) { return pin_user_pages(at, c->n, 0, c->pages); }
    void f(struct ctx *c)
    {
        int i;
        if (c->user) unpin_user_pages(c->pages, c->n);
        else for (i = 0; i < c->n; i++) put_page(c->pages[i]);
    }"""
    said = ask(RULE, text)
    assert not said.fires and "something says which" in said.reasons


def test_through_a_wrapper_that_fills_an_array(ask: Ask) -> None:
    text = """
    struct ctx { struct page **pages; int n; };
    static int take(unsigned long at, int n, struct page **v) { return pin_user_pages_fast(at, n, 0, v); }
    int g(struct ctx *c, unsigned long at) { return take(at, c->n, c->pages); }
    void f(struct ctx *c) { put_page(c->pages[0]); }
    """
    found = ask(RULE, text).finding
    assert found.steps[0].text == "take() fills it by pin_user_pages_fast()"


SWAP = re.compile(rb"\bunpin_user_pages?\(([^;,()]+(?:\[[^;]*?\])?)(?:, [^;]*)?\);")
FOLDERS = ("net/xdp", "drivers/fpga", "drivers/video/fbdev")


@pytest.mark.needs_tree("6.12")
def test_the_other_release_in_correct_functions(
    tree_dir: Callable[[str], Path], desk: SimpleNamespace, rules: dict[str, Rule]
) -> None:
    """``unpin_user_pages(p, n)`` becomes ``put_page(p[0])`` in functions found by API; whole, none speaks."""
    tree = DirectoryTree(tree_dir("6.12"))
    loud, quiet = [], []
    for path in (path for folder in FOLDERS for path in tree.files(folder) if path.endswith(".c")):
        raw = tree.read(path) or b""
        if not SWAP.search(raw) or b"pin_user_pages" not in raw:
            continue
        whole = Program(tree, knowledge((6, 12)))
        for fn in whole.functions(path):
            if not SWAP.search(fn.text):
                continue
            assert not desk.judge(whole, rules[RULE], fn.name, path).fires, fn.name
            text = raw.replace(fn.text, SWAP.sub(rb"put_page(\1);", fn.text))
            program = Program(OverlayTree(tree, {path: text}), knowledge((6, 12)))
            (loud if desk.judge(program, rules[RULE], fn.name, path).fires else quiet).append(fn.name)
    print(loud, quiet)
    assert len(loud) >= 3 and len(quiet) <= len(loud), (loud, quiet)
