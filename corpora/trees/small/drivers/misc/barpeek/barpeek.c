// SPDX-License-Identifier: GPL-2.0-or-later
/* barpeek: the PFN of a BAR page, looked up a few times at most. */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#define BARPEEK_TRIES 8

struct barpeek {
	struct mm_struct *mm;
};

static int barpeek_once(struct barpeek *peek, unsigned long addr, unsigned long *pfn)
{
	struct follow_pfnmap_args args = { .address = addr };
	bool relocked = false;
	int err;

	args.vma = vma_lookup(peek->mm, addr);
	if (!args.vma)
		return -EFAULT;

	err = follow_pfnmap_start(&args);
	if (err) {
		err = fixup_user_fault(peek->mm, addr, FAULT_FLAG_REMOTE, &relocked);
		if (err)
			return err;
		/* faulted in; the VMA may be another one by now */
		return -EAGAIN;
	}

	*pfn = args.pfn;
	follow_pfnmap_end(&args);
	return 0;
}

static long barpeek_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct barpeek *peek = file->private_data;
	unsigned long pfn = 0;
	int tries, err;

	for (tries = 0; tries < BARPEEK_TRIES; tries++) {
		mmap_read_lock(peek->mm);
		err = barpeek_once(peek, arg, &pfn);
		mmap_read_unlock(peek->mm);
		if (err != -EAGAIN)
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	if (err)
		return err == -EAGAIN ? -EBUSY : err;
	return pfn;
}

const struct file_operations barpeek_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = barpeek_ioctl,
};
