// SPDX-License-Identifier: GPL-2.0-or-later
/* winview: copies a register out of a window that user space has mapped. */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

struct winview {
	struct mm_struct *mm;
	unsigned long last_pfn;
};

static int winview_peek(struct winview *view, unsigned long addr)
{
	struct follow_pfnmap_args args = {
		.address = addr,
	};

	args.vma = vma_lookup(view->mm, addr);
	if (!args.vma)
		return -EFAULT;

	/* whatever was in the way, it may be gone the next time */
	if (follow_pfnmap_start(&args))
		return -EAGAIN;

	view->last_pfn = args.pfn;
	follow_pfnmap_end(&args);
	return 0;
}

static long winview_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct winview *view = file->private_data;
	int ret;

	mmap_read_lock(view->mm);
	do {
		ret = winview_peek(view, arg);
	} while (ret == -EAGAIN);
	mmap_read_unlock(view->mm);
	return ret;
}

const struct file_operations winview_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = winview_ioctl,
};
