/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _DMAWIN_H
#define _DMAWIN_H

#include <linux/mm.h>
#include <linux/mutex.h>

struct dmawin {
	struct mm_struct *mm;
	struct device *dev;
	struct mutex lock;
	void __iomem *regs;
	unsigned long pfn;
	unsigned long deadline_ms;
	bool stalled;
};

struct dmawin_req {
	unsigned long uaddr;
	unsigned long len;
	u32 slot;
};

int dmawin_lookup_pfn(struct dmawin *dw, unsigned long uaddr, unsigned long *pfn);
int dmawin_ring_post(struct dmawin *dw, struct dmawin_req *req);
int dmawin_slot_acquire(struct dmawin *dw, u32 slot);
int dmawin_firmware_call(struct dmawin *dw, u32 op);

#endif
