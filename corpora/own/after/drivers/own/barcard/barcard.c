// SPDX-License-Identifier: GPL-2.0
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include "barcard.h"

static int barcard_open(struct inode *inode, struct file *file)
{
	struct barcard *bc = container_of(inode->i_cdev, struct barcard, cdev);

	bc->inode = inode;
	file->private_data = bc;
	return 0;
}

static vm_fault_t barcard_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct barcard *bc = vma->vm_private_data;
	unsigned long pfn = (bc->bar_start >> PAGE_SHIFT) + vmf->pgoff;

	if (vmf->pgoff >= bc->bar_len >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;
	return vmf_insert_pfn(vma, vmf->address, pfn);
}

static const struct vm_operations_struct barcard_vm_ops = {
	.fault = barcard_fault,
};

static int barcard_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct barcard *bc = file->private_data;

	if ((vma->vm_flags & VM_SHARED) == 0)
		return -EINVAL;
	vma->vm_page_prot = pgprot_noncached(vma->vm_page_prot);
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = bc;
	vma->vm_ops = &barcard_vm_ops;
	return 0;
}

static int barcard_reset(struct barcard *bc)
{
	int ret;

	mutex_lock(&bc->lock);
	if (bc->gone) {
		mutex_unlock(&bc->lock);
		return -ENODEV;
	}
	ret = pci_try_reset_function(bc->pdev);
	mutex_unlock(&bc->lock);
	return ret;
}

static int barcard_reset_right(struct barcard *bc)
{
	int ret;

	mutex_lock(&bc->lock);
	barcard_zap(bc);
	ret = pci_try_reset_function(bc->pdev);
	mutex_unlock(&bc->lock);
	return ret;
}

static long barcard_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct barcard *bc = file->private_data;

	switch (cmd) {
	case 1:
		return barcard_reset(bc);
	case 2:
		return barcard_reset_right(bc);
	}
	return -ENOTTY;
}

static int barcard_release(struct inode *inode, struct file *file)
{
	struct barcard *bc = file->private_data;

	mutex_lock(&bc->lock);
	bc->suspended = true;
	pci_disable_device(bc->pdev);
	mutex_unlock(&bc->lock);
	return 0;
}

static const struct file_operations barcard_fops = {
	.owner = THIS_MODULE,
	.open = barcard_open,
	.mmap = barcard_mmap,
	.unlocked_ioctl = barcard_ioctl,
	.release = barcard_release,
};
