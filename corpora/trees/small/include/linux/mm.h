/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef _LINUX_MM_H
#define _LINUX_MM_H

#include <linux/mm_types.h>
#include <linux/mmap_lock.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)

#define VM_WRITE 0x00000002UL
#define VM_SHARED 0x00000008UL
#define VM_PFNMAP 0x00000400UL
#define VM_IO 0x00004000UL
#define VM_DONTEXPAND 0x00040000UL

#define FAULT_FLAG_WRITE 0x001
#define FAULT_FLAG_ALLOW_RETRY 0x004
#define FAULT_FLAG_KILLABLE 0x010
#define FAULT_FLAG_TRIED 0x020
#define FAULT_FLAG_REMOTE 0x080

#define VM_FAULT_SIGBUS 0x0002
#define VM_FAULT_SIGSEGV 0x0040
#define VM_FAULT_NOPAGE 0x0100
#define VM_FAULT_RETRY 0x0400
#define VM_FAULT_COMPLETED 0x4000
#define VM_FAULT_ERROR (VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV)

/* A walk to one entry of a mapping that has no struct page; what is found is true until the walk ends. */
struct follow_pfnmap_args {
	/* to be set by the caller */
	struct vm_area_struct *vma;
	unsigned long address;
	/* held between start and end */
	spinlock_t *lock;
	pte_t *ptep;
	/* what was found */
	unsigned long pfn;
	bool writable;
};

int follow_pfnmap_start(struct follow_pfnmap_args *args);
void follow_pfnmap_end(struct follow_pfnmap_args *args);

struct vm_area_struct *vma_lookup(struct mm_struct *mm, unsigned long addr);
vm_fault_t handle_mm_fault(struct vm_area_struct *vma, unsigned long address, unsigned int flags, void *regs);
int fixup_user_fault(struct mm_struct *mm, unsigned long address, unsigned int fault_flags, bool *unlocked);

vm_fault_t vmf_insert_pfn(struct vm_area_struct *vma, unsigned long addr, unsigned long pfn);
void vm_flags_set(struct vm_area_struct *vma, unsigned long flags);
pgprot_t pgprot_noncached(pgprot_t prot);

pmd_t *mm_find_pmd(struct mm_struct *mm, unsigned long addr);
pte_t *pte_offset_map_lock(struct mm_struct *mm, pmd_t *pmd, unsigned long addr, spinlock_t **ptlp);
void pte_unmap_unlock(pte_t *pte, spinlock_t *ptl);
pte_t ptep_get(pte_t *ptep);
int pte_present(pte_t pte);
int pte_write(pte_t pte);
unsigned long pte_pfn(pte_t pte);

static inline unsigned long vma_pages(struct vm_area_struct *vma)
{
	return (vma->vm_end - vma->vm_start) >> PAGE_SHIFT;
}

#endif
