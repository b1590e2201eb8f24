// SPDX-License-Identifier: GPL-2.0
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/seqlock.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct pagecast {
	struct device *dev;
	struct mutex lock;
	spinlock_t hw_lock;
	seqlock_t stats_lock;
	struct completion idle;
	wait_queue_head_t wq;
	struct work_struct drain;
	void __iomem *regs;
	u64 frames;
	bool quiet;
	bool ready;
};

struct pagecast_range {
	__u64 addr;
	__u64 count;
};

static int pagecast_try_submit(struct pagecast *pc, struct page *page)
{
	int err = 0;

	if (!mutex_trylock(&pc->lock))
		return -EAGAIN;
	if (readl(pc->regs) & 1)
		err = -EBUSY;
	else
		writel(page_to_pfn(page), pc->regs + 8);
	mutex_unlock(&pc->lock);
	return err;
}

static int pagecast_pin_range(struct pagecast_range *range, struct page **pages)
{
	unsigned long done = 0;
	int got;

	while (done < range->count) {
		got = pin_user_pages_fast(range->addr + done * PAGE_SIZE,
					  min_t(unsigned long, range->count - done, 16),
					  FOLL_WRITE | FOLL_LONGTERM, pages + done);
		if (got <= 0) {
			unpin_user_pages(pages, done);
			return got ? got : -EFAULT;
		}
		done += got;
	}
	return 0;
}

static int pagecast_pin_range_fair(struct pagecast_range *range, struct page **pages)
{
	unsigned long done = 0;
	int got;

	for (;;) {
		if (done == range->count)
			return 0;
		got = pin_user_pages_fast(range->addr + done * PAGE_SIZE,
					  min_t(unsigned long, range->count - done, 16),
					  FOLL_WRITE | FOLL_LONGTERM, pages + done);
		if (got <= 0)
			break;
		done += got;
		cond_resched();
	}
	unpin_user_pages(pages, done);
	return got ? got : -EFAULT;
}

static int pagecast_send(struct pagecast *pc, struct page *page)
{
	int ret;

	for (;;) {
		ret = pagecast_try_submit(pc, page);
		if (ret != -EAGAIN && ret != -EBUSY)
			return ret;
		if (!pc->quiet)
			msleep(1);
	}
}

static int pagecast_send_slow(struct pagecast *pc, struct page *page)
{
	int ret;

restart:
	ret = pagecast_try_submit(pc, page);
	if (ret == -EBUSY || ret == -EAGAIN) {
		wait_event_interruptible_timeout(pc->wq, pc->ready, HZ / 10);
		goto restart;
	}
	return ret;
}

static int pagecast_send_waiting(struct pagecast *pc, struct page *page)
{
	int ret, killed;

	while (true) {
		ret = pagecast_try_submit(pc, page);
		if (ret != -EBUSY)
			break;
		killed = wait_event_killable(pc->wq, !(readl(pc->regs) & 1));
		if (killed)
			return killed;
	}
	return ret;
}

static bool pagecast_give_up(struct pagecast *pc)
{
	return signal_pending(current) || !pc->regs;
}

static int pagecast_send_polite(struct pagecast *pc, struct page *page)
{
	int ret;

	do {
		ret = pagecast_try_submit(pc, page);
		if (pagecast_give_up(pc))
			return -ERESTARTSYS;
		cpu_relax();
	} while (ret == -EBUSY);

	return ret;
}

static int pagecast_reset_hw(struct pagecast *pc)
{
	int ret;

	do {
		ret = mutex_lock_interruptible(&pc->lock);
		if (ret)
			return ret;
		ret = readl(pc->regs) & 2 ? -EBUSY : 0;
		if (!ret)
			writel(0, pc->regs);
		mutex_unlock(&pc->lock);
		msleep(5);
	} while (ret == -EBUSY);

	return ret;
}

static int pagecast_poll_drain(struct pagecast *pc)
{
	return readl(pc->regs + 4) ? -EAGAIN : 0;
}

static void pagecast_drain_work(struct work_struct *work)
{
	struct pagecast *pc = container_of(work, struct pagecast, drain);

	while (pagecast_poll_drain(pc) == -EAGAIN)
		msleep(20);
	complete(&pc->idle);
}

static int pagecast_stop(struct pagecast *pc)
{
	unsigned long flags;
	int ret;

	spin_lock_irqsave(&pc->hw_lock, flags);
	writel(0, pc->regs);
	do {
		ret = pagecast_poll_drain(pc);
	} while (ret == -EAGAIN);
	spin_unlock_irqrestore(&pc->hw_lock, flags);
	return ret;
}

static u64 pagecast_frames(struct pagecast *pc)
{
	unsigned int seq;
	u64 frames;

	do {
		seq = read_seqbegin(&pc->stats_lock);
		frames = pc->frames;
	} while (read_seqretry(&pc->stats_lock, seq));

	return frames;
}

static ssize_t pagecast_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	struct pagecast *pc = file->private_data;
	struct page *page = alloc_page(GFP_KERNEL);
	int ret;

	if (!page)
		return -ENOMEM;
	if (pc->quiet)
		ret = pagecast_send(pc, page);
	else if (pc->ready)
		ret = pagecast_send_slow(pc, page);
	else if (len > 1)
		ret = pagecast_send_polite(pc, page);
	else
		ret = pagecast_send_waiting(pc, page);
	__free_page(page);
	return ret ? ret : len;
}

static long pagecast_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pagecast *pc = file->private_data;
	struct pagecast_range range;
	struct page **pages;
	int ret;

	if (cmd == 1)
		return pagecast_reset_hw(pc);
	if (cmd == 2)
		return pagecast_stop(pc);
	if (cmd == 3)
		return pagecast_frames(pc);
	if (copy_from_user(&range, (void __user *)arg, sizeof(range)))
		return -EFAULT;
	pages = kvcalloc(range.count, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	ret = cmd == 4 ? pagecast_pin_range(&range, pages) : pagecast_pin_range_fair(&range, pages);
	if (ret) {
		kvfree(pages);
		return ret;
	}
	unpin_user_pages(pages, range.count);
	kvfree(pages);
	return 0;
}

static int pagecast_open(struct inode *inode, struct file *file)
{
	struct pagecast *pc = container_of(file->private_data, struct pagecast, lock);

	INIT_WORK(&pc->drain, pagecast_drain_work);
	schedule_work(&pc->drain);
	return 0;
}

static const struct file_operations pagecast_fops = {
	.owner = THIS_MODULE,
	.open = pagecast_open,
	.write = pagecast_write,
	.unlocked_ioctl = pagecast_ioctl,
};
