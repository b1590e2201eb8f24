// SPDX-License-Identifier: GPL-2.0
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/srcu.h>
#include <drm/drm_drv.h>

struct lumen {
	struct device *dev;
	struct drm_device *drm;
	struct address_space *mapping;
	struct mutex lock;
	struct rw_semaphore rw;
	void *vaddr;
	dma_addr_t dma;
	phys_addr_t phys;
	size_t size;
	struct page **pages;
	bool dead;
	bool disconnected;
	int madv;
};

static vm_fault_t lumen_insert(struct lumen *lm, struct vm_fault *vmf)
{
	return vmf_insert_pfn(vmf->vma, vmf->address, PHYS_PFN(lm->phys) + vmf->pgoff);
}

static vm_fault_t lumen_fault_outside(struct vm_fault *vmf)
{
	struct lumen *lm = vmf->vma->vm_private_data;
	vm_fault_t ret;

	if (READ_ONCE(lm->dead))
		return VM_FAULT_SIGBUS;
	mutex_lock(&lm->lock);
	ret = lumen_insert(lm, vmf);
	mutex_unlock(&lm->lock);
	return ret;
}

static vm_fault_t lumen_fault_gap(struct vm_fault *vmf)
{
	struct lumen *lm = vmf->vma->vm_private_data;
	bool dead;

	mutex_lock(&lm->lock);
	dead = lm->dead;
	mutex_unlock(&lm->lock);

	return dead ? VM_FAULT_SIGBUS : lumen_insert(lm, vmf);
}

static vm_fault_t lumen_fault_scoped(struct vm_fault *vmf)
{
	struct lumen *lm = vmf->vma->vm_private_data;

	scoped_guard(mutex, &lm->lock) {
		if (lm->dead)
			return VM_FAULT_SIGBUS;
	}
	return lumen_insert(lm, vmf);
}

static vm_fault_t lumen_fault_guard(struct vm_fault *vmf)
{
	struct lumen *lm = vmf->vma->vm_private_data;

	guard(mutex)(&lm->lock);
	if (lm->dead)
		return VM_FAULT_SIGBUS;
	return lumen_insert(lm, vmf);
}

static vm_fault_t lumen_fault_locked(struct lumen *lm, struct vm_fault *vmf)
{
	lockdep_assert_held(&lm->lock);
	if (lm->dead)
		return VM_FAULT_SIGBUS;
	return lumen_insert(lm, vmf);
}

static vm_fault_t lumen_fault_asserted(struct vm_fault *vmf)
{
	struct lumen *lm = vmf->vma->vm_private_data;
	vm_fault_t ret;

	mutex_lock(&lm->lock);
	ret = lumen_fault_locked(lm, vmf);
	mutex_unlock(&lm->lock);
	return ret;
}

static vm_fault_t lumen_fault_page(struct vm_fault *vmf)
{
	struct lumen *lm = vmf->vma->vm_private_data;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	mutex_lock(&lm->lock);
	if (!lm->dead && vmf->pgoff < lm->size >> PAGE_SHIFT) {
		vmf->page = lm->pages[vmf->pgoff];
		get_page(vmf->page);
		ret = 0;
	}
	mutex_unlock(&lm->lock);
	return ret;
}

static const struct vm_operations_struct lumen_ops_outside = { .fault = lumen_fault_outside };
static const struct vm_operations_struct lumen_ops_gap = { .fault = lumen_fault_gap };
static const struct vm_operations_struct lumen_ops_scoped = { .fault = lumen_fault_scoped };
static const struct vm_operations_struct lumen_ops_guard = { .fault = lumen_fault_guard };
static const struct vm_operations_struct lumen_ops_asserted = { .fault = lumen_fault_asserted };
static const struct vm_operations_struct lumen_ops_page = { .fault = lumen_fault_page };

static int lumen_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct lumen *lm = file->private_data;

	if (!(vma->vm_flags & VM_SHARED) || vma->vm_pgoff + vma_pages(vma) > lm->size >> PAGE_SHIFT)
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = lm;
	switch (lm->madv) {
	case 0: vma->vm_ops = &lumen_ops_outside; break;
	case 1: vma->vm_ops = &lumen_ops_gap; break;
	case 2: vma->vm_ops = &lumen_ops_scoped; break;
	case 3: vma->vm_ops = &lumen_ops_guard; break;
	case 4: vma->vm_ops = &lumen_ops_page; break;
	default: vma->vm_ops = &lumen_ops_asserted;
	}
	return 0;
}

static void lumen_kill_late(struct lumen *lm)
{
	unmap_mapping_range(lm->mapping, 0, 0, 1);
	mutex_lock(&lm->lock);
	lm->dead = true;
	mutex_unlock(&lm->lock);
}

static void lumen_kill(struct lumen *lm)
{
	mutex_lock(&lm->lock);
	lm->dead = true;
	mutex_unlock(&lm->lock);
	unmap_mapping_range(lm->mapping, 0, 0, 1);
}

static void lumen_kill_locked(struct lumen *lm)
{
	guard(mutex)(&lm->lock);
	unmap_mapping_range(lm->mapping, 0, 0, true);
	lm->dead = true;
}

static void lumen_unmap_user(struct lumen *lm)
{
	if (lm->mapping)
		unmap_mapping_pages(lm->mapping, 0, lm->size >> PAGE_SHIFT, true);
}

static void lumen_set_dead(struct lumen *lm)
{
	mutex_lock(&lm->lock);
	lm->dead = true;
	mutex_unlock(&lm->lock);
}

static void lumen_unplug(struct platform_device *pdev)
{
	struct lumen *lm = platform_get_drvdata(pdev);

	lumen_unmap_user(lm);
	lumen_set_dead(lm);
}

static void lumen_unplug_twice(struct platform_device *pdev)
{
	struct lumen *lm = platform_get_drvdata(pdev);

	lumen_unmap_user(lm);
	lumen_set_dead(lm);
	lumen_unmap_user(lm);
}

static void lumen_free_memory(struct lumen *lm)
{
	mutex_lock(&lm->lock);
	lm->dead = true;
	dma_free_coherent(lm->dev, lm->size, lm->vaddr, lm->dma);
	lm->vaddr = NULL;
	mutex_unlock(&lm->lock);
}

static long lumen_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct lumen *lm = file->private_data;

	switch (cmd) {
	case 1: lumen_kill_late(lm); return 0;
	case 2: lumen_kill(lm); return 0;
	case 3: lumen_kill_locked(lm); return 0;
	case 4: lumen_free_memory(lm); return 0;
	}
	return -ENOTTY;
}

static const struct file_operations lumen_fops = {
	.owner = THIS_MODULE,
	.mmap = lumen_mmap,
	.unlocked_ioctl = lumen_ioctl,
};

static struct platform_driver lumen_driver = {
	.remove = lumen_unplug,
	.driver.name = "lumen",
};

static struct platform_driver lumen_twice_driver = {
	.remove = lumen_unplug_twice,
	.driver.name = "lumen-twice",
};
