// SPDX-License-Identifier: GPL-2.0
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/hmm.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/ww_mutex.h>
#include "dmawin.h"

#define UNTIL_NOT_BUSY(call)			\
({						\
	int __err;				\
	do {					\
		__err = (call);			\
	} while (__err == -EBUSY);		\
	__err;					\
})

static int rm_post_macro(struct dmawin *dw, struct dmawin_req *req)
{
	return UNTIL_NOT_BUSY(dmawin_ring_post(dw, req));
}

static struct dmawin_req *rm_next(struct dmawin *dw, u32 slot)
{
	int err = dmawin_slot_acquire(dw, slot);

	return err ? ERR_PTR(err) : kzalloc(sizeof(struct dmawin_req), GFP_KERNEL);
}

static int rm_take(struct dmawin *dw, u32 slot)
{
	struct dmawin_req *req;

take:
	req = rm_next(dw, slot);
	if (IS_ERR(req)) {
		if (PTR_ERR(req) == -EAGAIN)
			goto take;
		return PTR_ERR(req);
	}
	kfree(req);
	return 0;
}

static int rm_flush(struct dmawin *dw)
{
	int ret = dmawin_firmware_call(dw, 7);

	while (ret)
		ret = dmawin_firmware_call(dw, 7);
	return ret;
}

static int __rm_pass(struct dmawin *dw, struct dmawin_req *req)
{
	int code = dmawin_ring_post(dw, req);

	if (code)
		return code;
	return dmawin_firmware_call(dw, req->slot);
}

static int rm_pass(struct dmawin *dw, struct dmawin_req *req)
{
	int code;

	for (code = -EBUSY; code == -EBUSY; code = __rm_pass(dw, req))
		cpu_relax();
	return code;
}

static int rm_count_only(struct dmawin *dw, struct dmawin_req *req)
{
	unsigned int tries = 0;
	int err;

	for (;;) {
		err = dmawin_ring_post(dw, req);
		if (err != -EBUSY)
			break;
		if (!(++tries % 1024))
			dev_warn(dw->dev, "still busy after %u tries\n", tries);
	}
	return err;
}

static int rm_post_until(struct dmawin *dw, struct dmawin_req *req)
{
	unsigned long end = jiffies + msecs_to_jiffies(dw->deadline_ms);
	int err;

	for (;;) {
		err = dmawin_ring_post(dw, req);
		if (err != -EBUSY || time_after(jiffies, end))
			return err;
		usleep_range(100, 200);
	}
}

static int rm_post_budget(struct dmawin *dw, struct dmawin_req *req, int budget)
{
	int err = -EBUSY;

	while (budget-- > 0 && err == -EBUSY)
		err = dmawin_ring_post(dw, req);
	return err;
}

static int rm_lock_pair(struct ww_mutex *a, struct ww_mutex *b, struct ww_acquire_ctx *ctx)
{
	struct ww_mutex *first = a, *second = b;
	int ret;

	ret = ww_mutex_lock(first, ctx);
	if (ret)
		return ret;
retry:
	ret = ww_mutex_lock(second, ctx);
	if (ret == -EDEADLK) {
		ww_mutex_unlock(first);
		ww_mutex_lock_slow(second, ctx);
		swap(first, second);
		goto retry;
	}
	return ret;
}

static int rm_follow(struct vm_area_struct *vma, struct mm_struct *mm, unsigned long addr, unsigned long *pfn)
{
	struct follow_pfnmap_args args = { .vma = vma, .address = addr };
	bool unlocked = false;
	int ret;

	ret = follow_pfnmap_start(&args);
	if (ret) {
		ret = fixup_user_fault(mm, addr, FAULT_FLAG_WRITE, &unlocked);
		if (ret)
			return ret;
		if (unlocked)
			return -EAGAIN;
		ret = follow_pfnmap_start(&args);
		if (ret)
			return ret;
	}
	*pfn = args.pfn;
	follow_pfnmap_end(&args);
	return 0;
}

static int rm_lookup(struct mm_struct *mm, unsigned long addr, unsigned long *pfn)
{
	struct vm_area_struct *vma;
	int ret;

	mmap_read_lock(mm);
again:
	vma = vma_lookup(mm, addr);
	if (!vma) {
		mmap_read_unlock(mm);
		return -EFAULT;
	}
	ret = rm_follow(vma, mm, addr, pfn);
	if (ret == -EAGAIN)
		goto again;
	mmap_read_unlock(mm);
	return ret;
}

static int rm_snapshot(struct hmm_range *range, struct mm_struct *mm)
{
	int ret;

	do {
		range->notifier_seq = mmu_interval_read_begin(range->notifier);
		mmap_read_lock(mm);
		ret = hmm_range_fault(range);
		mmap_read_unlock(mm);
	} while (ret == -EBUSY);
	return ret;
}

static int rm_thread(void *data)
{
	struct dmawin *dw = data;

	while (!kthread_should_stop()) {
		while (dmawin_firmware_call(dw, 3) == -EBUSY)
			msleep(1);
		ssleep(1);
	}
	return 0;
}

static int rm_open(struct inode *inode, struct file *file)
{
	return PTR_ERR_OR_ZERO(kthread_run(rm_thread, file->private_data, "rm"));
}

static long rm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct dmawin *dw = file->private_data;
	struct dmawin_req req = { .slot = arg };
	unsigned long pfn;

	switch (cmd) {
	case 1: return rm_post_macro(dw, &req);
	case 2: return rm_take(dw, arg);
	case 3: return rm_flush(dw);
	case 4: return rm_pass(dw, &req);
	case 5: return rm_count_only(dw, &req);
	case 6: return rm_post_until(dw, &req);
	case 7: return rm_post_budget(dw, &req, 100);
	case 8: return rm_lookup(dw->mm, arg, &pfn);
	}
	return -ENOTTY;
}

static const struct file_operations rm_fops = {
	.owner = THIS_MODULE,
	.open = rm_open,
	.unlocked_ioctl = rm_ioctl,
};
