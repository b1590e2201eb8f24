/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ABIWIN_LOCAL_H
#define _ABIWIN_LOCAL_H

struct aw_ctx {
	struct mm_struct *mm;
	struct mutex lock;
	struct page **pages;
	u64 *values;
	u32 nr;
	bool running;
	bool hw_ready;
};

bool aw_is_pfnmap(struct mm_struct *mm, unsigned long addr);
int aw_hw_start(struct aw_ctx *ctx);

#endif
