// SPDX-License-Identifier: GPL-2.0
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

struct vk_dev {
	struct mutex lock;
	struct list_head maps;
	struct vm_area_struct *vma;
	phys_addr_t base;
	size_t size;
};

struct vk_map {
	struct list_head node;
	struct vm_area_struct *area;
};

static vm_fault_t vk_fault(struct vm_fault *vmf)
{
	struct vk_dev *vd = vmf->vma->vm_private_data;

	if (vmf->pgoff >= vd->size >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;
	return vmf_insert_pfn(vmf->vma, vmf->address, (vd->base >> PAGE_SHIFT) + vmf->pgoff);
}

static const struct vm_operations_struct vk_fault_ops = {
	.fault = vk_fault,
};

static int vk_mmap_kept(struct file *file, struct vm_area_struct *vma)
{
	struct vk_dev *vd = file->private_data;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = vd;
	vma->vm_ops = &vk_fault_ops;
	vd->vma = vma;
	return 0;
}

static long vk_ioctl_zap(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vk_dev *vd = file->private_data;

	mutex_lock(&vd->lock);
	if (vd->vma)
		zap_vma_ptes(vd->vma, vd->vma->vm_start, vd->size);
	mutex_unlock(&vd->lock);
	return 0;
}

static const struct file_operations vk_kept_fops = {
	.mmap = vk_mmap_kept,
	.unlocked_ioctl = vk_ioctl_zap,
};

static int vk_mmap_listed(struct file *file, struct vm_area_struct *vma)
{
	struct vk_dev *vd = file->private_data;
	struct vk_map *map;

	map = kzalloc(sizeof(*map), GFP_KERNEL);
	if (!map)
		return -ENOMEM;
	map->area = vma;
	mutex_lock(&vd->lock);
	list_add_tail(&map->node, &vd->maps);
	mutex_unlock(&vd->lock);

	return remap_pfn_range(vma, vma->vm_start, vd->base >> PAGE_SHIFT,
			       min_t(size_t, vma->vm_end - vma->vm_start, vd->size), vma->vm_page_prot);
}

static void vk_revoke_listed(struct vk_dev *vd)
{
	struct vk_map *map;

	mutex_lock(&vd->lock);
	list_for_each_entry(map, &vd->maps, node)
		zap_vma_ptes(map->area, map->area->vm_start, map->area->vm_end - map->area->vm_start);
	mutex_unlock(&vd->lock);
}

static ssize_t vk_write_listed(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	vk_revoke_listed(file->private_data);
	return len;
}

static const struct file_operations vk_listed_fops = {
	.mmap = vk_mmap_listed,
	.write = vk_write_listed,
};

static void vk_remember(struct vk_dev *vd, struct vm_area_struct *user_vma)
{
	mutex_lock(&vd->lock);
	vd->vma = user_vma;
	mutex_unlock(&vd->lock);
}

static int vk_mmap_helper(struct file *filp, struct vm_area_struct *vma)
{
	struct vk_dev *vd = filp->private_data;
	int ret;

	if (vma->vm_pgoff)
		return -EINVAL;
	ret = vm_iomap_memory(vma, vd->base, vd->size);
	if (ret)
		return ret;
	vk_remember(vd, vma);
	return 0;
}

static const struct file_operations vk_helper_fops = {
	.mmap = vk_mmap_helper,
	.unlocked_ioctl = vk_ioctl_zap,
};

static void vk_close(struct vm_area_struct *vma)
{
	struct vk_dev *vd = vma->vm_private_data;

	mutex_lock(&vd->lock);
	if (vd->vma == vma)
		vd->vma = NULL;
	mutex_unlock(&vd->lock);
}

static const struct vm_operations_struct vk_closing_ops = {
	.fault = vk_fault,
	.close = vk_close,
};

static int vk_mmap_cleared(struct file *file, struct vm_area_struct *vma)
{
	struct vk_dev *vd = file->private_data;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTCOPY);
	vma->vm_private_data = vd;
	vma->vm_ops = &vk_closing_ops;
	mutex_lock(&vd->lock);
	vd->vma = vma;
	mutex_unlock(&vd->lock);
	return 0;
}

static const struct file_operations vk_cleared_fops = {
	.mmap = vk_mmap_cleared,
	.unlocked_ioctl = vk_ioctl_zap,
};

static void vk_list_add(struct vk_dev *vd, struct vm_area_struct *vma)
{
	struct vk_map *map = kzalloc(sizeof(*map), GFP_KERNEL | __GFP_NOFAIL);

	map->area = vma;
	mutex_lock(&vd->lock);
	list_add(&map->node, &vd->maps);
	mutex_unlock(&vd->lock);
}

static void vk_list_open(struct vm_area_struct *vma)
{
	vk_list_add(vma->vm_private_data, vma);
}

static void vk_list_close(struct vm_area_struct *vma)
{
	struct vk_dev *vd = vma->vm_private_data;
	struct vk_map *map, *next;

	mutex_lock(&vd->lock);
	list_for_each_entry_safe(map, next, &vd->maps, node) {
		if (map->area != vma)
			continue;
		list_del(&map->node);
		kfree(map);
		break;
	}
	mutex_unlock(&vd->lock);
}

static const struct vm_operations_struct vk_list_ops = {
	.open = vk_list_open,
	.close = vk_list_close,
	.fault = vk_fault,
};

static int vk_mmap_tracked(struct file *file, struct vm_area_struct *vma)
{
	struct vk_dev *vd = file->private_data;

	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND);
	vma->vm_private_data = vd;
	vma->vm_ops = &vk_list_ops;
	vk_list_add(vd, vma);
	return 0;
}

static const struct file_operations vk_tracked_fops = {
	.mmap = vk_mmap_tracked,
};

struct vk_walk {
	struct vm_area_struct *vma;
	unsigned long left;
};

static int vk_populate(struct vk_walk *walk, struct vk_dev *vd)
{
	return io_remap_pfn_range(walk->vma, walk->vma->vm_start, vd->base >> PAGE_SHIFT,
				  walk->left, walk->vma->vm_page_prot);
}

static int vk_mmap_stack(struct file *file, struct vm_area_struct *vma)
{
	struct vk_dev *vd = file->private_data;
	struct vk_walk walk;

	if (vma->vm_pgoff || vma->vm_end - vma->vm_start > vd->size)
		return -EINVAL;
	walk.vma = vma;
	walk.left = vma->vm_end - vma->vm_start;
	vma->vm_private_data = vd;
	return vk_populate(&walk, vd);
}

static const struct file_operations vk_stack_fops = {
	.mmap = vk_mmap_stack,
};
