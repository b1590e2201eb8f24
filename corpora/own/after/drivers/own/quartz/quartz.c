// SPDX-License-Identifier: GPL-2.0
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/usb.h>
#include <drm/drm_drv.h>
#include <drm/drm_vma_manager.h>

/* no mmap anywhere for this one */
struct quartz_port {
	struct mutex lock;
	struct usb_interface *intf;
	wait_queue_head_t wq;
	bool disconnected;
};

static void quartz_port_disconnect(struct usb_interface *intf)
{
	struct quartz_port *port = usb_get_intfdata(intf);

	mutex_lock(&port->lock);
	port->disconnected = true;
	mutex_unlock(&port->lock);
	wake_up_all(&port->wq);
}

static struct usb_driver quartz_port_driver = {
	.name = "quartz",
	.disconnect = quartz_port_disconnect,
};

struct quartz_gfx {
	struct drm_device drm;
	phys_addr_t phys;
	size_t size;
};

struct quartz {
	struct quartz_gfx *gfx;
	struct rw_semaphore sem;
	struct address_space *mapping;
	phys_addr_t phys;
	size_t size;
	bool removed;
	bool powered;
};

static vm_fault_t quartz_fault_drm(struct vm_fault *vmf)
{
	struct quartz_gfx *gfx = vmf->vma->vm_private_data;
	vm_fault_t ret = VM_FAULT_SIGBUS;
	int idx;

	if (!drm_dev_enter(&gfx->drm, &idx))
		return VM_FAULT_SIGBUS;
	if (vmf->pgoff < gfx->size >> PAGE_SHIFT)
		ret = vmf_insert_pfn(vmf->vma, vmf->address, (gfx->phys >> PAGE_SHIFT) + vmf->pgoff);
	drm_dev_exit(idx);
	return ret;
}

static vm_fault_t quartz_fault(struct vm_fault *vmf)
{
	struct quartz *qz = vmf->vma->vm_private_data;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	down_read(&qz->sem);
	if (qz->removed || !qz->powered)
		goto out;
	ret = vmf_insert_pfn(vmf->vma, vmf->address, (qz->phys >> PAGE_SHIFT) + vmf->pgoff);
out:
	up_read(&qz->sem);
	return ret;
}

static const struct vm_operations_struct quartz_drm_ops = { .fault = quartz_fault_drm };
static const struct vm_operations_struct quartz_vm_ops = { .fault = quartz_fault };

static int quartz_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct quartz *qz = file->private_data;
	unsigned long pages = qz->size >> PAGE_SHIFT;

	if (vma->vm_pgoff >= pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;
	if (is_cow_mapping(vma->vm_flags))
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = qz;
	vma->vm_ops = &quartz_vm_ops;
	return 0;
}

static int quartz_gfx_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct quartz_gfx *gfx = file->private_data;

	if (!(vma->vm_flags & VM_SHARED) || vma->vm_pgoff)
		return -EINVAL;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = gfx;
	vma->vm_ops = &quartz_drm_ops;
	return 0;
}

static void quartz_gfx_gone(struct quartz_gfx *gfx)
{
	drm_dev_unplug(&gfx->drm);
}

static const struct file_operations quartz_gfx_fops = {
	.owner = THIS_MODULE,
	.mmap = quartz_gfx_mmap,
};

static void quartz_power_off(struct quartz *qz)
{
	unmap_mapping_range(qz->mapping, 0, qz->size, 1);
	down_write(&qz->sem);
	qz->removed = true;
	up_write(&qz->sem);
}

static void quartz_power_off_right(struct quartz *qz)
{
	down_write(&qz->sem);
	unmap_mapping_range(qz->mapping, 0, qz->size, 1);
	qz->removed = true;
	up_write(&qz->sem);
}

static void quartz_retire(struct quartz *qz)
{
	lockdep_assert_not_held(&qz->sem);
	down_write(&qz->sem);
	qz->removed = true;
	up_write(&qz->sem);
}

static void quartz_zap_all(struct quartz *qz)
{
	unmap_mapping_range(qz->mapping, 0, 0, 1);
}

static int quartz_forget(struct quartz *qz)
{
	quartz_zap_all(qz);
	return 0;
}

static int quartz_detach(struct quartz *qz)
{
	quartz_retire(qz);
	unmap_mapping_range(qz->mapping, 0, 0, 1);
	return 0;
}

static int quartz_unplug(struct quartz *qz)
{
	down_write(&qz->sem);
	qz->removed = true;
	up_write(&qz->sem);
	quartz_gfx_gone(qz->gfx);
	return quartz_forget(qz);
}

static long quartz_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct quartz *qz = file->private_data;

	switch (cmd) {
	case 1: quartz_power_off(qz); return 0;
	case 2: quartz_power_off_right(qz); return 0;
	case 3: return quartz_detach(qz);
	case 4: return quartz_unplug(qz);
	}
	return -ENOTTY;
}

static const struct file_operations quartz_fops = {
	.owner = THIS_MODULE,
	.mmap = quartz_mmap,
	.unlocked_ioctl = quartz_ioctl,
};
