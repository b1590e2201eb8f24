"""gup-pin-leak: what it must see, each thing it must leave alone and why, over our own C and over kernel trees."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lorelint.edge.directory import DirectoryTree
from lorelint.model.finding import Doubt
from lorelint.model.tree import OverlayTree
from lorelint.rule.door import Rule

RULE = "gup-pin-leak"
Ask = Callable[..., Any]

BODY = """
int f(struct ctx *c, unsigned long at, int n)
{{
	struct page **pages = kcalloc(n, sizeof(*pages), GFP_KERNEL);
	int ret, i;

	if (!pages)
		return -ENOMEM;
	ret = {take};
	if ({failed}) {{
		{first}
		kfree(pages);
		return ret < 0 ? ret : -EFAULT;
	}}
	if (busy()) {{
		{second}
		kfree(pages);
		return -EBUSY;
	}}
	for (i = 0; i < n; i++)
		unpin_user_page(pages[i]);
	kfree(pages);
	return 0;
}}
static void drop(struct page **p, int n)
{{
	while (n--)
		put_page(p[n]);
}}
static void keep(struct ctx *c, struct page **p)
{{
	c->kept = p;
}}
"""


def body(
    take: str = "pin_user_pages_fast(at, n, FOLL_WRITE, pages)",
    failed: str = "ret != n",
    first: str = "if (ret > 0) unpin_user_pages(pages, ret);",
    second: str = "unpin_user_pages(pages, n);",
) -> str:
    return BODY.format(take=take, failed=failed, first=first, second=second)


SEEN = {
    "a short pin": body(first=""),
    "a later failure": body(second=""),
    "only marked dirty": body(second="set_page_dirty_lock(pages[0]);"),
    "get, not pin": body(take="get_user_pages_fast(at, n, 0, pages)", second=""),
    "remote": body(take="pin_user_pages_remote(c->mm, at, n, 0, pages, NULL)", second=""),
    "unlocked, pages third": body(take="get_user_pages_unlocked(at, n, pages, 0)", second=""),
    "tested for errors alone": body(failed="ret < 0", first="", second=""),
    "released under the wrong sign": body(first="if (ret < 0) unpin_user_pages(pages, 1);"),
}

SEEN |= {
    "a driver's own code": SEEN["a later failure"].replace("return -EBUSY", "return DEMO_ERROR_BUSY"),
    "false": SEEN["a later failure"].replace("int f(", "bool f(").replace("return -EBUSY", "return false"),
}
SILENT = {
    "released": (body(), "are released"),
    "released by a loop": (body(second="for (i = 0; i < ret; i++) unpin_user_page(pages[i]);"), "are released"),
    "released by a helper": (body(second="drop(pages, n);"), "are released"),
    "put into the caller's object": (body(second="c->pages = pages;"), "are released"),
    "by a helper": (body(second="keep(c, pages);"), "are released"),
    "nothing was pinned": (body(failed="ret <= 0", first=""), "are released"),
    "a release under a count": (
        body(first="n = ret; if (n) unpin_user_pages(pages, n);"),
        "are released",
    ),
}


@pytest.mark.parametrize("text", SEEN.values(), ids=SEEN)
def test_seen(ask: Ask, text: str) -> None:
    found = ask(RULE, text).finding
    assert "are not released when f() fails" in found.message
    assert found.line == found.steps[0].line and len(found.steps) >= 3


@pytest.mark.parametrize(("text", "reason"), SILENT.values(), ids=SILENT)
def test_silent(ask: Ask, text: str, reason: str) -> None:
    said = ask(RULE, text)
    assert not said.fires
    assert reason in said.reasons


WELL = """
static void note(struct ctx *c, unsigned long pfn)
{{
	c->pfns[c->n++] = pfn;
}}
static void list(struct ctx *c, struct page **p, int n)
{{
	while (n--)
		sg_set_page(&c->sg[n], p[n], PAGE_SIZE, 0);
}}
int f(struct ctx *c, unsigned long at, int n)
{{
	struct request *request = kzalloc(sizeof(*request), GFP_KERNEL);
	struct page **pages = {array};
	int got = pin_user_pages_fast(at, n, FOLL_WRITE, pages);

	if (got <= 0)
		return -EFAULT;
	{then}
	return 0;
}}
"""


@pytest.mark.parametrize(
    ("array", "then"),
    [
        ("request->pages", "schedule_work(&request->work);"),
        ("request->pages", "submit(c, request);"),
        ("kcalloc(n, sizeof(*pages), GFP_KERNEL)", "note(c, page_to_pfn(pages[0]));"),
        ("kcalloc(n, sizeof(*pages), GFP_KERNEL)", "list(c, pages, got);"),
    ],
)
def test_a_function_that_ends_well_may_have_handed_them_over(ask: Ask, array: str, then: str) -> None:
    said = ask(RULE, WELL.format(array=array, then=then))
    assert not said.fires and "which may keep them" in said.reasons
    looked = ask(RULE, WELL.format(array=array, then="if (PageDirty(pages[0]))\n\t\tc->n++;"))
    assert "are not released when f() returns" in looked.finding.message


def test_the_release_that_fits_is_named(ask: Ask) -> None:
    assert "unpin_user_pages()" in ask(RULE, SEEN["a later failure"]).finding.advice
    assert "put_page()" in ask(RULE, SEEN["get, not pin"]).finding.advice


def test_the_proof_is_the_way_to_the_return(ask: Ask) -> None:
    steps = [step.text for step in ask(RULE, SEEN["a later failure"]).finding.steps]
    assert "pin_user_pages_fast() has pinned pages of pages" in steps[0]
    assert steps[1:3] == ["ret == n", "busy()"] and "f() fails" in steps[-1]


CALLER = """
static int fill(struct ctx *c, unsigned long at)
{{
	int ret = pin_user_pages_fast(at, c->n, FOLL_WRITE, c->pages);

	if (ret == c->n)
		return 0;
	{own}
	return -EFAULT;
}}
static void drop(struct ctx *c)
{{
	int i;

	for (i = 0; i < c->n; i++)
		unpin_user_page(c->pages[i]);
}}
int g(struct ctx *c, unsigned long at)
{{
	int ret = fill(c, at);

	if (ret)
		goto out;
	return 0;
out:
	{above}
	return -EFAULT;
}}
int top(unsigned long at)
{{
	struct ctx *c = kzalloc(sizeof(*c), GFP_KERNEL);
	int ret = g(c, at);

	if (ret) {{
		{highest}
		kfree(c);
		return ret;
	}}
	use(c);
	return 0;
}}
"""


@pytest.mark.parametrize(
    ("own", "above", "highest", "fires"),
    [
        ("", "", "", True),
        ("if (ret > 0) unpin_user_pages(c->pages, ret);", "", "", False),
        ("", "drop(c);", "", False),
        ("", "", "drop(c);", False),
        ("kfree(c->pages);", "", "drop(c);", True),  # nobody can find them any more
    ],
)
def test_callers_clean_up(ask: Ask, own: str, above: str, highest: str, fires: bool) -> None:
    said = ask(RULE, CALLER.format(own=own, above=above, highest=highest), "fill")
    assert said.fires is fires
    if fires and not own:
        assert [step.text for step in said.finding.steps][-1] == "top() does not release it either"


def test_an_element_that_failed_is_not_one_that_is_cleaned(ask: Ask) -> None:
    """The index goes down before the release: the failed element is left out."""
    text = (
        CALLER
        + """
    int all(struct ctx *c, unsigned long at, int n)
    {{
        int i, ret = 0;
        for (i = 0; i < n; i++) {{
            ret = fill(&c[i], at);
            if (ret)
                goto out;
        }}
        return 0;
    out:
        {loop}
        return -EFAULT;
    }}
    int above(unsigned long at)
    {{
        struct ctx *c = kcalloc(4, sizeof(*c), GFP_KERNEL);
        int ret = all(c, at, 4);
        if (ret) {{
            kfree(c);
            return -EFAULT;
        }}
        use(c);
        return 0;
    }}
    """
    )
    late = text.format(own="", above="drop(c);", highest="", loop="while (i > 0) { i--; drop(&c[i]); }")
    soon = text.format(own="", above="drop(c);", highest="", loop="do { drop(&c[i]); } while (i--);")
    assert ask(RULE, late, "fill").fires
    assert not ask(RULE, soon, "fill").fires


def test_a_caller_that_hands_the_failure_on_does_not_clean(ask: Ask) -> None:
    text = CALLER.replace("if (ret)\n\t\tgoto out;\n\treturn 0;", "unlock(at);\n\treturn ret;\n\tgoto out;")
    assert text != CALLER and ask(RULE, text.format(own="", above="", highest=""), "fill").fires
    assert not ask(RULE, text.format(own="", above="", highest="drop(c);"), "fill").fires


def test_a_function_of_a_table_is_doubted(ask: Ask) -> None:
    text = CALLER.format(own="", above="", highest="").replace("static int fill", "int fill")
    table = "static const struct our_ops ops = { .fill = fill };\n"
    (said,) = (each for each in ask(RULE, text + table, "fill").outcome.verdicts if isinstance(each, Doubt))
    assert "called through" in said.reason


def test_the_number_is_handed_on(ask: Ask) -> None:
    text = "int f(unsigned long at, int n, struct page **p) { return pin_user_pages_fast(at, n, 0, p); }"
    said = ask(RULE, text)
    assert not said.fires and "handed on to the caller" in said.reasons


# -- kernel trees -------------------------------------------------------------------------------

HELPER = """
static int take(unsigned long at, unsigned int n, struct page **pages)
{
	int ret = pin_user_pages_fast(at, n, FOLL_LONGTERM, pages);

	if (ret >= 0 && ret < n) {
		unpin_user_pages(pages, ret);
		ret = -EFAULT;
	}
	return ret;
}
"""


def test_a_helper_that_pins_for_its_caller(ask: Ask) -> None:
    """To call it is to pin: what it gave is the caller's to release, on each way out."""
    way = BODY.replace("for (i = 0; i < n; i++)\n\t\tunpin_user_page(pages[i]);", "unpin_user_pages(pages, n);")
    text = way.format(take="take(at, n, pages)", failed="ret <= 0", first="", second="")
    said = ask(RULE, HELPER + text)
    assert "take() has pinned in pages" in said.finding.message and "unpin_user_pages()" in said.finding.advice
    clean = way.format(take="take(at, n, pages)", failed="ret <= 0", first="", second="unpin_user_pages(pages, ret);")
    assert not ask(RULE, HELPER + clean).fires
    looks = HELPER.replace("\treturn ret;\n}", "\tif (ret > 0)\n\t\tunpin_user_pages(pages, ret);\n\treturn ret;\n}")
    assert not ask(RULE, looks + text).fires, "it only looks whether they are there"


TAKES = re.compile(rb"\b(?:pin|get)_user_pages\w*\s*\(")
RELEASES = re.compile(rb"\b(?:unpin_user_pages?(?:_dirty_lock)?|put_page)\s*\([^;{}]*\);")
FOLDERS = (
    "drivers/fpga",
    "drivers/vdpa/vdpa_user",
    "drivers/accel/habanalabs/common",
    "net/rds",
    "drivers/video/fbdev",
)


@pytest.mark.needs_tree("6.12")
def test_a_release_taken_out_of_correct_functions(
    tree_dir: Callable[[str], Path], desk: SimpleNamespace, rules: dict[str, Rule]
) -> None:
    """All releases cut out of functions found by API: each one that can fail behind the pin must speak; whole, none."""
    from lorelint.code.program import Program
    from lorelint.kernel.load import knowledge

    tree = DirectoryTree(tree_dir("6.12"))
    loud, quiet = [], []
    for path in (path for folder in FOLDERS for path in tree.files(folder) if path.endswith(".c")):
        raw = tree.read(path) or b""
        if not TAKES.search(raw) or not RELEASES.search(raw):
            continue
        whole = Program(tree, knowledge((6, 12)))
        for fn in whole.functions(path):
            if not TAKES.search(fn.text) or not RELEASES.search(fn.text):
                continue
            assert not desk.judge(whole, rules[RULE], fn.name, path).fires, fn.name
            at = raw.index(fn.text)
            cut = RELEASES.sub(lambda m: b";" + b"\n" * m.group().count(b"\n"), fn.text)
            text = raw[:at] + cut + raw[at + len(fn.text) :]
            program = Program(OverlayTree(tree, {path: text}), knowledge((6, 12)))
            (loud if desk.judge(program, rules[RULE], fn.name, path).fires else quiet).append(fn.name)
    print(loud, quiet)
    assert len(loud) >= 3 and len(quiet) <= len(loud), (loud, quiet)
