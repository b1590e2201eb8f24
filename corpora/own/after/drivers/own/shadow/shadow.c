// SPDX-License-Identifier: GPL-2.0
#include <linux/fs.h>
#include <linux/hmm.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>

struct shadow {
	struct mmu_interval_notifier notifier;
	struct mm_struct *mm;
	struct mutex pt_lock;
	u64 __iomem *ptes;
	unsigned long *pfns;
	unsigned long npages;
};

static bool shadow_invalidate(struct mmu_interval_notifier *mni, const struct mmu_notifier_range *range,
			      unsigned long cur_seq)
{
	struct shadow *sh = container_of(mni, struct shadow, notifier);

	mutex_lock(&sh->pt_lock);
	mmu_interval_set_seq(mni, cur_seq);
	memset_io(sh->ptes, 0, sh->npages * sizeof(u64));
	mutex_unlock(&sh->pt_lock);
	return true;
}

static const struct mmu_interval_notifier_ops shadow_ops = {
	.invalidate = shadow_invalidate,
};

static void shadow_commit(struct shadow *sh)
{
	unsigned long i;

	for (i = 0; i < sh->npages; i++)
		writeq(hmm_pfn_to_phys(sh->pfns[i]), &sh->ptes[i]);
}

static int shadow_snapshot(struct shadow *sh, struct hmm_range *range)
{
	int ret;

	mmap_read_lock(sh->mm);
	ret = hmm_range_fault(range);
	mmap_read_unlock(sh->mm);
	return ret;
}

static int shadow_bind(struct shadow *sh, unsigned long start)
{
	struct hmm_range range = {
		.notifier = &sh->notifier,
		.start = start,
		.end = start + sh->npages * PAGE_SIZE,
		.hmm_pfns = sh->pfns,
		.default_flags = HMM_PFN_REQ_FAULT,
	};
	int ret;

	range.notifier_seq = mmu_interval_read_begin(&sh->notifier);
	ret = shadow_snapshot(sh, &range);
	if (ret)
		return ret;

	mutex_lock(&sh->pt_lock);
	shadow_commit(sh);
	mutex_unlock(&sh->pt_lock);
	return 0;
}

static int shadow_bind_early(struct shadow *sh, unsigned long start)
{
	struct hmm_range range = {
		.notifier = &sh->notifier,
		.start = start,
		.end = start + sh->npages * PAGE_SIZE,
		.hmm_pfns = sh->pfns,
	};
	int ret;

	do {
		range.notifier_seq = mmu_interval_read_begin(range.notifier);
		ret = shadow_snapshot(sh, &range);
		if (ret)
			return ret;
	} while (mmu_interval_read_retry(range.notifier, range.notifier_seq));

	mutex_lock(&sh->pt_lock);
	shadow_commit(sh);
	mutex_unlock(&sh->pt_lock);
	return 0;
}

static int shadow_bind_gap(struct shadow *sh, struct hmm_range *range)
{
	bool stale;
	int ret;

again:
	range->notifier_seq = mmu_interval_read_begin(range->notifier);
	ret = shadow_snapshot(sh, range);
	if (ret == -EBUSY)
		goto again;
	if (ret)
		return ret;

	mutex_lock(&sh->pt_lock);
	stale = mmu_interval_read_retry(range->notifier, range->notifier_seq);
	mutex_unlock(&sh->pt_lock);
	if (stale)
		goto again;

	shadow_commit(sh);
	return 0;
}

static int shadow_bind_gup(struct shadow *sh, unsigned long start, struct page **pages)
{
	unsigned long seq = mmu_interval_read_begin(&sh->notifier);
	int got, i;

	got = get_user_pages_fast(start, sh->npages, FOLL_WRITE, pages);
	if (got <= 0)
		return got ? got : -EFAULT;
	if (mmu_interval_check_retry(&sh->notifier, seq)) {
		while (got--)
			put_page(pages[got]);
		return -EAGAIN;
	}
	mutex_lock(&sh->pt_lock);
	for (i = 0; i < got; i++)
		writeq(page_to_phys(pages[i]), &sh->ptes[i]);
	mutex_unlock(&sh->pt_lock);
	while (got--)
		put_page(pages[got]);
	return 0;
}

static int shadow_bind_right(struct shadow *sh, struct hmm_range *range)
{
	int ret;

	for (;;) {
		range->notifier_seq = mmu_interval_read_begin(range->notifier);
		ret = shadow_snapshot(sh, range);
		if (ret)
			return ret;
		mutex_lock(&sh->pt_lock);
		if (!mmu_interval_read_retry(range->notifier, range->notifier_seq))
			break;
		mutex_unlock(&sh->pt_lock);
	}
	shadow_commit(sh);
	mutex_unlock(&sh->pt_lock);
	return 0;
}

static bool shadow_still_valid(struct shadow *sh, unsigned long seq)
{
	lockdep_assert_held(&sh->pt_lock);
	return !mmu_interval_read_retry(&sh->notifier, seq);
}

static int shadow_bind_helper(struct shadow *sh, struct hmm_range *range)
{
	int ret = -EBUSY;

	while (ret == -EBUSY) {
		range->notifier_seq = mmu_interval_read_begin(&sh->notifier);
		ret = shadow_snapshot(sh, range);
		if (ret)
			continue;
		guard(mutex)(&sh->pt_lock);
		if (shadow_still_valid(sh, range->notifier_seq))
			shadow_commit(sh);
		else
			ret = -EBUSY;
	}
	return ret;
}

static int shadow_bind_twice(struct shadow *sh, struct hmm_range *range)
{
	int ret;

retry:
	range->notifier_seq = mmu_interval_read_begin(&sh->notifier);
	ret = shadow_snapshot(sh, range);
	if (ret)
		return ret;
	if (mmu_interval_check_retry(&sh->notifier, range->notifier_seq))
		goto retry;
	mutex_lock(&sh->pt_lock);
	if (mmu_interval_read_retry(&sh->notifier, range->notifier_seq)) {
		mutex_unlock(&sh->pt_lock);
		goto retry;
	}
	shadow_commit(sh);
	mutex_unlock(&sh->pt_lock);
	return 0;
}
