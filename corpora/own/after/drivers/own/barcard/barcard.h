/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BARCARD_H
#define _BARCARD_H

#include <linux/cdev.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rwsem.h>

struct barcard {
	struct pci_dev *pdev;
	struct cdev cdev;
	struct inode *inode;
	struct mutex lock;
	struct rw_semaphore state_lock;
	resource_size_t bar_start;
	resource_size_t bar_len;
	bool gone;
	bool suspended;
};

void barcard_zap(struct barcard *bc);
void barcard_mark_gone(struct barcard *bc);

#endif
