// SPDX-License-Identifier: GPL-2.0
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

struct pm_ctx {
	struct mm_struct *mm;
	struct page **pages;
	u32 nr;
};

static int pm_check_header(unsigned long addr, u32 magic)
{
	struct page *page;
	u32 found;

	if (pin_user_pages_fast(addr, 1, 0, &page) != 1)
		return -EFAULT;
	memcpy_from_page((char *)&found, page, 0, sizeof(found));
	if (found != magic)
		return -EINVAL;
	unpin_user_page(page);
	return 0;
}

static int pm_import(struct pm_ctx *ctx, unsigned long addr)
{
	u32 *gfns;
	long got;
	int ret;

	ctx->pages = kvcalloc(ctx->nr, sizeof(*ctx->pages), GFP_KERNEL);
	if (!ctx->pages)
		return -ENOMEM;
	got = pin_user_pages_fast(addr, ctx->nr, FOLL_WRITE | FOLL_LONGTERM, ctx->pages);
	if (got != ctx->nr) {
		ret = -EFAULT;
		goto unpin;
	}
	gfns = kvcalloc(ctx->nr, sizeof(*gfns), GFP_KERNEL);
	if (!gfns) {
		ret = -ENOMEM;
		goto free;
	}
	kvfree(gfns);
	return 0;
unpin:
	if (got > 0)
		unpin_user_pages(ctx->pages, got);
free:
	kvfree(ctx->pages);
	ctx->pages = NULL;
	return ret;
}

static int pm_check_right(unsigned long addr, u32 magic)
{
	struct page *page;
	int ret = 0;
	u32 found;

	if (pin_user_pages_fast(addr, 1, 0, &page) != 1)
		return -EFAULT;
	memcpy_from_page((char *)&found, page, 0, sizeof(found));
	if (found != magic)
		ret = -EINVAL;
	unpin_user_page(page);
	return ret;
}

static long pm_zero(unsigned long addr, unsigned long n, struct page **pages)
{
	long got = pin_user_pages_fast(addr, n, FOLL_WRITE, pages);
	unsigned long i;

	if (IS_ERR_VALUE(got))
		return got;
	for (i = 0; i < n; i++)
		clear_highpage(pages[i]);
	unpin_user_pages_dirty_lock(pages, n, true);
	return 0;
}

static int pm_describe(struct pm_ctx *ctx, unsigned long addr)
{
	struct vm_area_struct *vma;
	int ret = 0;

	mmap_read_lock(ctx->mm);
	vma = vma_lookup(ctx->mm, addr);
	if (vma && (vma->vm_flags & VM_LOCKED))
		ret = -EBUSY;
	mmap_read_unlock(ctx->mm);
	if (ret)
		pr_info("locked up to %lx\n", vma->vm_end);
	return ret;
}

static int pm_describe_right(struct pm_ctx *ctx, unsigned long addr)
{
	struct vm_area_struct *vma;
	unsigned long end = 0;

	mmap_read_lock(ctx->mm);
	vma = vma_lookup(ctx->mm, addr);
	mmap_read_unlock(ctx->mm);
	cond_resched();
	mmap_read_lock(ctx->mm);
	vma = vma_lookup(ctx->mm, addr);
	if (vma)
		end = vma->vm_end;
	mmap_read_unlock(ctx->mm);
	return end != 0;
}

static int pm_two(struct vm_area_struct *vma, unsigned long a, unsigned long b, u64 *sum)
{
	struct follow_pfnmap_args one = { .vma = vma, .address = a };
	struct follow_pfnmap_args two = { .vma = vma, .address = b };
	int ret;

	ret = follow_pfnmap_start(&one);
	if (ret)
		goto out;
	*sum = one.pfn;
	if (!one.writable) {
		ret = -EPERM;
		goto out;
	}
	follow_pfnmap_end(&one);
	ret = follow_pfnmap_start(&two);
	if (ret)
		goto out;
	*sum += two.pfn;
	follow_pfnmap_end(&two);
out:
	return ret;
}

static long pm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pm_ctx *ctx = file->private_data;
	u64 sum;

	switch (cmd) {
	case 1: return pm_check_header(arg, 1);
	case 2: return pm_import(ctx, arg);
	case 3: return pm_check_right(arg, 1);
	case 4: return pm_zero(arg, ctx->nr, ctx->pages);
	case 5: return pm_describe(ctx, arg);
	case 6: return pm_describe_right(ctx, arg);
	case 7: return pm_two(find_vma(ctx->mm, arg), arg, arg + PAGE_SIZE, &sum);
	}
	return -ENOTTY;
}

static const struct file_operations pm_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = pm_ioctl,
};
