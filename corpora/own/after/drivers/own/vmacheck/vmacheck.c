// SPDX-License-Identifier: GPL-2.0
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/hugetlb.h>
#include "vmacheck.h"

static int vc_map_user(struct vc_ctx *ctx, unsigned long start, size_t length)
{
	struct vm_area_struct *vma;
	bool is_io;

	mmap_read_lock(ctx->mm);
	vma = find_vma(ctx->mm, start);
	if (!vma || vma->vm_start > start) {
		mmap_read_unlock(ctx->mm);
		return -EFAULT;
	}
	is_io = vma->vm_flags & VM_PFNMAP;
	mmap_read_unlock(ctx->mm);

	if (is_io)
		return vc_map_io(ctx, start, length);
	return vc_map_pages(ctx, start, length);
}

static bool vc_is_shared_file(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *area;
	bool shared = false;

	mmap_read_lock(mm);
	area = vma_lookup(mm, addr);
	if (area && area->vm_file && (area->vm_flags & VM_SHARED))
		shared = true;
	mmap_read_unlock(mm);
	return shared;
}

static int vc_register(struct vc_ctx *ctx, unsigned long uaddr, unsigned long npages)
{
	unsigned int gup_flags = FOLL_LONGTERM;

	if (vc_is_shared_file(ctx->mm, uaddr))
		return -EOPNOTSUPP;
	if (ctx->writable)
		gup_flags |= FOLL_WRITE;
	return vc_pin(ctx, uaddr, npages, gup_flags);
}

static int vc_bind_file(struct vc_ctx *ctx, struct vc_window *win)
{
	struct vm_area_struct *vma;
	int ret = -ENXIO;

	mmap_write_lock(ctx->mm);
	vma = find_vma_intersection(ctx->mm, win->addr, win->addr + 1);
	if (!vma)
		goto unlock;
	pr_debug("window %lx+%lx in %lx-%lx\n", win->addr, win->size, vma->vm_start, vma->vm_end);
	if (!vma->vm_file || vma->vm_ops != &vc_vm_ops)
		goto unlock;
	win->file = get_file(vma->vm_file);
	ret = vc_bind_range(ctx, win->addr, win->addr + win->size);
unlock:
	mmap_write_unlock(ctx->mm);
	return ret;
}

static int vc_map_user_whole(struct vc_ctx *ctx, unsigned long start, size_t length)
{
	struct vm_area_struct *vma;
	int ret = -EFAULT;

	mmap_read_lock(ctx->mm);
	vma = vma_lookup(ctx->mm, start);
	if (vma && start + length <= vma->vm_end) {
		if (vma->vm_flags & VM_PFNMAP)
			ret = vc_map_io(ctx, start, length);
		else
			ret = vc_map_pages(ctx, start, length);
	}
	mmap_read_unlock(ctx->mm);
	return ret;
}

static int vc_all_anonymous(struct vc_ctx *ctx, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;

	mmap_assert_locked(ctx->mm);
	while (start < end) {
		vma = find_vma(ctx->mm, start);
		if (!vma || vma->vm_start > start)
			return -ENOMEM;
		if (vma->vm_file)
			return -EPERM;
		start = vma->vm_end;
	}
	return 0;
}

static int vc_peek(struct vc_ctx *ctx, unsigned long uaddr, u32 *value)
{
	struct vm_area_struct *vma;
	int ret = -EFAULT;

	if (offset_in_page(uaddr) > PAGE_SIZE - sizeof(*value))
		return -EINVAL;
	mmap_read_lock(ctx->mm);
	vma = vma_lookup(ctx->mm, uaddr);
	if (vma && (vma->vm_flags & VM_READ))
		ret = vc_read_one(ctx, uaddr, value);
	mmap_read_unlock(ctx->mm);
	return ret;
}

static int vc_check_writable(struct vc_ctx *ctx, unsigned long addr, unsigned long len)
{
	VMA_ITERATOR(vmi, ctx->mm, addr);
	struct vm_area_struct *vma;
	int ret = 0;

	mmap_read_lock(ctx->mm);
	for_each_vma_range(vmi, vma, addr + len) {
		if (!(vma->vm_flags & VM_WRITE)) {
			ret = -EPERM;
			break;
		}
	}
	mmap_read_unlock(ctx->mm);
	return ret;
}

static int vc_classify(struct vc_ctx *ctx, unsigned long addr)
{
	struct vm_area_struct *vma;

	mmap_read_lock(ctx->mm);
	vma = vma_lookup(ctx->mm, addr);
	mmap_read_unlock(ctx->mm);
	if (!vma)
		return VC_NONE;
	if (vma->vm_flags & (VM_IO | VM_PFNMAP))
		return VC_IO;
	return is_vm_hugetlb_page(vma) ? VC_HUGE : VC_ANON;
}

static int vc_fault_in(struct vc_ctx *ctx, unsigned long addr, unsigned long *end)
{
	struct vm_area_struct *vma;
	bool unlocked = false;
	int ret;

	mmap_read_lock(ctx->mm);
	vma = find_vma(ctx->mm, addr);
	if (!vma) {
		ret = -EFAULT;
		goto out;
	}
	ret = fixup_user_fault(ctx->mm, addr, FAULT_FLAG_WRITE, &unlocked);
	if (ret)
		goto out;
	*end = min(addr + ctx->chunk, vma->vm_end);
	if (unlocked)
		ctx->restarts++;
out:
	mmap_read_unlock(ctx->mm);
	return ret;
}

static long vc_pin_remote(struct vc_ctx *ctx, unsigned long addr, unsigned long nr, struct page **pages)
{
	struct vm_area_struct *vma;
	int locked = 1;
	long got;

	mmap_read_lock(ctx->mm);
	vma = vma_lookup(ctx->mm, addr);
	if (!vma || (vma->vm_flags & VM_IO)) {
		mmap_read_unlock(ctx->mm);
		return -EINVAL;
	}
	got = pin_user_pages_remote(ctx->mm, addr, nr, FOLL_WRITE | FOLL_LONGTERM, pages, &locked);
	if (got > 0 && vma->vm_file)
		ctx->file_pages += got;
	if (locked)
		mmap_read_unlock(ctx->mm);
	return got;
}

static void vc_put_mm(struct mm_struct *mm)
{
	mmap_read_unlock(mm);
	mmput(mm);
}

static int vc_name_of(struct task_struct *task, unsigned long addr, char *name, size_t len)
{
	struct mm_struct *mm = get_task_mm(task);
	struct vm_area_struct *vma;

	if (!mm)
		return -ESRCH;
	mmap_read_lock(mm);
	vma = find_vma(mm, addr);
	if (!vma || !vma->vm_file) {
		vc_put_mm(mm);
		return -ENOENT;
	}
	vc_put_mm(mm);
	snprintf(name, len, "%pD", vma->vm_file);
	return 0;
}

static int vc_classify_right(struct vc_ctx *ctx, unsigned long addr)
{
	struct vm_area_struct *vma;
	vm_flags_t flags = 0;

	mmap_read_lock(ctx->mm);
	vma = vma_lookup(ctx->mm, addr);
	if (vma)
		flags = vma->vm_flags;
	mmap_read_unlock(ctx->mm);
	if (!vma)
		return VC_NONE;
	return flags & VM_IO ? VC_IO : VC_ANON;
}

static int vc_fault_in_held(struct vc_ctx *ctx, unsigned long addr, unsigned long *end)
{
	struct vm_area_struct *vma;
	int ret = -EFAULT;

	mmap_read_lock(ctx->mm);
	vma = vma_lookup(ctx->mm, addr);
	if (vma) {
		ret = fixup_user_fault(ctx->mm, addr, 0, NULL);
		if (!ret)
			*end = vma->vm_end;
	}
	mmap_read_unlock(ctx->mm);
	return ret;
}

static int vc_fault_in_again(struct vc_ctx *ctx, unsigned long addr, unsigned long *end)
{
	struct vm_area_struct *vma;
	bool unlocked;
	int ret;

	mmap_read_lock(ctx->mm);
lookup:
	unlocked = false;
	vma = vma_lookup(ctx->mm, addr);
	if (!vma) {
		mmap_read_unlock(ctx->mm);
		return -EFAULT;
	}
	ret = fixup_user_fault(ctx->mm, addr, FAULT_FLAG_WRITE, &unlocked);
	if (!ret && unlocked)
		goto lookup;
	if (!ret)
		*end = vma->vm_end;
	mmap_read_unlock(ctx->mm);
	return ret;
}

static int vc_classify_rcu(struct vc_ctx *ctx, unsigned long addr)
{
	struct vm_area_struct *vma = lock_vma_under_rcu(ctx->mm, addr);
	int kind = VC_NONE;

	if (!vma) {
		mmap_read_lock(ctx->mm);
		vma = vma_lookup(ctx->mm, addr);
		if (vma)
			kind = vma->vm_flags & VM_IO ? VC_IO : VC_ANON;
		mmap_read_unlock(ctx->mm);
		return kind;
	}
	kind = vma->vm_flags & VM_IO ? VC_IO : VC_ANON;
	vma_end_read(vma);
	return kind;
}

static long vc_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vc_ctx *ctx = file->private_data;
	struct vc_window win;
	unsigned long end;
	u32 value;

	if (copy_from_user(&win, (void __user *)arg, sizeof(win)))
		return -EFAULT;
	switch (cmd) {
	case 1: return vc_map_user(ctx, win.addr, win.size);
	case 2: return vc_register(ctx, win.addr, win.size >> PAGE_SHIFT);
	case 3: return vc_bind_file(ctx, &win);
	case 4: return vc_map_user_whole(ctx, win.addr, win.size);
	case 5: return vc_peek(ctx, win.addr, &value);
	case 6: return vc_check_writable(ctx, win.addr, win.size);
	case 7: return vc_classify(ctx, win.addr);
	case 8: return vc_fault_in(ctx, win.addr, &end);
	case 9: return vc_classify_right(ctx, win.addr);
	case 10: return vc_fault_in_held(ctx, win.addr, &end);
	case 11: return vc_fault_in_again(ctx, win.addr, &end);
	case 12: return vc_classify_rcu(ctx, win.addr);
	case 13: return vc_all_anonymous(ctx, win.addr, win.addr + win.size);
	case 14: return vc_pin_remote(ctx, win.addr, win.size >> PAGE_SHIFT, ctx->pages);
	case 15: return vc_name_of(current, win.addr, ctx->name, sizeof(ctx->name));
	}
	return -ENOTTY;
}

static const struct file_operations vc_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = vc_ioctl,
};
