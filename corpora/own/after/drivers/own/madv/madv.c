// SPDX-License-Identifier: GPL-2.0
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <drm/drm_gem.h>
#include <drm/drm_vma_manager.h>

enum { MV_WILLNEED, MV_DONTNEED, MV_PURGED };

struct mv_bo {
	struct drm_gem_object base;
	struct mutex lock;
	void *vaddr;
	dma_addr_t dma;
	int madv;
};

static vm_fault_t mv_fault(struct vm_fault *vmf)
{
	struct mv_bo *bo = container_of(vmf->vma->vm_private_data, struct mv_bo, base);
	unsigned long off = (vmf->address - vmf->vma->vm_start) >> PAGE_SHIFT;
	vm_fault_t ret;

	mutex_lock(&bo->lock);
	if (bo->madv == MV_PURGED)
		ret = VM_FAULT_SIGBUS;
	else
		ret = vmf_insert_mixed(vmf->vma, vmf->address, (bo->dma >> PAGE_SHIFT) + off);
	mutex_unlock(&bo->lock);
	return ret;
}

static const struct vm_operations_struct mv_vm_ops = {
	.fault = mv_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

static int mv_obj_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_IO | VM_MIXEDMAP | VM_DONTEXPAND);
	vma->vm_ops = &mv_vm_ops;
	return 0;
}

static const struct drm_gem_object_funcs mv_funcs = {
	.mmap = mv_obj_mmap,
	.vm_ops = &mv_vm_ops,
};

static void mv_purge(struct mv_bo *bo)
{
	mutex_lock(&bo->lock);
	dma_free_coherent(bo->base.dev->dev, bo->base.size, bo->vaddr, bo->dma);
	bo->vaddr = NULL;
	bo->madv = MV_PURGED;
	mutex_unlock(&bo->lock);
}

static void mv_purge_right(struct mv_bo *bo)
{
	mutex_lock(&bo->lock);
	drm_vma_node_unmap(&bo->base.vma_node, bo->base.dev->anon_inode->i_mapping);
	dma_free_coherent(bo->base.dev->dev, bo->base.size, bo->vaddr, bo->dma);
	bo->vaddr = NULL;
	bo->madv = MV_PURGED;
	mutex_unlock(&bo->lock);
}

static int mv_madvise_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_gem_object *obj = drm_gem_object_lookup(file, *(u32 *)data);
	struct mv_bo *bo;

	if (!obj)
		return -ENOENT;
	bo = container_of(obj, struct mv_bo, base);
	if (bo->madv == MV_DONTNEED)
		mv_purge(bo);
	else
		mv_purge_right(bo);
	drm_gem_object_put(obj);
	return 0;
}

static const struct drm_ioctl_desc mv_ioctls[] = {
	DRM_IOCTL_DEF_DRV(MV_MADVISE, mv_madvise_ioctl, DRM_RENDER_ALLOW),
};
