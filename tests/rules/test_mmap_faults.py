"""Fault handlers that reckon an address from the offset of the fault: who has to have compared it with what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., Any]
RULE = "mmap-range-unchecked"

DRIVER = """
static vm_fault_t f(struct vm_fault *vmf)
{
	struct dev *d = vmf->vma->vm_private_data;
	unsigned long offset = OFFSET;
	struct page *page;

	TEST
	page = TAKE;
	get_page(page);
	vmf->page = page;
	return 0;
}
static const struct vm_operations_struct dev_vm_ops = { .fault = f };
static int dev_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct dev *d = file->private_data;

	if (vma->vm_end - vma->vm_start > PAGE_ALIGN(d->size))
		return -EINVAL;
	MMAP
	vma->vm_ops = &dev_vm_ops;
	vma->vm_private_data = d;
	return 0;
}
static const struct TABLE ops = { .mmap = dev_mmap };
"""


def driver(
    offset: str = "vmf->pgoff << PAGE_SHIFT",
    test: str = "",
    take: str = "virt_to_page(d->memory + offset)",
    mmap: str = "",
    table: str = "file_operations",
) -> str:
    text = DRIVER.replace("OFFSET", offset).replace("TEST", test).replace("TAKE", take)
    return text.replace("MMAP", mmap).replace("TABLE", table)


@pytest.mark.parametrize("take", ["virt_to_page(d->memory + offset)", "vmalloc_to_page((char *)d->memory + offset)"])
def test_behind_the_end_of_the_object(ask: Ask, take: str) -> None:
    finding = ask(RULE, driver(take=take)).finding
    assert "from the offset of the fault" in finding.message and finding.line == finding.steps[-1].line
    assert "file_operations" in finding.steps[0].text


SILENT = {
    "the handler compares": driver(test="if (offset >= d->size)\n\t\treturn VM_FAULT_SIGBUS;"),
    "it compares the page": driver(test="if (vmf->pgoff >= d->pages)\n\t\treturn VM_FAULT_SIGBUS;"),
    "the mmap handler compares": driver(mmap="if (vma->vm_pgoff)\n\t\treturn -EINVAL;"),
    "the page within the VMA": driver("(vmf->pgoff - d->first) << PAGE_SHIFT"),
    "the core compares": driver(table="drm_gem_object_funcs"),
    "the address within the VMA": driver("vmf->address - vmf->vma->vm_start"),
    "an address of its own": driver(take="vmalloc_to_page((void *)offset)"),
    "modulo the pages": driver("(vmf->pgoff % d->pages) << PAGE_SHIFT"),
    "masked": driver("(vmf->pgoff << PAGE_SHIFT) & (d->size - 1)"),
    "at most the size": driver("min(vmf->pgoff << PAGE_SHIFT, d->size - PAGE_SIZE)"),
    "none but the first": driver(test="if (vmf->pgoff)\n\t\treturn VM_FAULT_SIGBUS;"),
    "a call decides": driver(test="if (!dev_has(d, vmf->pgoff))\n\t\treturn VM_FAULT_SIGBUS;"),
    "a variable decides": driver(test="bool ok = offset < d->size;\n\n\tif (!ok)\n\t\treturn VM_FAULT_SIGBUS;"),
    "cut to size in its place": driver(test="offset %= d->size;"),
    "masked in its place": driver(test="offset &= d->size - 1;"),
    "taken from where the object begins": driver(test="offset -= d->first;"),
    "kept where others may compare it": driver(test="d->offset = offset;"),
    "looked up": driver(take="virt_to_page(d->memory + dev_offset(d, vmf->pgoff))"),
    "a helper of the mmap handler may compare": driver(mmap="if (!dev_fits(d, vma))\n\t\treturn -EINVAL;"),
    "who maps it is not seen": driver(table="dev_ops"),
}


@pytest.mark.parametrize("text", SILENT.values(), ids=SILENT)
def test_bounded(ask: Ask, text: str) -> None:
    assert not ask(RULE, text).fires
