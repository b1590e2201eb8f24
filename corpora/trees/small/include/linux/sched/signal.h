/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef _LINUX_SCHED_SIGNAL_H
#define _LINUX_SCHED_SIGNAL_H

#include <linux/types.h>

struct task_struct {
	struct mm_struct *mm;
	unsigned long pending;
};

#define SIGKILL_BIT (1UL << 8)

extern struct task_struct *current;

static inline bool fatal_signal_pending(struct task_struct *task)
{
	return task->pending & SIGKILL_BIT;
}

int cond_resched(void);

#endif
