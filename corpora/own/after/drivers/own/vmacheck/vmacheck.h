/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _VMACHECK_H
#define _VMACHECK_H

enum vc_kind { VC_NONE, VC_IO, VC_HUGE, VC_ANON };

struct vc_ctx {
	struct mm_struct *mm;
	struct page **pages;
	unsigned long chunk;
	unsigned long restarts;
	unsigned long file_pages;
	bool writable;
	char name[64];
};

struct vc_window {
	unsigned long addr;
	unsigned long size;
	struct file *file;
};

extern const struct vm_operations_struct vc_vm_ops;

int vc_map_io(struct vc_ctx *ctx, unsigned long start, size_t length);
int vc_map_pages(struct vc_ctx *ctx, unsigned long start, size_t length);
int vc_pin(struct vc_ctx *ctx, unsigned long uaddr, unsigned long npages, unsigned int flags);
int vc_bind_range(struct vc_ctx *ctx, unsigned long start, unsigned long end);
int vc_read_one(struct vc_ctx *ctx, unsigned long uaddr, u32 *value);

#endif
