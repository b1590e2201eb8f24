// SPDX-License-Identifier: GPL-2.0
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

struct pu_dom {
	struct mm_struct *mm;
	struct iommu_domain *domain;
	struct mutex lock;
	struct list_head slots;
	unsigned long cookie;
};

struct pu_slot {
	struct list_head node;
	unsigned long pfn;
	void __iomem *io;
	unsigned long iova;
};

struct pu_arg {
	__u64 uaddr;
	__u64 iova;
	__u64 len;
	__u64 data;
};

static int pu_map_io_page(struct pu_dom *pd, struct pu_arg *arg)
{
	struct follow_pfnmap_args args = {};
	phys_addr_t phys;
	int ret;

	mmap_read_lock(pd->mm);
	args.vma = vma_lookup(pd->mm, arg->uaddr);
	args.address = arg->uaddr;
	ret = args.vma ? follow_pfnmap_start(&args) : -EFAULT;
	if (ret) {
		mmap_read_unlock(pd->mm);
		return ret;
	}
	phys = PFN_PHYS(args.pfn);
	follow_pfnmap_end(&args);
	mmap_read_unlock(pd->mm);

	return iommu_map(pd->domain, arg->iova, phys, PAGE_SIZE, IOMMU_READ | IOMMU_WRITE, GFP_KERNEL);
}

static int pu_user_pfn(struct pu_dom *pd, unsigned long uaddr, unsigned long *pfn)
{
	struct follow_pfnmap_args args = { .address = uaddr };
	int ret = -EFAULT;

	mmap_read_lock(pd->mm);
	args.vma = vma_lookup(pd->mm, uaddr);
	if (args.vma)
		ret = follow_pfnmap_start(&args);
	if (!ret) {
		*pfn = args.pfn;
		follow_pfnmap_end(&args);
	}
	mmap_read_unlock(pd->mm);
	return ret;
}

static int pu_add_slot(struct pu_dom *pd, struct pu_arg *arg)
{
	struct pu_slot *slot;
	unsigned long frame;
	int err;

	slot = kzalloc(sizeof(*slot), GFP_KERNEL);
	if (!slot)
		return -ENOMEM;
	err = pu_user_pfn(pd, arg->uaddr, &frame);
	if (err) {
		kfree(slot);
		return err;
	}
	slot->pfn = frame;
	slot->iova = arg->iova;
	mutex_lock(&pd->lock);
	list_add(&slot->node, &pd->slots);
	mutex_unlock(&pd->lock);
	return 0;
}

static int pu_open_window(struct pu_dom *pd, struct pu_slot *slot, unsigned long uaddr)
{
	struct follow_pfnmap_args args = { .address = uaddr };
	resource_size_t where = 0;

	scoped_guard(rwsem_read, &pd->mm->mmap_lock) {
		args.vma = find_vma(pd->mm, uaddr);
		if (!args.vma || follow_pfnmap_start(&args))
			return -EFAULT;
		where = (resource_size_t)args.pfn << PAGE_SHIFT;
		follow_pfnmap_end(&args);
	}
	slot->io = ioremap(where, PAGE_SIZE);
	return slot->io ? 0 : -ENOMEM;
}

static int pu_poke(struct pu_dom *pd, struct pu_arg *arg)
{
	struct follow_pfnmap_args args = { .address = arg->uaddr };
	void __iomem *io;
	int ret = -EFAULT;

	mmap_read_lock(pd->mm);
	args.vma = vma_lookup(pd->mm, arg->uaddr);
	if (!args.vma)
		goto unlock;
	ret = follow_pfnmap_start(&args);
	if (ret)
		goto unlock;
	io = (void __iomem *)(pd->cookie + (args.pfn << PAGE_SHIFT));
	writeq_relaxed(arg->data, io + offset_in_page(arg->uaddr));
	follow_pfnmap_end(&args);
unlock:
	mmap_read_unlock(pd->mm);
	return ret;
}

static int pu_access_revalidated(struct pu_dom *pd, struct vm_area_struct *vma, unsigned long addr, void *buf, int len)
{
	struct follow_pfnmap_args args = { .vma = vma, .address = addr };
	void __iomem *io;
	unsigned long pfn;
	int ret = -EINVAL;

retry:
	if (follow_pfnmap_start(&args))
		return -EINVAL;
	pfn = args.pfn;
	follow_pfnmap_end(&args);

	io = ioremap_prot(PFN_PHYS(pfn), PAGE_SIZE, 0);
	if (!io)
		return -ENOMEM;
	if (follow_pfnmap_start(&args))
		goto unmap;
	if (args.pfn != pfn) {
		follow_pfnmap_end(&args);
		iounmap(io);
		goto retry;
	}
	memcpy_fromio(buf, io + offset_in_page(addr), len);
	ret = len;
	follow_pfnmap_end(&args);
unmap:
	iounmap(io);
	return ret;
}

static int pu_check_writable(struct vm_area_struct *vma, unsigned long addr, unsigned long *pfn)
{
	struct follow_pfnmap_args fp = { .vma = vma, .address = addr };
	int rc = follow_pfnmap_start(&fp);

	if (rc)
		return rc;
	if (!fp.writable)
		return -EACCES;
	*pfn = fp.pfn;
	follow_pfnmap_end(&fp);
	return 0;
}

static int pu_count_special(struct vm_area_struct *vma, unsigned long addr, unsigned long end)
{
	struct follow_pfnmap_args args = { .vma = vma };
	int special = 0;

	for (; addr < end; addr += PAGE_SIZE) {
		args.address = addr;
		if (follow_pfnmap_start(&args))
			break;
		if (!args.special)
			continue;
		special++;
		follow_pfnmap_end(&args);
	}
	return special;
}

static int pu_expect(struct vm_area_struct *vma, unsigned long addr, unsigned long want)
{
	struct follow_pfnmap_args args = { .vma = vma, .address = addr };
	int ret;

	ret = follow_pfnmap_start(&args);
	if (ret)
		return ret;
	if (args.pfn != want) {
		follow_pfnmap_end(&args);
		ret = -ESTALE;
	}
	follow_pfnmap_end(&args);
	return ret;
}

static struct pu_slot *pu_slot_of(struct vm_area_struct *vma, unsigned long addr)
{
	struct follow_pfnmap_args args = { .vma = vma, .address = addr };
	struct pu_slot *slot = NULL;

	if (!follow_pfnmap_start(&args)) {
		slot = kmalloc(sizeof(*slot), GFP_KERNEL);
		if (slot)
			slot->iova = args.pgprot.pgprot;
		follow_pfnmap_end(&args);
	}
	return slot;
}

static int pu_contiguous(struct vm_area_struct *vma, unsigned long addr, unsigned long end, unsigned long first)
{
	struct follow_pfnmap_args args = { .vma = vma };
	unsigned long want = first;
	int ret = 0;

	while (addr < end) {
		args.address = addr;
		ret = follow_pfnmap_start(&args);
		if (ret)
			break;
		if (args.pfn != want++)
			ret = -EINVAL;
		follow_pfnmap_end(&args);
		if (ret)
			break;
		addr += PAGE_SIZE;
	}
	return ret;
}

static int pu_fault_and_get(struct pu_dom *pd, struct vm_area_struct *vma, unsigned long addr, unsigned long *pfn)
{
	struct follow_pfnmap_args args = { .vma = vma, .address = addr };
	int err;

	err = follow_pfnmap_start(&args);
	if (err) {
		err = fixup_user_fault(pd->mm, addr, FAULT_FLAG_WRITE, NULL);
		if (!err)
			err = follow_pfnmap_start(&args);
		if (err)
			return err;
	}
	err = args.writable ? 0 : -EPERM;
	if (!err)
		*pfn = args.pfn;
	follow_pfnmap_end(&args);
	return err;
}

static long pu_ioctl(struct file *file, unsigned int cmd, unsigned long p)
{
	struct pu_dom *pd = file->private_data;
	struct pu_arg arg;
	struct pu_slot slot;

	if (copy_from_user(&arg, (void __user *)p, sizeof(arg)))
		return -EFAULT;
	switch (cmd) {
	case 1: return pu_map_io_page(pd, &arg);
	case 2: return pu_add_slot(pd, &arg);
	case 3: return pu_poke(pd, &arg);
	case 4: return pu_open_window(pd, &slot, arg.uaddr);
	}
	return -ENOTTY;
}

static const struct file_operations pu_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = pu_ioctl,
};
