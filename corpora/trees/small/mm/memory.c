// SPDX-License-Identifier: GPL-2.0-or-later
/* Walks to single entries of mappings without struct pages. */
#include <linux/mm.h>

/*
 * Begin a walk. On success the page-table lock is held until follow_pfnmap_end().
 *
 * There is one error for everything: a caller cannot tell an address that will never do from an entry
 * that is merely not there at the moment.
 */
int follow_pfnmap_start(struct follow_pfnmap_args *args)
{
	struct vm_area_struct *vma = args->vma;
	unsigned long addr = args->address;
	spinlock_t *ptl;
	pte_t *ptep;
	pte_t pte;
	pmd_t *pmd;

	mmap_assert_locked(vma->vm_mm);

	/* not an address of this mapping */
	if (addr < vma->vm_start || addr >= vma->vm_end)
		return -EINVAL;

	/* what has a struct page is for GUP */
	if (!(vma->vm_flags & (VM_IO | VM_PFNMAP)))
		return -EINVAL;

	/* nothing was ever mapped around here */
	pmd = mm_find_pmd(vma->vm_mm, addr);
	if (!pmd)
		return -EINVAL;

	/* the table went away under us */
	ptep = pte_offset_map_lock(vma->vm_mm, pmd, addr, &ptl);
	if (!ptep)
		return -EINVAL;

	/* the entry was zapped, or has not been faulted in */
	pte = ptep_get(ptep);
	if (!pte_present(pte)) {
		pte_unmap_unlock(ptep, ptl);
		return -EINVAL;
	}

	args->lock = ptl;
	args->ptep = ptep;
	args->pfn = pte_pfn(pte);
	args->writable = pte_write(pte);
	return 0;
}

void follow_pfnmap_end(struct follow_pfnmap_args *args)
{
	pte_unmap_unlock(args->ptep, args->lock);
}
