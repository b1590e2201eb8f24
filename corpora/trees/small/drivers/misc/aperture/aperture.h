/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef _APERTURE_H
#define _APERTURE_H

#include <linux/pci.h>
#include <linux/rwsem.h>

#define APERTURE_BAR 2

struct aperture {
	struct pci_dev *pdev;
	/* Read: the BAR is used. Write: it is about to stop answering, or to answer again. */
	struct rw_semaphore bar_lock;
	bool revoked;
};

int aperture_reset(struct aperture *ap);
void aperture_detach(struct aperture *ap);

#endif
