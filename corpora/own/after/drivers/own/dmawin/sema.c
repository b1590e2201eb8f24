// SPDX-License-Identifier: GPL-2.0
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/semaphore.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include "dmawin.h"

struct sema_dev {
	struct dmawin *dw;
	struct mutex cmd_lock;
	struct semaphore slots;
	struct completion done;
	wait_queue_head_t wq;
	int credits;
	int last_error;
};

int sema_read_state(struct sema_dev *sd, u32 *state);
int sema_map_state(struct sema_dev *sd, u32 state);

/* --- causes --- */

static int sema_query(struct sema_dev *sd, u32 *state)
{
	int err = sema_read_state(sd, state);

	return err ? -EAGAIN : 0;
}

static int sema_prepare(struct sema_dev *sd)
{
	u32 state = 0;
	int ret;

	mutex_lock(&sd->cmd_lock);
	ret = sema_read_state(sd, &state);
	if (ret < 0)
		goto busy;
	ret = sema_map_state(sd, state);
	if (ret < 0)
		goto busy;
	mutex_unlock(&sd->cmd_lock);
	return 0;

busy:
	sd->last_error = ret;
	ret = -EBUSY;
	mutex_unlock(&sd->cmd_lock);
	return ret;
}

static int sema_query_exact(struct sema_dev *sd, u32 *state)
{
	int err = sema_read_state(sd, state);

	if (err == -EBUSY)
		return -EAGAIN;
	return err;
}

static int sema_try(struct sema_dev *sd)
{
	if (!mutex_trylock(&sd->cmd_lock))
		return -EAGAIN;
	sd->credits++;
	mutex_unlock(&sd->cmd_lock);
	return 0;
}

static int sema_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct sema_dev *sd = file->private_data;

	if (vma->vm_pgoff || vma->vm_end - vma->vm_start > PAGE_SIZE)
		return -EINVAL;
	if (remap_pfn_range(vma, vma->vm_start, sd->dw->pfn, PAGE_SIZE, vma->vm_page_prot))
		return -EAGAIN;
	return 0;
}

static int sema_wait_done(struct sema_dev *sd)
{
	if (wait_for_completion_interruptible(&sd->done))
		return -EAGAIN;
	return sd->last_error;
}

/* --- loops --- */

static int sema_sync(struct sema_dev *sd)
{
	u32 state;
	int err;

	do {
		err = sema_query(sd, &state);
		if (err != -EAGAIN)
			break;
		msleep(10);
	} while (1);
	return err;
}

static int sema_attach(struct sema_dev *sd)
{
	int tries = 10;
	int err;

try_again:
	err = sema_prepare(sd);
	if (err == -EBUSY && tries--) {
		msleep(10);
		goto try_again;
	}
	return err;
}

static int sema_sync_exact(struct sema_dev *sd)
{
	int tries = 0, err;
	u32 state;

	while ((err = sema_query_exact(sd, &state)) == -EAGAIN && tries++ < 5)
		msleep(1);
	if (err == -EAGAIN)
		while (sema_try(sd) == -EAGAIN && tries++ < 10)
			msleep(1);
	return err;
}

static int sema_command(struct sema_dev *sd, u32 op)
{
	int ret;

	while (1) {
		ret = sema_wait_done(sd);
		if (ret == -EAGAIN) {
			dev_dbg(sd->dw->dev, "op %u: again\n", op);
			continue;
		}
		return ret;
	}
}

static int sema_take_credit(struct sema_dev *sd)
{
	long rc;

	do {
		rc = wait_event_interruptible(sd->wq, sd->credits > 0);
	} while (rc == -ERESTARTSYS);

	if (!rc)
		sd->credits--;
	return rc;
}

static int sema_down(struct sema_dev *sd, bool intr)
{
	int err = 0;

	if (intr)
		err = down_interruptible(&sd->slots);
	else
		down(&sd->slots);
	return err;
}

static int sema_open_slot(struct sema_dev *sd)
{
	int err;

retry:
	err = sema_down(sd, true);
	if (err == -EINTR)
		goto retry;
	return err;
}

static int sema_open_slot_quiet(struct sema_dev *sd)
{
	int err;

retry:
	err = sema_down(sd, false);
	if (err == -EINTR)
		goto retry;
	return err;
}

static int sema_flush(struct sema_dev *sd)
{
	for (;;) {
		if (mutex_lock_killable(&sd->cmd_lock) == 0)
			break;
	}
	sd->credits = 0;
	mutex_unlock(&sd->cmd_lock);
	return 0;
}

static int sema_take_credit_once(struct sema_dev *sd)
{
	int rc;

	for (;;) {
		rc = wait_event_interruptible(sd->wq, sd->credits > 0);
		if (rc == -ERESTARTSYS && signal_pending(current))
			return rc;
		if (!rc && sd->credits-- > 0)
			return 0;
	}
}

static int sema_take_slot(struct sema_dev *sd)
{
	int err = down_interruptible(&sd->slots);

	if (err)
		return -ERESTARTSYS;
	sd->credits++;
	return 0;
}

static long sema_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct sema_dev *sd = file->private_data;

	switch (cmd) {
	case 1: return sema_sync(sd);
	case 2: return sema_attach(sd);
	case 3: return sema_sync_exact(sd);
	case 4: return sema_command(sd, arg);
	case 5: return sema_take_credit(sd);
	case 6: return sema_open_slot(sd);
	case 7: return sema_open_slot_quiet(sd);
	case 8: return sema_flush(sd);
	case 9: return sema_take_credit_once(sd);
	case 10: return sema_take_slot(sd);
	}
	return -ENOTTY;
}

static const struct file_operations sema_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = sema_ioctl,
	.mmap = sema_mmap,
};
