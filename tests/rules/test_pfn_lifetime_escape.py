"""pfn-lifetime-escape: what it must see, what it must leave alone and why, over our own C and over kernel trees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lorelint.model.finding import Doubt, Severity, Silence
from lorelint.rule.door import Rule
from lorelint.rule.engine import Judge

RULE = "pfn-lifetime-escape"
Ask = Callable[..., Any]

HEAD = """
struct obj { struct iommu_domain *domain; unsigned long pfn; };
"""
LOOKUP = """
	struct follow_pfnmap_args args = { .vma = vma, .address = addr };
	unsigned long pfn;
	void __iomem *at;

	if (follow_pfnmap_start(&args))
		return -EINVAL;
"""
VMA = "struct obj *o, struct vm_area_struct *vma, unsigned long addr, void *buf"


def take(body: str, params: str = VMA, after: str = "", before: str = "") -> str:
    return f"{HEAD}{before}\nint f({params})\n{{{LOOKUP}{body}\n\treturn 0;\n}}\n{after}"


READ = "\tpfn = args.pfn;\n\tfollow_pfnmap_end(&args);\n"
HELPER = f"""
static int map_it(struct obj *o, phys_addr_t at)
{{
	return iommu_map(o->domain, 0, at, PAGE_SIZE, 0, GFP_KERNEL);
}}
static int find_it(struct vm_area_struct *vma, unsigned long addr, unsigned long *out)
{{{LOOKUP}	*out = args.pfn;
	follow_pfnmap_end(&args);
	return 0;
}}
"""
FINDER = (
    HEAD
    + HELPER
    + """
int f(struct mm_struct *mm, unsigned long addr, unsigned long *out)
{
	struct vm_area_struct *vma;
	int ret = -EFAULT;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, addr);
	if (vma)
		ret = find_it(vma, addr, out);
	mmap_read_unlock(mm);
	return ret;
}
"""
)
MAPPER = """
int g(struct obj *o, unsigned long addr)
{
	unsigned long pfn;
	int ret = f(current->mm, addr, &pfn);

	return ret ? ret : iommu_map(o->domain, 0, PFN_PHYS(pfn), PAGE_SIZE, 0, GFP_KERNEL);
}
"""

SEEN = {
    "an IOMMU": take(READ + "\tiommu_map(o->domain, 0, pfn << PAGE_SHIFT, PAGE_SIZE, 0, GFP_KERNEL);"),
    "the field, after the end": take(
        "\tfollow_pfnmap_end(&args);\n\tdma_map_resource(o, PFN_PHYS(args.pfn), 8, 0, 0);"
    ),
    "touched": take(READ + "\tat = ioremap(PFN_PHYS(pfn), 8);\n\tmemcpy_toio(at, buf, 8);"),
    "touched by the CPU": take(READ + "\tat = memremap(PFN_PHYS(pfn), 8, MEMREMAP_WB);\n\tmemcpy(buf, at, 8);"),
    "by a callee": take(READ + "\tmap_it(o, PFN_PHYS(pfn));", before=HELPER),
    "kept when mmap_lock goes": take(
        "\to->pfn = args.pfn;\n\tfollow_pfnmap_end(&args);\n\tmmap_read_unlock(vma->vm_mm);"
    ),
    "kept under the lock, and that lock goes": take(READ + "\to->pfn = pfn;\n\tup_read(&vma->vm_mm->mmap_lock);"),
    "looked up again, not compared": take(
        READ
        + "\tat = ioremap(PFN_PHYS(pfn), 8);\n\tif (follow_pfnmap_start(&args))\n\t\treturn -1;\n"
        + "\tmemcpy_toio(at, buf, 8);\n\tfollow_pfnmap_end(&args);"
    ),
    "compared, and used where they differ": take(
        READ
        + "\tat = ioremap(PFN_PHYS(pfn), 8);\n\tif (follow_pfnmap_start(&args))\n\t\treturn -1;\n"
        + "\tif (pfn != args.pfn)\n\t\tmemcpy_toio(at, buf, 8);\n\tfollow_pfnmap_end(&args);"
    ),
    "compared, and used when the lock is gone again": take(
        READ
        + "\tat = ioremap(PFN_PHYS(pfn), 8);\n\tif (follow_pfnmap_start(&args))\n\t\treturn -1;\n"
        + "\tif (pfn != args.pfn) {\n\t\tfollow_pfnmap_end(&args);\n\t\treturn -1;\n\t}\n"
        + "\tfollow_pfnmap_end(&args);\n\tmemcpy_toio(at, buf, 8);"
    ),
    "handed out, the lock dropped": FINDER + MAPPER,
    "through two callers": FINDER
    + "static int h(unsigned long addr, unsigned long *o)\n{\n\treturn f(current->mm, addr, o);\n}\n"
    + MAPPER.replace("f(current->mm, addr, &pfn)", "h(addr, &pfn)"),
}


@pytest.mark.parametrize("name", SEEN)
def test_seen(ask: Ask, name: str) -> None:
    said = ask(RULE, SEEN[name])
    assert said.fires, said.reasons
    assert said.finding.steps[0].text.endswith("gives a PFN of a user mapping")
    assert "pfn" not in said.finding.anchor or said.finding.severity is Severity.WARNING


OLD = {
    "follow_pfn": (
        "int f(struct obj *o, struct vm_area_struct *vma, unsigned long addr)\n{\n\tunsigned long pfn;\n\n"
        "\tif (follow_pfn(vma, addr, &pfn))\n\t\treturn -1;\n"
        "\treturn iommu_map(o->domain, 0, PFN_PHYS(pfn), PAGE_SIZE, 0);\n}\n"
    ),
    "follow_phys": (
        "int f(struct vm_area_struct *vma, unsigned long addr, void *buf)\n{\n\tresource_size_t phys;\n"
        "\tunsigned long prot;\n\tvoid *at;\n\n\tif (follow_phys(vma, addr, 0, &prot, &phys))\n\t\treturn -1;\n"
        "\tat = ioremap_prot(phys, 8, prot);\n\tmemcpy_fromio(buf, at, 8);\n\treturn 0;\n}\n"
    ),
    "follow_pte": (
        "int f(struct obj *o, struct mm_struct *mm, unsigned long addr)\n{\n\tunsigned long pfn;\n\tspinlock_t *ptl;\n"
        "\tpte_t *ptep;\n\n\tif (follow_pte(mm, addr, &ptep, &ptl))\n\t\treturn -1;\n\tpfn = pte_pfn(*ptep);\n"
        "\tpte_unmap_unlock(ptep, ptl);\n\treturn iommu_map(o->domain, 0, PFN_PHYS(pfn), PAGE_SIZE, 0);\n}\n"
    ),
}


@pytest.mark.parametrize("name", OLD)
def test_look_ups_of_older_kernels(ask: Ask, name: str) -> None:
    assert ask(RULE, HEAD + OLD[name], version=(6, 1)).fires
    assert not ask(RULE, HEAD + OLD[name], version=(6, 12)).fires, "a name that this version does not have"


def test_under_the_pte_lock_it_is_right(ask: Ask) -> None:
    unlock = "\tpte_unmap_unlock(ptep, ptl);\n"
    text = OLD["follow_pte"].replace(unlock, "").replace("\treturn iommu_map", "\tmemcpy_toio(pfn, buf, 8);\n" + unlock)
    text = text.replace(unlock + "(o->domain, 0, PFN_PHYS(pfn), PAGE_SIZE, 0);", unlock + "\treturn 0;")
    said = ask(RULE, HEAD + text, version=(6, 1))
    assert "page-table lock" in said.reasons and not said.fires


SILENT = {
    "between start and end": (
        take("\tmemcpy_toio((void *)(args.pfn << PAGE_SHIFT), buf, 8);\n\tfollow_pfnmap_end(&args);"),
        "under the page-table lock",
    ),
    "looked up again and compared": (
        take(
            READ
            + "\tat = ioremap(PFN_PHYS(pfn), 8);\n\tif (follow_pfnmap_start(&args))\n\t\treturn -1;\n"
            + "\tif (pfn == args.pfn)\n\t\tmemcpy_toio(at, buf, 8);\n\tfollow_pfnmap_end(&args);"
        ),
        "compared",
    ),
    "looked at": (take(READ + "\treturn pfn_valid(pfn);"), "under the page-table lock"),
    "kept under the callers' mmap_lock": (take(READ + "\to->pfn = pfn;"), "under the page-table lock"),
    "for the callers to say": (HEAD + HELPER.replace("find_it", "f"), "it is for them to say"),
    "callers look at it alone": (
        FINDER
        + "int g(unsigned long a)\n{\n\tunsigned long pfn;\n\n\treturn f(current->mm, a, &pfn) ? 0 : pfn & 1;\n}\n",
        "no caller keeps the PFN",
    ),
    "another value in its place": (
        take(READ + "\tpfn = o->pfn;\n\tiommu_map(o->domain, 0, PFN_PHYS(pfn), 8, 0, GFP_KERNEL);"),
        "under the page-table lock",
    ),
    "a notifier": (
        SEEN["an IOMMU"] + "int init(struct obj *o)\n{\n\treturn mmu_notifier_register(&o->mn, current->mm);\n}\n",
        "MMU notifier",
    ),
}


@pytest.mark.parametrize("name", SILENT)
def test_silent_and_says_why(ask: Ask, name: str) -> None:
    text, reason = SILENT[name]
    said = ask(RULE, text)
    assert not said.fires, said.finding
    assert reason in said.reasons


def test_told_once_for_a_chain(ask: Ask) -> None:
    text = SEEN["through two callers"]
    assert ask(RULE, text, "f").fires
    assert "told there" in ask(RULE, text, "g").reasons


def test_a_direct_user_is_told_as_the_same_concern(ask: Ask) -> None:
    text = SEEN["handed out, the lock dropped"]
    one, other = ask(RULE, text, "f").finding, ask(RULE, text, "g").finding
    assert one.concern == other.concern == "drivers/demo/a.c:g:iommu_map"
    assert one.anchor == other.anchor == "iommu_map"


def test_a_notifier_beside_it_is_enough_for_a_driver(ask: Ask) -> None:
    other = "int init(struct obj *o)\n{\n\treturn mmu_interval_notifier_insert(&o->mn, o->mm, 0, 8, &ops);\n}\n"
    files = {"drivers/demo/a.c": SEEN["an IOMMU"], "drivers/demo/mn.c": other}
    assert "MMU notifier" in ask(RULE, files).reasons


def test_callers_out_of_sight_are_a_doubt(rules: dict[str, Rule], desk: SimpleNamespace) -> None:
    program = desk.program(FINDER)
    outcome = Judge(program).judge(rules[RULE], program.function("drivers/demo/a.c", "f"))
    assert [type(each) for each in outcome.verdicts] == [Doubt]


@pytest.mark.parametrize(
    ("table", "silent"), [("file_operations fops = {\n\t.unlocked_ioctl", True), ("ops own = {\n\t.get_pfn", False)]
)
def test_user_space_can_do_nothing_with_a_number(
    rules: dict[str, Rule], desk: SimpleNamespace, table: str, silent: bool
) -> None:
    """A table of the driver's own leads on inside the kernel; there it stays a doubt."""
    program = desk.program(FINDER + f"static const struct {table} = f,\n}};\n")
    outcome = Judge(program).judge(rules[RULE], program.function("drivers/demo/a.c", "f"))
    assert [type(each) for each in outcome.verdicts] == [Silence if silent else Doubt]


# -- kernel trees -----------------------------------------------------------------------------

KERNEL = {
    "mm/memory.c": ("generic_access_phys", "(phys_addr != (args.pfn << PAGE_SHIFT)) ||", ""),
    "arch/s390/pci/pci_mmio.c": (
        "s390_pci_mmio_write",
        "ret = zpci_memcpy_toio(io_addr, buf, length);",
        "follow_pfnmap_end(&args);\n\tret = zpci_memcpy_toio(io_addr, buf, length);",
    ),
    "virt/kvm/kvm_main.c": ("hva_to_pfn", "", ""),
}


@pytest.mark.needs_tree("6.12")
@pytest.mark.parametrize("path", KERNEL)
def test_what_is_right_in_the_kernel_and_what_makes_it_wrong(
    rules: dict[str, Rule], tree_dir: Callable[[str], Path], desk: Any, path: str
) -> None:
    name, right, wrong = KERNEL[path]
    text = (tree_dir("6.12") / path).read_text(encoding="latin-1")
    said = desk.judge(desk.program({path: text}), rules[RULE], name, path)
    assert said.reasons and not said.fires
    if not right:
        assert "MMU notifier" in said.reasons
        return
    assert right in text
    other = text.replace(right, wrong, 1)
    if not wrong:  # the other comparisons would do as well
        other = other.replace("(prot != pgprot_val(args.pgprot)) ||", "").replace("(writable != args.writable)", "0")
    assert desk.judge(desk.program({path: other}), rules[RULE], name, path).fires


@pytest.mark.needs_tree("6.12")
def test_a_notifier_ends_the_known_case(rules: dict[str, Rule], tree_dir: Callable[[str], Path], desk: Any) -> None:
    path = "drivers/vfio/vfio_iommu_type1.c"
    text = (tree_dir("6.12") / path).read_text(encoding="latin-1")
    found = desk.judge(desk.program({path: text}), rules[RULE], "vaddr_get_pfns", path).finding
    assert found.anchor == "iommu_map" and len(found.steps) >= 6
    more = text + "\nstatic int x(struct vfio_dma *d)\n{\n\treturn mmu_notifier_register(&d->mn, d->mm);\n}\n"
    assert "MMU notifier" in desk.judge(desk.program({path: more}), rules[RULE], "vaddr_get_pfns", path).reasons
