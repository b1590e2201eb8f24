// SPDX-License-Identifier: GPL-2.0
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include "buflink.h"

void bl_buf_drain(struct bl_buf *buf)
{
	dma_resv_wait_timeout(buf->dmabuf->resv, DMA_RESV_USAGE_BOOKKEEP, false, MAX_SCHEDULE_TIMEOUT);
	wait_for_completion(&buf->unmapped);
}

void bl_hw_reset(struct bl_dev *bl)
{
	writel(1, bl->regs);
	readl(bl->regs);
}

int bl_program(struct bl_dev *bl, struct sg_table *sgt)
{
	if (sgt->nents > 1)
		return -EINVAL;
	writel(sg_dma_address(sgt->sgl), bl->regs + 4);
	return 0;
}
