// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/sched.h>

struct pt_tracked {
	struct mmu_interval_notifier mni;
	struct page **pages;
	unsigned long npages;
};

static bool pt_tracked_invalidate(struct mmu_interval_notifier *mni, const struct mmu_notifier_range *range,
				  unsigned long seq)
{
	struct pt_tracked *tr = container_of(mni, struct pt_tracked, mni);

	mmu_interval_set_seq(mni, seq);
	unpin_user_pages_dirty_lock(tr->pages, tr->npages, true);
	tr->npages = 0;
	return true;
}

static const struct mmu_interval_notifier_ops pt_tracked_ops = { .invalidate = pt_tracked_invalidate };

static int pt_track(struct pt_tracked *tr, unsigned long addr, unsigned long npages)
{
	int got, err;

	err = mmu_interval_notifier_insert(&tr->mni, current->mm, addr, npages << PAGE_SHIFT, &pt_tracked_ops);
	if (err)
		return err;
	got = pin_user_pages_fast(addr, npages, FOLL_WRITE, tr->pages);
	if (got != npages) {
		if (got > 0)
			unpin_user_pages(tr->pages, got);
		mmu_interval_notifier_remove(&tr->mni);
		return -EFAULT;
	}
	tr->npages = got;
	return 0;
}

