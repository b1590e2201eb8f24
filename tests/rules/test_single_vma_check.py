"""single-vma-check: what it must see, each thing it must leave alone and why, over our own C and over kernel trees."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lorelint.model.finding import Doubt, Need
from lorelint.rule.door import Rule

RULE = "single-vma-check"
Ask = Callable[..., Any]

TAKE = """
int f({params})
{{
	struct vm_area_struct *vma;
{locals}
	vma = {lookup};
	if (!vma || {decides})
		return -EINVAL;
{then}
}}
"""


def take(
    then: str = "\treturn pin_user_pages_fast(addr, nr_pages, 0, pages);",
    lookup: str = "find_vma(current->mm, addr)",
    decides: str = "vma->vm_flags & VM_IO",
    params: str = "unsigned long addr, unsigned long nr_pages, struct page **pages",
    extra: str = "",
) -> str:
    return TAKE.format(params=params, lookup=lookup, decides=decides, then=then, locals=extra)


SEEN = {
    "flags": take(),
    "file": take(decides="vma->vm_file"),
    "operations": take(decides="vma->vm_ops != &our_vm_ops"),
    "a predicate": take(decides="is_vm_hugetlb_page(vma)"),
    "vma_lookup": take(lookup="vma_lookup(current->mm, addr)"),
    "intersection with one byte": take(lookup="find_vma_intersection(current->mm, addr, addr + 1)"),
    "not gup": take(then="\treturn device_map_range(dev, addr, nr_pages << PAGE_SHIFT);"),
    "start alone compared": take(decides="addr < vma->vm_start || addr >= vma->vm_end || vma->vm_flags & VM_IO"),
    "length in an object": take(
        params="struct buf *b",
        lookup="find_vma(current->mm, b->uaddr)",
        then="\treturn get_user_pages(b->uaddr, b->npages, 0, b->pages);",
    ),
    "address through a local": take(
        params="struct buf *b",
        extra="\tunsigned long at = b->uaddr & PAGE_MASK;\n",
        lookup="find_vma(current->mm, b->uaddr)",
        then="\treturn get_user_pages(at, b->npages, 0, b->pages);",
    ),
    "flags kept in a local": take(
        extra="\tbool io;\n",
        decides="!vma->vm_mm",
        then="\tio = vma->vm_flags & VM_IO;\n\tif (io)\n\t\treturn -EINVAL;\n"
        "\treturn pin_user_pages_fast(addr, nr_pages, 0, pages);",
    ),
    "the object of both is handed on": take(
        params="struct region *r",
        lookup="vma_lookup(current->mm, r->uaddr)",
        decides="!access_ok(r->uaddr, r->size)",
        extra="\tbool io;\n",
        then="\tio = vma->vm_flags & VM_IO;\n\tif (io)\n\t\tr->kind = MMIO;\n\treturn map_region(r);",
    ),
    "pages that are no more than fit": take(decides="nr_pages > (LONG_MAX >> PAGE_SHIFT) || vma->vm_flags & VM_IO"),
    "no more than some pages": take(decides="nr_pages > 16 * PAGE_SIZE || vma->vm_flags & VM_IO"),
    "whole pages": take(decides="(nr_pages & ~PAGE_MASK) || vma->vm_flags & VM_IO"),
    "a length never looked at": take(
        params="struct mm_struct *mm, unsigned long addr, size_t len", lookup="find_vma(mm, addr)", then="\treturn 0;"
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_seen(ask: Ask, name: str) -> None:
    said = ask(RULE, SEEN[name])
    assert said.fires, said.reasons
    assert said.finding.confidence == 0.9
    assert "vma" not in said.finding.anchor.replace("find_vma", "").replace("vma_lookup", "")


SILENT = {
    "a length that is only given back": (
        take(
            params="struct offset *op",
            lookup="find_vma(current->mm, op->vaddr)",
            then="\top->size = vma_private(vma)->size;\n\treturn copy_out(op);",
        ),
        "nobody holds a length",
    ),
    "an object that is not handed on": (
        take(
            params="struct region *r",
            lookup="find_vma(current->mm, r->uaddr)",
            then="\treturn r->size ? note(r->uaddr) : 0;",
        ),
        "nobody holds a length",
    ),
    "end compared": (take(decides="vma->vm_file || vma->vm_end < addr + nr_pages * PAGE_SIZE"), "end of the range"),
    "end kept": (
        take(then="\tend = vma->vm_end;\n\treturn map_up_to(addr, nr_pages, end);", extra="\tunsigned long end;\n"),
        "end of the range",
    ),
    "range_in_vma": (take(decides="vma->vm_flags & VM_IO || !range_in_vma(vma, addr, end)"), "end of the range"),
    "vma_pages": (take(decides="vma->vm_flags & VM_IO || vma_pages(vma) < nr_pages"), "end of the range"),
    "a callee looks at the end": (
        "static bool covers(struct vm_area_struct *vma, unsigned long end)\n{\n\treturn end <= vma->vm_end;\n}\n"
        + take(decides="vma->vm_flags & VM_IO || !covers(vma, addr + nr_pages * PAGE_SIZE)"),
        "end of the range",
    ),
    "nothing decided": (take(decides="addr < vma->vm_start"), "nothing is decided"),
    "one page": (
        take(params="unsigned long addr, struct page **p", then="\treturn pin_user_pages_fast(addr, 1, 0, p);"),
        "nobody holds a length",
    ),
    "within a page": (
        "int f(unsigned long addr, size_t len)\n{\n\tstruct vm_area_struct *vma;\n\n"
        "\tif (PAGE_SIZE - (addr & ~PAGE_MASK) < len)\n\t\treturn -EINVAL;\n\tvma = vma_lookup(current->mm, addr);\n"
        "\tif (!vma || !(vma->vm_flags & VM_IO))\n\t\treturn -EINVAL;\n\treturn poke(addr, len);\n}\n",
        "at most one page",
    ),
    "looked up for each step": (
        "int f(unsigned long addr, unsigned long end)\n{\n\tstruct vm_area_struct *vma;\n\n"
        "\twhile (addr < end) {\n\t\tvma = vma_lookup(current->mm, addr);\n"
        "\t\tif (!vma || vma->vm_flags & VM_IO)\n\t\t\treturn -EINVAL;\n"
        "\t\tmap_page(addr, end);\n\t\taddr += PAGE_SIZE;\n\t}\n\treturn 0;\n}\n",
        "end of the range",
    ),
    "a fault": (
        "int f(struct mm_struct *mm, unsigned long address, unsigned int flags)\n{\n"
        "\tstruct vm_area_struct *vma = find_vma(mm, address);\n\n"
        "\tif (!vma || !(vma->vm_flags & VM_WRITE))\n\t\treturn -EFAULT;\n"
        "\treturn handle_mm_fault(vma, address, flags, NULL);\n}\n",
        "nobody holds a length",
    ),
    "the range was pinned before": (
        "int f(unsigned long addr, unsigned long nr_pages, struct page **pages)\n{\n\tstruct vm_area_struct *vma;\n"
        "\tint ret = pin_user_pages(addr, nr_pages, 0, pages);\n\n\tif (ret > 0)\n\t\treturn ret;\n"
        "\tvma = vma_lookup(current->mm, addr);\n\tif (vma && vma->vm_flags & VM_PFNMAP)\n"
        "\t\treturn one_pfn(vma, addr);\n\treturn -EFAULT;\n}\n",
        "nobody holds a length",
    ),
    "all VMAs": (
        "int f(struct mm_struct *mm, unsigned long addr, size_t len)\n{\n\tVMA_ITERATOR(vmi, mm, addr);\n"
        "\tstruct vm_area_struct *vma;\n\n\tfor_each_vma_range(vmi, vma, addr + len)\n"
        "\t\tif (vma->vm_flags & VM_IO)\n\t\t\treturn -EINVAL;\n\treturn 0;\n}\n",
        "no single VMA decides",
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_silent_and_says_why(ask: Ask, name: str) -> None:
    text, reason = SILENT[name]
    said = ask(RULE, text)
    assert not said.fires, said.finding
    assert reason in said.reasons


PREDICATE = """
static bool f(unsigned long addr)
{
	struct vm_area_struct *vma;
	bool ret = false;

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	if (vma && vma->vm_flags & VM_PFNMAP)
		ret = true;
	mmap_read_unlock(current->mm);
	return ret;
}
"""
CALLERS = {
    "used with it": (
        "int g(struct cmd *c)\n{\n\tif (f(c->va))\n\t\treturn -1;\n\treturn map(c->va, c->length);\n}\n",
        1,
    ),
    "beside it": ("int g(struct cmd *c)\n{\n\tif (f(c->va))\n\t\treturn -1;\n\treturn c->length > MOST;\n}\n", 1),
    "none": ("int g(struct cmd *c)\n{\n\treturn f(c->va) ? -1 : touch(c->va);\n}\n", 0),
    "step by step": (
        "int g(unsigned long va, size_t len)\n{\n\tunsigned long end = va + len;\n\n\tfor (; va < end; va += PAGE_SIZE)\n"
        "\t\tif (f(va))\n\t\t\treturn map(va, len);\n\treturn 0;\n}\n",
        0,
    ),
}


@pytest.mark.parametrize("name", CALLERS)
def test_the_caller_holds_the_length(ask: Ask, name: str) -> None:
    text, count = CALLERS[name]
    said = ask(RULE, PREDICATE + text)
    assert len(said.outcome.defects) == count, said.reasons
    if count:
        assert said.finding.confidence == 0.7
        assert any("hands over the address alone" in fact for fact in said.finding.facts)
        assert any("VM_PFNMAP does not decide" in fact for fact in said.finding.facts)
        assert any("mmap_lock is dropped" in fact for fact in said.finding.facts)


def test_callers_out_of_sight_are_a_doubt(rules: dict[str, Rule], desk: SimpleNamespace) -> None:
    from lorelint.rule.engine import Judge

    program = desk.program(PREDICATE)
    outcome = Judge(program, whole=False).judge(rules[RULE], program.function("drivers/demo/a.c", "f"))
    assert [type(each) for each in outcome.verdicts] == [Doubt]


def test_in_a_fragment_the_callers_hunk_is_enough(rules: dict[str, Rule], desk: SimpleNamespace) -> None:
    from lorelint.rule.engine import Judge

    program = desk.program(PREDICATE + CALLERS["beside it"][0])
    outcome = Judge(program, whole=False).judge(rules[RULE], program.function("drivers/demo/a.c", "f"))
    (finding,) = outcome.defects
    assert finding.need is Need.PATCH


# -- kernel trees -----------------------------------------------------------------------------


def renamed(text: str, names: tuple[str, ...]) -> str:
    for name in names:
        text = re.sub(rf"(?<![\w.>]){re.escape(name)}\b", f"{name}_by_another_name", text)
    return text


LOCALS = ("vma", "userptr", "vaddr", "num_pages", "page_nr", "write", "end")


@pytest.mark.needs_tree("6.12")
def test_taking_the_check_out_makes_it_speak(
    rules: dict[str, Rule], tree_dir: Callable[[str], Path], desk: Any
) -> None:
    """Correct functions of 6.12, found by their comparison of vm_end: without it the rule speaks, with it not."""
    tree = tree_dir("6.12")
    spoke = []
    for path in sorted((*tree.glob("drivers/**/*.c"), *tree.glob("mm/*.c"))):
        text = path.read_text(encoding="latin-1")
        if ("find_vma(" not in text and "vma_lookup(" not in text) or "vm_end" not in text:
            continue
        name = path.relative_to(tree).as_posix()
        program = desk.program({name: text})
        for fn in program.functions(name):
            body = fn.text.decode("latin-1")
            if "vm_end" not in body or not desk.judge(program, rules[RULE], fn.name, name).reasons:
                continue
            without = re.sub(r"\|\|\s*[^|&;{}]*vma->vm_end[^|&;{})]*(?:\([^()]*\)[^|&;{})]*)*", "", body)
            if without == body:
                continue
            broken = desk.program({name: text.replace(body, without)})
            again = broken.function(name, fn.name)
            if again is not None and desk.judge(broken, rules[RULE], fn.name, name).fires:
                spoke.append(fn.name)
                other = desk.program({name: renamed(text.replace(body, without), LOCALS)})
                assert desk.judge(other, rules[RULE], fn.name, name).fires, f"{fn.name}: not with other names"
    assert len(spoke) >= 2, spoke
