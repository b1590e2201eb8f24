// SPDX-License-Identifier: GPL-2.0-or-later
/* Faults taken on behalf of somebody else. */
#include <linux/mm.h>
#include <linux/sched/signal.h>

static bool fault_allowed(struct vm_area_struct *vma, unsigned int flags)
{
	if (flags & FAULT_FLAG_WRITE)
		return vma->vm_flags & VM_WRITE;
	return true;
}

/*
 * Have one address faulted in. With @unlocked the fault may drop mmap_lock; it is held again on return, and
 * *unlocked says that every VMA pointer is stale. Only then is a killed task noticed, too.
 */
int fixup_user_fault(struct mm_struct *mm, unsigned long address, unsigned int fault_flags, bool *unlocked)
{
	struct vm_area_struct *vma;
	vm_fault_t got;

	if (unlocked)
		fault_flags |= FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE;

	for (;;) {
		vma = vma_lookup(mm, address);
		if (!vma || !fault_allowed(vma, fault_flags))
			return -EFAULT;

		if ((fault_flags & FAULT_FLAG_KILLABLE) && fatal_signal_pending(current))
			return -EINTR;

		got = handle_mm_fault(vma, address, fault_flags, NULL);
		if (got & VM_FAULT_ERROR)
			return -EFAULT;

		if (!(got & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)))
			return 0;

		/* The lock was dropped on the way; a second round may not do so without progress. */
		mmap_read_lock(mm);
		*unlocked = true;
		if (got & VM_FAULT_COMPLETED)
			return 0;
		if (fault_flags & FAULT_FLAG_TRIED)
			return -EBUSY;
		fault_flags |= FAULT_FLAG_TRIED;
	}
}
