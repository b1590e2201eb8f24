// SPDX-License-Identifier: GPL-2.0
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/spinlock.h>
#include "dmawin.h"

#define DMAWIN_STATUS	0x10
#define DMAWIN_BUSY	BIT(0)
#define DMAWIN_FAULT	BIT(1)
#define DMAWIN_DOORBELL	0x20
#define DMAWIN_SLOT(n)	(0x100 + 4 * (n))

int dmawin_lookup_pfn(struct dmawin *dw, unsigned long uaddr, unsigned long *pfn)
{
	struct follow_pfnmap_args args = { .address = uaddr };
	int err;

	args.vma = vma_lookup(dw->mm, uaddr);
	if (!args.vma)
		return -EFAULT;

	if (follow_pfnmap_start(&args)) {
		err = fixup_user_fault(dw->mm, uaddr, FAULT_FLAG_WRITE, NULL);
		if (err)
			return err;
		if (follow_pfnmap_start(&args))
			return -EAGAIN;
	}
	*pfn = args.pfn;
	follow_pfnmap_end(&args);
	return 0;
}

int dmawin_ring_post(struct dmawin *dw, struct dmawin_req *req)
{
	u32 status = readl(dw->regs + DMAWIN_STATUS);

	if (status & DMAWIN_FAULT)
		return -EIO;
	if (status & DMAWIN_BUSY)
		return -EBUSY;
	writel(req->slot, dw->regs + DMAWIN_DOORBELL);
	return 0;
}

int dmawin_slot_acquire(struct dmawin *dw, u32 slot)
{
	u32 owner;

	if (slot > 63)
		return -EINVAL;
	owner = readl(dw->regs + DMAWIN_SLOT(slot));
	if (owner) {
		usleep_range(50, 100);
		return -EAGAIN;
	}
	writel(1, dw->regs + DMAWIN_SLOT(slot));
	return 0;
}

int dmawin_firmware_call(struct dmawin *dw, u32 op)
{
	writel(op, dw->regs + DMAWIN_DOORBELL);
	udelay(5);
	return readl(dw->regs + DMAWIN_STATUS) & DMAWIN_BUSY ? -EBUSY : 0;
}
