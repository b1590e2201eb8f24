"""gup-partial-pin: fewer pages than asked for, taken for all or released as all."""

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

RULE = "gup-partial-pin"
Ask = Callable[..., Any]


def whole(failed: str, then: str = "use(pages[0]);", last: str = "", size: str = "n") -> str:
    return f"""
    int f(struct ctx *c, unsigned long at, int n)
    {{
        struct page *pages[8];
        int got, i, ret = 0;

        got = pin_user_pages_fast(at, {size}, FOLL_WRITE, pages);
        {failed}
        {then}
    out:
        {last}
        return ret;
    }}"""


LOOP = "for (i = 0; i < n; i++) unpin_user_page(pages[i]);"
SHORT = "if (got != n) { ret = -EFAULT; goto out; }"
SEEN = {
    "below zero alone": (whole("if (got < 0) return got;"), "may give fewer than n pages"),
    "zero too": (whole("if (got <= 0) return -EFAULT;"), "may give fewer than n pages"),
    "the truth alone": (whole("if (!got) return -EFAULT;"), "may give fewer than n pages"),
    "inside the condition": (
        "int f(unsigned long at, int n, struct page **p)"
        " { if (get_user_pages_fast(at, n, 0, p) < 0) return -EFAULT; use(p[0]); return 0; }",
        "may give fewer than n pages",
    ),
    "released by a call": (whole(SHORT, last="unpin_user_pages(pages, n);"), "releases n pages"),
    "released by a loop": (whole(SHORT, last=LOOP), "releases n pages"),
    "released by a helper": (
        "static void drop(struct page **p, int k) { while (k--) put_page(p[k]); }"
        + whole(SHORT, last="drop(pages, n);"),
        "releases n pages",
    ),
    "nothing was got": (
        whole("if (got < 0) { ret = got; goto out; } n = got;", last="unpin_user_pages(pages, n);"),
        "where nothing was got",
    ),
}
SILENT = {
    "compared": whole("if (got != n) return -EFAULT;"),
    "compared the other way": whole("if (n > got) return -EFAULT;"),
    "clamped": whole("if (got < 0) return got; n = got;", last=LOOP),
    "released as many as there are": whole("if (got <= 0) return -EFAULT;", last="unpin_user_pages(pages, got);"),
    "set before the label": whole("if (got != n) { n = got > 0 ? got : 0; ret = -EFAULT; goto out; }", last=LOOP),
    "released where all are there": whole("if (got != n) return -EFAULT;", last="unpin_user_pages(pages, n);"),
    "one": whole("if (got < 0) return got;", size="1"),
    "looked at": whole(SHORT, last="for (i = 0; i < n; i++) if (pages[i]) put_page(pages[i]);"),
    "counted on": whole("if (got < 0) return got; c->done += got;"),
    "returned": "int f(unsigned long at, int n, struct page **p) { return pin_user_pages_fast(at, n, 0, p); }",
    "the answer becomes the number": """
        int f(unsigned long at, int n, struct page **p) {
            n = pin_user_pages_fast(at, n, 0, p);
            if (n <= 0) return -EFAULT;
            use(p[0]);
            unpin_user_pages(p, n);
            return 0;
        }""",
    "in batches": """
        int f(unsigned long at, int n, struct page **p) {
            int got, done = 0;
            while (done < n) {
                got = pin_user_pages_fast(at, n - done, 0, p + done);
                if (got <= 0) { unpin_user_pages(p, done); return -EFAULT; }
                done += got;
            }
            return 0;
        }""",
}


@pytest.mark.parametrize(("text", "message"), SEEN.values(), ids=SEEN)
def test_seen(ask: Ask, text: str, message: str) -> None:
    assert message in ask(RULE, text).finding.message


@pytest.mark.parametrize("text", SILENT.values(), ids=SILENT)
def test_silent(ask: Ask, text: str) -> None:
    said = ask(RULE, text)
    assert not said.fires and said.reasons


OBJECT = """
int f(struct ctx *c, unsigned long at)
{{
	int ret = pin_user_pages(at, c->n, 0, c->pages);

	if (ret != c->n) {{
		{short}
		return -EFAULT;
	}}
	return 0;
}}
static void drop(struct ctx *c)
{{
	unpin_user_pages(c->pages, c->{count});
}}
int g(struct ctx *c, unsigned long at)
{{
	int ret = f(c, at);

	if (ret)
		{then}
	return ret;
}}
"""


@pytest.mark.parametrize(
    ("short", "count", "then", "fires"),
    [
        ("", "n", "drop(c);", True),
        ("c->n = ret > 0 ? ret : 0;", "n", "drop(c);", False),
        ("", "pinned", "drop(c);", False),
        ("", "n", "note(c->n);", False),  # nobody releases: another defect
    ],
)
def test_the_count_is_left_to_another(ask: Ask, short: str, count: str, then: str, fires: bool) -> None:
    said = ask(RULE, OBJECT.format(short=short, count=count, then=then))
    assert said.fires is fires
    if fires:
        assert [step.text for step in said.finding.steps][-1] == "drop() releases as many"


NOTHING = """
static int f(unsigned long at, int n, unsigned long *pfn, struct page **p)
{{
	int ret = pin_user_pages_fast(at, n, 0, p);

	if (ret > 0)
		*pfn = page_to_pfn(p[0]);
	{zero}
	return ret;
}}
int g(unsigned long at, int n, struct page **p)
{{
	unsigned long pfn;
	int ret = 0;

	while (n) {{
		ret = f(at, n, &pfn, p);
		if ({test})
			return ret;
		use(pfn);
		n -= ret;
	}}
	return 0;
}}
"""


@pytest.mark.parametrize(
    ("zero", "test", "fires"),
    [
        ("", "ret < 0", True),
        ("if (!ret) ret = -EFAULT;", "ret < 0", False),
        ("", "ret <= 0", False),
        ("", "ret != n", False),
    ],
)
def test_zero_is_neither_an_error_nor_progress(ask: Ask, zero: str, test: str, fires: bool) -> None:
    said = ask(RULE, NOTHING.format(zero=zero, test=test))
    assert said.fires is fires
    if fires:
        assert said.finding.steps[-1].text == "g() asks for an error alone"


# -- kernel trees

COMPARED = re.compile(rb"\b(\w+) (?:!=|<) (?:\(\w+\))?(?:n?r?_?n?pages|page_count|num_pages|nr_pages|pinned_pages)\b")
FOLDERS = ("drivers/accel/qaic", "drivers/virt", "drivers/video/fbdev", "drivers/misc", "drivers/fpga")


@pytest.mark.needs_tree("6.12")
def test_the_comparison_made_blunt(
    tree_dir: Callable[[str], Path], desk: SimpleNamespace, rules: dict[str, Rule]
) -> None:
    """``pinned != npages`` becomes ``pinned < 0`` in functions found by API; whole, none of them speaks."""
    tree = DirectoryTree(tree_dir("6.12"))
    loud, quiet = [], []
    for path in (path for folder in FOLDERS for path in tree.files(folder) if path.endswith(".c")):
        raw = tree.read(path) or b""
        if not re.search(rb"\b(?:pin|get)_user_pages_fast\(", raw):
            continue
        whole = Program(tree, knowledge((6, 12)))
        for fn in whole.functions(path):
            if b"_user_pages" not in fn.text or not COMPARED.search(fn.text):
                continue
            assert not desk.judge(whole, rules[RULE], fn.name, path).fires, fn.name
            text = raw.replace(fn.text, COMPARED.sub(rb"\1 < 0", fn.text))
            program = Program(OverlayTree(tree, {path: text}), knowledge((6, 12)))
            (loud if desk.judge(program, rules[RULE], fn.name, path).fires else quiet).append(fn.name)
    print(loud, quiet)
    assert len(loud) >= 3 and len(quiet) <= len(loud), (loud, quiet)
