// SPDX-License-Identifier: GPL-2.0
#include <linux/anon_inodes.h>
#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pseudo_fs.h>

struct zw_dev {
	struct inode *pseudo;
	struct inode *first;
	struct cdev cdev;
	phys_addr_t phys;
	size_t size;
};

static vm_fault_t zw_fault(struct vm_fault *vmf)
{
	struct zw_dev *zw = vmf->vma->vm_private_data;

	return vmf_insert_pfn(vmf->vma, vmf->address, PHYS_PFN(zw->phys) + vmf->pgoff);
}

static const struct vm_operations_struct zw_vm_ops = { .fault = zw_fault };

static int zw_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct zw_dev *zw = file->private_data;

	if (!(vma->vm_flags & VM_SHARED) || vma->vm_pgoff + vma_pages(vma) > PHYS_PFN(zw->size))
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = zw;
	vma->vm_ops = &zw_vm_ops;
	return 0;
}

static int zw_open(struct inode *inode, struct file *file)
{
	struct zw_dev *zw = container_of(inode->i_cdev, struct zw_dev, cdev);

	file->private_data = zw;
	file->f_mapping = zw->pseudo->i_mapping;
	zw->first = inode;
	return 0;
}

static void zw_revoke_node(struct zw_dev *zw)
{
	unmap_mapping_range(zw->first->i_mapping, 0, 0, 1);
}

static void zw_revoke(struct zw_dev *zw)
{
	unmap_mapping_range(zw->pseudo->i_mapping, 0, 0, 1);
}

static long zw_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (cmd)
		zw_revoke_node(file->private_data);
	else
		zw_revoke(file->private_data);
	return 0;
}

static const struct file_operations zw_fops = {
	.owner = THIS_MODULE,
	.open = zw_open,
	.mmap = zw_mmap,
	.unlocked_ioctl = zw_ioctl,
};

/* an exporter whose dma-bufs can be mapped: these VMAs hang on the dma-buf's file */
struct zw_export {
	struct zw_dev *zw;
	struct dma_buf *dmabuf;
	struct inode *dev_inode;
	bool revoked;
};

static vm_fault_t zw_export_fault(struct vm_fault *vmf)
{
	struct zw_export *ex = vmf->vma->vm_private_data;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	dma_resv_lock(ex->dmabuf->resv, NULL);
	if (!ex->revoked)
		ret = vmf_insert_pfn(vmf->vma, vmf->address, PHYS_PFN(ex->zw->phys) + vmf->pgoff);
	dma_resv_unlock(ex->dmabuf->resv);
	return ret;
}

static const struct vm_operations_struct zw_export_vm_ops = { .fault = zw_export_fault };

static int zw_export_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND);
	vma->vm_private_data = dmabuf->priv;
	vma->vm_ops = &zw_export_vm_ops;
	return 0;
}

static const struct dma_buf_ops zw_export_ops = {
	.mmap = zw_export_mmap,
};

static void zw_export_revoke_dev(struct zw_export *ex)
{
	dma_resv_lock(ex->dmabuf->resv, NULL);
	ex->revoked = true;
	dma_buf_move_notify(ex->dmabuf);
	dma_resv_unlock(ex->dmabuf->resv);
	unmap_mapping_range(ex->dev_inode->i_mapping, 0, 0, 1);
}

static void zw_export_revoke(struct zw_export *ex)
{
	dma_resv_lock(ex->dmabuf->resv, NULL);
	ex->revoked = true;
	dma_buf_move_notify(ex->dmabuf);
	dma_resv_unlock(ex->dmabuf->resv);
	unmap_mapping_range(ex->dmabuf->file->f_mapping, 0, ex->dmabuf->size, 1);
}
