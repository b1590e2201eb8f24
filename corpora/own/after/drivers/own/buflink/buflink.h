/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BUFLINK_H
#define _BUFLINK_H

#include <linux/completion.h>
#include <linux/dma-buf.h>
#include <linux/kref.h>
#include <linux/mutex.h>

struct bl_dev {
	struct device *dev;
	struct mutex lock;
	struct list_head exports;
	void __iomem *regs;
};

struct bl_link {
	struct kref ref;
	struct bl_dev *bl;
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
};

struct bl_buf {
	struct list_head node;
	struct bl_dev *bl;
	struct dma_buf *dmabuf;
	struct kref maps;
	struct completion unmapped;
	void *vaddr;
	size_t size;
	bool revoked;
};

int bl_program(struct bl_dev *bl, struct sg_table *sgt);
void bl_hw_reset(struct bl_dev *bl);
void bl_buf_drain(struct bl_buf *buf);

#endif
