// SPDX-License-Identifier: GPL-2.0
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/iopoll.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

struct rt_dev {
	void __iomem *regs;
	struct mutex lock;
	spinlock_t slock;
	wait_queue_head_t wq;
	bool idle;
	int result;
};

struct rt_item {
	u32 index;
	int err;
};

static int rt_kick(struct rt_dev *rt, u32 index)
{
	u32 st = readl(rt->regs + 4 * index);

	if (st & 4)
		return -EIO;
	return st & 1 ? -EBUSY : 0;
}

static int rt_try(struct rt_dev *rt, u32 index)
{
	int ret = -EAGAIN;

	if (mutex_trylock(&rt->lock)) {
		ret = rt_kick(rt, index);
		mutex_unlock(&rt->lock);
	}
	return ret;
}

static int rt_all(struct rt_dev *rt, struct rt_item *items, int n)
{
	int i, ret;

	for (i = 0; i < n; i++) {
		ret = rt_kick(rt, items[i].index);
		if (ret == -EBUSY) {
			i--;
			continue;
		}
		if (ret)
			return ret;
	}
	return 0;
}

static int rt_with_flag(struct rt_dev *rt, u32 index)
{
	bool again;
	int ret;

	do {
		again = false;
		ret = rt_try(rt, index);
		if (ret == -EAGAIN)
			again = true;
	} while (again);
	return ret;
}

static int rt_in_field(struct rt_dev *rt, struct rt_item *item)
{
restart:
	item->err = rt_kick(rt, item->index);
	if (unlikely(item->err == -EBUSY)) {
		msleep(2);
		goto restart;
	}
	return item->err;
}

static int rt_fault_in(struct mm_struct *mm, struct vm_area_struct *vma, unsigned long addr)
{
	vm_fault_t fault;

	do {
		fault = handle_mm_fault(vma, addr, FAULT_FLAG_WRITE, NULL);
	} while (fault & VM_FAULT_RETRY);
	return fault & VM_FAULT_ERROR ? -EFAULT : 0;
}

static int rt_locked(struct rt_dev *rt, u32 index)
{
	int ret;

	for (;;) {
		mutex_lock(&rt->lock);
		ret = rt_kick(rt, index);
		mutex_unlock(&rt->lock);
		if (ret != -EBUSY && ret != -EAGAIN)
			break;
		schedule_timeout_uninterruptible(1);
	}
	return ret;
}

static int rt_five(struct rt_dev *rt, u32 index)
{
	int ret = -EBUSY, i;

	for (i = 0; i < 5 && ret == -EBUSY; i++)
		ret = rt_kick(rt, index);
	return ret;
}

static int rt_budget_us(struct rt_dev *rt, u32 index)
{
	long left_us = 20000;
	int ret;

	while (true) {
		ret = rt_kick(rt, index);
		if (ret != -EBUSY)
			return ret;
		left_us -= 50;
		if (left_us <= 0)
			return -ETIMEDOUT;
		udelay(50);
	}
}

static int rt_first_free(struct rt_dev *rt, u32 limit)
{
	u32 index = 0;
	int ret;

	do {
		ret = rt_kick(rt, index++);
	} while (ret == -EBUSY && index < limit);
	return ret;
}

static int rt_interruptible(struct rt_dev *rt, u32 index)
{
	int ret;

	while ((ret = rt_try(rt, index)) == -EAGAIN || ret == -EBUSY) {
		msleep_interruptible(10);
		if (signal_pending(current))
			return -EINTR;
	}
	return ret;
}

static int rt_poll(struct rt_dev *rt)
{
	u32 st;

	return readl_poll_timeout(rt->regs, st, !(st & 1), 10, 1000);
}

static int rt_noted(struct rt_dev *rt, u32 index)
{
	int ret;

	do {
		ret = rt_kick(rt, index);
		if (fatal_signal_pending(current))
			pr_info_once("killed, but busy\n");
		usleep_range(10, 20);
	} while (ret == -EBUSY);
	return ret;
}

static int rt_asked(struct rt_dev *rt, u32 index)
{
	int ret;

	for (;;) {
		ret = rt_kick(rt, index);
		if (ret != -EBUSY)
			return ret;
		if (need_resched())
			rt->result++;
		if (fatal_signal_pending(current))
			return -EINTR;
	}
}

static long rt_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct rt_dev *rt = file->private_data;
	struct rt_item item = { .index = arg };

	switch (cmd) {
	case 1: return rt_all(rt, &item, 1);
	case 2: return rt_with_flag(rt, arg);
	case 3: return rt_in_field(rt, &item);
	case 4: return rt_fault_in(current->mm, NULL, arg);
	case 5: return rt_locked(rt, arg);
	case 6: return rt_five(rt, arg);
	case 7: return rt_budget_us(rt, arg);
	case 8: return rt_first_free(rt, arg);
	case 9: return rt_interruptible(rt, arg);
	case 10: return rt_poll(rt);
	case 11: return rt_noted(rt, arg);
	case 12: return rt_asked(rt, arg);
	}
	return -ENOTTY;
}

static const struct file_operations rt_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = rt_ioctl,
};
