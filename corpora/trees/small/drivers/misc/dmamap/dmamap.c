// SPDX-License-Identifier: GPL-2.0-or-later
/* dmamap: lets one device reach the memory of another that user space has mapped. */
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <uapi/linux/dmamap.h>

struct dmamap_context {
	struct mm_struct *mm;
	struct iommu_domain *domain;
};

static unsigned int dmamap_fault_flags(unsigned int access)
{
	unsigned int flags = FAULT_FLAG_REMOTE;

	if (access & DMAMAP_ACCESS_WRITE)
		flags |= FAULT_FLAG_WRITE;
	return flags;
}

/*
 * The PFN behind an address of somebody's device memory, faulted in when need be. -EAGAIN: mmap_lock was
 * dropped on the way, look the VMA up again.
 */
static int dmamap_resolve_pfn(struct dmamap_context *ctx, struct vm_area_struct *vma, u64 uaddr,
			      unsigned int access, unsigned long *pfn)
{
	struct follow_pfnmap_args walk = { .vma = vma, .address = uaddr };
	bool relocked = false;
	int err;

	err = follow_pfnmap_start(&walk);
	if (err) {
		err = fixup_user_fault(ctx->mm, uaddr, dmamap_fault_flags(access), &relocked);
		if (relocked)
			return -EAGAIN;
		if (err)
			return err;

		err = follow_pfnmap_start(&walk);
		if (err)
			return err;
	}

	if ((access & DMAMAP_ACCESS_WRITE) && !walk.writable)
		err = -EFAULT;
	else
		*pfn = walk.pfn;
	follow_pfnmap_end(&walk);
	return err;
}

/* One page of a window. Such memory has no struct page, so its PFN has to do. */
static int dmamap_get_page(struct dmamap_context *ctx, u64 uaddr, unsigned int access, unsigned long *pfn)
{
	struct vm_area_struct *vma;
	int err;

	mmap_read_lock(ctx->mm);
lookup:
	vma = vma_lookup(ctx->mm, uaddr);
	if (!vma || !(vma->vm_flags & VM_PFNMAP)) {
		err = -EFAULT;
		goto out;
	}

	err = dmamap_resolve_pfn(ctx, vma, uaddr, access, pfn);
	if (err == -EAGAIN)
		goto lookup;
out:
	mmap_read_unlock(ctx->mm);
	return err;
}

static int dmamap_map_window(struct dmamap_context *ctx, const struct dmamap_window *window)
{
	int prot = window->access & DMAMAP_ACCESS_WRITE ? IOMMU_READ | IOMMU_WRITE : IOMMU_READ;
	unsigned long pfn;
	u64 done;
	int err;

	for (done = 0; done < window->size; done += PAGE_SIZE) {
		err = dmamap_get_page(ctx, window->uaddr + done, window->access, &pfn);
		if (err)
			goto unwind;
		err = iommu_map(ctx->domain, window->iova + done, pfn << PAGE_SHIFT, PAGE_SIZE, prot, GFP_KERNEL);
		if (err)
			goto unwind;
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			done += PAGE_SIZE;
			goto unwind;
		}
		cond_resched();
	}
	return 0;

unwind:
	iommu_unmap(ctx->domain, window->iova, done);
	return err;
}

static long dmamap_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct dmamap_context *ctx = file->private_data;
	struct dmamap_window window;

	if (copy_from_user(&window, (void *)arg, sizeof(window)))
		return -EFAULT;
	if (window.pad || (window.uaddr | window.iova | window.size) & (PAGE_SIZE - 1))
		return -EINVAL;

	switch (cmd) {
	case DMAMAP_IOC_MAP:
		return dmamap_map_window(ctx, &window);
	case DMAMAP_IOC_UNMAP:
		iommu_unmap(ctx->domain, window.iova, window.size);
		return 0;
	default:
		return -ENOTTY;
	}
}

static int dmamap_open(struct inode *inode, struct file *file)
{
	struct dmamap_context *ctx = kzalloc(sizeof(*ctx), GFP_KERNEL);

	if (!ctx)
		return -ENOMEM;
	ctx->mm = current->mm;
	ctx->domain = inode->i_private;
	file->private_data = ctx;
	return 0;
}

static int dmamap_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

const struct file_operations dmamap_fops = {
	.owner = THIS_MODULE,
	.open = dmamap_open,
	.release = dmamap_release,
	.unlocked_ioctl = dmamap_ioctl,
};
