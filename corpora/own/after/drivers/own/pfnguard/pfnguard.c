// SPDX-License-Identifier: GPL-2.0
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/slab.h>

struct pg_dom {
	struct mm_struct *mm;
	struct iommu_domain *domain;
};

static int pg_user_pfn(struct pg_dom *pd, unsigned long uaddr, unsigned long *pfn)
{
	struct follow_pfnmap_args args = { .address = uaddr };
	int ret = -EFAULT;

	mmap_read_lock(pd->mm);
	args.vma = vma_lookup(pd->mm, uaddr);
	if (args.vma)
		ret = follow_pfnmap_start(&args);
	if (!ret) {
		*pfn = args.pfn;
		follow_pfnmap_end(&args);
	}
	mmap_read_unlock(pd->mm);
	return ret;
}

struct pg_guarded {
	struct mmu_interval_notifier mni;
	struct pg_dom *pd;
	struct mutex lock;
	unsigned long pfn;
	unsigned long iova;
};

static bool pg_invalidate(struct mmu_interval_notifier *mni, const struct mmu_notifier_range *range, unsigned long seq)
{
	struct pg_guarded *pg = container_of(mni, struct pg_guarded, mni);

	mutex_lock(&pg->lock);
	mmu_interval_set_seq(mni, seq);
	if (pg->iova)
		iommu_unmap(pg->pd->domain, pg->iova, PAGE_SIZE);
	pg->iova = 0;
	mutex_unlock(&pg->lock);
	return true;
}

static const struct mmu_interval_notifier_ops pg_mni_ops = {
	.invalidate = pg_invalidate,
};

static int pg_map_guarded(struct pg_guarded *pg, unsigned long uaddr, unsigned long iova)
{
	unsigned long seq, pfn;
	int ret;

	ret = mmu_interval_notifier_insert(&pg->mni, pg->pd->mm, uaddr, PAGE_SIZE, &pg_mni_ops);
	if (ret)
		return ret;
again:
	seq = mmu_interval_read_begin(&pg->mni);
	ret = pg_user_pfn(pg->pd, uaddr, &pfn);
	if (ret)
		goto remove;
	mutex_lock(&pg->lock);
	if (mmu_interval_read_retry(&pg->mni, seq)) {
		mutex_unlock(&pg->lock);
		goto again;
	}
	ret = iommu_map(pg->pd->domain, iova, PFN_PHYS(pfn), PAGE_SIZE, IOMMU_READ, GFP_KERNEL);
	if (!ret)
		pg->iova = iova;
	mutex_unlock(&pg->lock);
	if (!ret)
		return 0;
remove:
	mmu_interval_notifier_remove(&pg->mni);
	return ret;
}

