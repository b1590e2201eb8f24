"""pfnmap-start-end-balance: what it must see, what it must leave alone and why, over our own C and over kernel trees."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.rule.door import Rule

RULE = "pfnmap-start-end-balance"
Ask = Callable[..., Any]

HEAD = """
int f(struct vm_area_struct *vma, unsigned long addr, void *to, void __user *from)
{
	struct follow_pfnmap_args args = { .vma = vma, .address = addr };
	unsigned long pfn;
	int ret, i;

"""
START = "\tret = follow_pfnmap_start(&args);\n"
FAILED = "\tif (ret)\n\t\treturn ret;\n"
END = "\tfollow_pfnmap_end(&args);\n"
READ = "\tpfn = args.pfn;\n"


def walk(*parts: str, last: str = "\treturn 0;\n") -> str:
    return HEAD + "".join(parts) + last + "}\n"


SEEN = {
    "left by a return": (walk(START, FAILED, "\tif (!args.writable)\n\t\treturn -EFAULT;\n", READ, END), "left open"),
    "never ended": (walk(START, FAILED, READ), "left open"),
    "left by a jump": (
        walk(START, FAILED, "\tif (!args.writable)\n\t\tgoto out;\n", READ, END, "out:\n"),
        "left open",
    ),
    "ended where it failed": (walk(START, "\tif (ret) {\n" + END + "\t\treturn ret;\n\t}\n", READ, END), "ended twice"),
    "ended twice": (walk(START, FAILED, READ, END, END), "ended twice"),
    "not asked": (walk("\tfollow_pfnmap_start(&args);\n", READ, END), "not asked"),
    "begun again": (
        walk("again:\n", START, FAILED, "\tif (args.pfn == addr)\n\t\tgoto again;\n", END),
        "started twice",
    ),
    "a loop without an end": (
        walk("\tfor (i = 0; i < 4; i++) {\n", START, "\tif (ret)\n\t\tbreak;\n", READ, "\t}\n"),
        "started twice",
    ),
    "asked in place": (walk("\tif (follow_pfnmap_start(&args) == 0)\n\t\treturn args.pfn;\n"), "left open"),
    "slept in: user memory": (
        walk(START, FAILED, "\tif (copy_from_user(to, from, 8))\n\t\tret = -EFAULT;\n", END),
        "slept in",
    ),
    "slept in: a mutex": (walk(START, FAILED, "\tmutex_lock(&lock);\n", READ, END), "slept in"),
    "slept in: memory": (walk(START, FAILED, "\tto = kmalloc(8, GFP_KERNEL);\n", READ, END), "slept in"),
    "mmap_lock goes": (walk(START, FAILED, "\tmmap_read_unlock(vma->vm_mm);\n", READ, END), "slept in"),
    "read after the end": (walk(START, FAILED, END, READ), "read after"),
}


@pytest.mark.parametrize("name", SEEN)
def test_seen(ask: Ask, name: str) -> None:
    text, kind = SEEN[name]
    said = ask(RULE, text)
    assert kind in {each.anchor for each in said.outcome.defects}, said.outcome
    assert {each.anchor for each in said.outcome.defects} <= {kind, "left open"}


SILENT = {
    "a pair": walk(START, FAILED, READ, END),
    "asked in place": walk("\tif (follow_pfnmap_start(&args))\n\t\treturn -1;\n", READ, END),
    "asked in place for success": walk("\tif (!follow_pfnmap_start(&args)) {\n", READ, END, "\t}\n"),
    "tried again": walk(
        START,
        "\tif (ret) {\n\t\tfixup_user_fault(mm, addr, 0, NULL);\n\t",
        START,
        "\tif (ret)\n\t\t\treturn ret;\n\t}\n",
        READ,
        END,
    ),
    "two pairs": walk(START, FAILED, READ, END, START, FAILED, READ, END),
    "a loop": walk("\tfor (i = 0; i < 4; i++) {\n", START, "\tif (ret)\n\t\tbreak;\n", READ, END, "\t}\n"),
    "labels": walk(
        START,
        "\tif (ret)\n\t\tgoto out;\n\tif (!args.writable)\n\t\tgoto out_end;\n",
        READ,
        "out_end:\n",
        END,
        "out:\n",
    ),
    "the same question again": walk(START, "\tif (!ret)\n\t", READ, "\tif (!ret)\n\t", END),
    "below zero": walk(START, "\tif (ret < 0)\n\t\treturn ret;\n", READ, END),
    "memory without sleeping": walk(START, FAILED, "\tto = kmalloc(8, GFP_ATOMIC);\n", READ, END),
    "a copy is read": walk(START, FAILED, READ, END, "\taddr = pfn;\n"),
    "the caller ends it": (
        "int f(struct follow_pfnmap_args *args)\n{\n\tint ret = follow_pfnmap_start(args);\n\n\treturn ret;\n}\n"
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_silent_and_says_why(ask: Ask, name: str) -> None:
    said = ask(RULE, SILENT[name])
    assert not said.fires, said.outcome
    assert "one end on every way" in said.reasons


LENT = "int f(struct follow_pfnmap_args *args)\n{{\n\tfollow_pfnmap_end(args);\n\t{}\n\tfollow_pfnmap_end(args);\n\treturn 0;\n}}\n"


@pytest.mark.parametrize("between", ["begin_next(args);\n\tnote(args->pfn);", "args++;"])
def test_another_walk_between_two_ends(ask: Ask, between: str) -> None:
    assert "ended twice" in ask(RULE, LENT.format("note(args->address);")).finding.anchor
    assert not ask(RULE, LENT.format(between)).fires


def test_a_version_without_the_api(ask: Ask) -> None:
    assert not ask(RULE, SEEN["never ended"][0], version=(6, 1)).fires


# -- kernel trees -----------------------------------------------------------------------------

USERS = (
    "mm/memory.c",
    "virt/kvm/kvm_main.c",
    "arch/s390/pci/pci_mmio.c",
    "arch/x86/mm/pat/memtype.c",
    "drivers/virt/acrn/mm.c",
    "drivers/vfio/vfio_iommu_type1.c",
)
CALL = re.compile(r"\n\s*follow_pfnmap_end\(&args\);")


@pytest.mark.needs_tree("6.12")
@pytest.mark.parametrize("path", USERS)
def test_each_end_of_the_kernel_is_missed_when_it_goes(
    rules: dict[str, Rule], tree_dir: Callable[[str], Path], desk: Any, path: str
) -> None:
    text = (tree_dir("6.12") / path).read_text(encoding="latin-1")
    program = desk.program({path: text})
    count = 0
    for fn in program.functions(path):
        body = fn.text.decode("latin-1")
        if not CALL.search(body):
            continue
        said = desk.judge(program, rules[RULE], fn.name, path)
        assert said.reasons and not said.fires, said.outcome
        for found in CALL.finditer(body):
            without = body[: found.start()] + "\n\t;" + body[found.end() :]
            broken = desk.program({path: text.replace(body, without)})
            assert desk.judge(broken, rules[RULE], fn.name, path).fires, (fn.name, found.start())
            twice = body[: found.end()] + found.group() + body[found.end() :]
            broken = desk.program({path: text.replace(body, twice)})
            assert desk.judge(broken, rules[RULE], fn.name, path).fires, (fn.name, found.start())
            count += 1
    assert count
