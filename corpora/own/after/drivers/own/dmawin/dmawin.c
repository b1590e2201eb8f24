// SPDX-License-Identifier: GPL-2.0
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/seqlock.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>
#include "dmawin.h"

#define DMAWIN_MAX_TRIES	8
#define DMAWIN_PIN	_IOW('w', 1, struct dmawin_req)
#define DMAWIN_POST	_IOW('w', 2, struct dmawin_req)
#define DMAWIN_CALL	_IOW('w', 3, u32)
#define DMAWIN_ACQUIRE	_IOW('w', 4, u32)

static long dmawin_ioctl_pin(struct dmawin *dw, struct dmawin_req *req)
{
	int rc;

again:
	mmap_read_lock(dw->mm);
	rc = dmawin_lookup_pfn(dw, req->uaddr, &dw->pfn);
	mmap_read_unlock(dw->mm);
	if (rc == -EAGAIN)
		goto again;

	return rc;
}

static int dmawin_post_wait(struct dmawin *dw, struct dmawin_req *req)
{
	int err;

	do {
		err = dmawin_ring_post(dw, req);
	} while (err == -EBUSY);

	return err;
}

static int dmawin_call_fw(struct dmawin *dw, u32 op)
{
	int status;

	for (;;) {
		status = dmawin_firmware_call(dw, op);
		switch (status) {
		case 0:
			return 0;
		case -EBUSY:
			usleep_range(10, 20);
			continue;
		default:
			dev_err(dw->dev, "firmware call %u: %d\n", op, status);
			return status;
		}
	}
}

static int dmawin_slot_wait(struct dmawin *dw, u32 slot)
{
	int result;

	while (1) {
		result = dmawin_slot_acquire(dw, slot);
		if (result != -EAGAIN)
			break;
		dev_dbg(dw->dev, "slot %u in use\n", slot);
	}
	return result;
}

static int dmawin_post_some(struct dmawin *dw, struct dmawin_req *req)
{
	int left = DMAWIN_MAX_TRIES, err;

	do {
		err = dmawin_ring_post(dw, req);
	} while (err == -EBUSY && --left);

	return err;
}

static bool dmawin_out_of_time(ktime_t limit)
{
	return ktime_after(ktime_get(), limit);
}

static int dmawin_call_fw_timeout(struct dmawin *dw, u32 op)
{
	ktime_t limit = ktime_add_ms(ktime_get(), 20);
	int status;

retry:
	status = dmawin_firmware_call(dw, op);
	if (status == -EBUSY) {
		if (dmawin_out_of_time(limit))
			return -ETIMEDOUT;
		cond_resched();
		goto retry;
	}
	return status;
}

static int dmawin_post_killable(struct dmawin *dw, struct dmawin_req *req)
{
	int err;

	while ((err = dmawin_ring_post(dw, req)) == -EBUSY) {
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return err;
}

static int dmawin_post_kick(struct dmawin *dw, struct dmawin_req *req)
{
	bool kicked = false;
	int err;

repeat:
	err = dmawin_ring_post(dw, req);
	if (err == -EBUSY && !kicked) {
		kicked = true;
		writel(1, dw->regs);
		goto repeat;
	}
	return err;
}

static inline bool dmawin_may_go_on(unsigned int *tries)
{
	return (*tries)++ < DMAWIN_MAX_TRIES;
}

static int dmawin_slot_wait_some(struct dmawin *dw, u32 slot)
{
	unsigned int tries = 0;
	int result;

	do {
		result = dmawin_slot_acquire(dw, slot);
	} while (result == -EAGAIN && dmawin_may_go_on(&tries));
	return result;
}

static long dmawin_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct dmawin *dw = file->private_data;
	struct dmawin_req req;

	if (copy_from_user(&req, (void __user *)arg, sizeof(req)))
		return -EFAULT;

	switch (cmd) {
	case DMAWIN_PIN:
		return dmawin_ioctl_pin(dw, &req);
	case DMAWIN_POST:
		if (req.len & 1)
			return dmawin_post_wait(dw, &req);
		if (req.len & 2)
			return dmawin_post_some(dw, &req);
		if (req.len & 4)
			return dmawin_post_kick(dw, &req);
		return dmawin_post_killable(dw, &req);
	case DMAWIN_CALL:
		if (req.len)
			return dmawin_call_fw_timeout(dw, req.slot);
		return dmawin_call_fw(dw, req.slot);
	case DMAWIN_ACQUIRE:
		if (req.len)
			return dmawin_slot_wait_some(dw, req.slot);
		return dmawin_slot_wait(dw, req.slot);
	}
	return -ENOTTY;
}

static const struct file_operations dmawin_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = dmawin_ioctl,
};
