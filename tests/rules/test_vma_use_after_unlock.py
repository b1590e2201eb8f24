"""vma-use-after-unlock: what it must see, what it must leave alone and why, over our own C and over kernel trees."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lorelint.rule.door import Rule

RULE = "vma-use-after-unlock"
Ask = Callable[..., Any]

TAKE = """
int f(struct mm_struct *mm, unsigned long addr, struct mm_struct *other)
{{
	struct vm_area_struct *vma;
	bool unlocked = false;
	int locked = 1, ret = 0;
	vm_fault_t fault;

	mmap_read_lock(mm);
	vma = {lookup};
	if (!vma)
		goto out;
{body}
out:
	mmap_read_unlock(mm);
	return ret;
}}
"""


def take(body: str, lookup: str = "find_vma(mm, addr)", before: str = "") -> str:
    return before + TAKE.format(body=body, lookup=lookup)


AGAIN = "\tmmap_read_unlock(mm);\n\tmmap_read_lock(mm);\n"
SEEN = {
    "a field": take(AGAIN + "\tret = vma->vm_flags;"),
    "a callee": take(AGAIN + "\tret = touch(vma);"),
    "a field of it is written": take(AGAIN + "\tvma->vm_private_data = NULL;"),
    "the write lock": take(AGAIN.replace("read", "write") + "\tret = vma->vm_flags;"),
    "older lock": take("\tup_read(&mm->mmap_lock);\n\tdown_read(&mm->mmap_lock);\n\tret = vma->vm_flags;"),
    "on one way": take("\tif (addr & 1) {\n" + AGAIN + "\t}\n\tret = vma->vm_flags;"),
    "a walk": take(AGAIN + "\tret = vma->vm_flags;", lookup="vma_next(&vmi)"),
    "its own mm": take("\tmmap_read_unlock(vma->vm_mm);\n\tmmap_read_lock(mm);\n\tret = vma->vm_flags;"),
    "fixup_user_fault": take("\tret = fixup_user_fault(mm, addr, 0, &unlocked);\n\tret = vma->vm_flags;"),
    "fixup_user_fault, asked too late": take(
        "\tret = fixup_user_fault(mm, addr, 0, &unlocked);\n\tret = vma->vm_flags;\n\tif (unlocked)\n\t\tret = -EAGAIN;"
    ),
    "fixup_user_fault, used where it was dropped": take(
        "\tret = fixup_user_fault(mm, addr, 0, &unlocked);\n\tif (unlocked)\n\t\tret = vma->vm_flags;"
    ),
    "get_user_pages_remote": take(
        "\tret = get_user_pages_remote(mm, addr, 1, 0, pages, &locked);\n\tret = vma->vm_flags;\n\tif (!locked)\n\t\treturn 0;"
    ),
    "a fault that says retry": take(
        "\tfault = handle_mm_fault(vma, addr, FAULT_FLAG_DEFAULT, NULL);\n\tif (fault & VM_FAULT_RETRY)\n"
        "\t\treturn vma->vm_flags;"
    ),
    "a helper that unlocks": take(
        "\tlet_go(mm);\n\tmmap_read_lock(mm);\n\tret = vma->vm_flags;",
        before="static void let_go(struct mm_struct *mm)\n{\n\tmmap_read_unlock(mm);\n\tcond_resched();\n}\n",
    ),
    "a helper that looks up": take(
        AGAIN + "\tret = vma->vm_flags;",
        lookup="look(mm, addr)",
        before="static struct vm_area_struct *look(struct mm_struct *mm, unsigned long addr)\n{\n"
        "\tstruct vm_area_struct *vma = find_vma(mm, addr);\n\n\treturn vma && vma->vm_file ? vma : NULL;\n}\n",
    ),
    "a parameter": (
        "int f(struct vm_area_struct *vma)\n{\n\tstruct mm_struct *mm = vma->vm_mm;\n\n\tmmap_read_unlock(mm);\n"
        "\twork();\n\tmmap_read_lock(mm);\n\treturn vma->vm_flags;\n}\n"
    ),
    "a struct of arguments": (
        "int f(struct vm_area_struct *vma, struct mm_struct *mm, unsigned long addr)\n{\n"
        "\tstruct follow_pfnmap_args args = { .vma = vma, .address = addr };\n\tbool unlocked = false;\n\tint ret;\n\n"
        "\tret = fixup_user_fault(mm, addr, 0, &unlocked);\n\tif (ret)\n\t\treturn ret;\n"
        "\treturn follow_pfnmap_start(&args);\n}\n"
    ),
    "its own lock": (
        "int f(struct mm_struct *mm, unsigned long addr)\n{\n\tstruct vm_area_struct *vma;\n\n"
        "\tvma = lock_vma_under_rcu(mm, addr);\n\tif (!vma)\n\t\treturn 0;\n\tvma_end_read(vma);\n\treturn vma->vm_flags;\n}\n"
    ),
    "a guard's end": (
        "int f(struct mm_struct *mm, unsigned long addr)\n{\n\tstruct vm_area_struct *vma;\n\n"
        "\tscoped_guard(mmap_read_lock, mm) {\n\t\tvma = find_vma(mm, addr);\n\t}\n\treturn vma->vm_flags;\n}\n"
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_seen(ask: Ask, name: str) -> None:
    said = ask(RULE, SEEN[name], version=(7, 2) if "guard" in name else (6, 12))
    assert said.fires, said.reasons
    found = said.finding
    assert found.anchor == "vma" and len(found.steps) == 3
    assert [step.line for step in found.steps][1:] == sorted(step.line for step in found.steps[1:])


SILENT = {
    "before": (take("\tret = vma->vm_flags;\n" + AGAIN), "not used behind the lock"),
    "looked up again": (take(AGAIN + "\tvma = find_vma(mm, addr);\n\tret = vma->vm_flags;"), "not used behind"),
    "a copy": (take("\taddr = vma->vm_start;\n" + AGAIN + "\tret = addr;"), "not used behind"),
    "compared": (take(AGAIN + "\tret = vma == find_vma(mm, addr);"), "not used behind"),
    "left on that way": (
        take("\tif (addr & 1) {\n\t\tmmap_read_unlock(mm);\n\t\treturn 0;\n\t}\n\tret = vma->vm_flags;"),
        "",
    ),
    "none on that way": (
        take("\tret = 0;", lookup="find_vma(mm, addr)").replace("return ret;", "return vma ? 0 : ret;"),
        "not used behind",
    ),
    "not there": (
        take(AGAIN.replace("mmap_read_lock(mm);\n", "mmap_read_lock(mm);\n") + "\tif (!vma)\n\t\tret = vma->vm_flags;"),
        "",
    ),
    "another mm": (
        take("\tmmap_read_lock(other);\n\tmmap_read_unlock(other);\n\tret = vma->vm_flags;"),
        "not used behind",
    ),
    "told in time": (
        take("\tret = fixup_user_fault(mm, addr, 0, &unlocked);\n\tif (!unlocked)\n\t\tret = vma->vm_flags;"),
        "",
    ),
    "not asked": (
        "int f(struct vm_area_struct *vma, struct mm_struct *mm, unsigned long addr)\n{\n"
        "\tfixup_user_fault(mm, addr, 0, NULL);\n\treturn vma->vm_flags;\n}\n",
        "is not asked to drop mmap_lock",
    ),
    "told by locked": (
        take(
            "\tret = get_user_pages_remote(mm, addr, 1, 0, pages, &locked);\n\tif (!locked)\n\t\treturn 0;\n\tret = vma->vm_flags;"
        ),
        "",
    ),
    "no retry": (
        take(
            "\tfault = handle_mm_fault(vma, addr, FAULT_FLAG_DEFAULT, NULL);\n\tif (fault & VM_FAULT_RETRY)\n"
            "\t\treturn 0;\n\tret = vma->vm_flags;"
        ),
        "",
    ),
    "its own lock": (
        "int f(struct mm_struct *mm, unsigned long addr)\n{\n\tstruct vm_area_struct *vma;\n\tint ret;\n\n"
        "\tmmap_read_lock(mm);\n\tvma = lock_vma_under_rcu(mm, addr);\n\tmmap_read_unlock(mm);\n\tif (!vma)\n\t\treturn 0;\n"
        "\tret = vma->vm_flags;\n\tvma_end_read(vma);\n\treturn ret;\n}\n",
        "",
    ),
    "its lock is taken before": (
        take("\tif (!vma_start_read_locked(vma))\n\t\tgoto out;\n\tmmap_read_unlock(mm);\n\treturn vma->vm_flags;"),
        "no pointer",
    ),
    "the address space ends": (take("\tmmu_notifier_release(mm);\n" + AGAIN + "\tret = vma->vm_flags;"), "no user"),
    "a constant says so": (
        take(
            "\tif (addr & 1) {\n\t\tlocked = 0;\n\t\tmmap_read_unlock(mm);\n\t}\n\tif (!locked)\n\t\treturn 0;\n"
            "\tret = vma->vm_flags;"
        ),
        "",
    ),
    "nothing kept": (
        "int f(struct mm_struct *mm, struct vm_area_struct **out)\n{\n\tmmap_read_unlock(mm);\n\treturn 0;\n}\n",
        "no pointer to a VMA is kept",
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_silent_and_says_why(ask: Ask, name: str) -> None:
    text, reason = SILENT[name]
    said = ask(RULE, text)
    assert not said.fires, said.finding
    assert said.reasons and reason in said.reasons


# -- kernel trees -----------------------------------------------------------------------------

KERNEL = {  # path: function, what keeps it right, what stands there instead
    "drivers/vfio/vfio_iommu_type1.c": ("follow_fault_pfn", "if (unlocked)\n\t\t\treturn -EAGAIN;", ""),
    "virt/kvm/kvm_main.c": ("hva_to_pfn_remapped", "if (unlocked)\n\t\t\treturn -EAGAIN;", ""),
    "mm/gup.c": ("__mm_populate", "if (!locked) {", "if (!vma) {"),
}


@pytest.mark.needs_tree("6.12")
@pytest.mark.parametrize("path", KERNEL)
def test_taking_the_test_out_makes_it_speak(
    rules: dict[str, Rule], tree_dir: Callable[[str], Path], desk: Any, path: str
) -> None:
    name, right, wrong = KERNEL[path]
    text = (tree_dir("6.12") / path).read_text(encoding="latin-1")
    start = text.index(f"\n{text[: text.index(name + '(')].rpartition(chr(10))[2]}{name}(")
    assert right in text[start:]
    said = desk.judge(desk.program({path: text}), rules[RULE], name, path)
    assert said.reasons and not said.fires, said.outcome
    other = text[:start] + text[start:].replace(right, wrong, 1)
    assert desk.judge(desk.program({path: other}), rules[RULE], name, path).fires


LOOKUP = re.compile(r"\b(\w+) = (?:find_vma|vma_lookup)\(([\w>-]+), [^;]*;")


@pytest.mark.needs_tree("6.12")
def test_an_unlock_in_front_of_the_use_makes_it_speak(
    rules: dict[str, Rule], tree_dir: Callable[[str], Path], desk: Any
) -> None:
    """Functions of 6.12 that look a VMA up and read its flags: with the lock given back between the two, it speaks."""
    tree = tree_dir("6.12")
    spoke = []
    for path in sorted(tree.glob("drivers/gpu/drm/*/*.c")) + sorted(tree.glob("arch/*/kvm/*.c")):
        text = path.read_text(encoding="latin-1")
        name = path.relative_to(tree).as_posix()
        if LOOKUP.search(text) is None:
            continue
        program = desk.program({name: text})
        for fn in program.functions(name):
            body = fn.text.decode("latin-1")
            found = LOOKUP.search(body)
            if found is None or f"{found.group(1)}->" not in body[found.end() :]:
                continue
            assert not desk.judge(program, rules[RULE], fn.name, name).fires, fn.name
            unlocked = f"{found.group()}\n\tmmap_read_unlock({found.group(2)});"
            broken = desk.program({name: text.replace(body, body.replace(found.group(), unlocked, 1))})
            if desk.judge(broken, rules[RULE], fn.name, name).fires:
                spoke.append(fn.name)
    assert len(spoke) >= 2, spoke
